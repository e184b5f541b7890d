"""What stands in for the `docker` command: `run`, `inspect`, `logs`, `stop` and `rm` of containers that are processes.

A container is a real `supportbench serve` in a process of its own, on the port that is published. The folder in
`DOCKER_STUB` holds what was called (`calls.jsonl`), the containers and their logs. `DOCKER_STUB_TROUBLE` says what goes
wrong, as with the real command: `daemon`, `permission`, `port`, `port-once`, `dies`, `sick`, `slow-run`, `slow-server`,
`rm`, `hangs`.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NoReturn

IMAGE: Final = "supportbench:test"

FOLDER: Final = Path(os.environ.get("DOCKER_STUB", "."))
TROUBLE: Final = os.environ.get("DOCKER_STUB_TROUBLE", "")

_DIES: Final = (
    "import os, sys\n"
    "print('cannot open the tasks', os.environ.get('SECRET', ''), flush=True)\n"
    "sys.exit('broken image')\n"
)
_SICK: Final = (
    "import http.server, sys\n"
    "class Sick(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n"
    "        self.send_error(503)\n"
    "http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), Sick).serve_forever()\n"
)
_SERVE: Final = "from supportbench.cli import main; main()"


def main() -> None:
    """Do what the command line says."""
    calls = FOLDER / "calls.jsonl"
    with calls.open("a") as file:
        file.write(json.dumps(sys.argv[1:]) + "\n")
    if TROUBLE == "daemon":
        fail("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?")
    if TROUBLE == "permission":
        fail("permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock")
    command, arguments = sys.argv[1], sys.argv[2:]
    {"run": run, "inspect": inspect, "logs": logs, "stop": stop, "rm": remove}[command](arguments)


def run(arguments: list[str]) -> None:
    """Start a container and print its id."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-d", action="store_true", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--pull", choices=["never"])
    parser.add_argument("-p", required=True)
    parser.add_argument("-e", action="append", default=[])
    parser.add_argument("image")
    asked = parser.parse_args(arguments)
    if asked.image != IMAGE:
        fail(f"Error response from daemon: No such image: {asked.image}", code=125)
    address, host_port, container_port = asked.p.split(":")
    assert (address, container_port) == ("127.0.0.1", "8000")
    container = {"id": secrets.token_hex(32), "name": asked.name, "env": asked.e, "process": None}
    save(container)
    first = len(list(FOLDER.glob("*.container"))) == 1 and not (FOLDER / "failed-once").exists()
    if TROUBLE == "port" or (TROUBLE == "port-once" and first):
        (FOLDER / "failed-once").touch()
        fail(f"Error response from daemon: Bind for 127.0.0.1:{host_port} failed: port is already allocated", code=125)
    if TROUBLE == "slow-run":
        (FOLDER / "running").touch()
        time.sleep(1.5)
    container["process"] = start(int(host_port), asked.e, FOLDER / f"{container['id']}.log")
    save(container)
    sys.stdout.write(f"{container['id']}\n")


def start(port: int, variables: list[str], log: Path) -> int:
    """Return the id of the process that is the container."""
    environ = {"PATH": os.environ["PATH"]}
    for variable in variables:
        name, given, value = variable.partition("=")
        environ[name] = value if given else os.environ[name]
    code, arguments = _SERVE, ["serve", "--port", str(port), "--log-format", "json"]
    if TROUBLE == "dies":
        code, arguments = _DIES, []
    elif TROUBLE == "sick":
        code, arguments = _SICK, [str(port)]
    elif TROUBLE == "slow-server":
        code = f"import time; time.sleep(60); {_SERVE}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            env=environ,
            cwd=FOLDER,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    return process.pid


def inspect(arguments: list[str]) -> None:
    """Print whether the container runs."""
    assert arguments[:2] == ["--format", "{{.State.Running}}"]
    container = find(arguments[2])
    sys.stdout.write(f"{str(runs(container)).lower()}\n")


def logs(arguments: list[str]) -> None:
    """Print the last lines of the container's log."""
    assert arguments[0] == "--tail"
    container = find(arguments[2])
    lines = (FOLDER / f"{container['id']}.log").read_text().splitlines()
    sys.stdout.write("".join(f"{line}\n" for line in lines[-int(arguments[1]) :]))


def stop(arguments: list[str]) -> None:
    """End the container in good order, or else."""
    assert arguments[0] == "-t"
    if TROUBLE == "hangs":
        time.sleep(600)
    container = find(arguments[2])
    end(container, signal.SIGTERM)
    until = time.monotonic() + float(arguments[1])
    while runs(container):
        if time.monotonic() > until:
            end(container, signal.SIGKILL)
        time.sleep(0.02)
    sys.stdout.write(f"{arguments[2]}\n")


def remove(arguments: list[str]) -> None:
    """Remove the container, running or not."""
    assert arguments[:2] == ["-f", "-v"]
    if TROUBLE == "rm":
        fail("Error response from daemon: driver failed to remove root filesystem: device or resource busy")
    container = find(arguments[2])
    end(container, signal.SIGKILL)
    (FOLDER / f"{container['id']}.container").unlink()
    sys.stdout.write(f"{arguments[2]}\n")


def find(name: str) -> dict[str, Any]:
    """Return the container of that id or name."""
    containers: list[dict[str, Any]] = [json.loads(path.read_text()) for path in FOLDER.glob("*.container")]
    found = [container for container in containers if name in (container["id"], container["name"])]
    if not found:
        fail(f"Error response from daemon: No such container: {name}")
    return found[0]


def runs(container: dict[str, Any]) -> bool:
    """Return whether the container's process lives."""
    return container["process"] is not None and lives(container["process"])


def lives(process: int) -> bool:
    """Return whether there is such a process, and not just its remains that nobody has asked for."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def end(container: dict[str, Any], number: signal.Signals) -> None:
    """Send the container's process a signal."""
    if container["process"] is not None:
        with suppress(ProcessLookupError):
            os.kill(container["process"], number)


def save(container: dict[str, Any]) -> None:
    """Keep what is known of the container."""
    path = FOLDER / f"{container['id']}.container"
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(container))
    temporary.replace(path)


def fail(message: str, code: int = 1) -> NoReturn:
    """Complain as docker does."""
    sys.stderr.write(f"docker: {message}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
