"""The Dockerfile, without docker: what it copies builds, and what is built serves as its last line says."""

from __future__ import annotations

import json
import re
import shutil
import signal
import urllib.request
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

import pytest

from supportbench.words import COMPILED
from tests.installing import install
from tests.server.processes import ROOT, serving

LINES: Final = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
SET: Final = dict(pair.split("=", 1) for line in LINES if line.startswith("ENV ") for pair in line.split()[1:])
COPIED: Final = [
    source
    for line in LINES
    if line.startswith("COPY ") and "--from" not in line
    for source in line.removeprefix("COPY ").split()[:-1]
]


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    patterns = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert COPIED
    for source in COPIED:
        assert (ROOT / source).exists(), source
        ignored = False
        for pattern in patterns:  # the last one that fits decides
            if fnmatch(source, pattern.removeprefix("!")):
                ignored = not pattern.startswith("!")
        assert not ignored, source


def test_the_image_serves_on_the_port_that_the_manifest_and_the_readme_name() -> None:
    (command,) = [json.loads(line.removeprefix("CMD ")) for line in LINES if line.startswith("CMD ")]
    assert command[command.index("--port") + 1] == "8000"
    assert "EXPOSE 8000" in LINES
    assert re.search(r"^port: 8000$", (ROOT / "openenv.yaml").read_text(encoding="utf-8"), re.MULTILINE)
    assert re.search(r"^app_port: 8000$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)


def test_what_is_copied_builds_and_serves_with_the_images_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, site = tmp_path / "build", tmp_path / "site"
    context.mkdir()
    for source in COPIED:
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, context / source, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, context / source)
    if COMPILED:  # where the tests run, there may be no compiler
        monkeypatch.setenv("SUPPORTBENCH_COMPILE", SET["SUPPORTBENCH_COMPILE"])
    install([context], site)
    assert bool(list(site.glob("supportbench/words/compiled.*.so"))) == COMPILED
    (command,) = [json.loads(line.removeprefix("CMD ")) for line in LINES if line.startswith("CMD ")]
    assert command[0] == "supportbench"
    command[command.index("--host") + 1] = "127.0.0.1"
    command[command.index("--port") + 1] = "0"
    with serving("-m", *command, cwd=tmp_path, environ={"PYTHONPATH": str(site)}) as server:
        with urllib.request.urlopen(f"{server.url}/health", timeout=10) as answer:  # noqa: S310 - our own server
            assert json.load(answer) == {"status": "healthy"}
        server.tell(signal.SIGTERM)
        assert server.wait() == 0
