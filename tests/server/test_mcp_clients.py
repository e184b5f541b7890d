"""Other people's clients for tools, unchanged: OpenEnv's, and those of the Model Context Protocol itself."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest
from fastmcp import Client
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.client.websocket import websocket_client
from mcp.shared.exceptions import McpError
from mcp.types import INVALID_PARAMS, CallToolResult, TextContent
from openenv.core.env_server.mcp_types import CallToolAction, ListToolsAction
from openenv.core.mcp_client import MCPToolClient

from supportbench import SupportQueueObservation, structure, unstructure
from tests.offering import an_action
from tests.server.house import active, eventually
from tests.server.serving import Served, serving

TOOLS = ["list_tasks", "start_episode", "read_ticket", "submit_triage", "get_state"]
TRIAGE = {name: value for name, value in unstructure(an_action()).items() if name != "metadata"}
TOKEN = "a-token-for-tests"  # noqa: S105


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as running:
        yield running


# -- OpenEnv's ----------------------------------------------------------------------------------------------------


async def test_openenvs_client_lists_and_calls_the_tools(served: Served) -> None:
    async with MCPToolClient(base_url=served.url) as env:
        tools = await env.list_tools()
        assert [tool.name for tool in tools] == TOOLS
        assert all(tool.description and tool.input_schema["type"] == "object" for tool in tools)
        assert await env.has_tool("submit_triage")
        assert (await env.call_tool("list_tasks"))["total"] == 3
        seen = await env.call_tool("start_episode", task_id="easy_inbox_cleanup")
        rewards = []
        while not seen["done"]:
            assert (await env.call_tool("read_ticket"))["ticket"] == seen["ticket"]
            seen = await env.call_tool("submit_triage", **TRIAGE)
            structure(seen, SupportQueueObservation)
            rewards.append(seen["reward"])
        state = await env.call_tool("get_state")
        assert (state["step_count"], state["cumulative_reward"]) == (2, pytest.approx(sum(rewards)))
    await eventually(lambda: active(served) == 0)


async def test_openenvs_client_resets_and_steps_in_the_session_that_its_tools_have(served: Served) -> None:
    async with MCPToolClient(base_url=served.url) as env:
        result = await env.reset(task_id="medium_sla_defense")
        assert (await env.call_tool("read_ticket"))["ticket"] == result.observation.ticket
        await env.call_tool("submit_triage", **TRIAGE)
        listed = (await env.step(ListToolsAction())).observation
        assert [tool.name for tool in listed.tools] == TOOLS
        step = await env.step(CallToolAction(tool_name="submit_triage", arguments=TRIAGE))
        assert step.observation.error is None
        assert step.reward == step.observation.result["data"]["reward"]
        assert step.done is False
        assert (await env.state()).step_count == 2
        refused = (await env.step(CallToolAction(tool_name="submit_triage", arguments={}))).observation
        assert refused.error.error_type.value == "invalid_args"
        assert "- priority: required, but missing" in refused.error.message
        unknown = (await env.step(CallToolAction(tool_name="submit"))).observation
        assert unknown.error.error_type.value == "tool_not_found"
    await eventually(lambda: active(served) == 0)


async def test_openenvs_client_is_told_what_went_wrong(served: Served) -> None:
    async with MCPToolClient(base_url=served.url) as env:
        with pytest.raises(RuntimeError, match=r"Tool 'submit' failed: Unknown tool: 'submit'\. Did you mean"):
            await env.call_tool("submit")
        told = await env.call_tool("submit_triage", **TRIAGE)
        assert told["error"] == {
            "error_type": "execution_error",
            "message": "No episode is open. Next: call start_episode.",
        }


def test_openenvs_client_plays_synchronously(served: Served) -> None:
    with MCPToolClient(base_url=served.url).sync() as env:
        assert [tool.name for tool in env.list_tools()] == TOOLS
        assert env.call_tool("start_episode", seed=1)["current_index"] == 0
        assert env.call_tool("submit_triage", **TRIAGE)["current_index"] == 1


async def test_openenvs_client_plays_with_a_token_in_production() -> None:
    with serving(tokens=(TOKEN,), mode="production") as served:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with MCPToolClient(base_url=served.url, headers=headers) as env:
            assert (await env.call_tool("start_episode"))["current_index"] == 0
            assert (await env.reset(seed=1)).done is False
        with pytest.raises(httpx.HTTPStatusError, match="401"):
            await MCPToolClient(base_url=served.url).connect()
        await eventually(lambda: active(served) == 0)


async def test_openenvs_client_is_told_when_the_server_is_full() -> None:
    with serving(max_sessions=1) as served:
        async with MCPToolClient(base_url=served.url):
            with pytest.raises(RuntimeError, match="Failed to create MCP session: Server at capacity: 1/1"):
                await MCPToolClient(base_url=served.url).connect()


# -- MCP's --------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def over_http(served: Served, **headers: str) -> AsyncIterator[ClientSession]:
    """Within the block the standard client is connected by HTTP."""
    async with (
        httpx.AsyncClient(headers=headers, timeout=30) as client,
        streamable_http_client(f"{served.url}/mcp", http_client=client) as (reading, writing, _),
        ClientSession(reading, writing) as session,
    ):
        yield session


@contextlib.asynccontextmanager
async def over_websocket(served: Served) -> AsyncIterator[ClientSession]:
    """Within the block the standard client is connected by a WebSocket, which it can for a while yet."""
    with pytest.deprecated_call():
        connecting = websocket_client(f"{served.ws}/mcp")
    async with connecting as (reading, writing), ClientSession(reading, writing) as session:
        yield session


Connecting = Callable[[Served], AbstractAsyncContextManager[ClientSession]]
BY_EITHER_WAY = pytest.mark.parametrize("connecting", [over_http, over_websocket])


@BY_EITHER_WAY
async def test_the_standard_client_plays_an_episode(served: Served, connecting: Connecting) -> None:
    async with connecting(served) as session:
        agreed = await session.initialize()
        assert agreed.protocolVersion == "2025-06-18"
        assert agreed.serverInfo.name == "supportbench"
        assert "start_episode" in (agreed.instructions or "")
        await session.send_ping()
        tools = {tool.name: tool for tool in (await session.list_tools()).tools}
        assert list(tools) == TOOLS
        hints = tools["read_ticket"].annotations
        assert hints is not None
        assert (hints.readOnlyHint, hints.title) == (True, "Read the open ticket")
        # The client holds every structured answer against the tool's schema.
        listed = _structured(await session.call_tool("list_tasks", {"limit": 2}))
        assert (len(listed["tasks"]), listed["next"]) == (2, "2")
        seen = _structured(await session.call_tool("start_episode", {"task_id": "hard_exec_escalations"}))
        while not seen["done"]:
            read = await session.call_tool("read_ticket")
            assert seen["ticket"]["subject"] in _text(read)
            seen = _structured(await session.call_tool("submit_triage", TRIAGE))
        state = _structured(await session.call_tool("get_state"))
        assert (state["done"], state["step_count"]) == (True, 4)
        assert active(served) == 1
    await eventually(lambda: active(served) == 0)


@BY_EITHER_WAY
async def test_the_standard_client_is_told_what_went_wrong(served: Served, connecting: Connecting) -> None:
    async with connecting(served) as session:
        await session.initialize()
        refused = await session.call_tool("submit_triage", {"priority": 5})
        assert refused.isError is True
        assert "- priority: expected a string, got a number" in _text(refused)
        with pytest.raises(McpError, match="Unknown tool: 'submit'") as unknown:
            await session.call_tool("submit")
        assert unknown.value.error.code == INVALID_PARAMS
        with pytest.raises(McpError, match="Method not found: 'resources/list'"):
            await session.list_resources()
        assert not (await session.call_tool("start_episode")).isError


async def test_two_standard_clients_play_side_by_side(served: Served) -> None:
    async with over_http(served) as one, over_http(served) as other:
        for session in (one, other):
            await session.initialize()
        first = _structured(await one.call_tool("start_episode", {"task_id": "easy_inbox_cleanup"}))
        second = _structured(await other.call_tool("start_episode", {"task_id": "medium_sla_defense"}))
        assert _structured(await one.call_tool("read_ticket"))["ticket"] == first["ticket"]
        assert _structured(await other.call_tool("read_ticket"))["ticket"] == second["ticket"]


async def test_the_standard_client_plays_with_a_token() -> None:
    with serving(tokens=(TOKEN,)) as served:
        async with over_http(served, Authorization=f"Bearer {TOKEN}") as session:
            await session.initialize()
            assert not (await session.call_tool("start_episode")).isError


async def test_the_standard_client_notices_that_its_session_has_ended(served: Served) -> None:
    async with over_http(served) as session:
        await session.initialize()
        (session_id,) = served.app.service.sessions._places.of_the_store()
        async with httpx.AsyncClient() as client:
            await client.delete(f"{served.url}/mcp", headers={"Mcp-Session-Id": session_id})
        with pytest.raises(McpError, match="Session terminated"):
            await session.call_tool("get_state")


async def test_the_client_of_fastmcp_plays_too(served: Served) -> None:
    async with Client(f"{served.url}/mcp") as client:
        assert [tool.name for tool in await client.list_tools()] == TOOLS
        begun = await client.call_tool("start_episode", {"task_id": "easy_inbox_cleanup"})
        assert begun.structured_content is not None
        assert begun.structured_content["current_index"] == 0
        graded = await client.call_tool("submit_triage", TRIAGE)
        assert graded.structured_content is not None
        assert 0.0 <= graded.structured_content["reward"] <= 1.0


def _structured(result: CallToolResult) -> dict[str, Any]:
    assert result.isError is False, _text(result)
    assert result.structuredContent is not None
    return result.structuredContent


def _text(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text
