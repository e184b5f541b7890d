"""WebSocket, spoken by hand: no compression, no checks beyond what a client needs, an eighth of a library's cost."""

from __future__ import annotations

import asyncio
import base64
import os
import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Final, cast
from urllib.parse import SplitResult, urlsplit

_HANDSHAKE_S: Final = 60.0
_TEXT: Final = 1
_CLOSE: Final = 8
_PING: Final = 9
_PONG: Final = 10


def frame(payload: bytes, opcode: int = _TEXT) -> bytes:
    """Return a client's frame. Its mask is zero, so that it can be made once: to unmask it costs a server the same."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
    elif size < 65_536:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
    return head + b"\0\0\0\0" + payload


CLOSE: Final = frame(b'{"type":"close"}')


async def connect(protocol: asyncio.Protocol, url: SplitResult) -> None:
    """Connect the protocol to the host of a URL; raises OSError if that fails."""
    await asyncio.get_running_loop().create_connection(lambda: protocol, url.hostname or "", url.port or 0)


class RawConnection(asyncio.Protocol, ABC):
    """A WebSocket; `received` gets each message."""

    transport: asyncio.Transport

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._rest = b""
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()

    async def open(self) -> None:
        """Connect; raises OSError if that fails."""
        async with asyncio.timeout(_HANDSHAKE_S):
            await connect(self, self._url)
            await self.opened

    @abstractmethod
    def received(self, payload: bytes) -> None:
        """Take a message."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the WebSocket."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        key = base64.b64encode(os.urandom(16)).decode()
        self.transport.write(
            f"GET {self._url.path} HTTP/1.1\r\nHost: {self._url.netloc}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Take the answer to the handshake, then messages."""
        self._rest += data
        if self.opened.done() or self._is_open():
            for opcode, payload in self._frames():
                if opcode == _TEXT:
                    self.received(payload)
                elif opcode == _PING:
                    self.transport.write(frame(payload, _PONG))
                elif opcode == _CLOSE:
                    self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionError("the server hung up during the handshake"))
        if not self.closed.done():
            self.closed.set_result(None)

    def _is_open(self) -> bool:
        head, end, rest = self._rest.partition(b"\r\n\r\n")
        if not end:
            return False
        status = head.partition(b"\r\n")[0]
        if b" 101 " not in status:
            self.opened.set_exception(ConnectionError(status.decode("latin-1")))
            self.transport.abort()
            return False
        self._rest = rest
        self.opened.set_result(None)
        return True

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        """Yield opcode and payload of every frame that is here whole."""
        data, at = self._rest, 0
        while len(data) - at >= 2:
            start, size = at + 2, data[at + 1]
            if size == 126:
                start, size = at + 4, int.from_bytes(data[at + 2 : at + 4], "big")
            elif size == 127:
                start, size = at + 10, int.from_bytes(data[at + 2 : at + 10], "big")
            if len(data) < start + size:
                break
            yield data[at] & 0x0F, data[start : start + size]
            at = start + size
        self._rest = data[at:]
