"""One WebSocket connection: frames in, answers out, one at a time; limits, draining, and clients that vanish.

The hot path is `receive`, the answer, `send`. Only where an answer may take long is the connection watched meanwhile,
in a task of its own: then a client that goes away ends the work that it asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, Final, TypeVar

from supportbench.server.limits import Allowance
from supportbench.server.service import Service

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Scope = MutableMapping[str, Any]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
T = TypeVar("T")

logger: Final = logging.getLogger("supportbench.server.channel")

NORMAL: Final = 1000
TOO_BIG: Final = 1009
RESTART: Final = 1012
_MOST_AHEAD: Final = 64
"""Messages that are read ahead while an answer takes long; beyond them, or beyond the size of the largest frame, the
client waits, unwatched."""


class GoneError(Exception):
    """The client went away while its request was at work."""


class HangUpError(Exception):
    """The answer, if any, is the last one: close the connection."""

    def __init__(self, last: bytes | None = None, code: int = NORMAL) -> None:
        super().__init__(code)
        self.last = last
        self.code = code


class Channel:
    """A connection that was accepted; `serve` answers its messages until either side has enough."""

    __slots__ = (
        *("_ahead", "_allowance", "_at_work", "_closed", "_draining"),
        *("_receive", "_receiving", "_send", "_service"),
    )

    def __init__(self, service: Service, receive: Receive, send: Send, *, message_limit: float = 0.0) -> None:
        self._service = service
        self._receive = receive
        self._send = send
        self._ahead: deque[Message] | None = None
        self._receiving: asyncio.Future[Message] | None = None
        self._at_work = False
        self._closed = False
        self._draining = False
        self._allowance = Allowance(message_limit) if message_limit else None

    async def serve(self, answer: Callable[[str | bytes], Awaitable[bytes | None]]) -> None:
        """Answer message after message; what `answer` returns is sent, and nothing where it returns None."""
        service = self._service
        service.sockets.add(self)
        largest = service.settings.max_frame
        try:
            if service.draining:
                await self._close(RESTART)
                return
            while True:
                message = await (self._receive() if self._ahead is None else self._next(self._ahead))
                if message["type"] == "websocket.disconnect" or self._closed:
                    return
                data: str | bytes = message.get("text") or message.get("bytes") or b""
                if 4 * len(data) > largest and _size(data) > largest:
                    await self._close(TOO_BIG)
                    return
                self._at_work = True
                if self._allowance is not None and (early_s := self._allowance.take()):
                    await asyncio.sleep(early_s)
                reply = await answer(data)
                if reply is not None:
                    try:
                        await self._send({"type": "websocket.send", "text": reply.decode()})
                    except RuntimeError as error:  # uvicorn's word for a connection that it has closed itself
                        raise GoneError from error
                self._at_work = False
                if self._draining:
                    await self._close(RESTART)
                    return
        except HangUpError as end:
            await self._close(RESTART if self._draining else end.code, end.last)
        except (GoneError, OSError):  # servers raise an OSError where the client is not there any more
            return
        finally:
            if self._receiving is not None:
                self._receiving.cancel()
            service.left(self)

    async def watching(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what the work returns; raises `GoneError`, and cancels the work, when the client goes away."""
        ahead = self._ahead = deque() if self._ahead is None else self._ahead
        working = asyncio.ensure_future(work)
        try:
            while not working.done():
                if self._receiving is None and self._reads_on(ahead):
                    self._receiving = asyncio.ensure_future(self._receive())
                receiving = self._receiving
                waited: set[asyncio.Future[Any]] = {working} if receiving is None else {working, receiving}
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                if receiving is not None and receiving.done():
                    self._receiving = None
                    _keep(receiving.result(), ahead)
        except BaseException:
            # Not waited for: whatever the work still does about its end, the session is free at once.
            working.cancel()
            self._service.in_background(_ended(working))
            raise
        return working.result()

    async def refuse(self, frame: bytes) -> None:
        """Send one last frame and close: the connection could not even begin."""
        await self._close(NORMAL, frame)

    def drain(self) -> None:
        """Close with 1012, at once or when the message at work is answered."""
        self._draining = True
        if not self._at_work:
            self._service.in_background(self._close(RESTART))

    async def _next(self, ahead: deque[Message]) -> Message:
        """Return the next message, of those that were read ahead first."""
        if ahead:
            return ahead.popleft()
        receiving, self._receiving = self._receiving, None
        return await (self._receive() if receiving is None else receiving)

    def _reads_on(self, ahead: deque[Message]) -> bool:
        sizes = (_size(message.get("text") or message.get("bytes") or b"") for message in ahead)
        return len(ahead) < _MOST_AHEAD and sum(sizes) < self._service.settings.max_frame

    async def _close(self, code: int, last: bytes | None = None) -> None:
        """Close the connection, after one last frame if there is one, unless either side has closed it already."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(OSError, RuntimeError):  # the client is gone, or uvicorn has closed by itself
            if last is not None:
                await self._send({"type": "websocket.send", "text": last.decode()})
            await self._send({"type": "websocket.close", "code": code})


def _keep(message: Message, ahead: deque[Message]) -> None:
    ahead.append(message)
    if message["type"] == "websocket.disconnect":
        raise GoneError


def _size(data: str | bytes) -> int:
    return len(data) if isinstance(data, bytes) or data.isascii() else len(data.encode())


async def _ended(work: asyncio.Future[Any]) -> None:
    """Wait until cancelled work has ended; what it says to that, nobody asks for any more."""
    await asyncio.wait({work})
    if not work.cancelled() and (error := work.exception()) is not None:
        logger.debug("Work that was cancelled failed: %s", type(error).__name__)
