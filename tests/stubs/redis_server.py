"""A real Redis on loopback: Debian's `redis-server`, on a free port, in a temporary folder of its own.

    with RedisServer() as redis:
        …  # talk to redis.url
        redis.kill()  # as a power cut would
        redis.start()  # on the same port, with what was kept

What was answered is in its append-only file, so that a killed server has it again after `start`.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Final

_PATIENCE_S: Final = 30.0
_MISSING: Final = (
    "These tests need a real Redis, and there is no redis-server on the PATH. "
    "On Debian and Ubuntu: apt-get install redis-server"
)


class RedisServer:
    """The server; it runs within the `with` block. `options` are those of its command line, such as `--maxmemory`."""

    def __init__(self, *options: str, password: str = "") -> None:
        program = shutil.which("redis-server")
        assert program is not None, _MISSING
        self._program = program
        self._options = (*options, *(("--requirepass", password) if password else ()))
        self._password = password
        # Not pytest's folder: the path of a socket has room for some 100 characters.
        self._folder = tempfile.TemporaryDirectory(prefix="redis-")
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()

    @property
    def url(self) -> str:
        """The URL for clients, with the password where there is one."""
        return f"redis://{f':{self._password}@' if self._password else ''}127.0.0.1:{self.port}"

    @property
    def socket_path(self) -> Path:
        """The Unix socket on which it listens too."""
        return Path(self._folder.name) / "redis.sock"

    def start(self) -> None:
        """Start it, if it does not run, and wait until it answers."""
        if self._process is not None:
            return
        while not self._started():
            self.port = _free_port()  # somebody else was faster

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in good order."""
        self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """Let it take connections and answer nothing, until `thaw`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def command(self, *words: str | bytes) -> bytes:
        """Send one command over a connection of its own and return the answer as it stands on the wire."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=_PATIENCE_S) as connection:
            if self._password:
                connection.sendall(_on_the_wire("AUTH", self._password))
                connection.recv(1024)
            connection.sendall(_on_the_wire(*words))
            return connection.recv(1 << 20)

    def __enter__(self) -> RedisServer:
        self.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
        self._folder.cleanup()

    def _started(self) -> bool:
        log = Path(self._folder.name) / "redis.log"
        self._process = subprocess.Popen(
            [
                *(
                    self._program,
                    "--port",
                    str(self.port),
                    "--bind",
                    "127.0.0.1",
                    "--unixsocket",
                    str(self.socket_path),
                ),
                *("--dir", self._folder.name, "--save", "", "--appendonly", "yes", "--logfile", str(log)),
                *self._options,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        give_up_at = time.monotonic() + _PATIENCE_S
        while self._process.poll() is None:
            try:
                if self.command("PING") == b"+PONG\r\n":
                    return True
            except OSError:
                pass  # not yet
            assert time.monotonic() < give_up_at, f"redis-server does not answer:\n{log.read_text()}"
            time.sleep(0.02)
        self._process = None
        told = log.read_text() if log.exists() else "it wrote no log"
        assert "Address already in use" in told, f"redis-server did not start:\n{told}"
        return False

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(number)
            process.wait(_PATIENCE_S)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _on_the_wire(*words: str | bytes) -> bytes:
    data = [word.encode() if isinstance(word, str) else word for word in words]
    return b"*%d\r\n" % len(data) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in data)
