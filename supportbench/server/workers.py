"""Several server processes behind one port: started, replaced when they die, ended together.

The supervisor holds all sockets, one set a worker: a dead worker's connections wait for the one that takes its place.
What a worker serves reaches it through a pipe, so that no token is on a command line.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Final

import attrs

from supportbench.errors import PluginCallError, SupportbenchError
from supportbench.server.listening import listen_beside
from supportbench.server.logs import configure_logging
from supportbench.server.process import LONGEST_S, Served, serve
from supportbench.settings import ServerSettings

logger: Final = logging.getLogger("supportbench.server.workers")

_REFUSED: Final = 2
_ENDING: Final = (signal.SIGINT, signal.SIGTERM)
_GRACE_S: Final = 4.0
"""How much longer than its drain timeout a worker may take to end before it is killed."""

_SHORT_LIFE_S: Final = 10.0
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0


@attrs.define(eq=False)
class _Worker:
    number: int
    process: BaseProcess
    told: Connection
    started_at: float
    ready: bool = False


def serve_with_workers(
    make: Callable[[], Served],
    settings: ServerSettings,
    sockets: Sequence[socket.socket],
    *,
    on_started: Callable[[], None] = lambda: None,
) -> int:
    """Serve with `settings.workers` processes until a signal comes, close the sockets and return the exit code.

    The sockets are shared ones (see `listen`). Each worker calls `make`, which must be picklable, and serves as
    `process.serve` does. The first starts alone, so that what is wrong with all of them is told once; `on_started` is
    called when all answer requests.

    Raises:
        SupportbenchError: a worker refused to start.
    """
    return _Supervisor(make, settings, sockets, on_started).run()


def _work(
    make: Callable[[], Served], settings: ServerSettings, sockets: Sequence[socket.socket], tell: Connection
) -> None:
    """Be a worker: tell the supervisor an empty text when requests are answered, or why there will be none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the supervisor too, which tells us by SIGTERM
    configure_logging(settings.log_level, settings.log_format, secrets=settings.tokens)
    with redirect_stdout(sys.stderr):
        try:
            code = serve(make(), settings, sockets, on_started=lambda: tell.send(""), supervised=True)
        except SupportbenchError as error:
            tell.send(error.detail if isinstance(error, PluginCallError) else str(error))
            code = _REFUSED
        finally:
            for shared in sockets:
                shared.close()
    sys.exit(code)


class _Supervisor:
    def __init__(
        self,
        make: Callable[[], Served],
        settings: ServerSettings,
        sockets: Sequence[socket.socket],
        on_started: Callable[[], None],
    ) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._make = make
        self._settings = settings
        self._sockets = [list(sockets), *(listen_beside(sockets) for _ in range(1, settings.workers))]
        self._on_started = on_started
        self._workers: list[_Worker] = []
        self._started = False
        self._refusal: str | None = None
        self._exit_code = 0
        self._kill_at: float | None = None  # set when the end has begun
        self._pause_s = 0.0
        self._start_at = 0.0

    def run(self) -> int:
        """Start, watch, end."""
        with _woken_by(_ENDING) as wake:
            try:
                while self._workers or self._kill_at is None:
                    self._fill_up()
                    ready = wait([wake, *self._doors()], timeout=self._patience_s())
                    for signum in os.read(wake, 64) if wake in ready else b"":
                        if self._kill_at is not None:
                            return 128 + signum
                        self._end()
                    self._look_after()
            finally:
                self._close_sockets()
                for worker in self._workers:
                    worker.process.kill()
                    worker.process.join()
        if self._refusal is not None:
            raise SupportbenchError(self._refusal)
        return self._exit_code

    def _doors(self) -> Iterator[Any]:
        for worker in self._workers:
            yield worker.process.sentinel
            if not worker.ready:
                yield worker.told

    def _patience_s(self) -> float | None:
        """Return how long nothing needs to be done unless something happens."""
        now = time.monotonic()
        if self._kill_at is not None:
            return max(0.0, self._kill_at - now)
        return max(0.0, self._start_at - now) if len(self._workers) < self._wanted() else None

    def _wanted(self) -> int:
        if self._kill_at is not None:
            return 0
        return self._settings.workers if any(worker.ready for worker in self._workers) or self._started else 1

    def _fill_up(self) -> None:
        while len(self._workers) < self._wanted() and time.monotonic() >= self._start_at:
            number = min(set(range(self._settings.workers)) - {worker.number for worker in self._workers})
            told, tell = self._context.Pipe(duplex=False)
            task = (self._make, self._settings, self._sockets[number], tell)
            process = self._context.Process(target=_work, args=task)
            process.start()
            tell.close()
            self._workers.append(_Worker(number, process, told, started_at=time.monotonic()))

    def _look_after(self) -> None:
        for worker in tuple(self._workers):
            if not worker.ready and worker.told.poll():
                self._listen_to(worker)
            if worker.process.exitcode is not None:
                self._bury(worker)
        if not self._started and self._kill_at is None and self._all_ready():
            self._started = True
            self._on_started()
        if self._kill_at is not None and self._workers and time.monotonic() >= self._kill_at:
            logger.error("Workers that did not end in time are killed: %d", len(self._workers))
            for worker in self._workers:
                worker.process.kill()
            self._kill_at = time.monotonic() + _GRACE_S

    def _all_ready(self) -> bool:
        return sum(worker.ready for worker in self._workers) == self._settings.workers

    def _listen_to(self, worker: _Worker) -> None:
        try:
            told = worker.told.recv()
        except EOFError:
            told = None
        worker.ready = told == ""
        if told and not self._started:
            self._refusal = told
        elif told:
            logger.error("A worker did not start: %s", told)

    def _bury(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        code = worker.process.exitcode or 0
        worker.process.join()
        worker.told.close()
        if self._kill_at is not None:
            self._exit_code = max(self._exit_code, code)
            return
        how = f"exit code {code}" if code >= 0 else f"signal {-code} ({signal.strsignal(-code)})"
        if not self._started:
            if self._refusal is None:
                logger.error("A worker ended with %s before it answered requests", how)
            self._exit_code = code if code > 0 else 1
            self._end()
            return
        lived_s = time.monotonic() - worker.started_at
        self._pause_s = 0.0 if lived_s > _SHORT_LIFE_S else min(2 * self._pause_s or _FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        self._start_at = time.monotonic() + self._pause_s
        logger.error("Worker %s ended with %s; another takes its place in %g s", worker.process.pid, how, self._pause_s)

    def _end(self) -> None:
        """Let every worker drain; new connections are refused from here on."""
        self._kill_at = time.monotonic() + min(self._settings.drain_timeout_s, LONGEST_S) + _GRACE_S
        self._close_sockets()
        for worker in self._workers:
            worker.process.terminate()

    def _close_sockets(self) -> None:
        for own in self._sockets:
            for listener in own:
                listener.close()


@contextmanager
def _woken_by(signals: Sequence[signal.Signals]) -> Iterator[int]:
    """Within the block the signals arrive as bytes at the descriptor that it gets."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    handlers = {signum: signal.signal(signum, lambda signum, frame: None) for signum in signals}
    try:
        yield reading
    finally:
        for signum, handler in handlers.items():
            signal.signal(signum, handler)
        signal.set_wakeup_fd(before)
        for descriptor in (reading, writing):
            with suppress(OSError):
                os.close(descriptor)
