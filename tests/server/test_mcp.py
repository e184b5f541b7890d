"""JSON-RPC as `POST /mcp`, the WebSocket `/mcp` and `mcp` messages of `/ws` speak it, and MCP's own methods."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from tests.server.calling import (
    HELLO,
    WAYS,
    Caller,
    HttpCaller,
    SocketCaller,
    by_envelope,
    by_http,
    by_socket,
    error_in,
)
from tests.server.house import active
from tests.server.packs import Moody, shop_of
from tests.server.processes import until
from tests.server.serving import Served, serving
from tests.strategies import jsons

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
LARGE = "x" * 100_000


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving() as running:
        yield running


@pytest.fixture(params=WAYS)
def caller(served: Served, request: pytest.FixtureRequest) -> Iterator[Caller]:
    with WAYS[request.param](served) as calling:
        yield calling


# -- JSON-RPC -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_id",
    ["", "abc", "é\u0000", "x" * 255, 0, -7, 1.5, 1e300, 2**53 + 1, 123456789012345678901234567890, None],
)
def test_the_id_comes_back_as_it_was(caller: Caller, request_id: Any) -> None:
    assert caller.ask({**PING, "id": request_id}) == {"jsonrpc": "2.0", "id": request_id, "result": {}}
    reply = caller.ask({**PING, "id": request_id, "method": "pong"})
    assert (reply["id"], reply["error"]["code"]) == (request_id, -32601)


@pytest.mark.parametrize(
    ("message", "code", "says"),
    [
        ({}, -32600, "jsonrpc: must be"),
        ([], -32600, "must be an object. Batches are not read"),
        ([PING], -32600, "must be an object. Batches are not read"),
        (5, -32600, "must be an object"),
        (None, -32600, "must be an object"),
        ("ping", -32600, "must be an object"),
        ({"id": 1, "method": "ping"}, -32600, 'jsonrpc: must be "2.0"'),
        ({**PING, "jsonrpc": "1.0"}, -32600, 'jsonrpc: must be "2.0"'),
        ({**PING, "jsonrpc": 2.0}, -32600, 'jsonrpc: must be "2.0"'),
        ({"jsonrpc": "2.0", "id": 1}, -32600, "method: required, but missing"),
        ({**PING, "method": 5}, -32600, "method: must be a string"),
        ({**PING, "method": None}, -32600, "method: must be a string"),
        ({"jsonrpc": "2.0", "method": 5}, -32600, "method: must be a string"),
        ({**PING, "params": 5}, -32600, "params: must be an object"),
        ({**PING, "params": "x"}, -32600, "params: must be an object"),
        ({**PING, "params": [1]}, -32602, "params: must be an object"),
        ({**PING, "method": "pong"}, -32601, "Method not found: 'pong'. Did you mean 'ping'? Known: "),
        ({**PING, "method": "Tools/List"}, -32601, "Did you mean 'tools/list'?"),
        ({**PING, "method": ""}, -32601, "Method not found: ''. Known: "),
        ({**PING, "method": LARGE}, -32601, "Method not found: 'xxx"),
        ({**PING, "method": "notifications/initialized"}, -32601, "Method not found"),
    ],
)
def test_what_is_no_request_is_refused_with_its_id_and_the_reason(
    caller: Caller, message: Any, code: int, says: str
) -> None:
    reply = caller.ask(message)
    assert reply["jsonrpc"] == "2.0"
    assert reply["id"] == (message.get("id") if isinstance(message, dict) else None)
    error = error_in(reply)
    assert error["code"] == code
    assert says in error["message"]
    assert caller.ask(PING)["result"] == {}


@pytest.mark.parametrize("request_id", [True, False, [], {}, [1], {"a": LARGE}])
def test_an_id_that_is_none_is_refused_and_not_repeated(caller: Caller, request_id: Any) -> None:
    reply = caller.ask({**PING, "id": request_id})
    assert reply["id"] is None
    assert error_in(reply)["message"] == (
        "Invalid Request: id: must be a string of at most 255 characters, a number or null"
    )


@pytest.mark.parametrize(
    "message",
    [
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1, "reason": "bored"}},
        {"jsonrpc": "2.0", "method": "notifications/of/tomorrow"},
        {"jsonrpc": "2.0", "method": "ping"},
        {"jsonrpc": "2.0", "method": "no/such/method", "params": 5},
        {"jsonrpc": "2.0", "method": "openenv/session/create"},
        {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "start_episode"}},
        {"jsonrpc": "2.0", "id": 7, "result": {}},
        {"jsonrpc": "2.0", "id": 7, "error": {"code": 1, "message": "no"}},
    ],
)
def test_notifications_and_answers_are_never_answered_and_do_nothing(
    served: Served, caller: Caller, message: Any
) -> None:
    caller.result("ping")  # by now its own session is counted
    sockets = int(isinstance(caller, SocketCaller))
    until(lambda: len(served.app.service.sockets) == sockets)
    caller.result("ping")  # and by now those of earlier tests are not
    before = active(served)
    caller.tell(message)
    assert active(served) == before
    assert caller.done("get_state")["episode_id"] is None


@pytest.mark.parametrize(
    "body", [b"", b" ", b"{", b"nope", b"\xff\xfe", b'{"id": 1e999}', b'"\\ud800"', b"[" * 200_000, b"1" * 10_000]
)
def test_what_is_no_json_is_a_parse_error(served: Served, body: bytes) -> None:
    with by_socket(served) as by_way_of_socket, HttpCaller(served).client as client:
        said = client.post(f"{served.url}/mcp", content=body)
        assert said.status_code == 200
        for reply in (said.json(), by_way_of_socket.ask(body)):
            assert (reply["jsonrpc"], reply["id"]) == ("2.0", None)
            error = error_in(reply)
            assert error["code"] == -32700
            assert error["message"].startswith("Parse error: ")
            assert "codec" not in error["message"]
        assert by_way_of_socket.request("ping")["result"] == {}


def test_large_input_is_not_repeated(caller: Caller) -> None:
    for method, params in (
        ("tools/call", {"name": LARGE}),
        ("tools/call", {"name": "read_ticket", "arguments": LARGE}),
        ("tools/list", {"cursor": [LARGE] * 5}),
        ("openenv/session/close", {"session_id": LARGE}),
        ("initialize", {"protocolVersion": LARGE}),
    ):
        assert caller.error(method, params)["code"] == -32602
    many = {f"{LARGE[:1000]}{number}": number for number in range(500)}
    assert len(caller.failed("start_episode", many)) < 5000
    assert len(caller.failed("start_episode", {"task_id": LARGE[:200]})) < 1000


@pytest.mark.parametrize(
    ("method", "params", "says"),
    [
        ("initialize", {}, "params.protocolVersion: required, but missing"),
        ("initialize", {"protocolVersion": 5}, "params.protocolVersion: expected a string, got a number"),
        ("ping", {"session_id": 5}, "params.session_id"),
        ("tools/list", {"cursor": 5}, "params.cursor"),
        ("tools/list", {"cursor": "abc"}, "params.cursor: all tools stand on one page"),
        ("tools/call", {}, "params.name: required, but missing"),
        ("tools/call", {"name": 5}, "params.name: expected a string, got a number"),
        ("tools/call", {"name": "get_state", "arguments": []}, "params.arguments: expected an object, got a list"),
        ("tools/call", {"name": "get_state", "session_id": {}}, "params.session_id"),
        ("tools/call", {"name": "submit"}, "Unknown tool: 'submit'. Did you mean 'submit_triage'?"),
        ("openenv/session/close", {}, "params.session_id: required, but missing"),
        ("openenv/session/close", {"session_id": ""}, "params.session_id: must not be empty"),
        ("openenv/session/close", {"session_id": None}, "params.session_id: expected a string, got null"),
    ],
)
def test_parameters_that_a_method_does_not_take_are_named(caller: Caller, method: str, params: Any, says: str) -> None:
    error = caller.error(method, params)
    assert error["code"] == -32602
    assert says in error["message"]


def test_all_faults_of_the_parameters_are_told_as_data(caller: Caller) -> None:
    error = caller.error("tools/call", {"arguments": 5, "session_id": []})
    assert [fault["loc"] for fault in error["data"]["errors"]] == [
        ["params", "session_id"],
        ["params", "name"],
        ["params", "arguments"],
    ]


def test_parameters_of_later_versions_are_let_be(caller: Caller) -> None:
    later = {"_meta": {"progressToken": 1}, "task": {"ttl": 5}}
    assert caller.result("ping", later) == {}
    assert caller.result("tools/list", {**later, "cursor": None})["tools"]
    assert caller.done("get_state", None, **later)["episode_id"] is None
    assert caller.result("initialize", {**HELLO, **later})


def test_a_failure_of_ours_is_told_without_a_word_of_it(
    caller: Caller, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supportbench.server.mcp_tools.state_text", lambda state: 1 / 0)
    error = caller.error("tools/call", {"name": "get_state"})
    assert error["code"] == -32603
    assert error["message"] == "The server failed at this request; its log says where."
    assert caller.result("ping") == {}


def test_errors_are_counted(caller: Caller, served: Served) -> None:
    before = served.app.service.errors.copy()
    caller.error("pong")
    caller.error("tools/call", {})
    caller.failed("submit_triage")
    assert served.app.service.errors - before == {"UNKNOWN_TYPE": 1, "VALIDATION_ERROR": 2}


# -- MCP's methods ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "agreed"),
    [
        ("2025-06-18", "2025-06-18"),
        ("2025-03-26", "2025-03-26"),
        ("2024-11-05", "2024-11-05"),
        ("2099-01-01", "2025-06-18"),
        ("tomorrow", "2025-06-18"),
    ],
)
def test_the_version_is_agreed_upon(caller: Caller, asked: str, agreed: str) -> None:
    told = caller.result("initialize", {**HELLO, "protocolVersion": asked})
    assert told["protocolVersion"] == agreed
    assert told["capabilities"] == {"tools": {"listChanged": False}}
    assert told["serverInfo"]["name"] == "supportbench"
    assert told["serverInfo"]["version"] == version("supportbench")
    assert "submit_triage" in told["instructions"]


def test_tools_cannot_be_listed_as_long_as_a_provider_fails_to_say_what_it_allows() -> None:
    with serving(shop_of(Moody("taxonomies", "triage"))) as served, by_http(served) as caller:
        error = caller.error("tools/list")
        assert error["code"] == -32603
        assert "task provider 'triage' failed" in error["message"]
        assert "answer key" not in error["message"]
        assert caller.done("start_episode", {"index": 0})["total_tickets"] == 1


def test_in_production_the_tools_are_there_all_the_same() -> None:
    with serving(mode="production") as served:
        assert httpx.post(f"{served.url}/reset").status_code == 404
        for way in WAYS.values():
            with way(served) as caller:
                assert caller.done("start_episode", {"seed": 1})["current_index"] == 0


# -- over HTTP ----------------------------------------------------------------------------------------------------


def test_openenvs_validator_gets_its_200(served: Served) -> None:
    answer = httpx.post(f"{served.url}/mcp", json={})
    assert answer.status_code == 200
    assert answer.json()["jsonrpc"] == "2.0"


def test_there_are_no_streams_and_no_other_methods(served: Served) -> None:
    for method in ("GET", "HEAD", "PUT", "PATCH"):
        answer = httpx.request(method, f"{served.url}/mcp", headers={"Accept": "text/event-stream"})
        assert answer.status_code == 405
        assert answer.headers["allow"] == "DELETE, OPTIONS, POST"
    assert httpx.options(f"{served.url}/mcp").headers["allow"] == "DELETE, OPTIONS, POST"


def test_a_version_that_is_not_spoken_is_refused_but_for_initialize(served: Served) -> None:
    with by_http(served) as caller:
        answer = caller.post(PING, **{"MCP-Protocol-Version": "2099-01-01"})
        assert answer.status_code == 400
        error = error_in(answer.json())
        assert (answer.json()["id"], error["code"]) == (1, -32602)
        assert "2025-06-18, 2025-03-26, 2024-11-05" in error["message"]
        hello = {**PING, "method": "initialize", "params": HELLO}
        assert caller.post(hello, **{"MCP-Protocol-Version": "2099-01-01"}).status_code == 200
        for spoken in ("2025-06-18", "2025-03-26", "2024-11-05"):
            assert caller.post(PING, **{"MCP-Protocol-Version": spoken}).json()["result"] == {}


def test_a_body_may_be_too_large(served: Served) -> None:
    answer = httpx.post(f"{served.url}/mcp", json={**PING, "params": {"_meta": {"x": "x" * 2_000_000}}})
    assert answer.status_code == 413


# -- over the WebSocket /mcp --------------------------------------------------------------------------------------


def test_a_socket_takes_text_and_bytes_and_answers_in_order(served: Served) -> None:
    with by_socket(served) as caller:
        for number in range(20):
            message = json.dumps({**PING, "id": number})
            caller.connection.send(message if number % 2 else message.encode())
        assert [caller.hear()["id"] for _ in range(20)] == list(range(20))


def test_a_socket_speaks_mcps_subprotocol_where_it_is_offered(served: Served) -> None:
    with by_socket(served, subprotocols=["other", "mcp"]) as caller:
        assert caller.connection.subprotocol == "mcp"
    with by_socket(served, subprotocols=["other"]) as caller:
        assert caller.connection.subprotocol is None
        assert caller.result("ping") == {}


def test_a_frame_over_the_limit_closes_a_socket(served: Served) -> None:
    with by_socket(served) as caller:
        caller.send("x" * 2_000_000)
        with pytest.raises(ConnectionClosed) as closed:
            caller.hear()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


# -- anything -----------------------------------------------------------------------------------------------------

METHODS = st.sampled_from(
    ["initialize", "ping", "tools/list", "tools/call", "openenv/session/create", "openenv/session/close", "x"]
)
TOOLS = st.sampled_from(["list_tasks", "start_episode", "read_ticket", "submit_triage", "get_state", "x"])
ARGUMENTS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("provider", "limit", "cursor", "seed", "index", "split", "x", "confidence"), jsons),
        "task_id": st.sampled_from(["easy_inbox_cleanup", "x", 5]),
        "priority": st.sampled_from(["P1", "p1", None]),
        "queue": st.sampled_from(["billing", ""]),
        "disposition": st.sampled_from(["close", []]),
        "summary": st.text(st.characters(codec="utf-8")),
        "response": st.text(st.characters(codec="utf-8")),
    },
)
PARAMS = st.fixed_dictionaries(
    {},
    optional={
        "name": TOOLS | jsons,
        "arguments": ARGUMENTS | jsons,
        "session_id": st.sampled_from(["", "nobody's"]) | jsons,
        "protocolVersion": st.sampled_from(["2025-06-18"]) | jsons,
        "cursor": jsons,
    },
)
MESSAGES = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0") | jsons},
    optional={"id": st.integers() | jsons, "method": METHODS | jsons, "params": PARAMS | jsons, "result": jsons},
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """JSON-RPC messages, half of them with a few bytes changed, and other bytes."""
    message = draw(MESSAGES | jsons)
    body = bytearray(json.dumps(message).encode())
    if draw(st.booleans()):
        for _ in range(draw(st.integers(1, 3))):
            place = draw(st.integers(0, len(body)))
            body[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(body)


@settings(max_examples=5 * settings().max_examples)
@given(body=bodies())
def test_whatever_is_said_is_answered_or_nothing_and_all_goes_on(
    anything: tuple[HttpCaller, Any, Any], body: bytes
) -> None:
    http, socket, envelope = anything
    answer = http.post(body)
    assert answer.status_code in (200, 202), answer.text
    if answer.status_code == 202:
        socket.tell(body)
    else:
        _check_reply(answer.json())
        _check_reply(socket.ask(body))
    try:
        envelope.connection.send(b'{"type":"mcp","data":' + body + b"}")
        envelope.connection.send(b'{"type":"mcp","data":{"jsonrpc":"2.0","id":"last","method":"ping"}}')
        while (frame := json.loads(envelope.connection.recv(30)))["data"].get("id") != "last":
            assert frame["type"] in ("mcp", "error")
    except ConnectionClosed:
        pytest.fail("the socket is dead")


def _check_reply(reply: Any) -> None:
    assert reply["jsonrpc"] == "2.0"
    assert ("result" in reply) != ("error" in reply)
    assert "error" not in reply or reply["error"]["code"] != -32603


@pytest.fixture(scope="module")
def anything() -> Iterator[tuple[HttpCaller, Any, Any]]:
    """Three callers, and a server, that send no pings: a ping draws from `random`, which Hypothesis watches."""
    with (
        serving(ping_interval_s=3600.0) as served,
        by_http(served) as http,
        by_socket(served, ping_interval=None) as socket,
        by_envelope(served, ping_interval=None) as envelope,
    ):
        yield http, socket, envelope
