"""The short way of a message: the same frames as the websockets library makes, the same order as asyncio's queue."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from supportbench.server.frames import Inbox, text_frame


@given(st.text(max_size=300))
def test_a_frame_is_the_one_that_the_library_makes(text: str) -> None:
    data = text.encode()
    assert text_frame(data) == b"".join([bytes(Frame(Opcode.TEXT, data).serialize(mask=False))])


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 100_000])
def test_a_frame_of_any_size(size: int) -> None:
    data = b"x" * size
    assert text_frame(data) == bytes(Frame(Opcode.TEXT, data).serialize(mask=False))


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
