"""`/ws`, message by message: what is answered, what is refused and how, and that everything goes on after it."""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from supportbench import Registry, SupportQueueAction, SupportQueueEnvironment, structure, unstructure
from supportbench.evaluation.agents import ask, choose_agent
from supportbench.protocol import ResetRequest
from supportbench.server.protocols.frames import text_of_frame
from supportbench.server.wire import turn_frame
from tests.offering import an_action
from tests.server.obeying import HANDSHAKE, received
from tests.server.playing import ACTION, PATIENCE_S, Player, Playground, playground, step
from tests.server.processes import answer_from

TASKS = ("easy_inbox_cleanup", "medium_sla_defense", "hard_exec_escalations")
MAX_FRAME = 1 << 20
RESET_KEYS = "'episode_id', 'index', 'provider', 'seed', 'split', 'task_id'"
ACTION_KEYS = "'confidence', 'disposition', 'metadata', 'priority', 'queue', 'response', 'summary'"
QUEUES = "'billing', 'security', 'success', 'technical', 'trust_safety'"


@pytest.fixture(scope="module")
def running() -> Iterator[Playground]:
    with playground() as ground:
        yield ground


@pytest.fixture
def ground(running: Playground) -> Iterator[Playground]:
    yield running
    running.comes_to_rest()


@pytest.fixture
def player(ground: Playground) -> Iterator[Player]:
    """A client in the middle of an episode."""
    with ground.player() as player:
        player.reset(task_id="medium_sla_defense", episode_id="mine")
        player.step()
        yield player


def faults(data: dict[str, Any]) -> dict[str, str]:
    """Return what each fault of an error says, by the place that it names."""
    return {".".join(map(str, error["loc"])): error["msg"] for error in data["errors"]}


class TestAnEpisode:
    def test_is_reset_steps_and_states_and_ends_with_close(self, ground: Playground) -> None:
        with ground.player() as player:
            assert player.state()["episode_id"] is None
            first = player.reset(seed=1, episode_id="e-1")
            assert (first["reward"], first["done"]) == (None, False)
            second = player.step()
            assert 0.0 <= second["reward"] <= 1.0
            state = player.state()
            assert (state["episode_id"], state["seed"], state["step_count"]) == ("e-1", 1, 1)
            assert state["cumulative_reward"] == second["reward"]
            player.say({"type": "close"})
            assert player.end() == (1000, "")

    def test_may_follow_another_in_the_same_connection(self, ground: Playground) -> None:
        with ground.player() as player:
            seen = [player.reset()["observation"]["task_id"] for _ in range(4)]
            assert seen == [*TASKS, TASKS[0]]
            assert player.state()["step_count"] == 0

    def test_of_one_connection_is_none_of_another(self, ground: Playground) -> None:
        with ground.player() as one, ground.player() as two:
            one.reset(task_id=TASKS[0])
            two.reset(task_id=TASKS[1])
            one.step()
            assert (one.state()["step_count"], two.state()["step_count"]) == (1, 0)

    def test_answers_in_order_what_was_sent_at_once(self, ground: Playground) -> None:
        with ground.player() as player:
            for frame in ({"type": "reset"}, {"type": "state"}, step(), "{", step(priority="P9"), {"type": "state"}):
                player.say(frame)
            kinds = [player.hear() for _ in range(6)]
        assert [kind["type"] for kind in kinds] == ["observation", "state", "observation", "error", "error", "state"]
        assert [kinds[1]["data"]["step_count"], kinds[5]["data"]["step_count"]] == [0, 1]

    @pytest.mark.parametrize("task_id", TASKS)
    async def test_is_what_the_environment_gives_in_process(self, registry: Registry, task_id: str) -> None:
        # What never changes in a task is encoded once: nothing of it may differ from what is encoded as a whole.
        environment, agent = SupportQueueEnvironment(registry), choose_agent(registry, "heuristic")
        with playground(registry) as ground, ground.player() as player:
            observation = await environment.reset(task_id=task_id, episode_id="same", seed=5)
            data = player.reset(task_id=task_id, episode_id="same", seed=5)
            while True:
                expected = unstructure(observation)
                reward, done = expected.pop("reward"), expected.pop("done")
                # Key by key, in order, as JSON has it.
                assert json.dumps(data["observation"], ensure_ascii=False) == json.dumps(expected, ensure_ascii=False)
                assert list(data) == ["observation", "reward", "done"]
                assert (data["reward"], data["done"]) == (reward, done)
                assert player.state() == json.loads(json.dumps(unstructure(environment.state)))
                if done:
                    break
                action = (await ask(agent.agent, agent.label, observation)).action
                observation = await environment.step(action)
                data = player.step(**unstructure(action))

    def test_is_sent_as_compact_json(self, ground: Playground) -> None:
        with ground.player() as player:
            player.say({"type": "reset"})
            text = player.connection.recv()
            assert isinstance(text, str)
            assert text == json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
            assert text.startswith('{"type":"observation","data":{"observation":{"task_id":')
            assert text.endswith('"reward":null,"done":false}}')

    async def test_has_metadata_beside_the_reward_only_if_there_is_any(self, registry: Registry) -> None:
        environment = SupportQueueEnvironment(registry)
        turn = await environment.begin(ResetRequest())
        assert "metadata" not in json.loads(turn_frame(turn))["data"]
        data = json.loads(turn_frame(turn, {"note": "é"}))["data"]
        assert list(data) == ["observation", "reward", "done", "metadata"]
        assert data["metadata"] == data["observation"]["metadata"] == {"note": "é"}


class TestAReset:
    @pytest.mark.parametrize(
        ("data", "place", "told"),
        [
            (None, "data", "expected an object, got null"),
            ([1], "data", "expected an object, got a list"),
            ("easy", "data", "expected an object, got a string"),
            ({"seed": "abc"}, "data.seed", "expected a whole number, got a string"),
            ({"seed": "7"}, "data.seed", "expected a whole number, got a string"),
            ({"seed": 1.5}, "data.seed", "expected a whole number, got a number"),
            ({"seed": True}, "data.seed", "expected a whole number, got a boolean"),
            ({"seed": -1}, "data.seed", "must be from 0 to 2^63-1"),
            ({"seed": 1 << 63}, "data.seed", "must be from 0 to 2^63-1"),
            ({"index": -1}, "data.index", "must be from 0 to 2^63-1"),
            ({"episode_id": "x" * 256}, "data.episode_id", "must have at most 255 characters, it has 256"),
            ({"episode_id": ""}, "data.episode_id", "must not be empty"),
            ({"episode_id": 5}, "data.episode_id", "expected a string, got a number"),
            ({"task_id": ["a"]}, "data.task_id", "expected a string, got a list"),
            (
                {"tusk_id": "a"},
                "data.tusk_id",
                f"unknown key. Did you mean 'task_id'? Known: {RESET_KEYS}.",
            ),
        ],
    )
    def test_is_refused_with_the_field_and_what_is_allowed(
        self, player: Player, data: Any, place: str, told: str
    ) -> None:
        error = player.refused({"type": "reset", "data": data})
        assert error["code"] == "VALIDATION_ERROR"
        assert error["message"] == f"{place}: {told}"
        assert faults(error) == {place: told}

    @pytest.mark.parametrize(
        ("data", "told"),
        [
            ({"task_id": "easy_inbox"}, "There is no task 'easy_inbox'. Did you mean 'easy_inbox_cleanup'? Known: "),
            ({"provider": "tirage"}, "There is no task provider 'tirage'. Did you mean 'triage'? Known: 'triage'."),
            ({"split": "tset"}, "Provider 'triage' has no split 'tset'. Did you mean 'test'? Known: 'test'."),
            ({"index": 99}, "Split 'test' of provider 'triage' has no index 99. Allowed: from 0 to 2."),
            ({"task_id": TASKS[0], "index": 0}, "Give either task_id, or split and index: "),
        ],
    )
    def test_to_what_does_not_exist_is_refused_with_what_does(
        self, player: Player, data: dict[str, Any], told: str
    ) -> None:
        error = player.refused({"type": "reset", "data": data})
        assert error["code"] == "VALIDATION_ERROR"
        assert error["message"].startswith(told)

    @pytest.mark.parametrize(
        "data",
        [
            {},
            {"seed": 0},
            {"seed": (1 << 63) - 1},
            {"seed": None, "episode_id": None, "provider": None, "task_id": None, "split": None, "index": None},
            {"episode_id": "x" * 255},
            {"provider": "triage", "split": "test", "index": 2},
            {"provider": "triage", "task_id": TASKS[2]},
        ],
    )
    def test_takes_what_is_allowed(self, player: Player, data: dict[str, Any]) -> None:
        player.reset(**data)
        state = player.state()
        assert state["step_count"] == 0
        assert state["seed"] == data.get("seed")
        assert state["episode_id"] == (data.get("episode_id") or state["episode_id"])

    def test_needs_no_data(self, player: Player) -> None:
        assert player.ask({"type": "reset"})["data"]["reward"] is None


class TestAStep:
    def test_before_a_reset_and_after_the_end_is_refused(self, ground: Playground) -> None:
        with ground.player() as player:
            error = player.refused(step())
            assert error == {"message": "No episode is open: call reset first.", "code": "EXECUTION_ERROR"}
            player.reset(task_id=TASKS[0])
            while not player.step()["done"]:
                pass
            error = player.refused(step())
            assert error == {
                "message": "The episode is done: call reset to begin another.",
                "code": "EXECUTION_ERROR",
            }
            assert player.reset()["done"] is False

    @pytest.mark.parametrize(
        ("change", "place", "told"),
        [
            ({"confidence": 2}, "data.confidence", "must be in [0, 1], it is 2"),
            ({"confidence": -0.1}, "data.confidence", "must be in [0, 1], it is -0.1"),
            ({"confidence": "0.5"}, "data.confidence", "expected a number, got a string"),
            ({"confidence": True}, "data.confidence", "expected a number, got a boolean"),
            ({"confidence": None}, "data.confidence", "expected a number, got null"),
            ({"summary": 5}, "data.summary", "expected a string, got a number"),
            ({"response": ["a"]}, "data.response", "expected a string, got a list"),
            ({"metadata": 3}, "data.metadata", "expected an object, got a number"),
            ({"metadata": {"n": 1 << 64}}, "data.metadata", "an integer does not fit into 64 bits"),
            (
                {"priority": "P9"},
                "data.priority",
                "'P9' is not allowed in this task. Known: 'P1', 'P2', 'P3', 'P4'.",
            ),
            (
                {"queue": "biling"},
                "data.queue",
                f"'biling' is not allowed in this task. Did you mean 'billing'? Known: {QUEUES}.",
            ),
            (
                {"disposition": ""},
                "data.disposition",
                "'' is not allowed in this task. Known: 'close', 'escalate', 'request_info', 'respond'.",
            ),
            (
                {"confidance": 1},
                "data.confidance",
                f"unknown key. Did you mean 'confidence'? Known: {ACTION_KEYS}.",
            ),
        ],
    )
    def test_is_refused_with_the_field_and_what_is_allowed(
        self, player: Player, change: dict[str, Any], place: str, told: str
    ) -> None:
        error = player.refused(step(**change))
        assert error["code"] == "VALIDATION_ERROR"
        assert error["message"] == f"{place}: {told}"
        assert faults(error) == {place: told}

    def test_is_refused_with_every_value_that_the_task_does_not_allow(self, player: Player) -> None:
        error = player.refused(step(priority="P9", queue="", disposition="x"))
        places = ["data.priority", "data.queue", "data.disposition"]
        assert list(faults(error)) == places
        assert all(f"{place}: " in error["message"] for place in places)

    @pytest.mark.parametrize(
        ("frame", "places"),
        [
            ({"type": "step"}, ["data"]),
            ({"type": "step", "data": "x"}, ["data"]),
            ({"type": "step", "data": []}, ["data"]),
            ({"type": "step", "data": None}, ["data"]),
            ({"type": "step", "data": {}}, [f"data.{name}" for name in list(ACTION)[:6]]),
            (
                {"type": "step", "data": {"action": ACTION}},
                [*(f"data.{name}" for name in list(ACTION)[:6]), "data.action"],
            ),
            (step(summary=1, confidence="1", metadata=[]), ["data.summary", "data.confidence", "data.metadata"]),
            (step(confidence=2, metadata=[]), ["data.confidence", "data.metadata"]),
            ({"type": "reset", "data": {"seed": -1, "index": -1}}, ["data.seed", "data.index"]),
            ({**step(summary=1), "timeout_s": 0, "id": 7, "x": 8}, ["data.summary", "timeout_s", "id", "x"]),
            ({"type": "step", "id": 7}, ["data", "id"]),
        ],
    )
    def test_is_refused_with_everything_that_is_wrong(
        self, player: Player, frame: dict[str, Any], places: list[str]
    ) -> None:
        error = player.refused(frame)
        assert error["code"] == "VALIDATION_ERROR"
        assert list(faults(error)) == places
        first = f"{places[0]}: {error['errors'][0]['msg']}"
        assert error["message"] == (first if len(places) == 1 else f"{first} (and {len(places) - 1} more)")

    @pytest.mark.parametrize(
        ("timeout_s", "told"),
        [
            ("1", "expected a number, got a string"),
            (True, "expected a number, got a boolean"),
            ({}, "expected a number, got an object"),
            (0, "must be above 0 and finite"),
            (-1.5, "must be above 0 and finite"),
        ],
    )
    def test_with_an_impossible_timeout_is_refused(self, player: Player, timeout_s: Any, told: str) -> None:
        error = player.refused({**step(), "timeout_s": timeout_s})
        assert error["message"] == f"timeout_s: {told}"

    @pytest.mark.parametrize("timeout_s", [None, 1, 0.5, 1e300, 10**400])
    def test_takes_a_timeout(self, player: Player, timeout_s: Any) -> None:
        assert player.ask({**step(), "timeout_s": timeout_s})["type"] == "observation"

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "01", "+1", ".5", "0x1"])
    def test_with_a_number_that_json_does_not_have_is_refused(self, player: Player, number: str) -> None:
        error = player.refused(json.dumps(step(confidence="?")).replace('"?"', number))
        assert error["code"] == "INVALID_JSON"

    def test_takes_whole_numbers_and_metadata(self, player: Player) -> None:
        player.step(confidence=1, metadata={"é": [None, {"a": 1.5}]})
        assert player.state()["action_history"][-1]["metadata"] == {"é": [None, {"a": 1.5}]}

    def test_gives_back_every_text_as_it_was(self, player: Player) -> None:
        odd = '\x00\x7f"\\/\u2028\ud7ff\ue000\uffff\U0001f600\U0010ffff'
        player.step(summary=odd, response=odd)
        actions = [structure(action, SupportQueueAction) for action in player.state()["action_history"]]
        assert actions == [an_action(), an_action(summary=odd, response=odd)]

    def test_counts_the_last_of_two_equal_keys(self, player: Player) -> None:
        text = json.dumps(step()).replace('"priority": "P3"', '"priority": "P9", "priority": "P2"')
        assert player.ask(text)["type"] == "observation"
        assert player.state()["action_history"][-1]["priority"] == "P2"


class TestAFrame:
    @pytest.mark.parametrize(
        "frame",
        ["{nope", "", " ", "{", "}", '{"type":"state"} x', "[1,", "undefined", "'state'", '{"type":"\\ud800"}', "\x00"],
    )
    def test_that_is_no_json_is_refused(self, player: Player, frame: str) -> None:
        error = player.refused(frame)
        assert error["code"] == "INVALID_JSON"
        assert error["message"].startswith("Invalid JSON: ")

    @pytest.mark.parametrize(
        ("frame", "what"),
        [
            ("[]", "a list"),
            ("5", "a number"),
            ("1.5", "a number"),
            ("null", "null"),
            ("true", "a boolean"),
            ('"reset"', "a string"),
            ('[{"type":"reset"}]', "a list"),
        ],
    )
    def test_that_is_no_object_is_refused(self, player: Player, frame: str, what: str) -> None:
        error = player.refused(frame)
        assert error["code"] == "VALIDATION_ERROR"
        assert error["message"] == f"a message is an object with a type, not {what}"
        assert error["errors"][0]["loc"] == []

    @pytest.mark.parametrize(
        "frame",
        ["[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"data":' * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000],
    )
    def test_that_is_nested_deeply_is_refused(self, player: Player, frame: str) -> None:
        error = player.refused(frame)
        assert error["code"] == "INVALID_JSON"
        assert error["message"] == "Invalid JSON: JSON nested too deeply"

    @pytest.mark.parametrize("depth", [60, 100, 500, 900, 1100])
    def test_with_metadata_nested_deeply_is_answered(self, player: Player, depth: int) -> None:
        nested = json.dumps(step(metadata={"a": "?"})).replace('"?"', "[" * depth + "]" * depth)
        if depth == 60:
            assert player.ask(nested)["type"] == "observation"
        else:
            assert "nested" in player.refused(nested)["message"]

    @pytest.mark.parametrize(
        ("frame", "told"),
        [
            ({"type": "jump"}, "Unknown message type: jump."),
            ({"type": "rest", "data": {}}, "Unknown message type: rest. Did you mean 'reset'?"),
            ({"type": "STATE"}, "Unknown message type: STATE. Did you mean 'state'?"),
            ({"type": ""}, "Unknown message type: ."),
            ({"data": {}}, "The message has no type."),
            ({}, "The message has no type."),
            ({"type": {"a": 1}}, "The type is no string."),
            ({"type": ["reset"]}, "The type is no string."),
            ({"type": None}, "The type is no string."),
            ({"type": 5}, "The type is no string."),
        ],
    )
    def test_of_no_known_type_is_refused_with_the_known_ones(
        self, player: Player, frame: dict[str, Any], told: str
    ) -> None:
        error = player.refused(frame)
        assert error["code"] == "UNKNOWN_TYPE"
        assert error["message"] == f"{told} Known: 'close', 'mcp', 'reset', 'state', 'step'."

    @pytest.mark.parametrize(
        ("frame", "key", "kind", "known"),
        [
            ({"type": "reset", "data": {}, "id": 7}, "id", "reset", "'data', 'type'"),
            ({"type": "state", "data": {}}, "data", "state", "'type'"),
            ({"type": "close", "data": {}}, "data", "close", "'type'"),
            ({"type": "reset", "timeout_s": 1}, "timeout_s", "reset", "'data', 'type'"),
            ({**step(), "request_id": 1}, "request_id", "step", "'data', 'timeout_s', 'type'"),
        ],
    )
    def test_with_an_unknown_key_is_refused_with_the_known_ones(
        self, player: Player, frame: dict[str, Any], key: str, kind: str, known: str
    ) -> None:
        error = player.refused(frame)
        assert error["code"] == "VALIDATION_ERROR"
        assert error["message"] == f"{key}: unknown key in a message of type '{kind}'. Known: {known}."

    def test_of_mcp_needs_data(self, player: Player) -> None:
        assert player.refused({"type": "mcp"})["message"] == "data: required, but missing: the JSON-RPC message"

    def test_names_a_key_in_its_place_whatever_it_is(self, player: Player) -> None:
        number = "9" * 40
        error = player.refused({"type": "reset", "data": {number: 1, "5": 2, "": 3}})
        assert [fault["loc"] for fault in error["errors"]] == [["data"], ["data", "5"], ["data", number]]

    @pytest.mark.parametrize(
        "frame",
        [
            {"type": "x" * 500_000},
            {"type": "state", "x" * 500_000: 1},
            {"type": "state", "x": "y" * 500_000},
            {"type": "reset", "data": {"x" * 500_000: 1}},
            {"type": "reset", "data": {"x": "y" * 500_000}},
            {"type": "reset", "data": {"task_id": "y" * 500_000}},
            {"type": "reset", "data": {"seed": 10**4000}},
            {"type": "reset", "data": "y" * 500_000},
            step(priority="y" * 500_000),
            step(confidence="y" * 500_000),
            step(confidence=10**4000),
            step(metadata="y" * 500_000),
            "y" * 500_000,
            '"' + "y" * 500_000,
        ],
        ids=lambda frame: str(frame)[:60],
    )
    def test_that_is_large_and_wrong_gets_a_small_answer(self, player: Player, frame: Any) -> None:
        error = player.refused(frame)
        assert len(json.dumps(error)) < 1000

    def test_with_many_faults_gets_an_answer_of_some_of_them(self, player: Player) -> None:
        error = player.refused({"type": "reset", "data": {f"{number:06}{'x' * 30}": 1 for number in range(20_000)}})
        assert len(error["errors"]) == 100
        error = player.refused({"type": "state", **{f"{number:06}{'x' * 30}": 1 for number in range(20_000)}})
        assert len(error["errors"]) == 100
        assert len(json.dumps(error)) < 50_000

    def test_may_be_binary(self, player: Player) -> None:
        assert player.ask(json.dumps({"type": "state"}).encode())["type"] == "state"
        assert player.ask(json.dumps(step(), ensure_ascii=False).encode())["type"] == "observation"
        assert player.error(b"")["code"] == "INVALID_JSON"

    @pytest.mark.parametrize(
        ("frame", "byte"),
        [(b"\xff\xfe", 0), (b'{"type":"st\xffte"}', 11), (json.dumps(step()).encode("utf-16"), 0)],
    )
    def test_that_is_binary_and_no_utf8_is_refused(self, player: Player, frame: bytes, byte: int) -> None:
        error = player.refused(frame)
        assert error["code"] == "INVALID_JSON"
        assert error["message"] == f"Invalid JSON: byte {byte} is no UTF-8"

    def test_may_come_in_pieces(self, player: Player) -> None:
        text = json.dumps(step(summary="é" * 1000))
        player.connection.send(text[start : start + 7] for start in range(0, len(text), 7))
        assert player.hear()["type"] == "observation"

    @pytest.mark.parametrize("letter", ["x", "é", "\U0001f600"])
    @pytest.mark.parametrize("binary", [False, True])
    def test_may_be_as_large_as_the_limit(self, player: Player, letter: str, binary: bool) -> None:
        frame = _of_size(MAX_FRAME, letter)
        assert player.ask(frame if binary else frame.decode())["type"] == "observation"

    @pytest.mark.parametrize("letter", ["x", "é"])
    @pytest.mark.parametrize("binary", [False, True])
    @pytest.mark.parametrize("size", [MAX_FRAME + 1, 17 * MAX_FRAME])
    async def test_that_is_larger_than_the_limit_closes_with_1009(
        self, ground: Playground, letter: str, binary: bool, size: int
    ) -> None:
        frame = _of_size(size, letter)
        async with connect(f"{ground.ws}/ws", open_timeout=PATIENCE_S) as connection:
            await connection.send('{"type":"reset"}')
            await connection.recv()
            with contextlib.suppress(ConnectionClosed):  # before it was all sent
                await connection.send(frame if binary else frame.decode())
            await connection.wait_closed()
        assert connection.close_code == 1009

    def test_that_announces_more_than_the_limit_closes_with_1009_before_it_comes(self, ground: Playground) -> None:
        with ground.dialled() as connection:
            connection.sendall(HANDSHAKE + b"\r\n")
            assert answer_from(connection).startswith(b"HTTP/1.1 101 ")
            connection.sendall(bytes([0x81, 0x80 | 127]) + struct.pack("!Q", 1 << 40) + bytes(4))
            assert received(connection)[2:4] == struct.pack("!H", 1009)

    def test_that_is_text_and_no_utf8_closes_with_1007(self, ground: Playground) -> None:
        # RFC 6455, section 8.1, demands it.
        with ground.dialled() as connection:
            connection.sendall(HANDSHAKE + b"\r\n")
            assert answer_from(connection).startswith(b"HTTP/1.1 101 ")
            connection.sendall(bytes([0x81, 0x80 | 2]) + bytes(4) + b"\xff\xff")
            assert received(connection)[2:4] == struct.pack("!H", 1007)


class TestTheWayIn:
    def test_of_a_whole_text_is_the_short_one(self, ground: Playground, monkeypatch: pytest.MonkeyPatch) -> None:
        taken: list[bytes] = []

        def counting(data: bytes, most: int) -> bytes | None:
            text = text_of_frame(data, most)
            taken.append(text or b"")
            return text

        monkeypatch.setattr("supportbench.server.protocols.websocket.text_of_frame", counting)
        with ground.player() as player:
            player.reset(task_id=TASKS[0])
            player.connection.ping().wait(PATIENCE_S)
            player.connection.send(iter(['{"type":', '"state"}']))
            assert json.loads(player.connection.recv(PATIENCE_S))["type"] == "state"
            player.ask(step())
        # The first one is not: the library has the handshake in hand until then.
        assert [json.loads(text)["type"] for text in taken if text] == ["step"]

    def test_is_open_to_many_empty_pieces(self, ground: Playground) -> None:
        with ground.dialled() as connection:
            connection.sendall(HANDSHAKE + b"\r\n")
            assert answer_from(connection).startswith(b"HTTP/1.1 101 ")
            begun = bytes(Frame(Opcode.TEXT, b'{"type":', fin=False).serialize(mask=True))
            empty = bytes(Frame(Opcode.CONT, b"", fin=False).serialize(mask=True))
            ended = bytes(Frame(Opcode.CONT, b'"state"}').serialize(mask=True))
            connection.sendall(begun + 50_000 * empty + ended)
            assert b'"type":"state"' in connection.recv(65_536)

    def test_stands_open_to_others_while_one_sends_much(self, ground: Playground) -> None:
        with ground.dialled() as connection, ground.player() as player:
            connection.sendall(HANDSHAKE + b"\r\n")
            assert answer_from(connection).startswith(b"HTTP/1.1 101 ")
            pongs = 400_000 * bytes(Frame(Opcode.PONG, b"").serialize(mask=True))
            ping = bytes(Frame(Opcode.PING, b"last").serialize(mask=True))
            with ThreadPoolExecutor(1) as pool:
                connection.sendall(pongs + ping)
                last = pool.submit(connection.recv, 64)
                answered = 0
                while not last.done():
                    player.state()
                    answered += 1
            assert last.result().endswith(b"last")
            assert answered > 10

    def test_names_one_session_at_most(self, ground: Playground) -> None:
        with ground.player("?session_id=a&session_id=b") as player:
            told = json.loads(player.connection.recv(PATIENCE_S))
        assert told["data"]["code"] == "VALIDATION_ERROR"
        assert "name different sessions" in told["data"]["message"]


def _of_size(size: int, letter: str) -> bytes:
    """Return the frame of a step with so many bytes, most of them in its summary."""
    empty = len(json.dumps(step(summary="")).encode())
    letters = (size - empty) // len(letter.encode())
    padding = "x" * (size - empty - letters * len(letter.encode()))
    frame = json.dumps(step(summary=letter * letters + padding), ensure_ascii=False).encode()
    assert len(frame) == size
    return frame
