"""The client against the real server, and against servers that are odd on purpose."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection

from supportbench import (
    Registry,
    Rubric,
    RubricComponent,
    StaticTasks,
    SupportQueueEnvironment,
    SupportQueueState,
)
from supportbench.client import SupportQueueClient
from supportbench.errors import (
    CapacityReachedError,
    ClientError,
    ExecutionError,
    RefusedMessageError,
    ServerConnectionError,
    ServerError,
    ServerTimeoutError,
    SessionError,
    SettingsError,
    UnexpectedAnswerError,
)
from supportbench.protocol import StepResult
from tests.client.scripted import Frame, Script, answering, error, scripted
from tests.offering import Does, Told, a_task, an_action, registry_of
from tests.server.serving import Served, serving

EASY = "easy_inbox_cleanup"
KEY = "a-key-that-nobody-may-see"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving() as running:
        yield running


@pytest.mark.parametrize("task_id", [EASY, "medium_sla_defense", "hard_exec_escalations"])
async def test_what_is_played_on_a_server_is_what_is_played_in_this_process(
    served: Served, registry: Registry, task_id: str
) -> None:
    here = SupportQueueEnvironment(registry)
    async with SupportQueueClient(served.url) as there:
        expected = await here.reset(task_id=task_id, seed=3, episode_id="the-same")
        result = await there.reset(task_id=task_id, seed=3, episode_id="the-same")
        assert result == StepResult(observation=expected)
        while not result.done:
            action = an_action(priority=expected.allowed_priorities[expected.current_index % 4])
            expected, result = await here.step(action), await there.step(action)
            assert result == StepResult(observation=expected, reward=expected.reward, done=expected.done)
        assert await there.state() == here.state


async def test_before_a_reset_the_state_is_empty(served: Served) -> None:
    async with SupportQueueClient(served.url) as env:
        assert await env.state() == SupportQueueState()


@pytest.mark.parametrize("suffix", ["", "/", "//", "/ws"])
@pytest.mark.parametrize("scheme", ["http", "ws", "HTTP", "WS"])
async def test_a_base_url_may_be_written_in_many_ways(served: Served, scheme: str, suffix: str) -> None:
    url = served.url.replace("http", scheme, 1) + suffix
    if suffix == "/ws" and scheme.lower() == "http":
        with pytest.raises(ServerConnectionError, match=r"with status 404|with status 403"):
            await SupportQueueClient(url).connect()
        return
    async with SupportQueueClient(url) as env:
        assert env.base_url == served.url
        assert (await env.reset(seed=0)).done is False


async def test_a_base_url_may_have_a_path_before_the_servers_own() -> None:
    script = Script()
    async with scripted(script) as url, SupportQueueClient(f"{url}/env/one/", session_id="a b/ü") as env:
        await env.reset()
    assert script.paths == ["/env/one/ws?session_id=a%20b%2F%C3%BC"]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("localhost:8000", "Write it like http://localhost:8000"),
        ("ftp://localhost", "Write it like http://localhost:8000"),
        ("", "Write it like http://localhost:8000"),
        ("http://", "Write it like http://localhost:8000"),
        ("http://localhost:99999", "no URL of a server: Port out of range"),
        ("http://[::1", "no URL of a server: Invalid IPv6 URL"),
        ("http://localhost/?a=1", "more behind its path than a server's base URL may have"),
        (f"http://me:{KEY}@localhost", "no user and password in it"),
    ],
)
def test_what_is_no_base_url_is_refused_at_once(url: str, told: str) -> None:
    with pytest.raises(ServerConnectionError, match=told) as caught:
        SupportQueueClient(url)
    assert KEY not in str(caught.value)


# -- errors -------------------------------------------------------------------------------------------------------


async def test_each_code_has_an_error_of_its_own_and_the_episode_goes_on(served: Served) -> None:
    async with SupportQueueClient(served.url) as env:
        with pytest.raises(ExecutionError, match=r"call reset first\. \(code: EXECUTION_ERROR\)"):
            await env.step(an_action())
        with pytest.raises(RefusedMessageError, match="Did you mean 'easy_inbox_cleanup'") as caught:
            await env.reset(task_id="easy_inbox")
        assert caught.value.code == "VALIDATION_ERROR"
        with pytest.raises(RefusedMessageError, match=r"data\.seed: must be from 0"):
            await env.reset(seed=-1)
        await env.reset(task_id=EASY)
        with pytest.raises(RefusedMessageError, match=r"priority: 'P9' is not allowed in this task\. Known: 'P1'"):
            await env.step(an_action(priority="P9"))
        assert (await env.state()).step_count == 0
        result = await env.step(an_action())
        assert (await env.step(an_action())).done
        assert result.observation.current_index == 1
        with pytest.raises(ExecutionError, match="The episode is done"):
            await env.step(an_action())


async def test_a_full_server_and_a_session_that_is_not_there() -> None:
    with serving(max_sessions=1) as served:
        async with SupportQueueClient(served.url) as first:
            await first.reset()
            second = await SupportQueueClient(served.url).connect()
            with pytest.raises(CapacityReachedError, match="1/1 sessions active"):
                await second.reset()
            with pytest.raises(ClientError):
                await second.reset()
            await second.close()
            async with SupportQueueClient(served.url) as third:
                await asyncio.sleep(0.2)  # the server has closed the connection by now
                with pytest.raises(CapacityReachedError, match="1/1 sessions active"):
                    await third.reset()
        async with SupportQueueClient(served.url, session_id="nobody's") as fourth:
            with pytest.raises(SessionError, match="Unknown session_id: nobody's"):
                await fourth.state()


async def test_why_a_server_closed_the_connection_is_told_also_later() -> None:
    async def refuse(question: Frame, socket: ServerConnection) -> None:
        await socket.send('{"type": "error", "data": {"message": "Full.", "code": "CAPACITY_REACHED"}}')
        await socket.close()

    async with scripted(Script(before=refuse)) as url, SupportQueueClient(url) as env:
        asking = asyncio.create_task(env.reset())
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await asyncio.sleep(0.2)  # the connection is closed by now
        with pytest.raises(CapacityReachedError, match="Full"):
            await env.reset()


FAULT = {"loc": ["priority"], "msg": "Input should be 'P1' or 'P2'", "input": "P9"}


@pytest.mark.parametrize(
    ("frame", "kind", "told"),
    [
        (
            {"type": "error", "data": {"message": "Invalid message", "code": "VALIDATION_ERROR", "errors": [FAULT]}},
            RefusedMessageError,
            r"Invalid message: priority: Input should be 'P1' or 'P2' \(code: VALIDATION_ERROR\)",
        ),
        ({"type": "error", "data": {"message": "Invalid message", "errors": [7]}}, ServerError, r"Invalid message \("),
        (error("SESSION_ERROR"), SessionError, r"No\. \(code: SESSION_ERROR\)"),
        (error("FACTORY_ERROR"), SessionError, "FACTORY_ERROR"),
        (error("INVALID_JSON"), RefusedMessageError, "INVALID_JSON"),
        (error("UNKNOWN_TYPE"), RefusedMessageError, "UNKNOWN_TYPE"),
        (error("A_NEW_ONE"), ServerError, "A_NEW_ONE"),
        (error("EXECUTION_ERROR", ""), ExecutionError, "gives no reason"),
        (error("EXECUTION_ERROR", "x" * 100_000), ExecutionError, "x" * 2000 + "…"),
        ({"type": "error", "data": None}, ServerError, r"\(code: none\)"),
        ({"type": "error", "data": {"message": 7, "code": []}}, ServerError, r"\(code: none\)"),
    ],
)
async def test_an_error_frame_is_an_error_whatever_it_says(frame: Frame, kind: type[ServerError], told: str) -> None:
    async with scripted(Script(alter=lambda _: frame)) as url, SupportQueueClient(url) as env:
        with pytest.raises(kind, match=told) as caught:
            await env.reset()
        assert type(caught.value) is kind


async def test_a_step_that_takes_too_long_leaves_the_episode_as_it_was() -> None:
    async def slow(submission: Any) -> Any:
        await asyncio.sleep(60)

    with serving(house(slow)) as served:
        async with SupportQueueClient(served.url) as env:
            await env.reset(provider="house")
            with pytest.raises(ExecutionError, match=r"Grading took longer than 0\.1 s"):
                await env.step(an_action(), timeout_s=0.1)
            assert (await env.state()).step_count == 0


@pytest.mark.parametrize("timeout_s", [0, -1, float("inf"), float("nan"), True, "1"])
async def test_what_is_no_time_to_wait_is_refused(served: Served, timeout_s: Any) -> None:
    with pytest.raises(ValueError, match="timeout_s"):
        SupportQueueClient(served.url, timeout_s=timeout_s)
    async with SupportQueueClient(served.url) as env:
        await env.reset()
        with pytest.raises(ValueError, match="timeout_s"):
            await env.step(an_action(), timeout_s=timeout_s)
        assert (await env.state()).step_count == 0


# -- connections ----------------------------------------------------------------------------------------------------


async def test_a_token_opens_the_door_and_is_never_seen(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(tokens=(KEY,)) as served:
        env = SupportQueueClient(served.url, KEY)
        async with env:
            await env.reset()
            assert KEY not in repr(env)
        for token, told in ((None, "It wants a token, and none was given"), ("another-one", "The token is not one of")):
            with pytest.raises(ServerConnectionError, match=rf"status 401\. {told}") as caught:
                await SupportQueueClient(served.url, token).connect()
            assert "another-one" not in str(caught.value)
    said = [record.getMessage() for record in caplog.records if not record.name.startswith("uvicorn")]  # the server's
    assert said
    assert KEY not in str(said)


@pytest.mark.parametrize("token", ["two words", "ümlaut", "line\nbreak", "a\r\nX-Evil: 1"])
def test_a_token_that_no_header_can_carry_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(SettingsError, match="printable ASCII") as caught:
        SupportQueueClient("http://localhost", token)
    assert token not in str(caught.value)


async def test_where_nobody_is_the_error_says_what_to_start() -> None:
    with pytest.raises(ServerConnectionError, match=r"Cannot connect to http://127\.0\.0\.1:9: .*supportbench serve"):
        await SupportQueueClient("http://127.0.0.1:9").connect()
    with pytest.raises(ServerConnectionError, match=r"Cannot connect to http://nowhere\.invalid"):
        await SupportQueueClient("http://nowhere.invalid").connect()


async def test_somebody_who_never_answers_is_given_up_on() -> None:
    async with answering(None) as url:
        with pytest.raises(ServerConnectionError, match=r"does not answer: tried for 0\.2 s"):
            await SupportQueueClient(url, connect_timeout_s=0.2).connect()


PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 14\r\n\r\n<h1>Hello</h1>"


@pytest.mark.parametrize(
    ("said", "kind", "told"),
    [
        (PAGE, UnexpectedAnswerError, "answers with status 200 where a WebSocket was asked for"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", ServerConnectionError, "status 404. Is the URL right"),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", ServerConnectionError, "or nothing is served at this"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", ServerConnectionError, "Is a server running there"),
        (b"", ServerConnectionError, "Is a server running there"),
        (b"HTTP/1.1 302 Found\r\nLocation: gopher://x\r\nContent-Length: 0\r\n\r\n", ServerConnectionError, "Cannot"),
    ],
)
async def test_somebody_else_at_the_url_is_told_apart(said: bytes, kind: type[Exception], told: str) -> None:
    async with answering(said) as url:
        with pytest.raises(kind, match=told):
            await SupportQueueClient(url).connect()


async def test_a_lost_connection_is_told_and_a_new_one_begins_anew() -> None:
    cut = True

    async def vanish(question: Frame, socket: ServerConnection) -> None:
        if cut and question["type"] == "step":
            socket.transport.abort()

    async with scripted(Script(before=vanish)) as url:
        env = SupportQueueClient(url)
        async with env:
            await env.reset()
            with pytest.raises(ServerConnectionError, match=r"was lost: .* Connect again: a new connection begins"):
                await env.step(an_action())
            with pytest.raises(ServerConnectionError, match="was lost"):
                await env.state()
        cut = False
        async with env:
            await env.reset()
            assert (await env.step(an_action())).reward is not None


async def test_a_server_that_restarts_says_so() -> None:
    async def restart(question: Frame, socket: ServerConnection) -> None:
        await socket.close(1012)

    async with scripted(Script(before=restart)) as url, SupportQueueClient(url, session_id="s") as env:
        with pytest.raises(ServerConnectionError, match=r"1012 \(service restart\).*again with the same session_id"):
            await env.reset()


async def test_a_message_that_is_too_large_for_the_server_is_told(served: Served) -> None:
    async with SupportQueueClient(served.url) as env:
        await env.reset()
        with pytest.raises(ServerConnectionError, match="a message was larger than the server takes"):
            await env.step(an_action(summary="x" * 3_000_000))


async def test_what_was_not_connected_or_is_closed_says_so(served: Served) -> None:
    env = SupportQueueClient(served.url)
    with pytest.raises(ServerConnectionError, match="Use `async with`, or call connect"):
        await env.reset()
    assert await env.connect() is await env.connect()
    await env.close()
    await env.close()
    with pytest.raises(ServerConnectionError, match="Not connected"):
        await env.state()


async def test_closing_ends_a_call_that_waits() -> None:
    async def wait(question: Frame, socket: ServerConnection) -> None:
        await socket.wait_closed()

    async with scripted(Script(before=wait)) as url:
        env = await SupportQueueClient(url).connect()
        waiting = asyncio.create_task(env.reset())
        await asyncio.sleep(0.05)
        await env.close()
        with pytest.raises(ServerConnectionError, match="closed before the answer came"):
            await waiting


async def test_a_session_that_lives_on_the_server_outlives_the_connection(served: Served) -> None:
    async with httpx.AsyncClient(base_url=served.url) as http:
        answer = await http.post("/reset", json={"task_id": EASY})
    session_id = answer.headers["X-Session-ID"]
    for step in range(2):
        async with SupportQueueClient(served.url, session_id=session_id) as env:
            assert (await env.state()).step_count == step
            await env.step(an_action())
            second = await SupportQueueClient(served.url, session_id=session_id).connect()
            with pytest.raises(SessionError, match="already has an attached WebSocket"):
                await second.state()
            await second.close()


# -- one question, one answer -----------------------------------------------------------------------------------------


async def test_calls_at_the_same_time_take_turns(served: Served) -> None:
    async with SupportQueueClient(served.url) as env:
        await env.reset(task_id=EASY)
        first, state, second = await asyncio.gather(env.step(an_action()), env.state(), env.step(an_action()))
        assert [first.observation.current_index, state.step_count, second.observation.current_index] == [1, 1, 2]


@pytest.mark.parametrize("after_s", [None, 0.0, 0.05, 0.3])
async def test_a_cancelled_call_never_leaves_its_answer_to_the_next_one(after_s: float | None) -> None:
    async def hesitate(question: Frame, socket: ServerConnection) -> None:
        if question["type"] == "step":
            await asyncio.sleep(0.2)

    async with scripted(Script(before=hesitate)) as url, SupportQueueClient(url) as env:
        await env.reset(task_id=EASY)
        for _ in range(2):
            stepping = asyncio.create_task(env.step(an_action()))
            await asyncio.sleep(0)
            if after_s is not None:
                await asyncio.sleep(after_s)
            stepping.cancel()
            await asyncio.gather(stepping, return_exceptions=True)
        state = await env.state()
        assert isinstance(state, SupportQueueState)
        assert (await env.reset(task_id="medium_sla_defense")).observation.task_id == "medium_sla_defense"


async def test_an_answer_that_comes_too_late_is_dropped_too() -> None:
    released = asyncio.Event()

    async def hesitate(question: Frame, socket: ServerConnection) -> None:
        if question["type"] == "step":
            await released.wait()

    async with scripted(Script(before=hesitate)) as url, SupportQueueClient(url, timeout_s=1.0) as env:
        await env.reset(task_id=EASY)
        with pytest.raises(ServerTimeoutError, match=r"no answer within 1 s.*look at the state"):
            await env.step(an_action())
        released.set()
        assert (await env.state()).step_count == 1
        assert (await env.step(an_action())).observation.current_index == 2


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(["state", "reset"]), st.integers(0, 4)), min_size=1, max_size=12))
async def test_whatever_is_cancelled_each_call_gets_the_answer_to_its_own_question(
    calls: list[tuple[str, int]],
) -> None:
    async def hesitate(question: Frame, socket: ServerConnection) -> None:
        await asyncio.sleep(0.001)

    async with scripted(Script(before=hesitate), shop()) as url, SupportQueueClient(url) as env:
        for number, (kind, patience) in enumerate(calls):
            call = env.state() if kind == "state" else env.reset(provider="house", episode_id=f"{number}")
            calling: asyncio.Future[Any] = asyncio.ensure_future(call)
            for _ in range(patience * 3):
                await asyncio.sleep(0.0003)
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)
            if not calling.cancelled() and kind == "reset":
                assert calling.result().observation.info["episode_id"] == f"{number}"
        await env.reset(provider="house", episode_id="last")
        state = await env.state()
        assert state.episode_id == "last"


# -- answers ----------------------------------------------------------------------------------------------------------


def shop() -> Registry:
    rubric = Rubric(name="told", components=[RubricComponent(use="told", weight=1.0)])
    provider = StaticTasks(name="house", splits={"test": [a_task("t", tickets=3, rubric="told")]})
    return registry_of(components=[Told("told")], rubrics=[rubric], providers=[provider])


def house(score: Any) -> Registry:
    rubric = Rubric(name="default", components=[RubricComponent(use="does", weight=1.0)])
    provider = StaticTasks(name="house", splits={"test": [a_task("t", tickets=2)]})
    return registry_of(components=[Does(score)], rubrics=[rubric], providers=[provider])


async def test_a_newer_server_may_say_more() -> None:
    def add(frame: Frame) -> Frame:
        data = frame["data"]
        seen = data.get("observation", data)
        seen["new_key"] = {"deep": [1]}
        for place in ("ticket", "task"):
            if seen.get(place):
                seen[place]["new_key"] = 1
        for action in seen.get("action_history", ()):
            action["new_key"] = None
        return {**frame, "new_key": 0, "data": {**data, "new_key": 0}}

    async with scripted(Script(alter=add)) as url, SupportQueueClient(url) as env:
        result = await env.reset(task_id=EASY)
        assert result.observation.ticket is not None
        await env.step(an_action())
        assert (await env.state()).action_history == (an_action(),)


async def test_reward_and_done_may_stand_beside_the_observation_or_within() -> None:
    def within(frame: Frame) -> Frame:
        if frame["type"] == "state":
            return frame
        data = frame["data"]
        seen = {**data["observation"], "reward": data["reward"], "done": data["done"]}
        return {"type": "observation", "data": {"observation": seen, "metadata": {"server": "x"}}}

    async with scripted(Script(alter=within)) as url, SupportQueueClient(url) as env:
        await env.reset(task_id=EASY)
        await env.step(an_action())
        result = await env.step(an_action())
        assert (result.done, result.observation.done) == (True, True)
        assert result.reward == result.observation.reward is not None
        assert result.metadata == {"server": "x"}


OTHER = {"type": "observation", "data": {"observation": {"board": [0, 1], "metadata": {}}, "reward": 1, "done": False}}


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (OTHER, r"a result that does not fit: observation\.task_id: required, but missing \(and \d+ more\)"),
        ({"type": "observation", "data": {"reward": None, "done": False}}, "observation: required, but missing"),
        ({"type": "observation", "data": {"observation": []}}, "observation: expected an object, got a list"),
        ({"type": "observation", "data": []}, "something else than observation data"),
        ({"type": "observation"}, "something else than observation data"),
        ({"type": "state", "data": {}}, "something else than observation data"),
        ({"jsonrpc": "2.0"}, "something else than observation data"),
        ("[]", "something else than observation data"),
        ("hello", "a message that cannot be read: no valid JSON"),
        ("[" * 100_000, "cannot be read: JSON nested too deeply"),
        (b"\xff\xfe", "a message that cannot be read"),
    ],
)
async def test_an_answer_that_does_not_fit_says_what_does_not(frame: Any, told: str) -> None:
    async with scripted(Script(alter=lambda _: frame)) as url, SupportQueueClient(url) as env:
        with pytest.raises(UnexpectedAnswerError, match=told) as caught:
            await env.reset()
        assert "Is a supportbench server there" in str(caught.value)


@pytest.mark.parametrize("reward", ["1.0", True, [], {}])
async def test_nothing_is_coerced(reward: Any) -> None:
    def alter(frame: Frame) -> Frame:
        frame["data"]["reward"] = reward
        return frame

    async with scripted(Script(alter=alter)) as url, SupportQueueClient(url) as env:
        with pytest.raises(UnexpectedAnswerError, match="reward: expected a number"):
            await env.reset()


async def test_what_is_sent_is_openenvs_protocol() -> None:
    script = Script()
    async with scripted(script) as url, SupportQueueClient(url, KEY) as env:
        await env.reset(task_id=EASY, seed=0)
        await env.step(an_action())
        await env.step(an_action(), timeout_s=5)
        await env.state()
    action = {
        "priority": "P3",
        "queue": "billing",
        "disposition": "respond",
        "summary": "Charged twice for one invoice.",
        "response": "We return the second charge.",
        "confidence": 0.5,
        "metadata": {},
    }
    assert script.questions == [
        {"type": "reset", "data": {"seed": 0, "task_id": EASY}},
        {"type": "step", "data": action},
        {"type": "step", "data": action, "timeout_s": 5},
        {"type": "state"},
    ]
    assert script.paths == ["/ws"]
    assert script.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert "Sec-WebSocket-Extensions" not in script.headers[0]
