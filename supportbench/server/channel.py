"""One WebSocket connection: frames in, answers out, one at a time; limits, draining, and clients that vanish.

The hot path is `receive`, the answer, `send`. Only where an answer may take long is the connection watched meanwhile,
in a task of its own: then a client that goes away ends the work that it asked for.
"""

from __future__ import annotations

import asyncio
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

NORMAL: Final = 1000
TOO_BIG: Final = 1009
RESTART: Final = 1012
_MOST_AHEAD: Final = 64
"""Messages that are read ahead while an answer takes long; beyond them the client waits, unwatched."""


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

    __slots__ = ("_ahead", "_allowance", "_at_work", "_draining", "_receive", "_send", "_service")

    def __init__(self, service: Service, receive: Receive, send: Send, *, message_limit: float = 0.0) -> None:
        self._service = service
        self._receive = receive
        self._send = send
        self._ahead: deque[Message] | None = None
        self._at_work = False
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
                message = self._ahead.popleft() if self._ahead else await self._receive()
                if message["type"] == "websocket.disconnect":
                    return
                data: str | bytes | None = message.get("text")
                if data is None:
                    data = message.get("bytes") or b""
                if len(data) > largest:
                    await self._close(TOO_BIG)
                    return
                if self._allowance is not None and (early_s := self._allowance.take()):
                    await asyncio.sleep(early_s)
                self._at_work = True
                reply = await answer(data)
                if reply is not None:
                    await self._send({"type": "websocket.send", "text": reply.decode()})
                self._at_work = False
                if self._draining:
                    await self._close(RESTART)
                    return
        except HangUpError as end:
            if end.last is not None:
                await self._send({"type": "websocket.send", "text": end.last.decode()})
            await self._close(RESTART if self._draining else end.code)
        except (GoneError, OSError):  # servers raise an OSError where the client is not there any more
            return
        finally:
            service.left(self)

    async def watching(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what the work returns; raises `GoneError`, and cancels the work, when the client goes away."""
        if self._ahead is None:
            self._ahead = deque()
        working = asyncio.ensure_future(work)
        receiving: asyncio.Future[Message] | None = None
        try:
            while not working.done():
                if receiving is None and len(self._ahead) < _MOST_AHEAD:
                    receiving = asyncio.ensure_future(self._receive())
                waited: set[asyncio.Future[Any]] = {working} if receiving is None else {working, receiving}
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                if receiving is not None and receiving.done():
                    message, receiving = receiving.result(), None
                    self._ahead.append(message)
                    if message["type"] == "websocket.disconnect":
                        raise GoneError
            return working.result()
        finally:
            for unfinished in (working, receiving):
                if unfinished is not None and not unfinished.done():
                    unfinished.cancel()
                    await asyncio.wait({unfinished})

    async def refuse(self, frame: bytes) -> None:
        """Send one last frame and close: the connection could not even begin."""
        try:
            await self._send({"type": "websocket.send", "text": frame.decode()})
            await self._close(NORMAL)
        except OSError:
            return

    def drain(self) -> None:
        """Close with 1012, at once or when the message at work is answered."""
        self._draining = True
        if not self._at_work:
            self._service.in_background(self._close(RESTART))

    async def _close(self, code: int) -> None:
        await self._send({"type": "websocket.close", "code": code})
