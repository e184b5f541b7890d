"""HTTP/1.1 to one address, without TLS, proxies, redirections or compression: the way to a model on the next machine.

It exists for speed alone: a request takes some 0.05 ms of this process, a twentieth of what it takes openai's client
(`python -m tests.benchmarks.requests`). Whatever is not as plain as that is refused here, and asked for by that client.
"""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import Sequence
from typing import Final, cast

import attrs
import httptools

_LONGEST_IDLE_S: Final = 4.0
"""Common servers close a connection that has been idle for five seconds."""


@attrs.frozen(kw_only=True)
class PlainResponse:
    """A response that has come whole."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes


class NotPlainError(Exception):
    """What came is nothing that is read here; it says nothing of what another client makes of it."""


class TooLongError(Exception):
    """A response goes on beyond the bound."""


@attrs.frozen(kw_only=True)
class PlainTimeouts:
    """How long to wait for a connection and, each time anew, for the next piece of a response; None is for ever."""

    connect_s: float | None
    read_s: float | None


class PlainHttp:
    """Posts to one path at one address, over as many connections as are under way at once; they are kept open.

    It belongs to the event loop on which it is first used.
    """

    def __init__(self, host: str, port: int, head: bytes, *, timeouts: PlainTimeouts, most_bytes: int) -> None:
        """`head` is the request's head up to its length; a response has at most `most_bytes`."""
        self._address = host, port
        self._head = head
        self._timeouts = timeouts
        self._most_bytes = most_bytes
        self._idle: list[_Connection] = []
        self._is_open = True

    async def post(self, body: bytes) -> PlainResponse:
        """Send the body and return the response.

        Raises:
            OSError: there is no connection, or none any more.
            TimeoutError: connecting, or a piece of the response, takes too long.
            TooLongError: the response has too many bytes.
            NotPlainError: the response is not as plain as this needs.
        """
        connection = self._kept() or await self._connected()
        try:
            response = await connection.ask(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
        except BaseException:  # a cancellation included: what still comes belongs to nobody
            connection.abort()
            raise
        if connection.is_reusable and self._is_open:
            self._idle.append(connection)
        else:
            connection.abort()
        return response

    def close(self) -> None:
        """Close the connections, those under way with their responses."""
        self._is_open = False
        while self._idle:
            self._idle.pop().abort()

    def _kept(self) -> _Connection | None:
        """Return the connection that was used last: those that nobody needs any more grow old."""
        while self._idle:
            connection = self._idle.pop()
            is_young = time.monotonic() - connection.used_at < _LONGEST_IDLE_S
            if connection.is_reusable and is_young and not connection.has_more:
                return connection
            connection.abort()
        return None

    async def _connected(self) -> _Connection:
        async with asyncio.timeout(self._timeouts.connect_s):
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: _Connection(self._timeouts.read_s, self._most_bytes), *self._address
            )
        return connection


class _Connection(asyncio.Protocol):
    """One request at a time; httptools (llhttp) reads the responses."""

    def __init__(self, read_timeout_s: float | None, most_bytes: int) -> None:
        self._read_timeout_s = read_timeout_s
        self._most_bytes = most_bytes
        self._loop = asyncio.get_running_loop()
        self._response: asyncio.Future[PlainResponse] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.is_reusable = False
        self.used_at = 0.0

    @property
    def has_more(self) -> bool:
        """Whether something came that nobody asked for, the end of the connection for one."""
        number = self._transport.get_extra_info("socket").fileno()
        if not hasattr(select, "poll"):  # on Windows
            return number < 0 or bool(select.select([number], [], [], 0)[0])
        poll = select.poll()
        poll.register(number, select.POLLIN)
        return bool(poll.poll(0))

    async def ask(self, request: bytes) -> PlainResponse:
        """Send the request and return its response; raises like `PlainHttp.post`."""
        if self._transport.is_closing():
            raise ConnectionResetError("the connection was closed")
        self.is_reusable = False
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []
        self._size = 0
        self._response = self._loop.create_future()
        self._transport.write(request)
        self._wait()
        try:
            return await self._response
        finally:
            self.used_at = time.monotonic()
            if self._timer is not None:
                self._timer.cancel()

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    def _wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._read_timeout_s is not None:
            self._timer = self._loop.call_later(self._read_timeout_s, self._fail, TimeoutError())

    @property
    def _is_waiting(self) -> bool:
        return self._response is not None and not self._response.done()

    def _fail(self, error: Exception) -> None:
        if self._response is not None and not self._response.done():
            self._response.set_exception(error)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        if not self._is_waiting:  # nobody asked for more
            self._drop()
            return
        self._size += len(data)
        if self._size > self._most_bytes:  # headers without end count, too
            self._fail(TooLongError())
            self._drop()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(NotPlainError(f"no HTTP response: {error}"))
            self._drop()
        if self._is_waiting:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_reusable = False
        self._fail(exc or ConnectionResetError("the connection was closed before the response was whole"))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        names = {name.lower() for name, _ in self._headers}
        if self._parser.get_status_code() < 200:
            self._fail(NotPlainError("an informational response"))
        elif b"content-encoding" in names:
            self._fail(NotPlainError("a compressed response"))
        elif names.isdisjoint((b"content-length", b"transfer-encoding")):
            self._fail(NotPlainError("a response that does not tell its length"))

    def on_body(self, part: bytes) -> None:
        self._parts.append(part)

    def on_message_complete(self) -> None:
        if self._response is not None and not self._response.done():
            self.is_reusable = self._parser.should_keep_alive()
            status, body = self._parser.get_status_code(), b"".join(self._parts)
            self._response.set_result(PlainResponse(status=status, headers=tuple(self._headers), body=body))

    def _drop(self) -> None:
        self.is_reusable = False
        self._transport.abort()
