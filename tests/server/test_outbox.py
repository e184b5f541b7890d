"""Writes of one turn of the event loop: in order, together, and no connection in another one's way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.server import ServerState

from supportbench.server.protocols.outbox import BatchedTransport, Outbox


class Wire:
    """A transport that notes what it is told, and behaves like uvloop's when its peer is gone."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.gone = False
        self.pause_reading: Callable[[], None] = lambda: self.told.append("pause")
        self.resume_reading: Callable[[], None] = lambda: self.told.append("resume")

    def is_closing(self) -> bool:
        return self.gone

    def write(self, data: bytes) -> None:
        if self.gone:
            raise RuntimeError("the handler is closed")
        self.told.append(data.decode())

    def write_eof(self) -> None:
        self.told.append("eof")

    def close(self) -> None:
        self.told.append("close")

    def abort(self) -> None:
        self.told.append("abort")

    def get_write_buffer_size(self) -> int:
        return 7


def batched(outbox: Outbox) -> tuple[Wire, BatchedTransport]:
    wire: Any = Wire()
    return wire, BatchedTransport(wire, outbox)


async def test_what_is_written_in_one_turn_is_sent_at_its_end_in_order_and_at_once() -> None:
    (first, one), (second, two) = batched(box := Outbox()), batched(box)
    one.write(b"a")
    two.write(b"x")
    one.write(b"b")
    assert (first.told, second.told) == ([], [])
    assert one.get_write_buffer_size() == 2 + 7
    await asyncio.sleep(0)
    assert (first.told, second.told) == (["ab"], ["x"])
    one.write(b"c")
    await asyncio.sleep(0)
    assert first.told == ["ab", "c"]


async def test_a_peer_that_is_gone_does_not_hold_up_those_behind_it() -> None:
    (first, one), (second, two) = batched(box := Outbox()), batched(box)
    one.write(b"lost")
    two.write(b"kept")
    first.gone = True
    await asyncio.sleep(0)
    assert (first.told, second.told) == ([], ["kept"])
    two.write(b"more")
    await asyncio.sleep(0)
    assert second.told == ["kept", "more"]


async def test_an_end_comes_behind_what_was_written() -> None:
    for end, told in (("close", "close"), ("write_eof", "eof")):
        wire, transport = batched(Outbox())
        transport.write(b"last")
        getattr(transport, end)()
        assert wire.told == ["last", told]
    wire, transport = batched(Outbox())
    transport.write(b"lost")
    transport.abort()
    await asyncio.sleep(0)
    assert wire.told == ["abort"]


async def test_much_is_sent_at_once_so_that_a_flood_of_writes_can_be_held_up() -> None:
    wire, transport = batched(Outbox())
    transport.write(b"x" * 40_000)
    assert wire.told == []
    transport.write(b"x" * 40_000)
    assert [len(told) for told in wire.told] == [80_000]
    await asyncio.sleep(0)
    assert len(wire.told) == 1


def test_a_server_has_one_outbox() -> None:
    server, other = ServerState(), ServerState()
    assert Outbox.of(server) is Outbox.of(server)
    assert Outbox.of(server) is not Outbox.of(other)
