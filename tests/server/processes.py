"""Servers in processes of their own, for tests that end them, starve them and read what they log."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from websockets.sync.client import connect

ROOT: Final = Path(__file__).parents[2]
RESET: Final = '{"type": "reset", "data": {}}'
PATIENCE_S: Final = 30.0
_OURS: Final = ("SUPPORTBENCH_", "OPENENV_")
_URL: Final = re.compile(r"http://(?:\[[^\]]+\]|[\w.]+):\d+")


class ServerProcess:
    """A running program that told its URL on stderr; what it writes is collected."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: list[str] = []
        self._readers = [
            threading.Thread(target=self._collect, args=(stream,)) for stream in (process.stderr, process.stdout)
        ]
        for reader in self._readers:
            reader.start()
        self.url = ""

    def _collect(self, stream: Iterator[str]) -> None:
        for line in stream:
            self._lines.append(line.rstrip("\n") if stream is self._process.stderr else f"stdout: {line}")

    @property
    def lines(self) -> list[str]:
        """What it wrote so far, line by line."""
        return list(self._lines)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def ws(self) -> str:
        """The base URL for WebSockets."""
        return self.url.replace("http", "ws", 1)

    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def tell(self, signum: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(signum)

    def wait(self) -> int:
        """Wait until it ends and return its exit code."""
        code = self._process.wait(PATIENCE_S)
        for reader in self._readers:
            reader.join(PATIENCE_S)
        return code

    def end(self, signum: signal.Signals = signal.SIGTERM) -> int:
        """Send it a signal and return its exit code."""
        self.tell(signum)
        return self.wait()


@contextlib.contextmanager
def started(*arguments: str, cwd: Path = ROOT, environ: Mapping[str, str] | None = None) -> Iterator[ServerProcess]:
    """Within the block `python …` runs; it is killed if it has not ended by itself, and its workers with it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**inherited, "PYTHONWARNINGS": "error", **(environ or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    server = ServerProcess(process)
    try:
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        server.wait()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


@contextlib.contextmanager
def serving(*arguments: str, cwd: Path = ROOT, environ: Mapping[str, str] | None = None) -> Iterator[ServerProcess]:
    """Within the block `python …` runs and has told its URL."""
    with started(*arguments, cwd=cwd, environ=environ) as server:
        until(lambda: any(_URL.search(line) for line in server.lines) or not server.is_running())
        found = [match[0] for line in server.lines if (match := _URL.search(line))]
        assert found, "\n".join(server.lines)
        server.url = found[0]
        yield server


@contextlib.contextmanager
def serve(cwd: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> Iterator[ServerProcess]:
    """Within the block `supportbench serve --port 0 …` is up."""
    command_line = ("-m", "supportbench", "serve", "--port", "0", *arguments)
    with serving(*command_line, cwd=cwd, environ=environ) as server:
        yield server


def play(server: ServerProcess, token: str | None = None) -> dict[str, Any]:
    """Return what a reset over WebSocket is answered with."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with connect(f"{server.ws}/ws", additional_headers=headers, open_timeout=20) as client:
        client.send(RESET)
        answer: dict[str, Any] = json.loads(client.recv(timeout=20))
    return answer


def answer_from(connection: socket.socket) -> bytes:
    """Return one answer of HTTP: its head and, where it tells the length, its body."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _piece_from(connection)
    length = re.search(rb"(?i)\ncontent-length: (\d+)", answer)
    whole = answer.index(b"\r\n\r\n") + 4 + int(length[1] if length else 0)
    while len(answer) < whole:
        answer += _piece_from(connection)
    return answer


def _piece_from(connection: socket.socket) -> bytes:
    piece = connection.recv(65_536)
    assert piece, "the server closed before its answer was whole"
    return piece


def until(reached: Callable[[], bool]) -> None:
    """Wait until it is so; fails when it takes very long."""
    end = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)
