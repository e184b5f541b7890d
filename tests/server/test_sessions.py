"""Sessions: how many there may be, whose they are, how long they live."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Awaitable, Iterator
from typing import Any, TypeVar

import attrs
import httpx
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule
from websockets.asyncio.client import connect

from supportbench import (
    ComponentScore,
    Rubric,
    RubricComponent,
    Submission,
)
from supportbench.errors import ActionError, EpisodeNotOpenError, StoreError
from supportbench.protocol import ResetRequest
from supportbench.server.refusals import RefusedError
from tests.offering import Does, a_task, registry_of
from tests.server.house import (
    STEP,
    Gated,
    House,
    a_house,
    active,
    asked,
    eventually,
    gated_registry,
    half_open,
    heard,
    refused,
)
from tests.server.processes import until
from tests.server.serving import Served, serving
from tests.shop import a_shop, provider, told

T = TypeVar("T")


@pytest.fixture
def shop() -> Iterator[Served]:
    with serving(a_shop()) as served:
        yield served


HELLO: dict[str, Any] = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "tests", "version": "0"},
}


def _rpc(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


# -- capacity -----------------------------------------------------------------------------------------------------


class TestCapacity:
    async def test_counts_websockets(self) -> None:
        with serving(a_shop(), max_sessions=2) as served:
            async with connect(f"{served.ws}/ws") as one, connect(f"{served.ws}/ws") as two:
                await asked(one), await asked(two)
                async with connect(f"{served.ws}/ws") as three:
                    frame = await heard(three)
                    await three.wait_closed()
                    assert three.close_code == 1000
                assert frame == {
                    "type": "error",
                    "data": {
                        "message": "Server at capacity: 2/2 sessions active. Close one, or try again later.",
                        "code": "CAPACITY_REACHED",
                        "active_sessions": 2,
                        "max_sessions": 2,
                    },
                }
                assert (await asked(one))["type"] == "state"
            until(lambda: active(served) == 0)

    async def test_counts_sessions_over_http(self) -> None:
        with serving(a_shop(), max_sessions=2) as served:
            async with httpx.AsyncClient(base_url=served.url) as client:
                for _ in range(2):
                    assert (await client.post("/reset", headers={"Cookie": ""})).status_code == 200
                    client.cookies.clear()
                answer = await client.post("/reset")
                assert answer.status_code == 503
                assert int(answer.headers["retry-after"]) > 0
                assert answer.json()["code"] == "CAPACITY_REACHED"
                assert (answer.json()["active_sessions"], answer.json()["max_sessions"]) == (2, 2)
                async with connect(f"{served.ws}/ws") as websocket:
                    assert (await heard(websocket))["data"]["code"] == "CAPACITY_REACHED"
            assert active(served) == 2

    async def test_counts_all_kinds_together(self) -> None:
        with serving(a_shop(), max_sessions=2) as served:
            async with connect(f"{served.ws}/ws") as websocket, httpx.AsyncClient(base_url=served.url) as client:
                await asked(websocket)
                assert (await client.post("/reset")).status_code == 200
                client.cookies.clear()
                assert (await client.post("/reset")).status_code == 503

    async def test_counts_sessions_of_mcp_however_they_are_made(self) -> None:
        with serving(a_shop(), max_sessions=3) as served:
            async with httpx.AsyncClient(base_url=served.url) as client, connect(f"{served.ws}/mcp") as socket_of_mcp:
                await asked(socket_of_mcp, json.dumps(_rpc("ping")))
                for method, params in (("openenv/session/create", {}), ("initialize", HELLO)):
                    assert "result" in (await client.post("/mcp", json=_rpc(method, **params))).json()
                assert active(served) == 3
                for method, params in (("openenv/session/create", {}), ("initialize", HELLO)):
                    error = (await client.post("/mcp", json=_rpc(method, **params))).json()["error"]
                    assert error["message"].startswith("Server at capacity: 3/3 sessions active.")
                    assert (error["data"]["active_sessions"], error["data"]["max_sessions"]) == (3, 3)
                assert (await client.post("/reset")).status_code == 503
                async with connect(f"{served.ws}/mcp") as one_more:
                    frame = await heard(one_more)
                    assert frame["error"]["message"].startswith("Server at capacity")
            await eventually(lambda: active(served) == 2)

    async def test_is_there_again_at_once_when_mcp_ends_a_session(self) -> None:
        with serving(a_shop(), max_sessions=1) as served:
            async with httpx.AsyncClient(base_url=served.url) as client:
                for _ in range(3):
                    made = (await client.post("/mcp", json=_rpc("openenv/session/create"))).json()["result"]
                    assert (await client.post("/mcp", json=_rpc("openenv/session/create"))).json()["error"]
                    closed = await client.post("/mcp", json=_rpc("openenv/session/close", **made))
                    assert closed.json()["result"]["closed"] is True
            assert active(served) == 0

    async def test_is_there_again_when_nobody_uses_what_mcp_made(self) -> None:
        with serving(a_shop(), max_sessions=1, session_timeout_s=0.2) as served:
            async with httpx.AsyncClient(base_url=served.url) as client:
                for _ in range(3):
                    assert "result" in (await client.post("/mcp", json=_rpc("openenv/session/create"))).json()
                    await eventually(lambda: active(served) == 0)

    async def test_does_not_count_what_attaches_to_a_session(self) -> None:
        with serving(a_shop(), max_sessions=1) as served:
            async with httpx.AsyncClient(base_url=served.url) as client:
                session_id = (await client.post("/reset")).headers["x-session-id"]
            async with connect(f"{served.ws}/ws?session_id={session_id}") as websocket:
                assert (await asked(websocket))["type"] == "state"
                assert active(served) == 1

    async def test_is_there_again_when_a_websocket_ends_in_whatever_way(self) -> None:
        with serving(a_shop(), max_sessions=1) as served:
            for end in ("close", "close message", "abort", "protocol error"):
                async with connect(f"{served.ws}/ws") as websocket:
                    assert (await asked(websocket))["type"] == "state", end
                    if end == "close message":
                        await websocket.send('{"type":"close"}')
                        await websocket.wait_closed()
                    elif end == "abort":
                        websocket.transport.abort()
                    elif end == "protocol error":
                        websocket.transport.write(b"\xff" * 64)
                        await websocket.wait_closed()
                until(lambda: active(served) == 0)

    async def test_is_there_again_at_once_when_a_stored_session_ends(self) -> None:
        house = a_house(max_sessions=1)
        session_id = await house.sessions.create("")
        assert await refused(house.sessions.create("")) == "CAPACITY_REACHED 503"
        assert await house.sessions.close(session_id, "")
        other = await house.sessions.create("")
        house.clock.now_s += 9.999
        with pytest.raises(RefusedError):
            house.sessions.open_live("")
        house.clock.now_s += 0.001
        live = house.sessions.open_live("")  # without a sweep in between
        assert await refused(house.sessions.state(other, "")) == "SESSION_ERROR 404"
        assert await refused(house.sessions.create("")) == "CAPACITY_REACHED 503"
        house.sessions.close_live(live)
        assert house.sessions.active == 0

    async def test_is_not_used_up_by_resets_that_are_refused(self, shop: Served) -> None:
        async with httpx.AsyncClient(base_url=shop.url) as client:
            for body in ({"task_id": "no such"}, {"split": "nowhere"}, {"index": 99}, {"provider": "x"}, {"seed": -1}):
                assert (await client.post("/reset", json=body)).status_code == 422
        assert active(shop) == 0

    async def test_is_not_used_up_when_the_store_fails(self) -> None:
        house = a_house(max_sessions=1)

        async def fails(*_: object, **__: object) -> int:
            raise StoreError("away")

        store: Any = house.sessions._stored._store
        store.replace, replace = fails, store.replace
        for _ in range(3):
            with pytest.raises(StoreError):
                await house.sessions.create("")
        store.replace = replace
        await house.sessions.create("")

    def test_is_not_used_up_by_a_loop_of_bare_resets(self) -> None:
        with serving(a_shop(), max_sessions=4) as served:
            for _ in range(20):
                with httpx.Client(base_url=served.url) as client:  # no cookies are kept, as by curl
                    assert client.post("/reset", json={"task_id": "three"}).status_code == 200
                    client.cookies.clear()
                    assert client.post("/step", json=STEP).json()["done"] is True
            assert active(served) == 1

    def test_ids_cannot_be_guessed(self) -> None:
        house = a_house()
        ids = {house.sessions.open_live("").session_id for _ in range(1000)}
        assert len(ids) == 1000
        assert {uuid.UUID(session_id).version for session_id in ids} == {4}

    async def test_ids_are_no_part_of_one_another_in_the_store_either(self) -> None:
        house = a_house()
        ids = [await house.sessions.create("") for _ in range(1000)]
        assert {uuid.UUID(session_id).version for session_id in ids} == {4}
        assert len({session_id[:8] for session_id in ids}) > 990


# -- the ends of sessions -----------------------------------------------------------------------------------------


class TestTheReaper:
    async def test_ends_sessions_that_nobody_uses_and_no_others(self) -> None:
        with serving(a_shop(), session_timeout_s=0.3) as served:
            async with (
                httpx.AsyncClient(base_url=served.url) as client,
                connect(f"{served.ws}/ws") as live,
            ):
                await asked(live, '{"type":"reset","data":{"task_id":"one"}}')
                session_id = (await client.post("/reset", json={"task_id": "two"})).headers["x-session-id"]
                client.cookies.clear()
                async with connect(f"{served.ws}/ws?session_id={session_id}") as attached:
                    await asked(attached)
                    for _ in range(3):  # three lives long
                        idle = (await client.post("/reset")).headers["x-session-id"]
                        client.cookies.clear()
                        assert active(served) == 3
                        await eventually(lambda: active(served) == 2)
                        gone = await client.get("/state", headers={"X-Session-ID": idle})
                        assert gone.status_code == 404
                        assert "has ended" in gone.json()["message"]
                    assert (await asked(live))["data"]["task"]["task_id"] == "one"
                    assert (await asked(attached))["data"]["task"]["task_id"] == "two"
                    seen = await client.get("/state", headers={"X-Session-ID": session_id})
                    assert seen.json()["task"]["task_id"] == "two"
                await eventually(lambda: active(served) == 1)
                assert (await client.get("/state", headers={"X-Session-ID": session_id})).status_code == 404

    def test_ends_the_session_of_a_peer_that_answers_no_ping(self) -> None:
        with serving(a_shop(), ping_interval_s=0.2) as served:
            peers = [half_open(served) for _ in range(5)]
            until(lambda: active(served) == 5)
            until(lambda: active(served) == 0)
            assert served.app.service.sockets == set()
            for peer in peers:
                peer.close()

    async def test_spares_a_peer_that_answers_pings_and_says_nothing_else(self) -> None:
        with serving(a_shop(), ping_interval_s=0.1, session_timeout_s=0.1) as served:
            async with connect(f"{served.ws}/ws", ping_interval=None) as websocket:
                await asked(websocket, '{"type":"reset","data":{"task_id":"one"}}')
                dead = half_open(served)
                await eventually(lambda: active(served) == 2)
                await eventually(lambda: active(served) == 1)
                assert (await asked(websocket))["data"]["task"]["task_id"] == "one"
                dead.close()

    async def test_counts_from_the_last_request_whatever_came_of_it(self) -> None:
        house = a_house()
        session_id = await house.begun(task_id="one")

        async def state() -> None:
            await house.sessions.state(session_id, "")

        async def step() -> None:
            await house.step(session_id)

        async def refused_step() -> None:
            with pytest.raises(ActionError):
                await house.step(session_id, queue="nowhere")

        async def refused_reset() -> None:
            with pytest.raises(Exception, match="no task"):
                await house.sessions.reset(session_id, "", ResetRequest(task_id="x"), by_id=True)

        async def reset() -> None:
            await house.sessions.reset(session_id, "", ResetRequest(task_id="one"), by_id=True)

        async def attach() -> None:
            await house.sessions.detach(session_id, await house.sessions.attach(session_id, ""))

        for use in (state, step, refused_step, refused_reset, reset, attach, state):
            house.clock.now_s += 9.0
            await use()
            assert house.sessions.active == 1
        house.clock.now_s += 10.0
        assert house.sessions.active == 0

    async def test_does_not_end_a_session_whose_step_is_being_graded(self) -> None:
        house: House

        async def slowly(submission: Submission) -> ComponentScore:
            await asyncio.sleep(0)
            house.clock.now_s += 29.0
            await house.sessions.sweep()
            assert house.sessions.active == 1
            return ComponentScore(score=1.0)

        rubric = Rubric(name="slow", components=[RubricComponent(use="does", weight=1.0)])
        tasks = provider("triage", test=[a_task("slow", 3, rubric="slow")])
        registry = registry_of(components=[Does(slowly)], rubrics=[rubric], providers=[tasks])
        house = a_house(registry, session_timeout_s=1.0, step_timeout_s=30.0)
        session_id = await house.begun()
        for steps in (1, 2, 3):
            turn = await house.step(session_id)
            assert turn.index == steps
        house.clock.now_s += 0.999
        assert house.sessions.active == 1  # the longer life was for the step alone
        house.clock.now_s += 0.001
        assert house.sessions.active == 0

    async def test_gives_a_session_its_usual_life_after_a_step_that_failed(self) -> None:
        async def fails(submission: Submission) -> ComponentScore:
            await asyncio.sleep(0)
            raise ValueError("no")

        rubric = Rubric(name="fails", components=[RubricComponent(use="does", weight=1.0)])
        tasks = provider("triage", test=[a_task("fails", rubric="fails")])
        house = a_house(registry_of(components=[Does(fails)], rubrics=[rubric], providers=[tasks]))
        session_id = await house.begun()
        with pytest.raises(Exception, match="component 'does'"):
            await house.step(session_id)
        house.clock.now_s += 10.0
        assert house.sessions.active == 0
        assert await refused(house.sessions.state(session_id, "")) == "SESSION_ERROR 404"

    async def test_goes_on_after_whatever_goes_wrong(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        house = a_house(session_timeout_s=0.002)
        errors = iter([StoreError("The store is away."), ZeroDivisionError("one by none"), StoreError("Still away.")])
        swept = asyncio.Event()

        async def sweep(**_: object) -> None:
            for error in errors:
                raise error
            swept.set()

        monkeypatch.setattr(house.sessions, "sweep", sweep)
        sweeping = asyncio.create_task(house.sessions.sweep_for_ever())
        await swept.wait()
        sweeping.cancel()
        warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert [record.exc_info for record in warnings] == [None, None]  # no traceback for what is nobody's bug
        assert "The store is away." in warnings[0].getMessage()
        (bug,) = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert bug.exc_info is not None


# -- whose they are -----------------------------------------------------------------------------------------------


class TestAStranger:
    async def test_finds_no_session_whatever_is_asked(self) -> None:
        house = a_house()
        session_id = await house.begun("alpha")
        sessions = house.sessions
        for work in (
            sessions.state(session_id, "beta"),
            sessions.saved(session_id, "beta"),
            sessions.reset(session_id, "beta", ResetRequest(), by_id=True),
            sessions.step(session_id, "beta", told(1.0), None, by_id=True),
            sessions.attach(session_id, "beta"),
            sessions.close(session_id, "beta"),
        ):
            assert await refused(work) == "SESSION_ERROR 404"
        assert not await sessions.exists(session_id, "beta")
        live = sessions.open_live("alpha")
        assert sessions.is_live(live.session_id, "alpha")
        assert not sessions.is_live(live.session_id, "beta")
        assert (await sessions.state(session_id, "alpha")).step_count == 0

    async def test_neither_disturbs_a_step_nor_learns_that_there_is_one(self) -> None:
        gated = Gated()
        house = a_house(gated_registry(gated))
        session_id = await house.begun("alpha")
        step = asyncio.create_task(house.step(session_id, "alpha"))
        await eventually(lambda: gated.waiting == 1)
        assert await refused(house.step(session_id, "beta")) == "SESSION_ERROR 404"
        assert await refused(house.step(session_id, "alpha")) == "EXECUTION_ERROR 409"
        gated.open.set()
        assert (await step).index == 1


# -- everything at once, beside a model ----------------------------------------------------------------------------


@attrs.define
class Known:
    """What the model knows of a stored session."""

    owner: str
    ends_at: float
    steps: int | None = None
    named: bool = False
    held_until: float = 0.0
    holder: str = ""
    closing: bool = False


class SessionsBesideAModel(RuleBasedStateMachine):
    """Whatever is asked in whatever order, sessions live and end as a dict of them would have it."""

    LIFE_S, MOST = 10.0, 5
    stored: Bundle[str] = Bundle("stored")
    live: Bundle[Any] = Bundle("live")
    owners = st.sampled_from(["", "alpha"])

    def __init__(self) -> None:
        super().__init__()
        self.house = a_house(session_timeout_s=self.LIFE_S, max_sessions=self.MOST)
        self.runner = asyncio.Runner()
        self.known: dict[str, Known] = {}
        self.open: set[str] = set()
        self.finished = 0

    def teardown(self) -> None:
        self.runner.close()

    @property
    def now(self) -> float:
        return self.house.clock.now_s

    def run(self, work: Awaitable[T]) -> T | str:
        async def attempt() -> T | str:
            try:
                return await work
            except RefusedError as error:
                return f"refused {error.refusal.status}"
            except (ActionError, EpisodeNotOpenError):
                return "refused 409"

        return self.runner.run(attempt())

    def find(self, session_id: str, owner: str) -> Known | None:
        known = self.known.get(session_id)
        return known if known is not None and known.owner == owner else None

    def is_held(self, known: Known) -> bool:
        return known.held_until > self.now

    def forget_the_dead(self) -> None:
        self.known = {session_id: known for session_id, known in self.known.items() if known.ends_at > self.now}

    @rule(target=stored, owner=owners)
    def create(self, owner: str) -> str:
        told = self.run(self.house.sessions.create(owner))
        if len(self.known) + len(self.open) >= self.MOST:
            assert told == "refused 503"
            return str(uuid.uuid4())
        self.known[told] = Known(owner=owner, ends_at=self.now + self.LIFE_S)
        return told

    @rule(target=live, owner=owners)
    def open_live(self, owner: str) -> Any:
        try:
            session = self.house.sessions.open_live(owner)
        except RefusedError:
            assert len(self.known) + len(self.open) >= self.MOST
            return None
        assert len(self.known) + len(self.open) < self.MOST
        self.open.add(session.session_id)
        return session

    @rule(session=consumes(live))
    def close_live(self, session: Any) -> None:
        if session is not None:
            self.house.sessions.close_live(session)
            self.open.remove(session.session_id)

    @rule(session=live)
    def play_live(self, session: Any) -> None:
        if session is not None:
            before = len(self.house.published)
            self.runner.run(session.reset(ResetRequest(task_id="three")))
            self.runner.run(session.step(told(1.0)))
            assert len(self.house.published) == before + 1
            self.finished += 1

    @rule(session_id=stored, owner=owners)
    def reset(self, session_id: str, owner: str) -> None:
        answer = self.run(self.house.sessions.reset(session_id, owner, ResetRequest(task_id="one"), by_id=True))
        known = self.find(session_id, owner)
        if known is None:
            assert answer == "refused 404"
            return
        assert not isinstance(answer, str)
        known.steps, known.named, known.ends_at = 0, True, self.now + self.LIFE_S

    @rule(session_id=stored, owner=owners, good=st.booleans())
    def step(self, session_id: str, owner: str, good: bool) -> None:
        action = told(1.0) if good else told(1.0, queue="nowhere")
        answer = self.run(self.house.sessions.step(session_id, owner, action, None, by_id=True))
        known = self.find(session_id, owner)
        if known is None:
            assert answer == "refused 404"
            return
        known.ends_at = self.now + self.LIFE_S
        if known.steps is None or known.steps == 2 or not good:
            assert answer == "refused 409"
            return
        assert not isinstance(answer, str)
        known.steps, known.named = known.steps + 1, True
        assert answer.index == known.steps
        self.finished += answer.done

    @rule(session_id=stored, owner=owners)
    def state(self, session_id: str, owner: str) -> None:
        answer = self.run(self.house.sessions.state(session_id, owner))
        known = self.find(session_id, owner)
        if known is None:
            assert answer == "refused 404"
            return
        assert not isinstance(answer, str)
        assert answer.step_count == (known.steps or 0)
        known.ends_at = self.now + self.LIFE_S

    @rule(session_id=stored, owner=owners)
    def close(self, session_id: str, owner: str) -> None:
        answer = self.run(self.house.sessions.close(session_id, owner))
        known = self.find(session_id, owner)
        if known is None:
            assert answer == "refused 404"
        elif self.is_held(known):
            assert answer is False
            known.closing, known.held_until = True, self.now + self.LIFE_S
        else:
            assert answer is True
            del self.known[session_id]

    @rule(session_id=stored, owner=owners)
    def attach(self, session_id: str, owner: str) -> None:
        answer = self.run(self.house.sessions.attach(session_id, owner))
        known = self.find(session_id, owner)
        if known is None:
            assert answer == "refused 404"
        elif self.is_held(known):
            assert answer == "refused 409"
        else:
            known.holder, known.closing, known.named = answer, False, True
            known.held_until = known.ends_at = self.now + self.LIFE_S

    @rule(session_id=stored)
    def detach(self, session_id: str) -> None:
        known = self.known.get(session_id)
        if known is None or not known.holder:
            self.runner.run(self.house.sessions.detach(session_id, str(uuid.uuid4())))
            return
        self.runner.run(self.house.sessions.detach(session_id, known.holder))
        if self.is_held(known) and known.closing:
            del self.known[session_id]
        known.held_until, known.holder = 0.0, ""

    @rule(session_id=stored)
    def drop_as_default(self, session_id: str) -> None:
        self.runner.run(self.house.sessions.drop_unless_named(session_id))
        known = self.known.get(session_id)
        if known is not None and not known.named:
            del self.known[session_id]

    @rule(seconds=st.sampled_from([0.0, 1.0, 4.0, 9.5, 10.0]))
    def wait(self, seconds: float) -> None:
        self.house.clock.now_s += seconds
        self.forget_the_dead()

    @rule(everything=st.booleans())
    def sweep(self, everything: bool) -> None:
        self.runner.run(self.house.sessions.sweep(everything=everything))

    @precondition(lambda self: self.known)
    @rule()
    def look_who_is_there(self) -> None:
        for session_id, known in self.known.items():
            assert self.runner.run(self.house.sessions.exists(session_id, known.owner))

    @invariant()
    def the_count_is_exact(self) -> None:
        assert self.house.sessions.active == len(self.known) + len(self.open)

    @invariant()
    def every_finished_episode_is_published_once(self) -> None:
        assert len(self.house.published) == self.finished


TestSessionsBesideAModel = SessionsBesideAModel.TestCase
