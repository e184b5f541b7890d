"""`/mcp`: the Model Context Protocol over HTTP (its streamable transport, without streams), and over a WebSocket.

Over HTTP every request is answered with 200 and JSON, errors too, as OpenEnv's clients want it; but what MCP's own
headers ask for is answered with MCP's statuses: 404 where the session of `Mcp-Session-Id` has ended, upon which clients
begin another, and 400 for a version of the protocol that nobody speaks.
"""

from __future__ import annotations

import logging
from typing import Any, Final

import msgspec
from litestar import Request, Response, delete, post, route
from litestar.handlers import HTTPRouteHandler

from supportbench import codec
from supportbench.errors import DecodeError, SupportbenchError
from supportbench.protocol import SESSION_HEADER
from supportbench.server.answers import body_of, json_answer
from supportbench.server.callers import Callers
from supportbench.server.channel import Channel, Receive, Scope, Send
from supportbench.server.gate import Caller
from supportbench.server.mcp import PROTOCOL_VERSIONS, Mcp
from supportbench.server.mcp_rpc import SERVER_ERROR, RpcError, id_of, refused, rpc_error_of
from supportbench.server.mcp_sessions import NamedSessions, RequestSessions
from supportbench.server.mcp_tools import Tools
from supportbench.server.operations import Answer, Operation, declared
from supportbench.server.refusals import Refusal, RefusedError, factory_failed, unknown_session
from supportbench.server.service import Service

AnyRequest = Request[Any, Any, Any]

MCP_SESSION_HEADER: Final = "Mcp-Session-Id"
_VERSION_HEADER: Final = "MCP-Protocol-Version"
_SUBPROTOCOL: Final = "mcp"
_LONGEST_ID: Final = 255

logger: Final = logging.getLogger("supportbench.server.mcp")
_encoder: Final = msgspec.json.Encoder(enc_hook=codec.plain)


def mcp_routes(service: Service) -> list[HTTPRouteHandler]:
    """Return the HTTP routes of the Model Context Protocol; in production mode there are the same."""
    callers, tools = Callers(service), Tools(service)

    @post("/mcp", status_code=200, opt=declared(_MESSAGE))
    async def message(request: AnyRequest) -> Response[bytes]:
        caller, in_header = _caller(request), _session_in_header(request)
        sessions = RequestSessions(service, caller.owner, callers, request, in_header)
        mcp = Mcp(service, caller.owner, sessions=sessions, tools=tools)
        body = await body_of(request)
        try:
            data = codec.parse_json(body)
        except DecodeError as error:
            return json_answer(_encoder.encode(mcp.unreadable(error, body)))
        try:
            if not _is_initialize(data):
                _check_version(request)
            await _check_session(service, in_header, caller.owner)
        except SupportbenchError as error:
            told = rpc_error_of(error)
            service.refused(told.refusal, error, in_header or "")
            status = told.refusal.status if told.refusal.status in (400, 404) else 200
            return json_answer(_encoder.encode(refused(id_of(data), told)), status=status)
        reply = await mcp.answer(data)
        if reply is None:
            return Response(b"", status_code=202)
        begun = {MCP_SESSION_HEADER: sessions.begun} if sessions.begun else {}
        return json_answer(_encoder.encode(reply), headers={**sessions.headers, **begun})

    @delete("/mcp", status_code=200, opt=declared(_END))
    async def end(request: AnyRequest) -> Response[bytes]:
        session_id = _session_in_header(request)
        if session_id is None:
            raise RefusedError(_NOT_NAMED)
        if len(session_id) > _LONGEST_ID:
            raise unknown_session(session_id)
        owner = _caller(request).owner
        try:
            closed = await NamedSessions(service, owner).close(session_id)
        except RpcError as error:
            raise RefusedError(error.refusal) from None
        return Response(b"", status_code=204 if closed else 202)

    # Litestar's own answer to OPTIONS would name the methods of whichever handler of a path it met first.
    @route("/mcp", http_method="OPTIONS", status_code=200)
    async def tell_methods() -> Response[bytes]:
        return Response(b"", status_code=204, headers={"Allow": "DELETE, OPTIONS, POST"})

    return [tell_methods, message, end]


async def serve_mcp_socket(service: Service, scope: Scope, receive: Receive, send: Send) -> None:
    """Accept a connection to `/mcp` and answer its messages; it has a session of its own, which ends with it."""
    await receive()
    offered = _SUBPROTOCOL in scope.get("subprotocols", ())
    await send({"type": "websocket.accept", **({"subprotocol": _SUBPROTOCOL} if offered else {})})
    caller: Caller = scope["state"]["caller"]
    channel = Channel(service, receive, send, message_limit=caller.message_limit)
    try:
        session = service.sessions.open_live(caller.owner)
    except SupportbenchError as error:
        told = rpc_error_of(error)
        service.refused(told.refusal, error, "")
        if told.refusal.code == "CAPACITY_REACHED":
            logger.warning("%s", told.refusal.message)
        await channel.refuse(_encoder.encode(refused(None, told)))
        return
    except Exception as error:
        service.failed(error, "")
        await channel.refuse(_encoder.encode(refused(None, RpcError(SERVER_ERROR, factory_failed()))))
        return
    mcp = Mcp(service, caller.owner, own=session)
    try:
        await channel.serve(lambda frame: channel.watching(mcp.answer_frame(frame)))
    finally:
        service.sessions.close_live(session)


def _caller(request: AnyRequest) -> Caller:
    caller: Caller = request.scope["state"]["caller"]
    return caller


def _session_in_header(request: AnyRequest) -> str | None:
    """Return the session that the request's header names; an empty one is none."""
    return request.headers.get(MCP_SESSION_HEADER) or None


def _is_initialize(data: object) -> bool:
    """Return whether the message is the one that agrees upon a version; until then a client may ask for any."""
    return isinstance(data, dict) and data.get("method") == "initialize"


def _check_version(request: AnyRequest) -> None:
    asked = request.headers.get(_VERSION_HEADER)
    if asked is not None and asked not in PROTOCOL_VERSIONS:
        told = f"{_VERSION_HEADER}: this version is not spoken here. Spoken are {', '.join(PROTOCOL_VERSIONS)}."
        raise RefusedError(Refusal(status=400, code="VALIDATION_ERROR", message=told))


async def _check_session(service: Service, session_id: str | None, owner: str) -> None:
    """Raise `RefusedError` unless there is a session of that name and owner; keep it from ending."""
    if session_id is None:
        return
    if len(session_id) > _LONGEST_ID:
        raise unknown_session(session_id)
    await service.sessions.saved(session_id, owner)


_NOT_NAMED: Final = Refusal(
    status=404, code="SESSION_ERROR", message=f"No session is named: send the header {MCP_SESSION_HEADER}."
)
_MESSAGE: Final = Operation(
    summary="Answer a JSON-RPC message",
    description="The Model Context Protocol's streamable HTTP transport, versions "
    f"{', '.join(PROTOCOL_VERSIONS)} (`{_VERSION_HEADER}` may say which), with JSON for an answer and no streams; and "
    "OpenEnv's `openenv/session/create` and `openenv/session/close`. Errors are JSON-RPC's, in answers of status 200.",
    tag="MCP",
    headers={MCP_SESSION_HEADER: "The session, as the answer to `initialize` named it."},
    body=Any,
    body_required=False,
    answers={
        200: Answer.of_json(
            dict[str, Any],
            "The JSON-RPC answer: a result, or an error.",
            headers={
                MCP_SESSION_HEADER: "The session that `initialize` began.",
                SESSION_HEADER: "The session that was played in.",
            },
        ),
        202: Answer(description="The message was a notification or an answer: there is nothing to say to it."),
        400: Answer.of_json(dict[str, Any], f"This version (`{_VERSION_HEADER}`) is not spoken; a JSON-RPC error."),
        404: Answer.of_json(dict[str, Any], f"The session of `{MCP_SESSION_HEADER}` has ended; a JSON-RPC error."),
    },
)
_END: Final = Operation(
    summary="End a session",
    tag="MCP",
    headers={MCP_SESSION_HEADER: "The session, as the answer to `initialize` named it."},
    answers={
        202: Answer(description="It ends when the WebSocket lets go that is attached to it."),
        204: Answer(description="It has ended."),
    },
    refuses={
        404: "There is no such session, any more or for this caller. Or none is named.",
        409: "The session lives with a WebSocket, and ends when that is closed.",
        503: "The session store cannot be reached.",
    },
)
