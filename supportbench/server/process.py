"""One server process: uvicorn, ended in good order.

A first SIGTERM or SIGINT stops accepting at once, lets requests in flight finish within the drain timeout, tells
WebSocket clients 1012 and exits 0. Whatever is left when the time is over is cut off, and the process ends within some
two seconds even if a plugin holds the event loop or a thread. A second signal ends it at once.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

import attrs
import uvicorn
from uvicorn.server import HANDLED_SIGNALS

from supportbench.errors import SupportbenchError
from supportbench.garbage import collected_seldom
from supportbench.server.lifespan import Lifespan
from supportbench.server.listening import BACKLOG
from supportbench.server.protocols import HttpProtocol, WebSocketProtocol
from supportbench.settings import ServerSettings

logger: Final = logging.getLogger("supportbench.server.process")

FAILED: Final = 3
"""The exit code when the application could not start, or could not end, for a reason that nobody foresaw."""

_KEEP_ALIVE_S: Final = 75
"""Longer than the minute after which common proxies and clients let go of an idle connection themselves."""

_GOODBYE_S: Final = 0.4
"""How long a client has, once it was told to go, to say goodbye itself; and a task, once it was cancelled."""

_LAST_RESORT_S: Final = 1.5
"""How long after the drain timeout the process ends, whatever holds it."""

LONGEST_S: Final = 365 * 86_400.0
"""What longer times are taken for: clocks do not take every number."""

_TICK_S: Final = 0.02

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@attrs.frozen(kw_only=True)
class Served:
    """An ASGI application, and how it finishes what is under way: within so many seconds, refusing what is new."""

    app: Callable[[Scope, Receive, Send], Awaitable[None]]
    drain: Callable[[float], Awaitable[None]]


def serve(
    served: Served,
    settings: ServerSettings,
    sockets: Sequence[socket.socket],
    *,
    on_started: Callable[[], None] = lambda: None,
    supervised: bool = False,
) -> int:
    """Serve until a signal comes, close the sockets and return the exit code.

    `on_started` is called when requests are answered.

    A supervised process takes every signal but the first for a copy of it, and ends when the process that started it
    is gone.

    Raises:
        SupportbenchError: the application refused to start.
    """
    server = Server(served, settings, on_started=on_started, supervised=supervised)
    try:
        with collected_seldom(), asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(server.serve(list(sockets)))
    except SystemExit:  # uvicorn's word for an application that did not start
        return server.start_failure()
    finally:
        for listener in sockets:
            listener.close()
    return server.exit_code


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - there is none for Windows
    except ImportError:
        return None
    return uvloop.new_event_loop


class Server(uvicorn.Server):
    """uvicorn's server with our protocols and our end."""

    lifespan: Lifespan

    def __init__(
        self,
        served: Served,
        settings: ServerSettings,
        *,
        on_started: Callable[[], None] = lambda: None,
        supervised: bool = False,
    ) -> None:
        limits = {"max_header": settings.max_header, "connection_limit": settings.connection_limit}
        config = uvicorn.Config(
            served.app,
            http=type("HttpProtocol", (HttpProtocol,), limits),
            ws=WebSocketProtocol,
            ws_per_message_deflate=False,
            ws_max_size=settings.max_frame,
            ws_ping_interval=min(settings.ping_interval_s, LONGEST_S),
            ws_ping_timeout=min(settings.ping_interval_s, LONGEST_S),
            interface="asgi3",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            workers=1,
            backlog=BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE_S,
        )
        config.load()
        config.lifespan_class = Lifespan
        super().__init__(config)
        self._drain = served.drain
        self._drain_timeout_s = min(settings.drain_timeout_s, LONGEST_S)
        self._on_started = on_started
        self._supervised = supervised

    @property
    def exit_code(self) -> int:
        """0, unless the application failed while it ended."""
        return FAILED if self.lifespan.shutdown_failed else 0

    def start_failure(self) -> int:
        """Return the exit code of an application that did not start; raises what it refused to start with."""
        failure = self.lifespan.failure
        if isinstance(failure, SupportbenchError):
            raise failure
        self._log_failure("The application did not start.")
        return FAILED

    def _log_failure(self, what: str) -> None:
        failure = self.lifespan.failure
        logger.error("%s %s", what, self.lifespan.told if failure is None else "", exc_info=failure)

    # -- signals ---------------------------------------------------------------------------------------------------

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals from here on for good; uvicorn would raise them again in the end and so exit with -15."""
        if threading.current_thread() is threading.main_thread():
            for signum in HANDLED_SIGNALS:
                signal.signal(signum, self.handle_exit)
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; or end at once, when asked a second time."""
        if not self.should_exit:
            self.should_exit = True
            _exit_in(self._drain_timeout_s + _LAST_RESORT_S)
        elif not self._supervised:
            os._exit(128 + sig)

    # -- start and end ---------------------------------------------------------------------------------------------

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application and answer requests."""
        await super().startup(sockets)
        parent = multiprocessing.parent_process() if self._supervised else None
        if parent is not None:
            asyncio.get_running_loop().add_reader(parent.sentinel, self._orphaned, parent.sentinel)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, finish what is under way, say goodbye, cut off what is left, end the application."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._drain_timeout_s + _LAST_RESORT_S - _GOODBYE_S / 2
        for listener in (*self.servers, *(sockets or ())):
            listener.close()
        logger.info("Ending: what is under way has %g s", self._drain_timeout_s)
        for http in self._http():
            http.shutdown()  # closes what is idle; what is at work answers with `Connection: close`
        await asyncio.gather(self._drained(), self._until(lambda: not self._http(), self._drain_timeout_s))
        for websocket in self._websockets():
            if not websocket.close_sent:
                websocket.shutdown()
        await self._until(lambda: not self._websockets(), _GOODBYE_S)
        await self._cut_off()
        try:
            async with asyncio.timeout_at(until):
                await self.lifespan.shutdown()
        except TimeoutError:
            logger.warning("The application did not end in time")
        if self.lifespan.shutdown_failed:
            self._log_failure("The application failed while it ended.")
        logger.info("Ended")

    async def _drained(self) -> None:
        try:
            async with asyncio.timeout(self._drain_timeout_s + _TICK_S):
                await self._drain(self._drain_timeout_s)
        except TimeoutError:
            logger.debug("The application was not done draining")
        except Exception:
            logger.exception("The application failed at draining")

    async def _cut_off(self) -> None:
        tasks = tuple(self.server_state.tasks)
        if tasks:
            logger.warning("Requests that were cut off, since they took longer: %d", len(tasks))
            logging.getLogger("uvicorn.error").addFilter(_is_no_cancellation)
            for http in self._http():
                await http.answer_unavailable("The server ends. Send the request again, to the one that takes over.")
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=_GOODBYE_S)
        for connection in tuple(self.server_state.connections):
            connection.transport.abort()

    def _http(self) -> list[HttpProtocol]:
        return [connection for connection in self.server_state.connections if isinstance(connection, HttpProtocol)]

    def _websockets(self) -> list[WebSocketProtocol]:
        return [connection for connection in self.server_state.connections if isinstance(connection, WebSocketProtocol)]

    async def _until(self, reached: Callable[[], bool], timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        while not reached() and loop.time() < until:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(_TICK_S)

    def _orphaned(self, sentinel: int) -> None:
        asyncio.get_running_loop().remove_reader(sentinel)
        logger.error("The process that started this one is gone")
        self.handle_exit(signal.SIGTERM, None)


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def _exit_in(seconds: float) -> None:
    """End the process after so long, whatever holds it: a plugin that blocks the loop, a thread that nobody joins."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, lambda signum, frame: os._exit(0))
        signal.setitimer(signal.ITIMER_REAL, seconds)
