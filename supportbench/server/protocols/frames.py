"""What every WebSocket message passes: the frame of what comes in, the queue to the app, the frame of what goes out.

uvicorn's queue and the frames of the websockets library do more than a server needs that exchanges whole, uncompressed
texts and has one reader a connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without the compiled part
    from websockets.utils import apply_mask

_WHOLE_TEXT: Final = 0x81  # the final, and only, frame of a text message (RFC 6455, section 5.2)
_MASKED: Final = 0x80
_SIZE_FOLLOWS: Final = 126  # in the next two bytes
_MOST_IN_A_ROW: Final = 32
_TEXT: Final = bytes((_WHOLE_TEXT,))


class Inbox:
    """Messages in the order in which they came, for one reader; the part of `asyncio.Queue` that uvicorn uses."""

    __slots__ = ("_in_a_row", "_loop", "_messages", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._messages: deque[Any] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._in_a_row = 0

    def put_nowait(self, message: Any) -> None:
        """Add a message, and wake the reader if it waits for one."""
        self._messages.append(message)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def empty(self) -> bool:
        """Return whether there is no message."""
        return not self._messages

    async def get(self) -> Any:
        """Take the next message, when there is one; whoever is cancelled meanwhile has taken none.

        A reader that never has to wait lets others have their turn now and then all the same.
        """
        self._in_a_row = self._in_a_row + 1 if self._messages else 0
        if self._in_a_row >= _MOST_IN_A_ROW:
            self._in_a_row = 0
            await asyncio.sleep(0)
        while not self._messages:
            self._waiting = self._loop.create_future()
            await self._waiting
        return self._messages.popleft()


def text_of_frame(data: bytes, most: int) -> bytes | None:
    """Return the text, of up to `most` bytes, if the data is one client's frame that is a whole text message.

    None for everything else, however valid: fragments, control frames, half a frame or several, and those of 64 KiB or
    more, where the way taken does not matter.
    """
    if len(data) < 6 or data[0] != _WHOLE_TEXT:
        return None
    size = data[1] - _MASKED
    begin = 6
    if size == _SIZE_FOLLOWS:
        size = data[2] << 8 | data[3]
        begin = 8
    # A size in eight bytes would begin at 127, and one that is not masked below 0: neither is as long as the data.
    if len(data) != begin + size or size > most or data[1] == _MASKED | 127:
        return None
    return apply_mask(data[begin:], data[begin - 4 : begin])


def text_frame(text: bytes) -> bytes:
    """Return the frame of a whole text message from a server, which does not mask."""
    size = len(text)
    if size < 126:
        return _TEXT + bytes((size,)) + text
    if size < 1 << 16:
        return _TEXT + b"\x7e" + size.to_bytes(2, "big") + text
    return _TEXT + b"\x7f" + size.to_bytes(8, "big") + text
