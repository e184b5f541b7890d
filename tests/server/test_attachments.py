"""Attaching a WebSocket to a stored session: one at a time, and without owning it."""

from __future__ import annotations

import asyncio
import itertools
import json
import uuid
from collections.abc import Awaitable, Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from supportbench.errors import StoreError
from supportbench.protocol import ResetRequest
from supportbench.server.attachments import Attachment, Attachments
from supportbench.server.played import AttachedSession
from supportbench.server.refusals import RefusedError
from supportbench.server.store import MemoryStore, Stored
from tests.server.house import (
    STEP,
    Clock,
    a_house,
    asked,
    eventually,
    heard,
    refused,
)
from tests.server.serving import Served, serving
from tests.shop import a_shop, told


@pytest.fixture
def shop() -> Iterator[Served]:
    with serving(a_shop()) as served:
        yield served


# -- attaching ----------------------------------------------------------------------------------------------------


class TestAttaching:
    async def test_goes_on_where_http_stands_and_leaves_the_session_to_it(self, shop: Served) -> None:
        async with httpx.AsyncClient(base_url=shop.url) as client:
            session_id = (await client.post("/reset", json={"task_id": "one"})).headers["x-session-id"]
            await client.post("/step", json=STEP)
            for _ in range(3):
                async with connect(f"{shop.ws}/ws?session_id={session_id}") as websocket:
                    assert (await asked(websocket))["data"]["step_count"] == 1
                    await websocket.close()
                await eventually(lambda: not shop.app.service.sockets)
            assert (await client.get("/state")).json()["step_count"] == 1
            async with connect(f"{shop.ws}/ws?session_id={session_id}") as websocket:
                frame = await asked(websocket, json.dumps({"type": "step", "data": STEP["action"]}))
                assert frame["data"]["done"] is True
            assert (await client.get("/state")).json()["done"] is True

    async def test_is_won_by_exactly_one_of_many(self, shop: Served) -> None:
        async with httpx.AsyncClient(base_url=shop.url) as client:
            session_id = (await client.post("/reset")).headers["x-session-id"]
        websockets = await asyncio.gather(*(connect(f"{shop.ws}/ws?session_id={session_id}") for _ in range(20)))
        for websocket in websockets:
            with suppress(ConnectionClosed):  # what a loser was told is still to be read
                await websocket.send('{"type":"state"}')
        frames = [await heard(websocket) for websocket in websockets]
        assert [frame["type"] for frame in frames].count("state") == 1
        told = [frame["data"] for frame in frames if frame["type"] == "error"]
        assert len(told) == 19
        assert {data["code"] for data in told} == {"SESSION_ERROR"}
        assert {data["message"] for data in told} == {
            f"Session {session_id} already has an attached WebSocket. Close that one first."
        }
        for websocket in websockets:
            await websocket.close()

    @pytest.mark.parametrize(
        "session_id", ["nope", "x" * 3000, pytest.param(str(uuid.uuid4()), id="uuid"), "%00", "%ff", "a%0d%0ab"]
    )
    async def test_to_nothing_is_refused(self, shop: Served, session_id: str) -> None:
        async with connect(f"{shop.ws}/ws?session_id={session_id}") as websocket:
            frame = await heard(websocket)
            await websocket.wait_closed()
            assert websocket.close_code == 1000
        assert frame["data"]["code"] == "SESSION_ERROR"
        assert len(frame["data"]["message"]) < 250

    async def test_to_a_session_of_a_socket_is_refused(self, shop: Served) -> None:
        async with connect(f"{shop.ws}/ws") as live:
            await asked(live)
            (session_id,) = shop.app.service.sessions._places._owners
            async with connect(f"{shop.ws}/ws?session_id={session_id}") as websocket:
                assert (await heard(websocket))["data"]["message"].startswith("Unknown session_id")

    async def test_names_a_session_which_then_outlives_the_next_bare_reset(self, shop: Served) -> None:
        async with httpx.AsyncClient(base_url=shop.url) as client:
            session_id = (await client.post("/reset", json={"task_id": "three"})).headers["x-session-id"]
            client.cookies.clear()
            assert (await client.post("/step", json=STEP)).json()["done"] is True
            async with connect(f"{shop.ws}/ws?session_id={session_id}") as websocket:
                await asked(websocket)
                await client.post("/reset")
                assert (await asked(websocket))["data"]["done"] is True

    async def test_to_a_session_that_is_closed_meanwhile_goes_on_until_it_is_let_go(self) -> None:
        house = a_house()
        session_id = await house.begun(task_id="one")
        holder = await house.sessions.attach(session_id, "")
        assert await house.sessions.close(session_id, "") is False
        assert await house.sessions.close(session_id, "") is False
        assert (await house.step(session_id)).index == 1
        assert house.sessions.active == 1
        await house.sessions.detach(session_id, holder)
        assert house.sessions.active == 0
        assert await refused(house.sessions.close(session_id, "")) == "SESSION_ERROR 404"

    async def test_to_a_session_that_ended_all_the_same_is_told_so(self, shop: Served) -> None:
        house = a_house()
        session_id = await house.begun(task_id="one")
        await house.sessions.attach(session_id, "")
        service: Any = shop.app.service
        service.sessions = house.sessions
        attached = AttachedSession(service, session_id, "")
        await attached.step(told(1.0))
        house.clock.now_s += 10.0  # nobody kept it: the store was away for longer, say
        works: tuple[Awaitable[Any], ...] = (
            attached.step(told(1.0)),
            attached.state(),
            attached.reset(ResetRequest(task_id="one")),
        )
        for work in works:
            with pytest.raises(RefusedError, match=r"Unknown session_id: .* It has ended") as error:
                await work
            assert error.value.refusal.code == "SESSION_ERROR"

    async def test_keeps_the_session_for_as_long_as_the_socket_is_open(self) -> None:
        house = a_house(session_timeout_s=0.03)
        session_id = await house.begun()
        await house.sessions.attach(session_id, "")
        keeping = asyncio.create_task(house.sessions.keep_attached(session_id))
        for _ in range(5):
            house.clock.now_s += 0.02
            await asyncio.sleep(0.02)  # it is kept every 0.01 s, and the loop's clock does not run backwards
            assert house.sessions.active == 1
            assert await refused(house.sessions.attach(session_id, "")) == "SESSION_ERROR 409"
        keeping.cancel()

    async def test_survives_a_store_that_is_away_for_a_moment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        house = a_house(session_timeout_s=0.003)
        session_id = await house.begun()
        await house.sessions.attach(session_id, "")
        tries = asyncio.Semaphore(0)
        keep = house.sessions._attachments.keep

        async def away(session_id: str) -> bool:
            tries.release()
            raise StoreError("away")

        monkeypatch.setattr(house.sessions._attachments, "keep", away)
        keeping = asyncio.create_task(house.sessions.keep_attached(session_id))
        for _ in range(3):
            await tries.acquire()
        kept = asyncio.Event()

        async def back(session_id: str) -> bool:
            kept.set()
            return await keep(session_id)

        monkeypatch.setattr(house.sessions._attachments, "keep", back)
        await kept.wait()
        keeping.cancel()


class Stalling(MemoryStore[Any]):
    """A store whose every call lets others go first, as often as the test says."""

    def __init__(self, stalls: Iterator[int]) -> None:
        super().__init__()
        self._stalls = stalls

    async def load(self, key: str) -> Stored[Any] | None:
        """Return the value, before others or after them."""
        await self._stall()
        return await super().load(key)

    async def replace(self, key: str, expected_version: int | None, value: Any, *, ttl_s: float) -> int | None:
        """Replace the value, before others or after them."""
        await self._stall()
        return await super().replace(key, expected_version, value, ttl_s=ttl_s)

    async def _stall(self) -> None:
        for _ in range(next(self._stalls)):
            await asyncio.sleep(0)


class TestAttachments:
    async def test_a_wish_to_close_is_never_lost_between_being_held_and_let_go(self) -> None:
        for stalls in itertools.product(range(4), repeat=4):
            attachments = Attachments(Stalling(itertools.chain((0, 0), stalls, itertools.repeat(0))), 10.0)
            holder = await attachments.take("s")
            is_held, is_closing = await asyncio.gather(attachments.ask_to_close("s"), attachments.let_go("s", holder))
            assert is_held == is_closing  # who was told "it ends when let go" may rely on that

    async def test_one_of_two_takes_it(self) -> None:
        for stalls in itertools.product(range(3), repeat=4):
            attachments = Attachments(Stalling(itertools.chain(stalls, itertools.repeat(0))), 10.0)
            taken = await asyncio.gather(attachments.take("s"), attachments.take("s"), return_exceptions=True)
            assert [type(one) for one in taken].count(str) == 1

    async def test_a_worker_that_was_killed_lets_go_by_itself(self) -> None:
        clock = Clock()
        store: MemoryStore[Attachment] = MemoryStore(clock)
        killed, other = Attachments(store, 30.0), Attachments(store, 30.0)
        await killed.take("s")
        for _ in range(5):
            clock.now_s += 20.0
            assert await killed.keep("s")
            assert await refused(other.take("s")) == "SESSION_ERROR 409"
        clock.now_s += 30.0
        await other.take("s")
        assert not await killed.keep("s")  # should it only have slept

    async def test_a_lease_that_the_store_lost_is_taken_anew(self) -> None:
        store: MemoryStore[Attachment] = MemoryStore()
        ours, other = Attachments(store, 30.0), Attachments(store, 30.0)
        await ours.take("s")
        await store.delete("s")
        assert await ours.keep("s")
        assert await refused(other.take("s")) == "SESSION_ERROR 409"

    async def test_what_another_holds_cannot_be_let_go(self) -> None:
        clock = Clock()
        store: MemoryStore[Attachment] = MemoryStore(clock)
        attachments = Attachments(store, 30.0)
        late = await attachments.take("s")
        clock.now_s += 30.0
        await attachments.take("s")
        assert await attachments.let_go("s", late) is False
        assert await refused(attachments.take("s")) == "SESSION_ERROR 409"

    async def test_it_can_be_taken_again_at_once(self) -> None:
        attachments = Attachments(MemoryStore(), 30.0)
        for _ in range(3):
            assert await attachments.let_go("s", await attachments.take("s")) is False
        assert await attachments.ask_to_close("s") is False
