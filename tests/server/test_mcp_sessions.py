"""Which session a message means, whose it is, and that none is left over."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from supportbench import unstructure
from tests.offering import an_action
from tests.server.calling import (
    HELLO,
    PATIENCE_S,
    WAYS,
    Caller,
    HttpCaller,
    SocketCaller,
    by_envelope,
    by_http,
    by_socket,
    error_in,
    text_of,
)
from tests.server.house import Gated, active, eventually, gated_registry
from tests.server.serving import Served, serving

TRIAGE = {name: value for name, value in unstructure(an_action()).items() if name != "metadata"}
INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
ALPHA, BETA = "alpha-token-0001", "beta-token-00002"
NOBODYS = "0b5b3c52-7f2c-4a3c-8a52-1f8a3f9f9f9f"


@pytest.fixture(scope="module")
def shared() -> Iterator[Served]:
    """A server for tests that leave nothing behind, or look at nothing that others leave."""
    with serving() as running:
        yield running


@pytest.fixture
def served() -> Iterator[Served]:
    """A server in which nothing has happened yet."""
    with serving() as running:
        yield running


@pytest.fixture
def bare(served: Served) -> Iterator[HttpCaller]:
    """A client by HTTP that names no session."""
    with (caller := HttpCaller(served)).client:
        yield caller


# -- MCP's own ----------------------------------------------------------------------------------------------------


def test_initialize_begins_a_session_by_http(served: Served, bare: HttpCaller) -> None:
    begun = [bare.post(INITIALIZE).headers["Mcp-Session-Id"] for _ in range(3)]
    assert len(set(begun)) == active(served) == 3
    assert all(re.fullmatch(r"[!-~]{36}", session_id) for session_id in begun)
    # Who has one keeps it.
    answer = bare.post(INITIALIZE, **{"Mcp-Session-Id": begun[0]})
    assert "result" in answer.json()
    assert "Mcp-Session-Id" not in answer.headers
    assert active(served) == 3


def test_an_initialize_that_is_refused_begins_nothing(served: Served, bare: HttpCaller) -> None:
    answer = bare.post({**INITIALIZE, "params": {}})
    assert error_in(answer.json())["code"] == -32602
    assert "Mcp-Session-Id" not in answer.headers
    assert active(served) == 0


def test_two_clients_by_http_play_two_episodes(shared: Served) -> None:
    with by_http(shared) as one, by_http(shared) as other:
        one.done("start_episode", {"task_id": "easy_inbox_cleanup"})
        other.done("start_episode", {"task_id": "hard_exec_escalations"})
        one.done("submit_triage", TRIAGE)
        assert one.done("get_state")["step_count"] == 1
        assert other.done("get_state")["step_count"] == 0


def test_delete_ends_a_session_and_its_client_is_told_by_404(served: Served) -> None:
    with by_http(served) as caller:
        url = f"{served.url}/mcp"
        ended = caller.client.delete(url)
        assert (ended.status_code, ended.content) == (204, b"")
        assert active(served) == 0
        for message in (PING, INITIALIZE, {"jsonrpc": "2.0", "method": "notifications/initialized"}, {}):
            answer = caller.post(message)
            assert answer.status_code == 404
            assert answer.json()["id"] == message.get("id")
            error = error_in(answer.json())
            assert error["code"] == -32602
            assert "Unknown session_id: " in error["message"]
        assert caller.client.delete(url).status_code == 404
        del caller.client.headers["Mcp-Session-Id"]
        assert "Mcp-Session-Id" in caller.client.delete(url).json()["detail"]
        assert caller.client.delete(url).status_code == 404


@pytest.mark.parametrize("session_id", [NOBODYS, "x", "x" * 1000, "../..", "é"])
def test_a_header_that_names_no_session_is_404(shared: Served, session_id: str) -> None:
    headers = {b"Mcp-Session-Id": session_id.encode("latin-1")}
    with httpx.Client() as client:
        for method in ("POST", "DELETE"):
            sent = httpx.Request(method, f"{shared.url}/mcp", json=PING, headers=headers)
            assert client.send(sent).status_code == 404


# -- OpenEnv's ----------------------------------------------------------------------------------------------------


def test_openenvs_sessions_are_created_played_and_closed(served: Served, bare: HttpCaller) -> None:
    created = bare.result("openenv/session/create", {})
    assert set(created) == {"session_id"}
    assert active(served) == 1
    assert bare.result("tools/list", created)["tools"]
    bare.done("start_episode", {"task_id": "easy_inbox_cleanup"}, **created)
    bare.done("submit_triage", TRIAGE, **created)
    assert bare.done("get_state", {}, **created)["step_count"] == 1
    assert bare.done("get_state")["step_count"] == 0
    assert bare.result("openenv/session/close", created) == {**created, "closed": True}
    assert active(served) == 0
    assert "Unknown session_id" in bare.error("openenv/session/close", created)["message"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("ping", {}),
        ("tools/list", {}),
        *(("tools/call", {"name": tool}) for tool in ("start_episode", "read_ticket", "get_state")),
        ("tools/call", {"name": "submit_triage", "arguments": TRIAGE}),
        ("openenv/session/close", {}),
    ],
)
def test_a_session_that_does_not_exist_is_refused(shared: Served, way: str, method: str, params: Any) -> None:
    with WAYS[way](shared) as caller:
        if way == "http":
            assert isinstance(caller, HttpCaller)
            del caller.client.headers["Mcp-Session-Id"]
        error = caller.error(method, {**params, "session_id": NOBODYS})
    assert error["code"] == -32602
    assert error["message"].startswith(f"Unknown session_id: {NOBODYS}.")


@pytest.mark.parametrize("calling", [by_socket, by_envelope])
def test_a_sockets_session_is_its_own_and_ends_with_it(served: Served, bare: HttpCaller, calling: Any) -> None:
    with calling(served) as caller:
        own = caller.result("openenv/session/create")
        assert caller.result("openenv/session/create") == own
        assert active(served) == 1
        caller.done("start_episode", {"task_id": "easy_inbox_cleanup"}, **own)
        assert caller.done("get_state")["task"]["task_id"] == "easy_inbox_cleanup"
        assert caller.result("ping", own) == {}
        for other in (caller, bare):
            error = other.error("openenv/session/close", own)
            assert error["code"] == -32600
            assert "lives with its WebSocket" in error["message"]
        assert "Unknown session_id" in bare.error("tools/call", {"name": "get_state", **own})["message"]
        headers = {"Mcp-Session-Id": own["session_id"]}
        assert httpx.delete(f"{served.url}/mcp", headers=headers).status_code == 409
        assert caller.done("get_state")["step_count"] == 0


async def test_a_socket_frees_its_place(served: Served) -> None:
    for calling in (by_socket, by_envelope):
        with calling(served) as caller:
            caller.done("start_episode")
            assert active(served) == 1
        await eventually(lambda: active(served) == 0)


def test_a_socket_may_play_another_session_of_its_owner(served: Served, bare: HttpCaller) -> None:
    created = bare.result("openenv/session/create")
    with by_socket(served) as caller:
        caller.done("start_episode", {"task_id": "easy_inbox_cleanup"}, **created)
        assert caller.done("get_state")["episode_id"] is None
        assert caller.result("openenv/session/close", created)["closed"] is True


async def test_a_session_is_shared_with_the_socket_that_is_attached_to_it(served: Served, bare: HttpCaller) -> None:
    created = bare.result("openenv/session/create")
    with by_envelope(served, f"?session_id={created['session_id']}") as attached:
        assert attached.result("openenv/session/create") == created
        attached.done("start_episode", {"task_id": "easy_inbox_cleanup"})
        bare.done("submit_triage", TRIAGE, **created)
        assert attached.done("get_state")["step_count"] == 1
        error = attached.error("openenv/session/close", created)
        assert error["code"] == -32600
        closing = {**created, "closed": False, "closing": True}
        assert bare.result("openenv/session/close", created) == closing
        headers = {"Mcp-Session-Id": created["session_id"]}
        assert bare.client.delete(f"{served.url}/mcp", headers=headers).status_code == 202
        assert attached.done("submit_triage", TRIAGE)["done"] is True
    await eventually(lambda: active(served) == 0)
    assert "Unknown session_id" in bare.error("openenv/session/close", created)["message"]


# -- who names none -----------------------------------------------------------------------------------------------


def test_who_names_no_session_goes_on_in_the_default_one(served: Served, bare: HttpCaller) -> None:
    seen = bare.done("start_episode", {"task_id": "easy_inbox_cleanup"})
    assert bare.done("read_ticket")["ticket"] == seen["ticket"]
    bare.done("submit_triage", TRIAGE)
    assert bare.client.get(f"{served.url}/state").json()["step_count"] == 1
    step = bare.client.post(f"{served.url}/step", json={"action": TRIAGE})
    assert step.json()["done"] is True
    assert bare.done("get_state")["done"] is True
    for number in range(20):
        bare.done("start_episode", {"seed": number})
        bare.done("submit_triage", TRIAGE)
    assert active(served) == 1


def test_the_headers_say_which_session_was_played(shared: Served) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "start_episode"}}
    answer = httpx.post(f"{shared.url}/mcp", json=call)
    session_id = answer.headers["X-Session-ID"]
    assert answer.cookies["supportbench_session"] == session_id
    assert httpx.get(f"{shared.url}/state", params={"session_id": session_id}).json()["total_tickets"] == 2
    call["params"] = {"name": "submit_triage", "arguments": TRIAGE}
    by_header = httpx.post(f"{shared.url}/mcp", json=call, headers={"X-Session-ID": session_id})
    assert by_header.json()["result"]["structuredContent"]["current_index"] == 1


def test_a_default_session_that_has_ended_is_no_error(served: Served, bare: HttpCaller) -> None:
    bare.done("start_episode")
    bare.result("openenv/session/close", {"session_id": bare.client.cookies["supportbench_session"]})
    assert bare.done("get_state")["episode_id"] is None
    assert bare.failed("submit_triage", TRIAGE) == "No episode is open. Next: call start_episode."
    assert bare.done("start_episode")["current_index"] == 0


def test_an_episode_that_cannot_begin_leaves_no_session(served: Served, bare: HttpCaller) -> None:
    assert "nonsense" in bare.failed("start_episode", {"task_id": "nonsense"})
    assert active(served) == 0


def test_two_names_for_one_request_are_refused(shared: Served) -> None:
    with by_http(shared) as caller:
        error = caller.error("tools/call", {"name": "get_state", "session_id": NOBODYS})
        assert error["code"] == -32602
        assert "params.session_id: is another session than that of the header" in error["message"]
        own = caller.client.headers["Mcp-Session-Id"]
        assert caller.done("get_state", {}, session_id=own)["episode_id"] is None
        caller.client.headers["X-Session-ID"] = NOBODYS
        assert "name different sessions" in caller.failed("start_episode")


def test_without_default_sessions_one_has_to_be_named() -> None:
    with serving(default_session=False) as served, (caller := HttpCaller(served)).client:
        call = {"name": "start_episode"}
        answer = caller.post({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call})
        own = {"session_id": answer.headers["X-Session-ID"]}
        assert "set-cookie" not in answer.headers
        assert caller.failed("submit_triage", TRIAGE) == "No episode is open. Next: call start_episode."
        assert caller.done("submit_triage", TRIAGE, **own)["current_index"] == 1


# -- limits -------------------------------------------------------------------------------------------------------


def test_at_capacity_everything_that_begins_a_session_says_so() -> None:
    with serving(max_sessions=1) as served, (bare := HttpCaller(served)).client:
        with by_http(served) as first:
            full = {"active_sessions": 1, "max_sessions": 1}
            for method, params in (
                ("initialize", HELLO),
                ("openenv/session/create", None),
                ("tools/call", {"name": "start_episode"}),
            ):
                error = bare.error(method, params)
                assert (error["code"], error["data"]) == (-32000, full)
                assert "1/1 sessions" in error["message"]
            with by_socket(served) as refused:
                frame = refused.hear()
                assert frame["id"] is None
                assert (error_in(frame)["code"], frame["error"]["data"]) == (-32000, full)
                with pytest.raises(ConnectionClosed) as closed:
                    refused.hear()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1000
            assert bare.result("tools/list")["tools"]
            assert first.done("start_episode")["current_index"] == 0
            first.client.delete(f"{served.url}/mcp")
        assert bare.result("openenv/session/create")
        assert served.app.service.errors["CAPACITY_REACHED"] == 4


async def test_what_nobody_uses_ends() -> None:
    with serving(session_timeout_s=0.3) as served:
        with by_http(served) as caller, by_socket(served) as socket:
            created = socket.result("openenv/session/create")
            await eventually(lambda: active(served) == 1)
            assert caller.post(PING).status_code == 404
            assert socket.result("openenv/session/create") == created
            assert socket.done("start_episode")["current_index"] == 0
        await eventually(lambda: active(served) == 0)


async def test_a_client_that_vanishes_in_a_triage_leaves_nothing() -> None:
    gated = Gated()
    with serving(gated_registry(gated)) as served, by_socket(served) as caller:
        caller.done("start_episode")
        call = {"name": "submit_triage", "arguments": TRIAGE}
        caller.send({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": call})
        await eventually(lambda: gated.waiting == 1)
        caller.connection.socket.shutdown(2)
        await eventually(lambda: gated.waiting == 0 and active(served) == 0 and not served.app.service.sockets)


# -- owners -------------------------------------------------------------------------------------------------------


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_session_belongs_to_the_token_that_began_it() -> None:
    with serving(tokens=(ALPHA, BETA)) as served:
        assert httpx.post(f"{served.url}/mcp", json=PING).status_code == 401
        assert httpx.delete(f"{served.url}/mcp").status_code == 401
        with (
            by_http(served, **bearer(ALPHA)) as mine,
            (other := HttpCaller(served, **bearer(BETA))).client,
            by_socket(served, additional_headers=bearer(BETA)) as others_socket,
            by_envelope(served, additional_headers=bearer(ALPHA)) as my_socket,
        ):
            own = {"session_id": mine.client.headers["Mcp-Session-Id"]}
            mine.done("start_episode")
            live = my_socket.result("openenv/session/create")
            strangers: tuple[Caller, ...] = (other, others_socket)
            for stranger in strangers:
                for session in (own, live):
                    for method, params in (
                        ("ping", {}),
                        ("tools/list", {}),
                        ("tools/call", {"name": "get_state"}),
                        ("tools/call", {"name": "start_episode"}),
                        ("tools/call", {"name": "submit_triage", "arguments": TRIAGE}),
                        ("openenv/session/close", {}),
                    ):
                        error = stranger.error(method, {**params, **session})
                        assert (error["code"], error["message"].split(":")[0]) == (-32602, "Unknown session_id")
                assert stranger.done("get_state")["episode_id"] is None
            headers = {"Mcp-Session-Id": own["session_id"]}
            assert other.post(PING, **headers).status_code == 404
            assert other.client.delete(f"{served.url}/mcp", headers=headers).status_code == 404
            assert mine.done("get_state")["step_count"] == 0


def test_a_tokens_default_session_is_that_of_no_other() -> None:
    with (
        serving(tokens=(ALPHA, BETA)) as served,
        (one := HttpCaller(served, **bearer(ALPHA))).client,
        (other := HttpCaller(served, **bearer(BETA))).client,
    ):
        one.done("start_episode")
        assert text_of(other.call("get_state")) == "No episode is open. Next: call start_episode."
        assert one.done("submit_triage", TRIAGE)["current_index"] == 1
        assert not one.client.cookies


# -- OpenEnv's steps ----------------------------------------------------------------------------------------------


@pytest.fixture
def stepping(shared: Served) -> Iterator[SocketCaller]:
    with by_socket(shared, "/ws") as caller:
        yield caller


def stepped(caller: SocketCaller, data: Any, **more: Any) -> Any:
    """Return what a step with this data is answered."""
    caller.connection.send(json.dumps({"type": "step", "data": data, **more}))
    frame = json.loads(caller.connection.recv(timeout=PATIENCE_S))
    return frame["data"]


def called(caller: SocketCaller, tool: str, **arguments: Any) -> Any:
    return stepped(caller, {"type": "call_tool", "tool_name": tool, "arguments": arguments})


def test_tools_are_listed_by_a_step(stepping: SocketCaller) -> None:
    frame = stepped(stepping, {"type": "list_tools"})
    assert (frame["reward"], frame["done"], frame["observation"]["metadata"]) == (None, False, {})
    tools = {tool.pop("name"): tool for tool in frame["observation"]["tools"]}
    assert list(tools) == ["list_tasks", "start_episode", "read_ticket", "submit_triage", "get_state"]
    assert all(set(tool) == {"description", "input_schema"} for tool in tools.values())


def test_tools_are_called_by_steps_and_a_triage_brings_its_reward(stepping: SocketCaller) -> None:
    begun = called(stepping, "start_episode", task_id="easy_inbox_cleanup")
    assert set(begun["observation"]) == {"metadata", "tool_name", "result", "error"}
    assert begun["observation"]["error"] is None
    assert (begun["reward"], begun["done"]) == (None, False)
    first = called(stepping, "submit_triage", **TRIAGE)
    told = first["observation"]["result"]
    assert first["reward"] == told["structured_content"]["reward"] > 0
    assert first["done"] is False
    plain = stepped(stepping, TRIAGE)
    assert plain["done"] is True
    assert called(stepping, "get_state")["observation"]["result"]["data"]["cumulative_reward"] == pytest.approx(
        first["reward"] + plain["reward"]
    )


@pytest.mark.parametrize(
    ("data", "kind", "says"),
    [
        ({"tool_name": "submit"}, "tool_not_found", "Unknown tool: 'submit'. Did you mean 'submit_triage'?"),
        ({"tool_name": "read_ticket"}, "execution_error", "No episode is open."),
        ({"tool_name": "submit_triage"}, "invalid_args", "- priority: required, but missing"),
        ({"tool_name": "start_episode", "arguments": {"task_id": "x"}}, "invalid_args", "There is no task 'x'."),
    ],
)
def test_what_a_tool_cannot_do_is_an_error_in_openenvs_words(
    stepping: SocketCaller, data: Any, kind: str, says: str
) -> None:
    frame = stepped(stepping, {"type": "call_tool", "metadata": {"note": 1}, **data})
    seen = frame["observation"]
    assert (seen["tool_name"], seen["result"], seen["error"]["error_type"]) == (data["tool_name"], None, kind)
    assert says in seen["error"]["message"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"type": "call_tool"}, "data.tool_name: required, but missing"),
        ({"type": "call_tool", "tool_name": 5}, "data.tool_name: expected a string"),
        ({"type": "call_tool", "tool_name": "x", "arguments": []}, "data.arguments: expected an object"),
        ({"type": "call_tool", "tool_name": "x", "args": {}}, "data.args: unknown key. Did you mean 'arguments'?"),
        ({"type": "list_tools", "tool_name": "x"}, "data.tool_name: unknown key"),
        ({"type": "jump"}, "data.priority: required, but missing"),
        ({"type": ["list_tools"], **TRIAGE}, "data.type: unknown key"),
    ],
)
def test_a_step_that_is_neither_is_refused(stepping: SocketCaller, data: Any, says: str) -> None:
    error = stepped(stepping, data)
    assert error["code"] == "VALIDATION_ERROR"
    assert says in json.dumps(error)
    assert stepped(stepping, {"type": "list_tools"})["observation"]["tools"]


def test_the_time_limit_of_a_step_holds_for_a_triage_by_a_tool() -> None:
    gated = Gated()
    with serving(gated_registry(gated)) as served, by_socket(served, "/ws") as caller:
        called(caller, "start_episode")
        triage = {"type": "call_tool", "tool_name": "submit_triage", "arguments": TRIAGE}
        seen = stepped(caller, triage, timeout_s=0.2)["observation"]
        assert seen["error"]["error_type"] == "timeout"
        gated.open.set()
        assert stepped(caller, triage, timeout_s=30)["reward"] == 0.5
        assert "timeout_s" in stepped(caller, triage, timeout_s="x")["message"]
