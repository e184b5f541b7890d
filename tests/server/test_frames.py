"""Ten thousand frames that nobody would send: each gets one answer, and then an episode is played as if nothing was."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from random import Random
from typing import Any, Final, TypeAlias

from tests.server.obeying import HANDSHAKE, received, text_frame
from tests.server.playing import ACTION, Player, playground, step
from tests.server.processes import answer_from, until

Json: TypeAlias = Any

FRAMES: Final = 10_000
VALID: Final[tuple[dict[str, Any], ...]] = (
    {"type": "reset"},
    {"type": "reset", "data": {}},
    {"type": "reset", "data": {"seed": 7, "episode_id": "e-1", "task_id": "medium_sla_defense"}},
    {"type": "reset", "data": {"provider": "triage", "split": "test", "index": 2}},
    step(),
    step(metadata={"a": [1, 2.5, None, {"b": "é"}]}, confidence=1),
    {**step(), "timeout_s": 5},
    {"type": "state"},
    {"type": "close", "data": {}},
    {"type": "mcp"},
    {"type": "step", "data": {"type": "list_tools"}},
    {"type": "step", "data": {"type": "call_tool", "tool_name": "get_state", "arguments": {}}},
)
NAMES: Final = ("type", "data", "timeout_s", "seed", "task_id", "episode_id", "index", "id", "", "a.b[0]", "9" * 30)
# What stands in the text as it is, since no JSON library writes it.
RAW: Final = (
    *("1e308", "1e309", "-1e309", "NaN", "Infinity", "-0", "0.0", "1E400", "00", "1.", "0x10", "9" * 400, "-1"),
    *(str(1 << 63), str((1 << 63) - 1), str(-(1 << 63)), str(1 << 64), "0.1" + "3" * 300, "1e-400"),
    *('"\\ud800"', '"\\udc00\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', '"\\x41"', '"a\nb"', "'a'", "nul", "tru"),
    *("[" * 50 + "]" * 50, "[" * 2000 + "]" * 2000, '{"a":' * 900 + "1" + "}" * 900, "[" * 5000, "[,]", "{,}", "[1,]"),
)
VALUES: Final[tuple[Json, ...]] = (
    *(None, True, False, 0, 1, -1, 2, 0.5, 1.0, -0.1, "", "P1", "P9", "billing", "respond", "0.5", "null"),
    *("x" * 10_000, "\x00", "\u2028", "\U0010ffff", "\ufeff", [], {}, [[]], {"": {}}, [1, "a"], {"type": "reset"}),
    *(ACTION, list(ACTION), "step", "reset", "close", "easy_inbox_cleanup", "__class__", "data", ["P1"], {"a": None}),
)


class Mutator:
    """Makes frames, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - to be repeated, not to be secret
        self._raw: list[str] = []

    def frame(self) -> str | bytes:
        """Return a frame that is a text if it can be one."""
        choose = self._random.choice
        self._raw = []
        make: Callable[[], bytes] = choose((self._changed, self._changed, self._changed, self._damaged, self._noise))
        frame = make()
        try:
            text = frame.decode()
        except UnicodeDecodeError:
            return frame
        return frame if self._random.random() < 0.2 else text

    def _changed(self) -> bytes:
        """Return a valid message of which some parts are others."""
        message: Json = json.loads(json.dumps(self._random.choice(VALID)))
        for _ in range(self._random.randint(0, 4)):
            message = self._with_change(message)
        text = json.dumps(message, ensure_ascii=self._random.random() < 0.5)
        for number, raw in enumerate(self._raw):
            text = text.replace(f'"§{number}§"', raw).replace(f'"\\u00a7{number}\\u00a7"', raw)
        if self._random.random() < 0.1 and text.startswith("{"):
            twice = json.dumps({self._random.choice(NAMES): self._random.choice(VALUES)})
            text = f"{twice[:-1]}, {text[1:]}" if self._random.random() < 0.5 else f"{text[:-1]}, {twice[1:]}"
        return text.encode("utf-8", "surrogatepass")

    def _with_change(self, message: Json) -> Json:
        place, key = self._place(message)
        if place is None or self._random.random() < 0.02:
            return self._random.choice((self._value(), [message], {"data": message}, {"type": message}))
        change = self._random.randrange(5)
        if change == 0:
            del place[key]
        elif change == 1 and isinstance(place, dict):
            place[self._random.choice((*NAMES, *ACTION))] = place.pop(key)
        elif change == 2 and isinstance(place, dict):
            other = self._random.choice(list(place))
            place[key], place[other] = place[other], place[key]
        elif change == 3 and isinstance(place, dict):
            place[self._random.choice((*NAMES, *ACTION, str(self._random.random())))] = self._value()
        else:
            place[key] = self._value()
        return message

    def _place(self, message: Json) -> tuple[Any, Any]:
        """Return a container within the message and a key of it."""
        places = [
            (container, key)
            for container in (message, message.get("data") if isinstance(message, dict) else None)
            if isinstance(container, dict | list)
            for key in (container if isinstance(container, dict) else range(len(container)))
        ]
        return self._random.choice(places) if places else (None, None)

    def _value(self) -> Json:
        if self._random.random() < 0.4:
            self._raw.append(self._random.choice(RAW))
            return f"§{len(self._raw) - 1}§"
        return json.loads(json.dumps(self._random.choice(VALUES)))

    def _damaged(self) -> bytes:
        """Return a message of which some bytes are others."""
        frame = bytearray(self._changed())
        for _ in range(self._random.randint(1, 4)):
            start = self._random.randrange(len(frame) + 1)
            end = min(len(frame), start + self._random.randint(1, 20))
            change = self._random.randrange(5)
            if change == 0:
                frame[start:end] = b""
            elif change == 1:
                frame[start:start] = frame[start:end]
            elif change == 2:
                frame[start:] = b""
            elif change == 3:
                frame[start:start] = self._random.randbytes(self._random.randint(1, 8))
            elif start < len(frame):
                frame[start] ^= 1 << self._random.randrange(8)
        return bytes(frame)

    def _noise(self) -> bytes:
        size = self._random.choice((0, 1, 2, 5, 30, 1000))
        if self._random.random() < 0.5:
            return self._random.randbytes(size)
        letters = '{}[]",:\\/ue+-.0123456789truefalsn \t\n'
        return "".join(self._random.choice(letters) for _ in range(size)).encode()


def ends_or_is_not_answered(frame: str | bytes) -> bool:
    """Whether the frame is a good `close`, or JSON-RPC, of which notifications get no answer: both have their tests."""
    try:
        message = json.loads(frame)
    except (ValueError, RecursionError):
        return False
    if not isinstance(message, dict):
        return False
    return message == {"type": "close"} or (message.get("type") == "mcp" and "data" in message)


def test_each_frame_gets_one_answer_and_then_an_episode_is_played() -> None:
    mutator, kinds = Mutator(20_261_121), dict.fromkeys(("observation", "state", "error"), 0)
    sent = steps = 0
    with playground() as ground, ground.player() as player:
        while sent < FRAMES:
            frame = mutator.frame()
            if ends_or_is_not_answered(frame):
                continue
            sent += 1
            answer = player.ask(frame)
            kinds[answer["type"]] += 1
            if answer["type"] == "error":
                check_error(answer["data"], frame)
            elif "current_index" in answer["data"].get("observation", ()):  # not a tool's
                steps = 0 if answer["data"]["reward"] is None else steps + 1
            if sent % 50 == 0:
                # Had a frame got two answers, this one would not be ours; had a refused one changed anything, nor would
                # this state.
                assert player.error({"type": f"probe-{sent}"})["message"].startswith(
                    f"Unknown message type: probe-{sent}."
                )
                assert player.state()["step_count"] == steps
        assert min(kinds.values()) > 100, kinds
        plays_an_episode(player)
        assert ground.sessions.active == 1


def test_bytes_that_are_no_frames_leave_nothing() -> None:
    random = Random(20_261_121)  # noqa: S311 - to be repeated, not to be secret
    good = text_frame('{"type":"reset"}')
    with playground() as ground:
        for number in range(500):
            with ground.dialled() as connection:
                connection.sendall(HANDSHAKE + b"\r\n")
                assert answer_from(connection).startswith(b"HTTP/1.1 101 ")
                noise = random.randbytes(random.choice((1, 2, 6, 20, 200)))
                if number % 2:  # a good beginning, so that more than the first byte is read
                    noise = bytes([random.choice((0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A))]) + noise
                connection.sendall(good * random.randrange(3) + noise)
                if number % 3 == 0:
                    connection.shutdown(socket.SHUT_WR)
                    received(connection)
        until(lambda: not ground.leftovers())
        strange = [told for told in ground.complaints.taken() if "Invalid UTF-8" not in told]  # which uvicorn logs
        assert strange == []
        with ground.player() as player:
            plays_an_episode(player)


def check_error(data: dict[str, Any], frame: str | bytes) -> None:
    assert list(data) in (["message", "code"], ["message", "code", "errors"]), frame
    assert data["code"] in ("INVALID_JSON", "UNKNOWN_TYPE", "VALIDATION_ERROR", "EXECUTION_ERROR"), frame
    assert "server failed" not in data["message"], frame
    assert 0 < len(data["message"]) < 1000, frame
    assert len(json.dumps(data)) < 5000, frame
    for error in data.get("errors", ()):
        assert list(error) == ["loc", "msg", "type"], frame


def plays_an_episode(player: Player) -> None:
    player.reset(task_id="hard_exec_escalations", episode_id="after all that")
    rewards = []
    while not (data := player.step())["done"]:
        rewards.append(data["reward"])
    state = player.state()
    assert state["step_count"] == state["total_tickets"] == len(rewards) + 1
    assert state["episode_id"] == "after all that"
