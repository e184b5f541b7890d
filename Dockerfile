# The server on port 8000. Build: docker build -t supportbench . Run: docker run -p 8000:8000 supportbench
# To share it beyond this machine, set a token: docker run -e SUPPORTBENCH_TOKEN=… -p 8000:8000 supportbench

# The full image has a compiler, with which grading takes half as long; the slim one below does without.
FROM python:3.11 AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 SUPPORTBENCH_COMPILE=always
WORKDIR /build
COPY pyproject.toml hatch_build.py README.md LICENSE constraints.txt ./
COPY supportbench supportbench
COPY plugins plugins
# An environment of its own is all that the second stage takes over: neither sources nor what built them.
RUN python -m venv /opt/supportbench \
 && /opt/supportbench/bin/pip install --constraint constraints.txt '.[redis]' \
 && /opt/supportbench/bin/pip uninstall --yes pip setuptools

FROM python:3.11-slim
LABEL org.opencontainers.image.title="supportbench" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --create-home --uid 1000 supportbench
COPY --from=build /opt/supportbench /opt/supportbench
ENV PATH=/opt/supportbench/bin:$PATH PYTHONUNBUFFERED=1
USER supportbench
WORKDIR /home/supportbench
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=3s --start-period=5s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=2)"]
# In this form SIGTERM reaches the server itself, which drains and exits 0; its pack of workers would be started with
# --workers and a shared --store.
CMD ["supportbench", "serve", "--host", "0.0.0.0", "--port", "8000"]
