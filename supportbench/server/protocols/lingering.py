"""The end of a connection whose peer still sends: what it is told arrives only if the rest is read and thrown away."""

from __future__ import annotations

import asyncio
from typing import Final

LINGER_S: Final = 2.0
"""How long what a refused peer still sends is thrown away: closed at once, its system would throw the answer away."""


class Discarding(asyncio.Protocol):
    """What a connection comes to whose peer was told why it ends: the rest is thrown away, until it is gone.

    Closed at once, with bytes unread, the peer's system would throw the reason away.
    """

    def __init__(self, ended: asyncio.Protocol) -> None:
        self._ended = ended

    @classmethod
    def take_over(cls, transport: asyncio.Transport, ended: asyncio.Protocol, linger_s: float) -> None:
        """Say that nothing more is sent, and end the connection when the peer does, or after so many seconds."""
        transport.set_protocol(cls(ended))
        transport.resume_reading()
        if transport.can_write_eof():
            transport.write_eof()
        asyncio.get_running_loop().call_later(linger_s, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the protocol that it is over."""
        self._ended.connection_lost(exc)
