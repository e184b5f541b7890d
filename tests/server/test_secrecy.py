"""No part of an answer key leaves the server, whatever is asked, and no traceback does.

Everything that the server can say is collected: every route, both WebSockets and every tool, with what they are made
for and with what nobody should send. `tests/test_secrecy.py` says how a leak is told from what anybody may know.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

import attrs
import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from supportbench import Registry, StaticTasks, SupportQueueAction, Task, unstructure
from supportbench.settings import Feedback
from tests.offering import Told, an_action, registry_of
from tests.server.packs import Moody
from tests.server.serving import Served, serving
from tests.server.walking import filled, routes_of
from tests.shop import TOLD
from tests.test_secrecy import (
    LEVELS,
    SECRETS,
    bad_action,
    canary_registry,
    canary_task,
    good_action,
    hostile_action,
    leaks,
    secret_phrases,
    strings_in,
)

PATIENCE_S: Final = 60.0
TOOLS: Final = ("list_tasks", "start_episode", "read_ticket", "submit_triage", "get_state")
_TRACES: Final = re.compile(r"Traceback|File \"|site-packages|object at 0x|line \d+, in")
_IDS: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")

HOSTILE: Final[tuple[Any, ...]] = (
    *({}, [], 5, None, "answer_key", {"answer_key": True}, {"data": {"feedback": "full"}}, {"debug": True}),
    {"task_id": "{answer_key}", "seed": "${answer_key}"},
    {"task_id": "canary", "index": 0, "split": "answer_key"},
    {"provider": "__class__", "split": "__dict__", "index": 0},
    {"split": "test", "index": -1},
    {"split": "test", "index": 10**9},
    {"action": {"priority": {"$ref": "answer_key"}}},
)
QUERIES: Final = ("feedback=full", "debug=1&include=answer_key", "split=test&provider=triage&limit=100", "session_id=x")


@attrs.frozen
class Said:
    """Something that the server said, and to what."""

    where: str
    text: str

    def strings(self) -> Iterator[str]:
        """Yield its strings: of JSON every one, of anything else every line."""
        try:
            yield from strings_in(json.loads(self.text))
        except ValueError:
            yield from self.text.splitlines()


def everything_said(served: Served, task: Task, provider: str, actions: Iterable[SupportQueueAction]) -> list[Said]:
    """Return all that the server says of the task, and all that it says at all."""
    steps = [unstructure(action) for action in actions]
    said: list[Said] = []
    for collect in (_over_http, _over_the_socket, _over_mcp):
        said.extend(collect(served, task, provider, steps))
    assert len(said) > 150
    return said


def _over_http(served: Served, task: Task, provider: str, steps: list[dict[str, Any]]) -> Iterator[Said]:
    values = {"task_id": task.task_id, "env_name": provider}
    of_api = [{"split": "test"}, *({"split": "test", "index": index} for index in range(3)), {"split": "x"}]
    with httpx.Client(base_url=served.url, timeout=PATIENCE_S) as client:

        def ask(method: str, path: str, **options: Any) -> Said:
            answer = client.request(method, path, **options)
            heads = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
            assert not _TRACES.search(heads)
            assert answer.status_code != 500, answer.text
            return Said(f"{method} {path} {str(options)[:100]}", answer.text)

        for method, template in routes_of(served.app):
            path = filled(template, values)
            yield ask(method, path)
            for accept in ("text/html", "*/*") if method == "GET" else ():
                yield ask(method, path, headers={"Accept": accept})
            for query in QUERIES if method == "GET" else ():
                yield ask(method, f"{path}?{query}")
            for body in (*HOSTILE, *of_api, {"split": "test", "start": 0, "stop": 10}) if method == "POST" else ():
                yield ask(method, path, json=body)
            for raw in (b"{", b"\xff", b"[" * 5000, b'{"a":' * 2000) if method == "POST" else ():
                yield ask(method, path, content=raw)
        for path in ("nowhere", "tasks/answer_key", f"tasks/{task.task_id}/answer_key", "..%2f..%2fetc", "static/x"):
            yield ask("GET", f"/{path}")
        for feedback in ({}, {"feedback": "full"}):
            yield ask("POST", "/reset", json={"task_id": task.task_id, "provider": provider, **feedback})
        for step in steps:
            for wrong in _wrong(step):
                yield ask("POST", "/step", json={"action": wrong})
            yield ask("POST", "/step", json={"action": step, "feedback": "full"})
            yield ask("POST", "/step", json={"action": step})
            yield ask("GET", "/state")
        yield ask("POST", "/step", json={"action": steps[0]})


def _over_the_socket(served: Served, task: Task, provider: str, steps: list[dict[str, Any]]) -> Iterator[Said]:
    with connect(f"{served.ws}/ws", max_size=None) as socket:
        yield _ask(socket, {"type": "step", "data": steps[0]})
        for hostile in HOSTILE:
            for kind in ("reset", "step", "state", "mcp", "answer_key", None):
                yield _ask(socket, {"type": kind, "data": hostile})
        for raw in ("", "{", "[" * 5000, "null", '"answer_key"'):
            yield _ask(socket, raw)
        yield _ask(socket, {"type": "reset", "data": {"task_id": task.task_id, "provider": provider}})
        for step in steps:
            for wrong in _wrong(step):
                yield _ask(socket, {"type": "step", "data": wrong})
            yield _ask(socket, {"type": "step", "data": step, "feedback": "full"})
            yield _ask(socket, {"type": "step", "data": step})
            yield _ask(socket, {"type": "state"})
        yield _ask(socket, {"type": "step", "data": steps[0]})
    with connect(f"{served.ws}/ws?session_id=answer_key") as socket:
        yield _ask(socket, {"type": "state"})


def _over_mcp(served: Served, task: Task, provider: str, steps: list[dict[str, Any]]) -> Iterator[Said]:
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "0"}}
    with connect(f"{served.ws}/mcp", max_size=None) as socket:
        yield _ask(socket, _rpc("initialize", hello))
        tools = _ask(socket, _rpc("tools/list", {}))
        yield tools
        known = {tool["name"] for tool in json.loads(tools.text).get("result", {}).get("tools", ())}
        assert known in (set(), set(TOOLS))  # none where a provider fails
        for name in (*TOOLS, "answer_key"):
            for hostile in HOSTILE:
                yield _ask(socket, _rpc("tools/call", {"name": name, "arguments": hostile}))
        for method in ("answer_key", "resources/list", "prompts/list", "openenv/session/close"):
            yield _ask(socket, _rpc(method, {"session_id": "answer_key"}))
        begin = {"task_id": task.task_id, "provider": provider}
        yield _ask(socket, _rpc("tools/call", {"name": "start_episode", "arguments": begin}))
        for step in steps:
            for name in ("read_ticket", "get_state", "list_tasks"):
                yield _ask(socket, _rpc("tools/call", {"name": name, "arguments": {}}))
            triage = {key: value for key, value in step.items() if key != "metadata"}
            for wrong in (*_wrong(triage), step, triage):
                yield _ask(socket, _rpc("tools/call", {"name": "submit_triage", "arguments": wrong}))
        yield _ask(socket, _rpc("tools/call", {"name": "read_ticket", "arguments": {}}))


def _wrong(step: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for field in ("priority", "queue", "disposition", "confidence"):
        yield {**step, field: "no such value"}
    yield {**step, "answer_key": {}}
    yield {key: value for key, value in step.items() if key != "queue"}


def _rpc(method: str, params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def _ask(socket: ClientConnection, message: Any) -> Said:
    frame = message if isinstance(message, str) else json.dumps(message)
    with suppress(ConnectionClosed):  # it was refused at once, which is an answer too
        socket.send(frame)
    answer = socket.recv(timeout=PATIENCE_S)
    assert isinstance(answer, str)
    return Said(frame[:200], answer)


def assert_no_traces(said: Iterable[Said]) -> None:
    for one in said:
        found = _TRACES.search(one.text)
        assert not found, f"{one.where}: …{one.text[max(0, found.start() - 200) : found.end() + 200]}…"


# -- the bundled tasks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("answer", [good_action, bad_action, hostile_action])
def test_nothing_of_an_installed_tasks_key_is_told(
    registry: Registry, level: Feedback, answer: Callable[[Any], SupportQueueAction]
) -> None:
    cage = canary_task()
    with serving(registry.with_provider(StaticTasks(name="cage", splits={"test": [cage]})), feedback=level) as served:
        of_any_task = {
            text
            for one in everything_said(served, cage, "cage", [an_action()])
            # Not where the tasks themselves are told of; a parameter that there is not is refused before that.
            if not one.where.startswith(("GET /tasks", "POST /triage")) or "?" in one.where
            for text in one.strings()
        }
    walked = 0
    for provider in registry.providers.values():
        for split in provider.splits():
            for index in range(provider.num_tasks(split)):
                task = provider.task(split, index)
                actions = [answer(case) for case in task.cases]
                with serving(registry, feedback=level) as served:
                    said = everything_said(served, task, provider.name, actions)
                assert_no_traces(said)
                written = "\n".join(f"{action.summary}\n{action.response}" for action in actions).casefold()
                secrets = [phrase for phrase in secret_phrases(task) if phrase not in written]
                assert len(secrets) > 3
                for one in said:
                    for text in set(one.strings()) - of_any_task:
                        leaked = [phrase for phrase in secrets if phrase in text.casefold()]
                        assert not leaked, f"{task.task_id}: {leaked} in {text!r}, which answers {one.where}"
                walked += 1
    assert walked >= 3


# -- a task made of canaries --------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    "changes",
    [{}, {"metadata": {"fail": True}}, {"response": "Tell me everything about your potoroo."}, {"queue": "success"}],
    ids=["plain", "a grader that quotes the key when it fails", "unsafe", "alternative"],
)
def test_no_canary_leaves_the_server(level: Feedback, changes: dict[str, Any]) -> None:
    task, action = canary_task(), an_action(**changes)
    with serving(canary_registry(task), feedback=level) as served:
        said = everything_said(served, task, "triage", [action] * 3)
    assert_no_traces(said)
    if changes.get("metadata"):
        assert any("component 'talks'" in one.text for one in said), "the grader has failed"
    for one in said:
        assert leaks(one.text, written=action.response) == set(), one.where


def test_the_walk_would_see_a_leak() -> None:
    task = canary_task()
    with serving(canary_registry(task), feedback="full") as served:
        said = everything_said(served, task, "triage", [an_action()] * 3)
    of_the_key = set(SECRETS) - {"task extra, key", "task extra, value", "allowed link", "allowed number"}
    for transport in ("POST /step", '{"type": "step"', '{"jsonrpc"'):
        assert leaks([one.text for one in said if one.where.startswith(transport)]) >= of_the_key, transport


def test_the_built_in_graders_keep_the_canaries_too(registry: Registry) -> None:
    task = attrs.evolve(canary_task(), rubric="default")
    with serving(registry.with_provider(StaticTasks(name="cage", splits={"test": [task]}))) as served:
        said = everything_said(served, task, "cage", [an_action(disposition="close")] * 3)
    assert_no_traces(said)
    for one in said:
        assert leaks(one.text) == set(), one.where


@pytest.mark.parametrize("fails_at", ["splits", "num_tasks", "task", "find", "taxonomies"])
def test_what_a_provider_says_when_it_fails_stays_inside(fails_at: str) -> None:
    moody = Moody("nothing", name="triage")
    task = moody.task("test", 0)
    registry = registry_of(components=[Told("told")], rubrics=[TOLD], providers=[moody])
    with serving(registry) as served:
        moody.fails_at = fails_at
        said = everything_said(served, task, "triage", [an_action(metadata={"told": 0.5})])
    assert_no_traces(said)
    assert any("provider 'triage'" in one.text for one in said), "it has failed"
    for one in said:
        assert "the answer key is" not in one.text, one.where


# -- blindness ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_servers_whose_keys_alone_differ_say_the_same_but_for_the_numbers(registry: Registry, level: Feedback) -> None:
    pictures = []
    for key in (
        {"priority": "P1", "queue": "security", "disposition": "close"},
        {"priority": "P4", "queue": "trust_safety", "disposition": "escalate", "acceptable_queues": {}},
    ):
        task = attrs.evolve(canary_task(**key), rubric="default")
        everything = registry.with_provider(StaticTasks(name="cage", splits={"test": [task]}))
        with serving(everything, feedback=level) as served:
            said = everything_said(served, task, "cage", [an_action(queue="billing", disposition="respond")] * 3)
        pictures.append([_blurred(one) for one in said if "/metrics" not in one.where])
    for first, second in zip(*pictures, strict=True):
        assert first == second


def _blurred(said: Said) -> tuple[str, Any]:
    """Return it without ids and numbers: a grade may differ, and nothing else."""
    text = _IDS.sub("ID", said.text)
    return said.where, re.sub(r"-?\d+(\.\d+)?(e-?\d+)?", "0", text)
