"""Whose session a request over HTTP means: the one that it names, or its caller's default one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import httpx
import pytest

from supportbench import load_registry
from supportbench.server.app import ServerApp, create_app
from supportbench.settings import ServerSettings
from tests.server.packs import shop_of
from tests.server.playing import ACTION, Playground, Turnstile, playground
from tests.server.processes import until
from tests.shop import a_shop, provider, told_task

STEP = {"action": ACTION}
NO_SESSION = "No session: POST /reset begins one; then send the X-Session-ID header that it answers with."


@pytest.fixture
def ground() -> Iterator[Playground]:
    with playground() as ground:
        yield ground


class Bare:
    """A client that keeps nothing between two requests, like curl."""

    def __init__(self, ground: Playground, **headers: str) -> None:
        self._ground = ground
        self._headers = headers

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {**self._headers, **options.pop("headers", {})}
        return self._ground.http.request(method, path, headers=headers, **options)

    def reset(self, **asked: Any) -> str:
        """Return the id of the session."""
        answer = self.ask("POST", "/reset", json=asked)
        assert answer.status_code == 200, answer.text
        session_id: str = answer.json()["metadata"]["session_id"]
        return session_id

    def step(self, **options: Any) -> dict[str, Any]:
        answer = self.ask("POST", "/step", json=STEP, **options)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def state(self, **options: Any) -> dict[str, Any]:
        answer = self.ask("GET", "/state", **options)
        assert answer.status_code == 200, answer.text
        state: dict[str, Any] = answer.json()
        return state

    def play(self, **asked: Any) -> dict[str, Any]:
        """Play an episode and return its state."""
        self.reset(**asked)
        while not self.step()["done"]:
            pass
        return self.state()


def refused(answer: httpx.Response, status: int, message: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.json()["detail"] == answer.json()["message"] == message


def named(session_id: str) -> dict[str, str]:
    return {"X-Session-ID": session_id}


def unknown(session_id: str) -> str:
    return f"Unknown session_id: {session_id}. It has ended or is not yours; a reset without one begins another."


class TestWhoSendsNothing:
    def test_plays_by_resets_and_steps_alone(self, ground: Playground) -> None:
        for task_id, total in (("easy_inbox_cleanup", 2), ("medium_sla_defense", 3), ("hard_exec_escalations", 4)):
            state = Bare(ground).play(task_id=task_id)
            assert (state["task"]["task_id"], state["done"]) == (task_id, True)
            assert state["step_count"] == state["total_tickets"] == total

    def test_is_told_what_to_do_before_the_first_reset(self, ground: Playground) -> None:
        bare = Bare(ground)
        refused(bare.ask("GET", "/state"), 404, NO_SESSION)
        refused(bare.ask("POST", "/step", json=STEP), 404, NO_SESSION)
        assert ground.sessions.active == 0

    def test_has_one_session_however_often_it_plays(self, ground: Playground) -> None:
        bare = Bare(ground)
        for number in range(20):
            bare.play(seed=number)
            assert ground.sessions.active == 1
        for number in range(20):
            bare.reset(seed=number)
            bare.step()
            assert ground.sessions.active == 1

    def test_walks_through_the_split_and_begins_anew_at_its_end(self, ground: Playground) -> None:
        bare = Bare(ground)
        for number in range(5):
            assert bare.play()["task"]["index"] == number % 3

    def test_keeps_its_place_in_the_split_whatever_it_asks_for_between(self, ground: Playground) -> None:
        bare = Bare(ground)
        assert bare.play()["task"]["index"] == 0
        assert bare.play(task_id="hard_exec_escalations")["task"]["index"] == 2
        assert bare.ask("POST", "/reset", json={"task_id": "nope"}).status_code == 422
        bare.reset()  # and nobody plays it
        assert bare.state()["task"]["index"] == 1
        assert bare.play()["task"]["index"] == 2

    def test_has_a_bounded_number_of_sessions_however_often_it_resets_without_playing(self, ground: Playground) -> None:
        for _ in range(600):
            Bare(ground).reset()
        assert ground.sessions.active == 256
        Bare(ground).step()

    def test_keeps_its_episode_when_a_reset_is_refused(self, ground: Playground) -> None:
        bare = Bare(ground)
        bare.reset(task_id="medium_sla_defense")
        bare.step()
        before = bare.state()
        assert bare.ask("POST", "/reset", json={"task_id": "nope"}).status_code == 422
        assert bare.state() == before
        assert ground.sessions.active == 1
        assert bare.step()["done"] is False

    def test_plays_on_for_longer_than_a_session_waits_for_its_next_request(self) -> None:
        registry = shop_of(provider("triage", test=[told_task("long", 100)]))
        with playground(registry, session_timeout_s=1.2) as ground:
            bare = Bare(ground)
            bare.reset()
            for _ in range(8):
                time.sleep(0.3)
                answer = bare.ask("POST", "/step", json={"action": {**ACTION, "metadata": {"told": 0.5}}})
                assert answer.status_code == 200, answer.text

    def test_needs_no_more_than_one_place(self) -> None:
        with playground(max_sessions=1) as ground:
            bare = Bare(ground)
            for _ in range(3):
                bare.play()
            session_id = bare.reset()
            bare.step()
            assert bare.ask("POST", "/reset", json={"session_id": session_id}).status_code == 200
            # Somebody knows this one by its id: it is not given away.
            assert bare.ask("POST", "/reset").status_code == 503
            assert bare.state(headers=named(session_id))["step_count"] == 0

    def test_has_no_session_where_there_are_no_default_ones(self) -> None:
        with playground(default_session=False) as ground:
            bare = Bare(ground)
            answer = bare.ask("POST", "/reset")
            assert "set-cookie" not in answer.headers
            refused(bare.ask("POST", "/step", json=STEP), 404, NO_SESSION)
            refused(bare.ask("GET", "/state"), 404, NO_SESSION)
            cookie = {"Cookie": f"supportbench_session={answer.headers['x-session-id']}"}
            refused(bare.ask("GET", "/state", headers=cookie), 404, NO_SESSION)
            assert bare.state(headers=named(answer.headers["x-session-id"]))["step_count"] == 0


class TestWhoNamesASession:
    def test_does_so_by_header_query_or_body(self, ground: Playground) -> None:
        bare = Bare(ground)
        mine = bare.reset(task_id="medium_sla_defense")
        bare.reset(task_id="easy_inbox_cleanup")
        assert bare.state(headers=named(mine))["task"]["task_id"] == "medium_sla_defense"
        assert bare.state(params={"session_id": mine})["task"]["task_id"] == "medium_sla_defense"
        answer = bare.ask("POST", "/step", json={**STEP, "session_id": mine})
        assert answer.headers["x-session-id"] == answer.json()["metadata"]["session_id"] == mine
        assert bare.step(params={"session_id": mine})["observation"]["current_index"] == 2
        assert bare.step(headers=named(mine))["done"] is True
        assert bare.reset(session_id=mine, task_id="hard_exec_escalations") == mine
        assert bare.state()["task"]["task_id"] == "easy_inbox_cleanup"
        assert ground.sessions.active == 2

    def test_may_name_it_more_than_once_but_only_one(self, ground: Playground) -> None:
        bare = Bare(ground)
        one, two = bare.reset(), bare.reset()
        assert bare.step(headers=named(one), params={"session_id": one})["done"] is False
        told = "session_id: header, body and query name different sessions. Name one, once."
        refused(bare.ask("GET", "/state", headers=named(one), params={"session_id": two}), 422, told)
        refused(bare.ask("GET", f"/state?session_id={one}&session_id={two}"), 422, told)
        refused(bare.ask("POST", "/reset", headers=named(one), json={"session_id": two}), 422, told)
        body = {**STEP, "session_id": one}
        refused(bare.ask("POST", "/step", params={"session_id": two}, json=body), 422, told)
        assert [bare.state(headers=named(session_id))["step_count"] for session_id in (one, two)] == [1, 0]

    def test_names_none_by_an_empty_name(self, ground: Playground) -> None:
        bare = Bare(ground)
        bare.reset(task_id="medium_sla_defense")
        assert bare.state(headers=named(""), params={"session_id": ""})["task"]["task_id"] == "medium_sla_defense"

    @pytest.mark.parametrize("name", ["nope", "00000000-0000-4000-8000-000000000000", "../x", "a b", "%", "é"])
    def test_that_does_not_exist_is_told_so(self, ground: Playground, name: str) -> None:
        bare = Bare(ground)
        for answer in (
            bare.ask("GET", "/state", params={"session_id": name}),
            bare.ask("POST", "/step", params={"session_id": name}, json=STEP),
            bare.ask("POST", "/reset", params={"session_id": name}),
            bare.ask("POST", "/reset", json={"session_id": name}),
        ):
            refused(answer, 404, unknown(name))
            assert answer.json()["code"] == "SESSION_ERROR"
        assert ground.sessions.active == 0

    def test_that_has_ended_is_told_so(self) -> None:
        with playground(session_timeout_s=0.3) as ground:
            bare = Bare(ground)
            session_id = bare.reset()
            until(lambda: ground.sessions.active == 0)
            for options in ({}, {"headers": named(session_id)}):
                refused(bare.ask("GET", "/state", **options), 404, unknown(session_id))
                refused(bare.ask("POST", "/step", json=STEP, **options), 404, unknown(session_id))
            cookie = {"Cookie": f"supportbench_session={session_id}"}
            refused(bare.ask("GET", "/state", headers=cookie), 404, unknown(session_id))
            answer = bare.ask("POST", "/reset", headers=cookie)
            assert answer.headers["x-session-id"] != session_id
            assert answer.headers["x-session-id"] in answer.headers["set-cookie"]

    def test_does_not_meet_others_who_began_at_the_same_time(self) -> None:
        with playground(a_shop()) as ground, ThreadPoolExecutor(8) as pool:

            def play(number: int) -> list[Any]:
                bare = Bare(ground)
                answers = [bare.ask("POST", "/reset", json={"task_id": "two", "episode_id": f"e-{number}"})]
                headers = named(answers[0].headers["x-session-id"])
                action = {**ACTION, "metadata": {"told": number / 64}}
                answers += [bare.ask("POST", "/step", json={"action": action}, headers=headers) for _ in range(2)]
                assert [answer.status_code for answer in answers] == [200, 200, 200]
                state = bare.state(headers=headers)
                return [state["episode_id"], state["step_count"], state["cumulative_reward"], state["done"]]

            assert list(pool.map(play, range(64))) == [
                [f"e-{number}", 2, 2 * number / 64, True] for number in range(64)
            ]


class TestWhoKeepsCookies:
    def test_keeps_its_session(self, ground: Playground) -> None:
        with httpx.Client(base_url=ground.url) as client:
            ids = set()
            for task_id in ("easy_inbox_cleanup", "medium_sla_defense", "hard_exec_escalations"):
                answer = client.post("/reset")
                assert answer.json()["observation"]["task_id"] == task_id  # it walks through them
                ids.add(answer.headers["x-session-id"])
                while not client.post("/step", json=STEP).json()["done"]:
                    pass
                assert client.get("/state").json()["done"] is True
            assert len(ids) == ground.sessions.active == 1

    def test_gets_a_cookie_that_scripts_and_other_sites_do_not(self, ground: Playground) -> None:
        answer = Bare(ground).ask("POST", "/reset")
        session_id = answer.headers["x-session-id"]
        assert answer.headers["set-cookie"] == f"supportbench_session={session_id}; Path=/; HttpOnly; SameSite=Strict"

    def test_does_not_meet_others_who_do(self, ground: Playground) -> None:
        with httpx.Client(base_url=ground.url) as one, httpx.Client(base_url=ground.url) as two:
            for client, task_id in ((one, "medium_sla_defense"), (two, "hard_exec_escalations")):
                client.post("/reset", json={"task_id": task_id})
                assert client.post("/step", json=STEP).status_code == 200
            # Whoever keeps nothing plays beside them.
            for _ in range(3):
                Bare(ground).play(task_id="easy_inbox_cleanup")
            for client, task_id in ((one, "medium_sla_defense"), (two, "hard_exec_escalations")):
                assert client.post("/step", json=STEP).status_code == 200
                state = client.get("/state").json()
                assert (state["task"]["task_id"], state["step_count"]) == (task_id, 2)
            assert ground.sessions.active == 3

    def test_may_name_another_session_all_the_same(self, ground: Playground) -> None:
        with httpx.Client(base_url=ground.url) as client:
            other = Bare(ground).reset(task_id="hard_exec_escalations")
            client.post("/reset", json={"task_id": "easy_inbox_cleanup"})
            assert client.get("/state", headers=named(other)).json()["task"]["task_id"] == "hard_exec_escalations"
            assert client.get("/state").json()["task"]["task_id"] == "easy_inbox_cleanup"

    @pytest.mark.parametrize("others", ["a=b; ", 'a={"b": [1, 2]}; ', "a; ", "a=\u00e9; ", "; ;=; ", "a=b c; "])
    def test_may_keep_those_of_others_too(self, ground: Playground, others: str) -> None:
        bare = Bare(ground)
        session_id = bare.reset(task_id="hard_exec_escalations")
        bare.reset()
        header = f"{others}supportbench_session={session_id}; c=d".encode("latin-1")
        answer = ground.http.get("/state", headers=[(b"cookie", header)])
        assert answer.json()["task"]["task_id"] == "hard_exec_escalations"

    @pytest.mark.parametrize("cookie", ["", '"', "x" * 4000, "../..", "nope"])
    def test_that_are_none_of_ours_begins_anew(self, ground: Playground, cookie: str) -> None:
        answer = Bare(ground).ask("POST", "/reset", headers={"Cookie": f"supportbench_session={cookie}"})
        assert answer.status_code == 200
        assert "set-cookie" in answer.headers


class TestWhoComesFromElsewhere:
    @pytest.fixture
    def app(self) -> ServerApp:
        return create_app(ServerSettings(host="0.0.0.0"), load_registry({}).check())  # noqa: S104 - it is not served

    async def test_has_a_session_by_its_cookie_or_its_id_alone(self, app: ServerApp) -> None:
        async with from_elsewhere(app) as client:
            answer = await client.post("/reset", json={"task_id": "hard_exec_escalations"})
            assert "set-cookie" in answer.headers
            assert (await client.post("/step", json=STEP)).status_code == 200
            client.cookies.clear()
            refused(await client.post("/step", json=STEP), 404, NO_SESSION)
            refused(await client.get("/state"), 404, NO_SESSION)
            headers = named(answer.headers["x-session-id"])
            assert (await client.get("/state", headers=headers)).json()["step_count"] == 1

    async def test_does_not_end_what_others_began(self, app: ServerApp) -> None:
        async with from_elsewhere(app) as one, from_elsewhere(app) as two:
            answer = await one.post("/reset")
            headers = named(answer.headers["x-session-id"])
            await one.post("/step", json=STEP)
            for _ in range(3):
                await two.post("/reset")
                await two.post("/step", json=STEP)
                two.cookies.clear()
            assert (await one.get("/state", headers=headers)).json()["step_count"] == 1


class TestWhoHasAToken:
    @pytest.fixture
    def ground(self) -> Iterator[Playground]:
        with playground(tokens=("token-of-one", "token-of-two")) as ground:
            yield ground

    def test_has_a_default_session_of_its_own(self, ground: Playground) -> None:
        one, two = (Bare(ground, Authorization=f"Bearer token-of-{name}") for name in ("one", "two"))
        one.reset(task_id="medium_sla_defense")
        refused(two.ask("GET", "/state"), 404, NO_SESSION)
        two.reset(task_id="easy_inbox_cleanup")
        one.step()
        assert [client.state()["task"]["task_id"] for client in (one, two)] == [
            "medium_sla_defense",
            "easy_inbox_cleanup",
        ]
        assert [client.state()["step_count"] for client in (one, two)] == [1, 0]

    def test_walks_through_the_split_at_its_own_pace(self, ground: Playground) -> None:
        one, two = (Bare(ground, Authorization=f"Bearer token-of-{name}") for name in ("one", "two"))
        assert [one.play()["task"]["index"] for _ in range(2)] == [0, 1]
        assert two.play()["task"]["index"] == 0
        assert one.play()["task"]["index"] == 2

    def test_cannot_use_the_sessions_of_another(self, ground: Playground) -> None:
        one, two = (Bare(ground, Authorization=f"Bearer token-of-{name}") for name in ("one", "two"))
        mine = one.reset()
        for answer in (
            two.ask("GET", "/state", headers=named(mine)),
            two.ask("POST", "/step", headers=named(mine), json=STEP),
            two.ask("POST", "/reset", headers=named(mine)),
        ):
            refused(answer, 404, unknown(mine))
        assert one.state()["step_count"] == 0

    def test_gets_no_cookie_and_none_counts(self, ground: Playground) -> None:
        one = Bare(ground, Authorization="Bearer token-of-one")
        answer = one.ask("POST", "/reset")
        assert "set-cookie" not in answer.headers
        latest = one.reset(task_id="hard_exec_escalations")
        cookie = {"Cookie": f"supportbench_session={answer.headers['x-session-id']}"}
        assert one.ask("GET", "/state", headers=cookie).headers["x-session-id"] == latest

    def test_is_asked_for_it(self, ground: Playground) -> None:
        for method, path in (("POST", "/reset"), ("POST", "/step"), ("GET", "/state")):
            assert Bare(ground).ask(method, path).status_code == 401
        assert ground.sessions.active == 0


def from_elsewhere(app: ServerApp) -> httpx.AsyncClient:
    """Return a client whose address is another machine's."""
    transport = httpx.ASGITransport(cast(Any, app), client=("192.0.2.1", 50_000))
    return httpx.AsyncClient(transport=transport, base_url="http://server.test")


class TestWhoResetsDuringAStep:
    def test_gets_another_session_and_the_step_its_answer(self) -> None:
        turnstile = Turnstile()
        with playground(turnstile.registry()) as ground, ThreadPoolExecutor(1) as pool:
            bare = Bare(ground)
            first = bare.reset()
            stepping = pool.submit(bare.step)
            until(lambda: turnstile.waiting == 1)
            second = bare.reset()
            assert second != first
            turnstile.open.set()
            assert stepping.result()["metadata"]["session_id"] == first
            assert bare.state()["step_count"] == 0
            assert bare.state(headers=named(first))["step_count"] == 1
