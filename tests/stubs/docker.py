"""A `docker` that needs no daemon: see `docker_command`, which it runs.

with DockerStub(tmp_path, monkeypatch) as docker:
    …  # whatever runs `docker` runs the stand-in
    assert docker.containers() == []
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from tests.stubs import docker_command

IMAGE = docker_command.IMAGE


class DockerStub:
    """Within the block the stand-in is first on the PATH of this process; `trouble` is what goes wrong with it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, trouble: str = "") -> None:
        self.folder = folder / "docker"
        self._monkeypatch = monkeypatch
        self._trouble = trouble
        self._processes: set[int] = set()

    @property
    def environ(self) -> Mapping[str, str]:
        """The variables with which another process finds the stand-in."""
        return {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "DOCKER_STUB": str(self.folder),
            "DOCKER_STUB_TROUBLE": self._trouble,
        }

    def calls(self, command: str = "") -> list[list[str]]:
        """Return the command lines that docker was called with, in order."""
        path = self.folder / "calls.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [call for call in map(json.loads, lines) if not command or call[0] == command]

    def containers(self) -> list[dict[str, Any]]:
        """Return the containers that there are, running or not."""
        found = []
        for path in self.folder.glob("*.container"):
            with suppress(FileNotFoundError):  # it is being removed
                found.append(json.loads(path.read_text()))
        self._processes |= {container["process"] for container in found if container["process"] is not None}
        return found

    def running(self) -> list[int]:
        """Return the processes that were containers and still live."""
        self.containers()
        return [process for process in self._processes if docker_command.lives(process)]

    def wait_until(self, command: str) -> None:
        """Wait until docker is called so."""
        until = time.monotonic() + 30
        while not self.calls(command):
            assert time.monotonic() < until, f"docker {command} was never called"
            time.sleep(0.01)

    def __enter__(self) -> DockerStub:
        program = self.folder / "bin" / "docker"
        program.parent.mkdir(parents=True)
        path = str(docker_command.__file__)
        program.write_text(f"#!{sys.executable}\nimport runpy\nrunpy.run_path({path!r}, run_name='__main__')\n")
        program.chmod(0o755)
        for name, value in self.environ.items():
            self._monkeypatch.setenv(name, value)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in self.running():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
