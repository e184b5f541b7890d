"""Model Context Protocol: the environment as five tools, over JSON-RPC 2.0.

Three ways lead here: `POST /mcp`, the WebSocket `/mcp`, and `mcp` messages of `/ws`. Beside MCP's own methods there are
OpenEnv's two for sessions. Standard clients and OpenEnv's are answered alike.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from importlib.metadata import version
from typing import Any, Final

import attrs
import msgspec
from attrs import field
from attrs.validators import optional

from supportbench import codec
from supportbench.errors import DecodeError, Fault, SupportbenchError
from supportbench.models import fields
from supportbench.server.catalogue import DISTRIBUTION
from supportbench.server.mcp_descriptors import instructions
from supportbench.server.mcp_rpc import (
    INTERNAL_ERROR,
    Id,
    Request,
    RpcError,
    answer_to,
    id_of,
    invalid_params,
    method_not_found,
    parse_error,
    read_params,
    read_request,
    refused,
    rpc_error_of,
)
from supportbench.server.mcp_sessions import NamedSessions, SocketSessions
from supportbench.server.mcp_tools import Tools
from supportbench.server.played import Played
from supportbench.server.service import Service
from supportbench.wording import did_you_mean, shown

PROTOCOL_VERSIONS: Final = ("2025-06-18", "2025-03-26", "2024-11-05")
"""The versions that are spoken, the one first that others are offered."""

_encoder: Final = msgspec.json.Encoder(enc_hook=codec.plain)


def _none_if_empty(value: str | None) -> str | None:
    return value or None


@attrs.frozen(kw_only=True)
class InitializeParams:
    """What we need to know of a client."""

    protocolVersion: str = field(validator=fields.name)  # noqa: N815 - MCP's name


@attrs.frozen(kw_only=True)
class SessionParams:
    """The session that a request means, as OpenEnv's clients name it; an empty one is none."""

    session_id: str | None = field(default=None, converter=_none_if_empty, validator=optional(fields.name))


@attrs.frozen(kw_only=True)
class ListParams(SessionParams):
    """Which tools to list: all stand on one page."""

    cursor: str | None = None


@attrs.frozen(kw_only=True)
class CallParams(SessionParams):
    """Which tool to call, and with what."""

    name: str = field(validator=fields.text)
    arguments: Mapping[str, Any] | None = None


@attrs.frozen(kw_only=True)
class CloseParams:
    """Which session to end."""

    session_id: str = field(validator=fields.name)


class Mcp:
    """Answers JSON-RPC messages of one caller; `own` is the session of the WebSocket that they come by, if any.

    Other ways than a WebSocket bring `sessions` that know which one goes without saying. `tools` may be shared.
    """

    def __init__(
        self,
        service: Service,
        owner: str,
        *,
        own: Played | None = None,
        sessions: NamedSessions | None = None,
        tools: Tools | None = None,
    ) -> None:
        self._service = service
        self._own = own
        of_socket = NamedSessions(service, owner) if own is None else SocketSessions(service, owner, own)
        self._sessions = sessions or of_socket
        self._tools = tools or Tools(service)
        self._methods: Mapping[str, Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]] = {
            "initialize": self._initialize,
            "ping": self._ping,
            "tools/list": self._list_tools,
            "tools/call": self._call_tool,
            "openenv/session/create": self._create_session,
            "openenv/session/close": self._close_session,
        }

    async def answer(self, data: Any) -> dict[str, Any] | None:
        """Return the answer to a message, None to a notification (of which none means anything to us)."""
        request_id = id_of(data)
        try:
            request = read_request(data)
            return None if request is None else answer_to(request.id, await self._result(request))
        except SupportbenchError as error:
            return self._refused(request_id, rpc_error_of(error), error)
        except Exception as error:
            refusal = self._service.failed(error, self._session_id)
            return refused(request_id, RpcError(INTERNAL_ERROR, refusal))

    async def answer_frame(self, frame: str | bytes) -> bytes | None:
        """Return the answer to a message as it came over a wire; what is no JSON is answered as well."""
        try:
            reply = await self.answer(codec.parse_json(frame))
        except DecodeError as error:
            reply = self.unreadable(error, frame)
        return None if reply is None else _encoder.encode(reply)

    def unreadable(self, error: DecodeError, frame: str | bytes) -> dict[str, Any]:
        """Return the answer to what is no JSON."""
        return self._refused(None, parse_error(error, frame), error)

    async def observe_tools(self) -> dict[str, Any]:
        """Return the tools as the frame of an observation: OpenEnv's way to list them by a step."""
        told = [
            {"name": tool["name"], "description": tool["description"], "input_schema": tool["inputSchema"]}
            for tool in self._tools.descriptors
        ]
        return _observation({"tools": told})

    async def observe_call(self, name: str, arguments: Mapping[str, Any], timeout_s: float | None) -> dict[str, Any]:
        """Return what a tool answers as the frame of an observation: OpenEnv's way to call one by a step.

        A triage's reward, and whether the episode is done, are the frame's.
        """
        told: dict[str, Any] = {"tool_name": name[:255], "result": None, "error": None}
        try:
            tool = self._tools.find(name)
        except SupportbenchError as error:
            return _observation({**told, "error": {"error_type": "tool_not_found", "message": str(error)}})
        result = await self._tools.call(tool, arguments, self._sessions.played(None), timeout_s)
        if result.error is not None:
            return _observation({**told, "error": {"error_type": result.error, "message": result.text}})
        return _observation({**told, "result": result.as_json()}, reward=result.reward, done=result.done)

    async def _result(self, request: Request) -> dict[str, Any]:
        method = self._methods.get(request.method)
        if method is None:
            raise method_not_found(f"{shown(request.method)}. {did_you_mean(request.method, self._methods)}")
        return await method(request.params)

    async def _initialize(self, params: Mapping[str, Any]) -> dict[str, Any]:
        asked = read_params(params, InitializeParams).protocolVersion
        await self._sessions.begin()
        return {
            "protocolVersion": asked if asked in PROTOCOL_VERSIONS else PROTOCOL_VERSIONS[0],
            "capabilities": {"tools": {"listChanged": False}},
            "serverInfo": {"name": DISTRIBUTION, "title": "supportbench", "version": _version()},
            "instructions": instructions(),
        }

    async def _ping(self, params: Mapping[str, Any]) -> dict[str, Any]:
        await self._sessions.check(read_params(params, SessionParams).session_id)
        return {}

    async def _list_tools(self, params: Mapping[str, Any]) -> dict[str, Any]:
        asked = read_params(params, ListParams)
        if asked.cursor is not None:
            raise invalid_params([Fault("params.cursor", "all tools stand on one page: leave it out")])
        await self._sessions.check(asked.session_id)
        return {"tools": self._tools.descriptors}

    async def _call_tool(self, params: Mapping[str, Any]) -> dict[str, Any]:
        asked = read_params(params, CallParams)
        tool = self._tools.find(asked.name)
        result = await self._tools.call(tool, asked.arguments or {}, self._sessions.played(asked.session_id))
        return result.as_json()

    async def _create_session(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {"session_id": await self._sessions.create()}

    async def _close_session(self, params: Mapping[str, Any]) -> dict[str, Any]:
        session_id = read_params(params, CloseParams).session_id
        closed = await self._sessions.close(session_id)
        return {"session_id": session_id, "closed": closed, **({} if closed else {"closing": True})}

    @property
    def _session_id(self) -> str:
        return "" if self._own is None else self._own.session_id

    def _refused(self, request_id: Id, told: RpcError, error: SupportbenchError) -> dict[str, Any]:
        self._service.refused(told.refusal, error, self._session_id)
        return refused(request_id, told)


def _observation(seen: dict[str, Any], *, reward: float | None = None, done: bool = False) -> dict[str, Any]:
    return {
        "type": "observation",
        "data": {"observation": {"metadata": {}, **seen}, "reward": reward, "done": done},
    }


@cache
def _version() -> str:
    return version(DISTRIBUTION)
