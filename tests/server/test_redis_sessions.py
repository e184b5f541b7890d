"""Sessions in a Redis: servers that are killed, servers that share them, and a Redis that goes away."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect

from supportbench import Registry, SupportQueueAction, SupportQueueEnvironment, codec, unstructure
from supportbench.environment import SavedEpisode
from supportbench.protocol import ResetRequest
from supportbench.server.session import SavedSession
from supportbench.server.stored import open_shared
from supportbench.settings import ServerSettings
from tests import strategies
from tests.server import processes
from tests.server.house import (
    STEP,
    Gated,
    House,
    a_house,
    active,
    asked,
    eventually,
    gated_registry,
    heard,
    refused,
)
from tests.server.processes import ServerProcess, until
from tests.server.serving import serving
from tests.shop import a_shop
from tests.stubs.redis_server import RedisServer
from tests.test_secrecy import good_action, hostile_action

TASKS = ("easy_inbox_cleanup", "medium_sla_defense", "hard_exec_escalations")


@pytest.fixture(scope="module")
def shared() -> Iterator[RedisServer]:
    """A Redis that no test ends."""
    with RedisServer() as redis:
        yield redis


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis of the test's own."""
    with RedisServer() as redis:
        yield redis


def started(redis: RedisServer, *options: str, **environ: str) -> AbstractContextManager[ServerProcess]:
    """Within the block a server process keeps its sessions in that Redis."""
    arguments = ("-m", "supportbench", "serve", "--port", "0", "--store", redis.url, *options)
    return processes.serving(*arguments, environ=environ)


def actions_for(registry: Registry, task_id: str) -> list[SupportQueueAction]:
    """Return an action for each ticket of a bundled task: some earn all, some are unsafe."""
    triage = registry.providers["triage"]
    place = triage.find(task_id)
    assert place is not None
    task = triage.task(*place)
    return [(hostile_action if number % 3 == 1 else good_action)(case) for number, case in enumerate(task.cases)]


async def played_here(registry: Registry, task_id: str) -> list[tuple[float | None, Any]]:
    """Return (reward, state) of each step when nothing comes in between."""
    environment = SupportQueueEnvironment(registry)
    await environment.reset(task_id=task_id, episode_id="e")
    played = []
    for action in actions_for(registry, task_id):
        observation = await environment.step(action)
        played.append((observation.reward, json.loads(codec.encode(environment.state))))
    return played


async def one(method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None) -> httpx.Response:
    """Ask over a connection of its own, as curl does."""
    async with httpx.AsyncClient(timeout=60) as client:
        return await client.request(method, url, json=body, headers=headers)


# -- killed -------------------------------------------------------------------------------------------------------


class TestAServerThatIsKilled:
    async def test_goes_on_after_a_restart_with_the_same_states_and_rewards(
        self, shared: RedisServer, registry: Registry
    ) -> None:
        task_id = TASKS[0]
        expected = await played_here(registry, task_id)
        with started(shared) as server:
            begun = await one("POST", f"{server.url}/reset", {"task_id": task_id, "episode_id": "e"})
            headers = {"X-Session-ID": begun.headers["x-session-id"]}
            server.end(signal.SIGKILL)
        for number, (action, (reward, state)) in enumerate(zip(actions_for(registry, task_id), expected, strict=True)):
            with started(shared) as server:
                stepped = await one("POST", f"{server.url}/step", {"action": unstructure(action)}, headers)
                assert stepped.status_code == 200
                assert stepped.json()["reward"] == reward
                assert (await one("GET", f"{server.url}/state", headers=headers)).json() == state
                assert stepped.json()["done"] is (number == len(expected) - 1)
                server.end(signal.SIGKILL)

    async def test_knows_whose_default_session_it_was(self, shared: RedisServer) -> None:
        with started(shared) as server:
            await one("POST", f"{server.url}/reset", {"task_id": TASKS[0], "episode_id": "by curl"})
            server.end(signal.SIGKILL)
        with started(shared) as server:
            assert (await one("GET", f"{server.url}/state")).json()["episode_id"] == "by curl"

    async def test_goes_on_in_the_middle_of_its_split(self, shared: RedisServer) -> None:
        seen = []
        headers: dict[str, str] = {}
        for _ in range(3):
            with started(shared) as server:
                answer = await one("POST", f"{server.url}/reset", headers=headers)
                headers = {"X-Session-ID": answer.headers["x-session-id"]}
                seen.append(answer.json()["observation"]["task_id"])
                server.end(signal.SIGKILL)
        assert len(set(seen)) == 3

    async def test_loses_its_hold_on_attached_sessions(self, shared: RedisServer) -> None:
        options = ("--session-timeout", "3")
        with started(shared, *options) as other, started(shared, *options) as server:
            session_id = (await one("POST", f"{server.url}/reset")).headers["x-session-id"]
            headers = {"X-Session-ID": session_id}
            path = f"/ws?session_id={session_id}"
            async with connect(f"{server.ws}{path}") as attached:
                await asked(attached)
                server.end(signal.SIGKILL)
            frame: Any = {}
            while frame.get("type") != "state":
                assert (await one("GET", f"{other.url}/state", headers=headers)).status_code == 200
                async with connect(f"{other.ws}{path}") as attached:
                    frame = await asked(attached)
                await asyncio.sleep(0.05)


# -- shared -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair(shared: RedisServer) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    tokens = {"SUPPORTBENCH_TOKEN": "alpha-token-0001,beta-token-00002"}
    with ExitStack() as stack:
        yield stack.enter_context(started(shared, **tokens)), stack.enter_context(started(shared, **tokens))


ALPHA, BETA = {"Authorization": "Bearer alpha-token-0001"}, {"Authorization": "Bearer beta-token-00002"}


class TestTwoServers:
    @pytest.mark.parametrize("task_id", TASKS)
    async def test_play_a_task_in_turn(
        self, pair: tuple[ServerProcess, ServerProcess], registry: Registry, task_id: str
    ) -> None:
        begun = await one("POST", f"{pair[0].url}/reset", {"task_id": task_id, "episode_id": "e"}, ALPHA)
        headers = {**ALPHA, "X-Session-ID": begun.headers["x-session-id"]}
        servers = itertools.cycle((pair[1], pair[0]))
        expected = await played_here(registry, task_id)
        for action, (reward, state) in zip(actions_for(registry, task_id), expected, strict=True):
            server = next(servers)
            stepped = await one("POST", f"{server.url}/step", {"action": unstructure(action)}, headers)
            assert stepped.json()["reward"] == reward
            for either in pair:
                assert (await one("GET", f"{either.url}/state", headers=headers)).json() == state

    async def test_share_default_sessions_of_a_token_and_of_no_other(
        self, pair: tuple[ServerProcess, ServerProcess]
    ) -> None:
        for headers, name in ((ALPHA, "alpha's"), (BETA, "beta's")):
            await one("POST", f"{pair[0].url}/reset", {"episode_id": name}, headers)
        for server in pair:
            for headers, name in ((ALPHA, "alpha's"), (BETA, "beta's")):
                assert (await one("GET", f"{server.url}/state", headers=headers)).json()["episode_id"] == name

    async def test_keep_sessions_from_other_tokens(self, pair: tuple[ServerProcess, ServerProcess]) -> None:
        begun = await one("POST", f"{pair[0].url}/reset", headers=ALPHA)
        named = {"X-Session-ID": begun.headers["x-session-id"]}
        for server in pair:
            assert (await one("GET", f"{server.url}/state", headers={**BETA, **named})).status_code == 404
            assert (await one("POST", f"{server.url}/step", STEP, {**BETA, **named})).status_code == 404
            assert (await one("GET", f"{server.url}/state", headers={**ALPHA, **named})).status_code == 200

    async def test_let_one_websocket_attach(self, pair: tuple[ServerProcess, ServerProcess]) -> None:
        session_id = (await one("POST", f"{pair[0].url}/reset", headers=ALPHA)).headers["x-session-id"]
        path = f"/ws?session_id={session_id}"
        for first, second in (pair, pair[::-1]):
            async with connect(f"{first.ws}{path}", additional_headers=ALPHA) as attached:
                assert (await asked(attached))["type"] == "state"
                async with connect(f"{second.ws}{path}", additional_headers=ALPHA) as refused:
                    frame = await heard(refused)
                assert frame["data"]["code"] == "SESSION_ERROR"
                assert "already has an attached WebSocket" in frame["data"]["message"]
                assert (await asked(attached))["type"] == "state"
            released: Any = {}
            while released.get("type") != "state":
                async with connect(f"{second.ws}{path}", additional_headers=ALPHA) as attached:
                    released = await asked(attached)

    async def test_advance_an_episode_once_for_every_step_that_they_say_they_took(
        self, pair: tuple[ServerProcess, ServerProcess], registry: Registry
    ) -> None:
        task_id = TASKS[2]
        action = {"action": unstructure(actions_for(registry, task_id)[0])}
        begun = await one("POST", f"{pair[0].url}/reset", {"task_id": task_id}, ALPHA)
        headers = {**ALPHA, "X-Session-ID": begun.headers["x-session-id"]}
        taken = 0
        for _ in range(3):
            racing = await asyncio.gather(*(one("POST", f"{server.url}/step", action, headers) for server in pair * 2))
            assert {answer.status_code for answer in racing} <= {200, 409}
            taken += [answer.status_code for answer in racing].count(200)
            state = (await one("GET", f"{pair[0].url}/state", headers=headers)).json()
            assert state["step_count"] == taken == len(state["grading_history"])

    async def test_let_one_of_two_steps_through_that_were_graded_at_once(self, shared: RedisServer) -> None:
        gated = Gated()
        with ExitStack() as stack:
            servers = [stack.enter_context(serving(gated_registry(gated), store=shared.url)) for _ in range(2)]
            for _ in range(5):
                gated.open.clear()
                begun = await one("POST", f"{servers[0].url}/reset")
                headers = {"X-Session-ID": begun.headers["x-session-id"]}
                racing = [asyncio.create_task(one("POST", f"{server.url}/step", STEP, headers)) for server in servers]
                await eventually(lambda: gated.waiting == 2)
                gated.open.set()
                answers = await asyncio.gather(*racing)
                assert sorted(answer.status_code for answer in answers) == [200, 409]
                state = (await one("GET", f"{servers[1].url}/state", headers=headers)).json()
                assert state["step_count"] == 1
                (lost,) = [answer for answer in answers if answer.status_code == 409]
                assert "came first" in lost.json()["message"]

    async def test_publish_an_episode_once_wherever_it_ends(self, shared: RedisServer) -> None:
        first, second = _houses(shared)
        for _ in range(3):
            session_id = await first.begun(task_id="one")
            await second.step(session_id)
            await first.step(session_id)
        assert (len(first.published), len(second.published)) == (3, 0)
        assert {len(episode.steps) for episode in first.published} == {2}
        await _end(first, second)

    async def test_agree_on_the_end_of_an_attached_session(self, shared: RedisServer) -> None:
        first, second = _houses(shared)
        session_id = await first.begun(task_id="one")
        holder = await first.sessions.attach(session_id, "")
        assert await second.sessions.close(session_id, "") is False
        assert (await second.step(session_id)).index == 1
        await first.sessions.detach(session_id, holder)
        assert first.sessions.active == 0
        assert await refused(second.step(session_id)) == "SESSION_ERROR 404"
        await _end(first, second)

    async def test_free_a_place_whose_session_the_other_has_ended(self, shared: RedisServer) -> None:
        first, second = _houses(shared, max_sessions=2)
        session_id, other = await first.begun(), await first.begun()
        assert await second.sessions.close(session_id, "")
        await second.sessions.state(other, "")
        assert first.sessions.active == 2  # nobody has told it
        await first.sessions.sweep()
        assert first.sessions.active == 2  # nor has it asked: it heard of both just now
        first.clock.now_s += 60.0
        await first.sessions.sweep()
        assert first.sessions.active == 1
        assert await first.sessions.exists(other, "")
        await _end(first, second)

    async def test_ask_at_once_after_sessions_that_the_other_may_have_ended_when_there_is_no_room(
        self, shared: RedisServer
    ) -> None:
        first, second = _houses(shared, max_sessions=1)
        session_id = await first.begun()
        sweeping = asyncio.create_task(first.sessions.sweep_for_ever())
        await second.sessions.close(session_id, "")
        assert await refused(first.sessions.create("")) == "CAPACITY_REACHED 503"
        await eventually(lambda: first.sessions.active == 0)
        await first.sessions.create("")
        sweeping.cancel()
        await _end(first, second)

    async def test_have_no_token_written_anywhere(
        self, pair: tuple[ServerProcess, ServerProcess], shared: RedisServer
    ) -> None:
        await one("POST", f"{pair[0].url}/reset", headers=ALPHA)
        keys = shared.command("KEYS", "*")
        values = b"".join(shared.command("GET", key) for key in keys.split(b"\r\n") if key.startswith(b"supportbench:"))
        assert b"supportbench:default:token:" in keys
        assert b'"owner":"' in values
        assert b"alpha-token" not in keys + values


def _houses(redis: RedisServer, **settings: Any) -> tuple[House, House]:
    """Return two workers' sessions in one Redis."""
    wanted = {"session_timeout_s": 600.0, "store": redis.url, **settings}
    return a_house(**wanted), a_house(**wanted)


async def _end(*houses: House) -> None:
    for house in houses:
        await house.sessions.aclose()


# -- a Redis that goes away ---------------------------------------------------------------------------------------


class TestARedisThatGoesAway:
    async def test_is_told_of_and_the_server_goes_on_when_it_is_back(self, redis: RedisServer) -> None:
        with started(redis, "--log-format", "json") as server:
            begun = await one("POST", f"{server.url}/reset", {"task_id": TASKS[0]})
            headers = {"X-Session-ID": begun.headers["x-session-id"]}
            async with (
                connect(f"{server.ws}/ws") as live,
                connect(f"{server.ws}/ws?session_id={headers['X-Session-ID']}") as attached,
            ):
                await asked(live, '{"type":"reset"}')
                await asked(attached)
                redis.kill()
                for method, path, body in (("GET", "/state", None), ("POST", "/reset", {}), ("POST", "/step", STEP)):
                    answer = await one(method, f"{server.url}{path}", body, headers)
                    assert answer.status_code == 503
                    assert answer.json()["code"] == "SESSION_ERROR"
                    assert answer.json()["message"] == "The session store fails; the server's log says how."
                    assert int(answer.headers["retry-after"]) > 0
                    assert "Traceback" not in answer.text
                bare = await one("POST", f"{server.url}/reset")
                assert bare.status_code == 503
                frame = await asked(attached)
                assert frame["data"]["code"] == "SESSION_ERROR"
                assert (await asked(live))["data"]["total_tickets"] > 0  # what needs no store does not notice
                assert (await one("GET", f"{server.url}/health")).status_code == 200
                redis.start()
                assert (await one("GET", f"{server.url}/state", headers=headers)).json()["task"]["task_id"] == TASKS[0]
                assert (await asked(attached))["type"] == "state"
            assert server.end() == 0
            assert not [line for line in server.lines if "Traceback" in line]

    async def test_for_long_ends_nothing_but_what_it_forgot(self, redis: RedisServer) -> None:
        with started(redis) as server:
            session_id = (await one("POST", f"{server.url}/reset")).headers["x-session-id"]
            async with connect(f"{server.ws}/ws?session_id={session_id}") as attached:
                await asked(attached)
                redis.command("FLUSHALL")
                for message in ('{"type":"state"}', '{"type":"reset"}', '{"type":"state"}'):
                    frame = await asked(attached, message)
                    assert frame["data"]["code"] == "SESSION_ERROR"
                    assert frame["data"]["message"].startswith(f"Unknown session_id: {session_id}. It has ended")
            again = await one("POST", f"{server.url}/reset")
            assert again.status_code == 200

    async def test_when_a_socket_lets_go_is_no_bug_of_ours(self, redis: RedisServer) -> None:
        with serving(a_shop(), store=redis.url) as served:
            session_id = (await one("POST", f"{served.url}/reset")).headers["x-session-id"]
            async with connect(f"{served.ws}/ws?session_id={session_id}") as attached:
                await asked(attached)
                redis.kill()
            await eventually(lambda: not served.app.service.sockets)
            redis.start()

    async def test_with_something_else_under_our_keys_is_told_of_and_not_shown(self, redis: RedisServer) -> None:
        with started(redis) as server:
            session_id = (await one("POST", f"{server.url}/reset")).headers["x-session-id"]
            redis.command("SET", f"supportbench:session:{session_id}", "something confidential")
            answer = await one("GET", f"{server.url}/state", headers={"X-Session-ID": session_id})
            assert answer.status_code == 503
            assert redis.url not in answer.text
            assert "confidential" not in answer.text
            until(lambda: any("holds something else" in line for line in server.lines))
            assert (await one("POST", f"{server.url}/reset")).status_code == 200

    def test_from_the_start_is_told_of_and_nothing_is_served(self) -> None:
        with RedisServer() as redis:
            url = redis.url
        arguments = ("-m", "supportbench", "serve", "--port", "0", "--store", url)
        with processes.started(*arguments) as server:
            assert server.wait() == 2
        assert any("Cannot reach the session store" in line and "is it running?" in line for line in server.lines)
        assert not any("Traceback" in line for line in server.lines)


# -- several workers ----------------------------------------------------------------------------------------------


class TestSeveralWorkers:
    async def test_play_an_episode_over_many_connections(self, shared: RedisServer, registry: Registry) -> None:
        with started(shared, "--workers", "2") as workers:
            await self._play(workers, registry)

    async def _play(self, workers: ServerProcess, registry: Registry) -> None:
        for task_id in TASKS:
            for by_id in (False, True):  # as the only caller on loopback, and by the session's id
                begun = await one("POST", f"{workers.url}/reset", {"task_id": task_id, "episode_id": "e"})
                named = {"X-Session-ID": begun.headers["x-session-id"]} if by_id else {}
                expected = await played_here(registry, task_id)
                for action, (reward, state) in zip(actions_for(registry, task_id), expected, strict=True):
                    stepped = await one("POST", f"{workers.url}/step", {"action": unstructure(action)}, named)
                    assert stepped.json()["reward"] == reward
                    assert (await one("GET", f"{workers.url}/state", headers=named)).json() == state

    async def test_have_room_for_so_many_sessions_each(self, shared: RedisServer) -> None:
        with started(shared, "--workers", "2", "--max-sessions", "3", "--no-default-session") as workers:
            answers = [await one("POST", f"{workers.url}/reset") for _ in range(60)]
        statuses = [answer.status_code for answer in answers]
        assert statuses.count(200) == 2 * 3
        assert set(statuses) == {200, 503}
        full = next(answer for answer in answers if answer.status_code == 503)
        assert full.json()["max_sessions"] == 3


# -- as bytes -----------------------------------------------------------------------------------------------------

_or_none = st.none()
saved_sessions = st.builds(
    SavedSession,
    owner=strategies.texts,
    episode=st.builds(
        SavedEpisode,
        state=strategies.MODELS[next(kind for kind in strategies.MODELS if kind.__name__ == "SupportQueueState")],
        positions=st.dictionaries(strategies.texts, strategies.counts, max_size=3),
        task_fingerprint=_or_none | strategies.texts,
    ),
    rubric_fingerprint=_or_none | strategies.texts,
    steps=st.lists(strategies.episode_steps, max_size=3).map(tuple),
    started_at=_or_none | strategies.texts,
    asked_at=strategies.amounts,
    addressed=st.booleans(),
    stepped=st.booleans(),
)


class TestASavedSession:
    @given(saved=saved_sessions)
    def test_is_the_same_when_it_comes_back(self, saved: SavedSession) -> None:
        assert codec.decode(codec.encode(saved), SavedSession) == saved

    async def test_comes_back_from_a_redis_as_it_went(self, shared: RedisServer, registry: Registry) -> None:
        house = House(registry, ServerSettings(store=shared.url))
        for task_id in TASKS:
            session_id = await house.begun(task_id=task_id)
            here = House(registry, ServerSettings())
            beside = await here.begun(task_id=task_id, episode_id="e")
            await house.sessions.reset(session_id, "", ResetRequest(task_id=task_id, episode_id="e"), by_id=True)
            for action in actions_for(registry, task_id):
                for one_of in ((house, session_id), (here, beside)):
                    await one_of[0].sessions.step(one_of[1], "", action, None, by_id=True)
                theirs, ours = await house.sessions.saved(session_id, ""), await here.sessions.saved(beside, "")
                assert theirs.episode == ours.episode
                assert [step.grade for step in theirs.steps] == [step.grade for step in ours.steps]
        await _end(house)

    async def test_is_not_in_the_way_of_other_kinds(self, shared: RedisServer) -> None:
        settings = ServerSettings(store=shared.url)
        sessions = open_shared(settings, SavedSession, "session:")
        others = open_shared(settings, SavedSession, "other:")
        await sessions.replace("k", None, SavedSession(owner="a"), ttl_s=60.0)
        assert await others.load("k") is None
        for store in (sessions, others):
            await store.aclose()


def test_the_test_of_places_counts_what_a_server_counts(shared: RedisServer) -> None:
    with serving(a_shop(), store=shared.url) as served:
        httpx.post(f"{served.url}/reset")
        until(lambda: active(served) == 1)
