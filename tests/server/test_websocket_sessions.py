"""`/ws` as a connection: which session it plays in, steps that take long, clients that vanish, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.asyncio.client import connect

from supportbench import ComponentScore, Submission, load_registry
from supportbench.server.channel import Channel, HangUpError, Message
from supportbench.server.service import Service
from supportbench.settings import ServerSettings
from tests.offering import Does
from tests.server.house import eventually
from tests.server.obeying import HANDSHAKE, text_frame
from tests.server.playing import PATIENCE_S, Player, Playground, Turnstile, graded_by, playground, step
from tests.server.processes import answer_from, until

FULL = {
    "message": "Server at capacity: 1/1 sessions active. Close one, or try again later.",
    "code": "CAPACITY_REACHED",
    "active_sessions": 1,
    "max_sessions": 1,
}


@pytest.fixture
def turnstile() -> Turnstile:
    return Turnstile()


@pytest.fixture
def ground(turnstile: Turnstile) -> Iterator[Playground]:
    """A server whose only grader waits until the test lets it."""
    with playground(turnstile.registry()) as ground:
        yield ground
        turnstile.open.set()


def begun(ground: Playground, **headers: str) -> str:
    """Return a session of the store in which an episode has begun."""
    answer = ground.http.post("/reset", headers=headers)
    assert answer.status_code == 200
    return answer.headers["x-session-id"]


def ended(ground: Playground, session_id: str, owner: str = "") -> bool:
    """End the session; return whether that was possible at once."""
    return ground.do(ground.sessions.close(session_id, owner))


class TestASession:
    def test_is_there_from_the_handshake_on_and_no_longer_than_the_connection(self, ground: Playground) -> None:
        for _ in range(3):
            with ground.player():
                until(lambda: ground.sessions.active == 1)
            until(lambda: ground.sessions.active == 0)

    def test_more_than_there_is_room_for_is_told_so_and_closed(self) -> None:
        with playground(max_sessions=1) as ground, ground.player() as player:
            player.reset()
            with ground.player() as other:
                assert other.hear() == {"type": "error", "data": FULL}
                assert other.end() == (1000, "")
            player.step()
            player.say({"type": "close"})
            player.end()
            with ground.player() as third:
                assert third.reset()["done"] is False

    def test_that_cannot_be_made_is_told_so_and_closed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def failing(*_: Any, **__: Any) -> None:
            raise ZeroDivisionError("the answer key is P1")

        with playground() as ground:
            with monkeypatch.context() as patching:
                patching.setattr(ground.sessions, "open_live", failing)
                with ground.player() as player:
                    data = player.hear()["data"]
                    assert player.end() == (1000, "")
            assert (data["code"], data["factory_name"]) == ("FACTORY_ERROR", "SupportQueueEnvironment")
            assert "answer key" not in json.dumps(data)
            assert ground.complaints.taken() == ["supportbench.server: A request failed"]
            with ground.player() as player:
                assert player.reset()["done"] is False


class TestAnAttachedSession:
    def test_goes_on_where_it_stands_and_outlives_the_connection(self) -> None:
        with playground() as ground:
            session_id = begun(ground)
            with ground.player(f"?session_id={session_id}") as player:
                assert player.state()["step_count"] == 0
                player.step()
                assert player.refused(step(priority="P9"))["code"] == "VALIDATION_ERROR"
                player.say({"type": "close"})
                assert player.end() == (1000, "")
            headers = {"X-Session-ID": session_id}
            assert ground.http.get("/state", headers=headers).json()["step_count"] == 1
            with ground.player(f"?session_id={session_id}") as player:
                assert player.state()["step_count"] == 1
                player.reset(task_id="medium_sla_defense")
                player.vanish()
            assert ground.http.get("/state", headers=headers).json()["task"]["task_id"] == "medium_sla_defense"
            ground.comes_to_rest()
            assert ended(ground, session_id)
            assert ground.sessions.active == 0

    def test_has_one_connection_at_a_time(self) -> None:
        with playground() as ground:
            session_id = begun(ground)
            with ground.player(f"?session_id={session_id}") as player:
                player.state()
                for _ in range(2):
                    with ground.player(f"?session_id={session_id}") as other:
                        told = f"Session {session_id} already has an attached WebSocket. Close that one first."
                        assert other.hear() == {"type": "error", "data": {"message": told, "code": "SESSION_ERROR"}}
                        assert other.end() == (1000, "")
                assert player.step()["done"] is False
            with ground.player(f"?session_id={session_id}") as other:
                assert other.state()["step_count"] == 1

    def test_that_is_closed_meanwhile_ends_with_the_connection(self) -> None:
        with playground() as ground:
            session_id = begun(ground)
            with ground.player(f"?session_id={session_id}") as player:
                player.state()
                assert not ended(ground, session_id)
                player.step()
            until(lambda: ground.sessions.active == 0)
            with ground.player(f"?session_id={session_id}") as player:
                assert player.hear()["data"]["code"] == "SESSION_ERROR"

    @pytest.mark.parametrize("session_id", ["nope", "x" * 5000, "%00", "%ff", "a b", "é", "' OR 1"])
    def test_that_is_unknown_is_told_so_and_closed(self, ground: Playground, session_id: str) -> None:
        with ground.player(f"?session_id={session_id.replace(' ', '+').replace('é', '%C3%A9')}") as player:
            data = player.hear()["data"]
            assert player.end() == (1000, "")
        assert data["code"] == "SESSION_ERROR"
        assert data["message"].startswith("Unknown session_id: ")
        assert data["message"].endswith(". It has ended or is not yours; a reset without one begins another.")
        assert len(data["message"]) < 200

    @pytest.mark.parametrize("query", ["?session_id=", "?session_id", "?", "?other=1", "?session_id=&session_id="])
    def test_that_is_not_named_is_one_of_its_own(self, ground: Playground, query: str) -> None:
        with ground.player(query) as player:
            assert player.state()["step_count"] == 0
            until(lambda: ground.sessions.active == 1)
        ground.comes_to_rest()

    def test_is_its_owners_alone(self) -> None:
        mine, other = ({"Authorization": f"Bearer {token}"} for token in ("token-of-mine", "token-of-others"))
        with playground(tokens=("token-of-mine", "token-of-others")) as ground:
            session_id = begun(ground, **mine)
            with ground.player(f"?session_id={session_id}", additional_headers=other) as player:
                told = player.hear()["data"]["message"]
                assert told.startswith(f"Unknown session_id: {session_id}. It has ended or is not yours;")
                assert player.end() == (1000, "")
            with ground.player(f"?session_id={session_id}", additional_headers=mine) as player:
                assert player.step()["done"] is False

    def test_shares_its_episode_with_requests_over_http(self, ground: Playground, turnstile: Turnstile) -> None:
        session_id = begun(ground)
        with ground.player(f"?session_id={session_id}") as player:
            player.say(step())
            until(lambda: turnstile.waiting == 1)
            answer = ground.http.post("/step", json={"action": step()["data"], "session_id": session_id})
            assert answer.status_code == 409
            turnstile.open.set()
            assert player.hear()["data"]["reward"] == 0.5
            assert player.state()["step_count"] == 1

    def test_whose_client_vanishes_during_a_step_stands_where_it_stood(
        self, ground: Playground, turnstile: Turnstile
    ) -> None:
        session_id = begun(ground)
        with ground.player(f"?session_id={session_id}") as player:
            player.say(step())
            until(lambda: turnstile.waiting == 1)
            player.vanish()
            until(lambda: turnstile.cancelled == 1)
        turnstile.open.set()
        ground.comes_to_rest()
        with ground.player(f"?session_id={session_id}") as player:
            assert player.state()["step_count"] == 0
            assert player.step()["reward"] == 0.5


class TestAStepThatTakesLong:
    def test_is_followed_by_what_was_sent_meanwhile_in_order(self, ground: Playground, turnstile: Turnstile) -> None:
        with ground.player() as player:
            player.reset()
            for frame in (step(), {"type": "state"}, "{", step(), {"type": "state"}, {"type": "reset"}):
                player.say(frame)
            until(lambda: turnstile.waiting == 1)
            turnstile.open.set()
            answers = [player.hear() for _ in range(6)]
            kinds = ["observation", "state", "error", "observation", "state", "observation"]
            assert [answer["type"] for answer in answers] == kinds
            assert [answers[place]["data"]["step_count"] for place in (1, 4)] == [1, 2]
            assert turnstile.came == 2

    def test_is_followed_by_more_than_is_read_ahead(self, ground: Playground, turnstile: Turnstile) -> None:
        with ground.player() as player:
            player.reset()
            player.say(step())
            for number in range(200):
                player.say({"type": "reset", "data": {"episode_id": f"e-{number}"}})
            until(lambda: turnstile.waiting == 1)
            turnstile.open.set()
            assert player.hear()["data"]["reward"] == 0.5
            seen = [player.hear()["data"]["observation"]["info"]["episode_id"] for _ in range(200)]
            assert seen == [f"e-{number}" for number in range(200)]

    def test_does_not_have_more_read_ahead_than_some_frames(self, turnstile: Turnstile) -> None:
        with playground(turnstile.registry(), max_frame=100_000) as ground, ground.player() as player:
            player.reset()
            player.say(step())
            until(lambda: turnstile.waiting == 1)
            large = step(summary="x" * 90_000, priority="P9")
            for _ in range(10):
                player.say(large)
            (channel,) = ground.app.service.sockets
            assert isinstance(channel, Channel)
            until(lambda: len(channel._ahead or ()) == 2)
            turnstile.open.set()
            assert player.hear()["data"]["reward"] == 0.5
            assert [player.hear()["data"]["code"] for _ in range(10)] == ["VALIDATION_ERROR"] * 10

    def test_does_not_hold_up_other_sessions(self, ground: Playground, turnstile: Turnstile) -> None:
        with ground.player() as one, ground.player() as two, ground.player() as three:
            for player in (one, two):
                player.reset()
                player.say(step())
            until(lambda: turnstile.waiting == 2)
            assert three.reset()["done"] is False
            assert ground.http.get("/health").json() == {"status": "healthy"}
            turnstile.open.set()
            assert [player.hear()["data"]["reward"] for player in (one, two)] == [0.5, 0.5]

    @pytest.mark.parametrize("way", ["vanish", "close", "abort", "with messages behind it"])
    def test_is_given_up_when_its_client_goes(self, ground: Playground, turnstile: Turnstile, way: str) -> None:
        with ground.player() as player:
            player.reset()
            player.say(step())
            until(lambda: turnstile.waiting == 1)
            if way == "with messages behind it":
                for _ in range(5):
                    player.say({"type": "state"})
            if way == "close":
                player.connection.close()
            else:
                player.vanish()
            until(lambda: ground.sessions.active == 0)
        until(lambda: turnstile.cancelled == 1)
        ground.comes_to_rest()
        assert not turnstile.open.is_set()

    def test_frees_its_session_at_once_whatever_the_grader_does_about_its_end(self) -> None:
        stubborn = Stubborn()
        with playground(graded_by(stubborn), max_sessions=1) as ground:
            with ground.player() as player:
                player.reset()
                player.say(step())
                until(lambda: stubborn.waiting == 1)
            until(lambda: stubborn.is_told_to_end)
            until(lambda: ground.sessions.active == 0)
            with ground.player() as player:
                assert player.state()["step_count"] == 0
            assert stubborn.waiting == 1
            stubborn.may_end = True
            ground.comes_to_rest()

    def test_beyond_its_timeout_is_refused_and_can_be_sent_again(
        self, ground: Playground, turnstile: Turnstile
    ) -> None:
        with ground.player() as player:
            player.reset()
            error = player.refused({**step(), "timeout_s": 0.01})
            assert error["code"] == "EXECUTION_ERROR"
            assert error["message"] == (
                "Grading took longer than 0.01 s. The episode stands where it stood; send it again."
            )
            until(lambda: turnstile.cancelled == 1)
            turnstile.open.set()
            assert player.step()["reward"] == 0.5

    def test_ends_by_the_servers_own_timeout_at_the_latest(self, turnstile: Turnstile) -> None:
        with playground(turnstile.registry(), step_timeout_s=0.02) as ground, ground.player() as player:
            player.reset()
            told = "Grading took longer than 0.02 s."
            assert player.refused(step())["message"].startswith(told)
            assert player.refused({**step(), "timeout_s": 600})["message"].startswith(told)

    def test_is_not_taken_twice(self, ground: Playground, turnstile: Turnstile) -> None:
        with ground.player() as player:
            player.reset()
            for _ in range(4):
                player.say(step())
            turnstile.open.set()
            rewards = [player.hear()["data"].get("reward") for _ in range(4)]
            assert rewards == [0.5, 0.5, 0.5, None]
            assert player.state()["step_count"] == turnstile.came == 3


class TestAGraderThatFails:
    @pytest.mark.parametrize("waits", [False, True])
    @pytest.mark.parametrize("fault", [ValueError, SystemExit, asyncio.CancelledError, OSError, RecursionError])
    def test_is_named_without_what_it_said_and_the_step_can_be_sent_again(
        self, fault: type[BaseException], waits: bool
    ) -> None:
        grader = FailsOnceWaiting(fault) if waits else FailsOnce(fault)
        with playground(graded_by(grader)) as ground, ground.player() as player:
            player.reset()
            error = player.refused(step())
            told = "component 'fails' of plugin 'house' failed at ticket 'wait-0' of task 'wait'"
            assert error == {"message": f"{told}: {fault.__name__}", "code": "EXECUTION_ERROR"}
            assert player.step()["reward"] == 1.0
            assert len(ground.complaints.taken()) == 1

    def test_gives_no_score_that_is_none(self) -> None:
        async def answer(submission: Submission) -> Any:
            return 0.5

        with playground(graded_by(Does(answer))) as ground, ground.player() as player:
            player.reset()
            error = player.refused(step())
            assert error["code"] == "EXECUTION_ERROR"
            assert "'does'" in error["message"]
            ground.complaints.taken()


class TestDraining:
    def test_closes_idle_connections_at_once_and_others_after_their_answer(
        self, ground: Playground, turnstile: Turnstile
    ) -> None:
        with ground.player() as idle, ground.player() as begun, ground.player() as busy:
            begun.reset()
            busy.reset()
            busy.say(step())
            busy.say({"type": "state"})
            until(lambda: turnstile.waiting == 1)
            draining = asyncio.run_coroutine_threadsafe(ground.app.service.drain(PATIENCE_S), ground.loop)
            assert idle.end() == begun.end() == (1012, "")
            assert not draining.done()
            turnstile.open.set()
            assert busy.hear()["data"]["reward"] == 0.5
            assert busy.end() == (1012, "")
            draining.result(PATIENCE_S)
        ground.comes_to_rest()

    def test_refuses_who_comes_later(self, ground: Playground) -> None:
        ground.do(ground.app.service.drain(0.0))
        with ground.player() as player:
            assert player.end() == (1012, "")
        ground.comes_to_rest()

    def test_ends_after_its_time_whoever_is_still_busy(self, ground: Playground, turnstile: Turnstile) -> None:
        with ground.player() as busy:
            busy.reset()
            busy.say(step())
            until(lambda: turnstile.waiting == 1)
            ground.do(ground.app.service.drain(0.01))
            assert turnstile.waiting == 1
            turnstile.open.set()
            assert busy.hear()["data"]["reward"] == 0.5
            assert busy.end() == (1012, "")

    def test_in_the_midst_of_messages_loses_no_answer_to_what_was_begun(self, ground: Playground) -> None:
        # A close that meets a message on its way: each connection closes once, and nothing is sent after that.
        async def flood(url: str) -> int:
            async with connect(f"{url}/ws", open_timeout=PATIENCE_S) as connection:
                answers = 0
                with contextlib.suppress(Exception):
                    while True:
                        await connection.send('{"type":"reset"}')
                        answers += json.loads(await connection.recv())["type"] == "observation"
                await connection.wait_closed()
                assert connection.close_code == 1012
                return answers

        async def flooded() -> list[int]:
            floods = [asyncio.create_task(flood(ground.ws)) for _ in range(8)]
            await asyncio.sleep(0.2)
            work = ground.app.service.drain(PATIENCE_S)
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, ground.loop))
            return await asyncio.gather(*floods)

        assert min(asyncio.run(flooded())) > 0
        ground.comes_to_rest()

    @pytest.mark.parametrize("comes", ["before", "after"])
    async def test_that_meets_a_message_on_its_way_closes_once_and_says_nothing_after_it(self, comes: str) -> None:
        service = Service(ServerSettings(), load_registry({}).check())
        messages: asyncio.Queue[Message] = asyncio.Queue()
        sent: list[str] = []

        async def send(message: Message) -> None:
            sent.append(message.get("text") or str(message["code"]))

        async def answer(data: str | bytes) -> bytes:
            return b"an answer"

        channel = Channel(service, messages.get, send)
        serving = asyncio.create_task(channel.serve(answer))
        await eventually(lambda: channel in service.sockets)
        message = {"type": "websocket.receive", "text": "{}"}
        if comes == "before":
            messages.put_nowait(message)
            channel.drain()
        else:
            channel.drain()
            await eventually(lambda: bool(sent))
            messages.put_nowait(message)
        await serving
        assert sent == (["an answer", "1012"] if comes == "before" else ["1012"])


class TestAClientThat:
    def test_does_not_read_is_answered_when_it_does(self) -> None:
        with playground() as ground, ground.dialled() as connection:
            connection.sendall(HANDSHAKE + b"\r\n")
            assert answer_from(connection).startswith(b"HTTP/1.1 101 ")
            reset = text_frame('{"type":"reset"}')
            connection.sendall(reset * 3000)
            connection.sendall(text_frame('{"type":"close"}'))
            stream = b""
            while not stream.endswith(bytes([0x88, 2]) + struct.pack("!H", 1000)):
                stream += connection.recv(1 << 20)
            assert stream.count(b'"type":"observation"') == 3000

    @pytest.mark.parametrize("gone", [OSError("the peer is gone"), RuntimeError("after sending 'websocket.close'")])
    @pytest.mark.parametrize("sends", [0, 1])
    async def test_cannot_be_answered_any_more_is_no_fault_of_ours(self, gone: Exception, sends: int) -> None:
        # uvicorn raises the one where the client is gone, the other where it has closed the connection by itself.
        service = Service(ServerSettings(), load_registry({}).check())
        messages = [{"type": "websocket.receive", "text": "first"}, {"type": "websocket.receive", "text": "second"}]
        heard: list[str | bytes] = []

        async def receive() -> Message:
            return messages.pop(0)

        async def send(message: Message) -> None:
            if len(heard) > sends:
                raise gone

        async def answer(data: str | bytes) -> bytes:
            heard.append(data)
            if data == "second":
                raise HangUpError(b"good-bye")
            return b"{}"

        await Channel(service, receive, send).serve(answer)
        assert len(heard) == sends + 1
        assert service.sockets == set()

    def test_leaves_right_after_the_handshake_leaves_nothing(self, ground: Playground) -> None:
        for _ in range(50):
            with ground.dialled() as connection:
                connection.sendall(HANDSHAKE + b"\r\n")
        ground.comes_to_rest()

    def test_says_hello_in_many_connections_leaves_nothing(self, ground: Playground) -> None:
        with contextlib.ExitStack() as stack:
            players: list[Player] = [stack.enter_context(ground.player()) for _ in range(50)]
            for player in players:
                player.reset()
            assert ground.sessions.active == len(ground.app.service.sockets) == 50
        ground.comes_to_rest()


class Stubborn:
    """A component that does not end when it is told to."""

    name = "stubborn"

    def __init__(self) -> None:
        self.waiting = 0
        self.is_told_to_end = self.may_end = False

    async def score(self, submission: Submission) -> ComponentScore:
        self.waiting += 1
        while not self.may_end:
            try:
                await asyncio.sleep(0.002)
            except asyncio.CancelledError:
                self.is_told_to_end = True
        self.waiting -= 1
        raise ZeroDivisionError("at the very end")


class FailsOnce:
    """A component that raises, and the next time does not."""

    name = "fails"

    def __init__(self, fault: type[BaseException]) -> None:
        self._faults = [fault]

    async def score(self, submission: Submission) -> ComponentScore:
        if self._faults:
            raise self._faults.pop()("the answer key is P1")
        return ComponentScore(score=1.0)


class FailsOnceWaiting(FailsOnce):
    """The same after a while."""

    async def score(self, submission: Submission) -> ComponentScore:
        await asyncio.sleep(0)
        return await super().score(submission)
