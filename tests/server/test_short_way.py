"""The short way of a message: the same frames as the websockets library makes, the same order as asyncio's queue."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ProtocolError
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from supportbench.server.protocols.frames import Inbox, text_frame, text_of_frame


@given(st.text(max_size=300))
def test_a_frame_is_the_one_that_the_library_makes(text: str) -> None:
    data = text.encode()
    assert text_frame(data) == b"".join([bytes(Frame(Opcode.TEXT, data).serialize(mask=False))])


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 100_000])
def test_a_frame_of_any_size(size: int) -> None:
    data = b"x" * size
    assert text_frame(data) == bytes(Frame(Opcode.TEXT, data).serialize(mask=False))


MOST = 1 << 20


def by_the_library(data: bytes) -> bytes | None:
    """Return the text if the library reads the data as one frame that is a whole text message."""
    reader = StreamReader()
    reader.feed_data(data)
    parsing = Frame.parse(reader.read_exact, mask=True, max_size=MOST)
    try:
        next(parsing)
    except StopIteration as parsed:
        frame: Frame = parsed.value
        whole = frame.opcode is Opcode.TEXT and frame.fin and not (frame.rsv1 or frame.rsv2 or frame.rsv3)
        return bytes(frame.data) if whole and not reader.buffer else None
    except ProtocolError:
        return None
    parsing.close()
    return None


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 255, 256, 65_534, 65_535])
def test_a_whole_text_is_taken_out_of_its_frame(size: int) -> None:
    data = (bytes(range(256)) * 256)[:size]
    frame = bytes(Frame(Opcode.TEXT, data).serialize(mask=True))
    assert text_of_frame(frame, MOST) == data
    assert text_of_frame(frame, size) == data
    assert text_of_frame(frame, size - 1) is None
    assert text_of_frame(frame + b"x", MOST) is None
    assert text_of_frame(frame[:-1], MOST) is None


@given(
    st.just(0x81) | st.integers(0, 255),
    st.binary(max_size=70_000) | st.binary(max_size=5),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 255)), max_size=2),
)
def test_what_is_no_whole_text_is_left_to_the_library(
    first: int, data: bytes, mask: bool, changes: list[tuple[int, int]]
) -> None:
    frame = bytearray(Frame(Opcode.TEXT, data).serialize(mask=mask))
    frame[0] = first
    for place, byte in changes:
        if place < len(frame):
            frame[place] = byte
    text = text_of_frame(bytes(frame), MOST)
    assert text is None or text == by_the_library(bytes(frame))


async def test_messages_come_out_as_they_went_in() -> None:
    inbox = Inbox(asyncio.get_running_loop())
    waiting = asyncio.ensure_future(inbox.get())
    await asyncio.sleep(0)
    for number in range(3):
        inbox.put_nowait(number)
    assert [await waiting, await inbox.get(), await inbox.get()] == [0, 1, 2]
    assert inbox.empty()


async def test_a_cancelled_reader_has_taken_nothing() -> None:
    inbox = Inbox(asyncio.get_running_loop())
    waiting = asyncio.ensure_future(inbox.get())
    await asyncio.sleep(0)
    inbox.put_nowait("kept")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await inbox.get() == "kept"
