"""Who is measured: the servers, each a process of its own on a core of its own."""

from __future__ import annotations

import contextlib
import http.client
import importlib.metadata
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import attrs

ROOT: Final = Path(__file__).parents[2]
_PATIENCE_S: Final = 60.0
_END_S: Final = 15.0
_POLL_S: Final = 0.005
_TOLD_CHARS: Final = 2_000
_CONFIGURATION: Final = ("SUPPORTBENCH_", "OPENENV_", "ENABLE_WEB_INTERFACE")
_JUDGE_INFO: Final = {
    "METADATA": "Metadata-Version: 2.1\nName: supportbench-slow-judge\nVersion: 1\n",
    "entry_points.txt": "[supportbench]\nslow_judge = tests.benchmarks.judge\n",
}


class BenchmarkError(Exception):
    """A contender did not do what is measured, so that its figures would mean nothing."""


@attrs.frozen(kw_only=True)
class Contender:
    """A server: its name, how python starts it, what pip installs for it.

    `sessions_over_http` is whether it has them, `judged` whether the stub judge is installed beside it.
    """

    name: str
    arguments: tuple[str, ...]
    requirement: str
    sessions_over_http: bool = False
    judged: bool = False


def ours(*options: str, judged: bool = False) -> Contender:
    """Return `supportbench serve` with these options."""
    command = ("-m", "supportbench", "serve", "--log-level", "warning", *options)
    return Contender(
        name=" ".join(("supportbench", *options)),
        arguments=command,
        requirement=str(ROOT),
        sessions_over_http=True,
        judged=judged,
    )


def _of_uvicorn(name: str, factory: str, requirement: str, *options: str) -> Contender:
    command = ("-m", "uvicorn", "--factory", f"tests.benchmarks.{factory}", "--log-level", "warning", *options)
    return Contender(name=name, arguments=command, requirement=requirement)


_FAST: Final = ("--loop", "uvloop", "--http", "httptools")
_OPENENV: Final = f"openenv=={importlib.metadata.version('openenv')}"

ECHO: Final = _of_uvicorn(
    "echo",
    "echo:create_app",
    "uvicorn[standard]",
    *_FAST,
    *("--ws", "websockets-sansio", "--ws-per-message-deflate", "false"),
)
STOCK: Final = _of_uvicorn("stock", "reference:stock", _OPENENV, "--loop", "asyncio", "--http", "h11")
TUNED: Final = _of_uvicorn("tuned", "reference:tuned", _OPENENV, *_FAST)


@attrs.frozen(kw_only=True)
class Cores:
    """Where servers and load run: each on a core of its own, if there are two and the system can say so."""

    server: int | None = None
    load: int | None = None

    @classmethod
    def of_this_machine(cls) -> Cores:
        """Return the first two cores that this process may use, or none."""
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        return cls(server=cores[0], load=cores[1]) if len(cores) >= 2 else cls()

    @property
    def told(self) -> str:
        """What to say of it."""
        if self.server is None:
            return "servers and load shared the cores, since there are no two to pin them to"
        return "server on one core, load on another"

    @contextlib.contextmanager
    def on(self, core: int | None) -> Iterator[None]:
        """Within the block, processes are started on this core."""
        if core is None:
            yield
            return
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {core})
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)


@attrs.frozen(kw_only=True)
class Running:
    """A server that has answered that it is healthy, and how long that took from its start."""

    address: str
    pid: int
    start_s: float


@contextlib.contextmanager
def running(contender: Contender, cores: Cores, folder: Path) -> Iterator[Running]:
    """Within the block the contender serves; raises `BenchmarkError` if it does not come up or ended by itself."""
    port = _free_port()
    log = folder / "server.log"
    with log.open("wb") as output:
        begun = time.perf_counter()
        with cores.on(cores.server):
            process = subprocess.Popen(
                [sys.executable, *contender.arguments, "--port", str(port)],
                cwd=ROOT,
                env=_environ(contender, folder),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            while not _is_healthy(port):
                if process.poll() is not None or time.perf_counter() - begun > _PATIENCE_S:
                    raise BenchmarkError(f"{contender.name} did not start:\n{_end_of(log)}")
                time.sleep(_POLL_S)
            start_s = time.perf_counter() - begun
            try:
                yield Running(address=f"127.0.0.1:{port}", pid=process.pid, start_s=start_s)
            except BenchmarkError as error:
                raise BenchmarkError(f"{error}\n{_end_of(log)}") from error
            if process.poll() is not None:
                raise BenchmarkError(f"{contender.name} ended while it was measured:\n{_end_of(log)}")
        finally:
            process.terminate()
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _environ(contender: Contender, folder: Path) -> Mapping[str, str]:
    """Return the environment without what would configure a server; with the judge's, where it is to be installed."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(_CONFIGURATION)}
    if contender.judged:
        info = folder / "site" / "supportbench_slow_judge-1.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        for name, text in _JUDGE_INFO.items():
            (info / name).write_text(text, encoding="utf-8")
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(info.parent), environ.get("PYTHONPATH"))))
    return environ


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def _end_of(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-_TOLD_CHARS:]
