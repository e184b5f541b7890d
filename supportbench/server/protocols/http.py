"""HTTP/1.1 as uvicorn speaks it, with a bound on what a peer can make the server hold, and for how long.

uvicorn leaves open: a head of any size, a request that trickles in or never comes, an answer that nobody reads.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, ClassVar, cast

import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from supportbench.server.limits import OpenConnections
from supportbench.server.protocols.lingering import LINGER_S
from supportbench.server.protocols.outbox import BatchedTransport, Outbox
from supportbench.server.protocols.websocket import WebSocketProtocol


class HttpProtocol(HttpToolsProtocol):
    """HTTP/1.1 with limits: 431 for a large head, 408 for a slow request, an end for whoever does not read.

    `max_header` bounds request line and headers together, in bytes; a request is here whole within `request_timeout_s`
    of its connection's or its own beginning; an answer is given up when the peer read nothing for `write_timeout_s`;
    an address has `connection_limit` connections at once, 0 for any number.
    """

    max_header: ClassVar[int] = 64 * 1024
    request_timeout_s: ClassVar[float] = 30.0
    write_timeout_s: ClassVar[float] = 30.0
    connection_limit: ClassVar[int] = 0

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._unread = 0  # bytes since the parser last came to something: a partial head, or trailers without end
        self._in_head = False  # a request has begun and its headers are not here whole
        self._in_request = False  # a request has begun and is not here whole
        self._refused = False
        self._head_too_large = False
        self._request_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._unsent = 0

    @property
    def _address(self) -> str:
        return self.client[0] if self.client else ""

    @property
    def in_flight(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        batched = BatchedTransport(transport, Outbox.of(self.server_state))
        super().connection_made(cast(asyncio.Transport, batched))
        self._open = OpenConnections.of(self.server_state, self.config)
        if self.connection_limit and self._open.opened(self._address) > self.connection_limit:
            told = f"This address has {self.connection_limit} connections open, which is the most. Close one first."
            self._refuse(HTTPStatus.TOO_MANY_REQUESTS, told)
            return
        self._request_timer = self.loop.call_later(self.request_timeout_s, self._request_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything."""
        self._stop_timers()
        self._open.closed(self._address)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what came, unless the peer was refused already."""
        if self._refused:
            return
        self._unread += len(data)
        super().data_received(data)
        if self._refused or self.parser is None or self.transport.is_closing():
            return
        if self._unread > self.max_header:
            self._refuse_head()
        elif self.in_flight and not self._in_request:
            self._stop_request_timer()
        elif self._request_timer is None:
            self._request_timer = self.loop.call_later(self.request_timeout_s, self._request_is_late)

    # -- what the parser comes to ----------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._in_head = self._in_request = True
        self._unread = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Take the request on; raises where its head is too large, which the parser hands back to `data_received`."""
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.max_header:
            self._head_too_large = True
            raise ValueError("the head is too large")
        self._in_head = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass a piece of the body on."""
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request is here whole."""
        self._in_request = False
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over to the WebSocket protocol; a handshake that failed is answered and over."""
        self._stop_timers()
        super().handle_websocket_upgrade()
        upgraded = self.transport.get_protocol()
        if isinstance(upgraded, WebSocketProtocol):
            upgraded.end_failed_handshake()
        self.parser = None  # type: ignore[assignment]  # it knows this object, which would wait for the collector

    # -- refusals --------------------------------------------------------------------------------------------------

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser did not understand."""
        if self._head_too_large:
            self._refuse_head()
        else:
            self._refuse(HTTPStatus.BAD_REQUEST, msg)

    def _refuse_head(self) -> None:
        if self._in_head and not self.in_flight:
            told = f"Request line and headers are larger than {self.max_header} bytes. Send fewer or shorter ones."
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, told)
        else:  # the trailers of a request at work, or a second head behind one: no answer would be understood
            self._refused = True
            self._close()

    def _request_is_late(self) -> None:
        self._request_timer = None
        if self._in_head and not self.in_flight:
            told = f"The request was not here whole after {self.request_timeout_s:g} s."
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, told)
        else:
            self._close()

    def _refuse(self, status: HTTPStatus, told: str) -> None:
        self._refused = True
        self._stop_timers()
        self._unset_keepalive_if_required()
        if self.in_flight:
            self._close()
            return
        headers, body = _told_as_json(told)
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            headers.append((b"retry-after", b"1"))
        head = b"".join(b"%s: %s\r\n" % header for header in (*self.server_state.default_headers, *headers))
        self.transport.write(STATUS_LINE[status] + head + b"\r\n" + body)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._write_timer = self.loop.call_later(LINGER_S, self.transport.abort)

    async def answer_unavailable(self, told: str) -> None:
        """Answer the request at work with 503, unless its answer has begun or others wait before it."""
        cycle = self.cycle
        if not self.in_flight or cycle.response_started or self.pipeline or self.flow.write_paused:
            return
        headers, body = _told_as_json(told)
        await cycle.send({"type": "http.response.start", "status": HTTPStatus.SERVICE_UNAVAILABLE, "headers": headers})
        await cycle.send({"type": "http.response.body", "body": body, "more_body": False})

    # -- peers that do not read ------------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        """Begin to wait for a peer that does not read."""
        super().pause_writing()
        self._give_up_later()

    def resume_writing(self) -> None:
        """Go on; a connection that is to end anyway keeps its term."""
        if not self._refused and not self.transport.is_closing():
            self._stop_write_timer()
        super().resume_writing()

    def on_response_complete(self) -> None:
        """Go on with the next request, or wait until the last answer is read."""
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()  # uvicorn reads on with each answer, however many requests wait
        if self.transport.is_closing():
            self._give_up_later()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that nothing came over for long."""
        self._close()

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
        self._give_up_later()

    def _give_up_later(self) -> None:
        if self._write_timer is None:
            self._unsent = self.transport.get_write_buffer_size()
            self._write_timer = self.loop.call_later(self.write_timeout_s, self._give_up)

    def _give_up(self) -> None:
        self._write_timer = None
        if self.transport.get_write_buffer_size() < self._unsent:
            self._give_up_later()  # it reads, if slowly
        else:
            self.transport.abort()

    def _stop_request_timer(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _stop_timers(self) -> None:
        self._stop_request_timer()
        self._stop_write_timer()

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


def _told_as_json(told: str) -> tuple[list[tuple[bytes, bytes]], bytes]:
    body = msgspec.json.encode({"detail": told})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    return headers, body
