"""WebSocket as uvicorn speaks it, with an end for peers that do not read, and a short way for whole text messages.

uvicorn leaves open: a handshake that fails in the parser, pongs for a peer that never reads, a slow reader whose
keepalive ran out. A message pays nothing for these: what is overridden for them runs per ping or when writing stalls.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import CloseCode, Frame
from websockets.protocol import OPEN
from websockets.streams import StreamReader

from supportbench.server.limits import OpenConnections
from supportbench.server.protocols.frames import Inbox, text_frame, text_of_frame
from supportbench.server.protocols.lingering import LINGER_S, Discarding

_PIECE: Final = 16 * 1024
"""How many bytes of one connection are taken in before others have their turn: some 2,700 frames at most."""


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """WebSocket with an end for peers that are gone or do not read: the app gets its `websocket.disconnect`.

    Within two ping intervals a peer has answered a ping, or it is dropped, whatever lies in its buffers.
    """

    def __init__(self, config: Config, server_state: ServerState, *more: Any, **others: Any) -> None:
        super().__init__(config, server_state, *more, **others)
        self._open = OpenConnections.of(server_state, config)
        self.queue = cast("asyncio.Queue[Any]", Inbox(self.loop))
        self._largest = self.config.ws_max_size
        self._short_way = False  # what comes next is the beginning of a message, as far as is known
        self._pending = bytearray()
        self._takes_later = False

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything."""
        self._open.closed(self.client[0] if self.client else "")
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take the data in; of much, a piece at a time, between which others have their turn."""
        if self._pending or len(data) > _PIECE:
            self._pending += data
            self._take_later()
        else:
            self._take(data)

    def _take_later(self) -> None:
        self.transport.pause_reading()
        if not self._takes_later:
            self._takes_later = True
            self.loop.call_soon(self._take_next)

    def _take_next(self) -> None:
        self._takes_later = False
        if self.transport.is_closing():
            return
        piece = bytes(self._pending[:_PIECE])
        del self._pending[:_PIECE]
        self._take(piece)
        if self._pending:
            self._take_later()
        elif not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def _take(self, data: bytes) -> None:
        """Take in a whole text message on the short way, everything else as uvicorn does."""
        text = text_of_frame(data, self._largest) if self._short_way else None
        if text is not None and self.conn.state is OPEN:
            self.frames, self.curr_msg_data_type = [text], "text"
            self.send_receive_event_to_app()
            return
        super().data_received(data)
        self._short_way = self._is_between_messages()

    def handle_cont(self, event: Frame) -> None:
        """Add a piece of a message to those before it; a million pieces take no more room than one."""
        pieces = cast("list[bytearray]", self.frames)
        if not isinstance(pieces[0], bytearray):
            pieces[0] = bytearray(pieces[0])
        pieces[0] += event.data
        if event.fin:
            self.send_receive_event_to_app()

    def send_receive_event_to_app(self) -> None:
        """Hand a message over; while the app is at work and another one waits already, nothing more is read."""
        data, self.frames = b"".join(self.frames), []
        if self.close_sent:
            return  # uvicorn's reason: reading goes on, until the peer's own close is here
        message: Any = {"type": "websocket.receive"}
        try:
            message[self.curr_msg_data_type] = data.decode() if self.curr_msg_data_type == "text" else data
        except UnicodeDecodeError:
            self.conn.send_close(CloseCode.INVALID_DATA)
            self.handle_parser_exception()
            return
        if not self.queue.empty() and not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()
        self.queue.put_nowait(message)

    async def send(self, message: Any) -> None:
        """Send what the app says: a text on the short way, everything else as uvicorn does."""
        if (
            self.conn.state is OPEN
            and not self.disconnected
            and self.handshake_complete
            and message.get("text") is not None
            and self.writable.is_set()
            and not self.conn.extensions
        ):
            self.transport.write(text_frame(message["text"].encode()))
            return
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True  # it was refused: uvicorn would complain that the app never answered

    def end_failed_handshake(self) -> None:
        """Send what the failed handshake is answered with, if anything, and close: uvicorn leaves it hanging."""
        if self.conn.handshake_exc is None or self.close_sent:
            return
        self.close_sent = self.handshake_complete = True
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.close()

    def handle_parser_exception(self) -> None:
        """Say why the connection ends (1009 for a large frame) and wait for the peer to read it."""
        self.close_sent = True
        code = self.conn.close_sent.code if self.conn.close_sent else 1006
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code})
        self.transport.write(b"".join(self.conn.data_to_send()))
        Discarding.take_over(self.transport, self, LINGER_S)

    def handle_ping(self) -> None:
        """Answer a ping, unless the peer does not read: its pongs would pile up."""
        output = self.conn.data_to_send()
        if self.writable.is_set():
            self.transport.write(b"".join(output))

    def send_keepalive_ping(self) -> None:
        """Ask whether the peer is there; a connection that should be closed by now is given a last while."""
        if self.close_sent or self.transport.is_closing():
            self.ping_timer = self.loop.call_later(self.close_timeout, self.transport.abort)
        else:
            super().send_keepalive_ping()

    def keepalive_timeout(self) -> None:
        """Drop a peer whose pong is overdue, unless it is the app that has not read on."""
        if self.close_sent or self.transport.is_closing():
            self.pong_timer = self.loop.call_later(self.close_timeout, self.transport.abort)
            return
        if self.read_paused and self.writable.is_set() and self.ping_timeout is not None:
            # The app is at work and further messages wait, the pong perhaps behind them: ask again later.
            self.pong_timer = self.loop.call_later(self.ping_timeout, self.keepalive_timeout)
            return
        super().keepalive_timeout()
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # close() would wait for a peer that does not read

    def _is_between_messages(self) -> bool:
        """Return whether the library's parser waits for a message to begin; where it cannot be told, it does not."""
        conn = self.conn
        if conn.state is not OPEN or conn.extensions or conn.current_size is not None:
            return False
        waiting: Any = conn.parser
        while (inner := getattr(waiting, "gi_yieldfrom", None)) is not None:
            waiting = inner
        return getattr(waiting, "__name__", "") == StreamReader.at_eof.__name__
