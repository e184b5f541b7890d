"""`/ws`: OpenEnv's WebSocket protocol, with an environment of its own or attached to a session of the store."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from supportbench import codec
from supportbench.errors import StoreError, SupportbenchError
from supportbench.server.channel import Channel, GoneError, HangUpError, Receive, Scope, Send
from supportbench.server.mcp import Mcp
from supportbench.server.messages import (
    Incoming,
    ListToolsAction,
    McpMessage,
    ResetMessage,
    StateMessage,
    StepMessage,
    ToolMessage,
    read_message,
)
from supportbench.server.played import AttachedSession, Played
from supportbench.server.refusals import Refusal, RefusedError, factory_failed, refusal_of, two_sessions
from supportbench.server.service import Service
from supportbench.server.wire import turn_frame

logger: Final = logging.getLogger("supportbench.server.websocket")
_encoder: Final = msgspec.json.Encoder(enc_hook=codec.plain)


async def serve_websocket(service: Service, scope: Scope, receive: Receive, send: Send) -> None:
    """Accept a connection to `/ws` and play with it until it is closed; `scope["state"]` has its owner and limits."""
    await receive()
    await send({"type": "websocket.accept"})
    caller = scope["state"]["caller"]
    channel = Channel(service, receive, send, message_limit=caller.message_limit)
    asked = ""
    try:
        if asked := _asked_for(scope):
            holder = await service.sessions.attach(asked, caller.owner)
        else:
            session = service.sessions.open_live(caller.owner)
    except (RefusedError, StoreError) as error:
        refusal = refusal_of(error)
        service.refused(refusal, error, asked)
        if refusal.code == "CAPACITY_REACHED":
            logger.warning("%s", refusal.message)
        await channel.refuse(_frame(refusal))
        return
    except Exception as error:
        service.failed(error, asked)
        await channel.refuse(_frame(factory_failed()))
        return
    if not asked:
        try:
            await channel.serve(Conversation(service, channel, session, caller.owner).answer)
        finally:
            service.sessions.close_live(session)
        return
    keeping = asyncio.create_task(service.sessions.keep_attached(asked))
    try:
        attached = AttachedSession(service, asked, caller.owner)
        await channel.serve(Conversation(service, channel, attached, caller.owner).answer)
    finally:
        keeping.cancel()
        await service.sessions.detach(asked, holder)


def _asked_for(scope: Scope) -> str:
    """Return the session that the connection is to attach to, empty for one of its own."""
    named = set(parse_qs(scope["query_string"].decode("latin-1")).get("session_id", []))
    if len(named) > 1:
        raise two_sessions()
    return named.pop() if named else ""


class Conversation:
    """Answers the messages of one connection; whatever is wrong with one, the next one is answered as well."""

    __slots__ = ("_channel", "_mcp", "_owner", "_played", "_service")

    def __init__(self, service: Service, channel: Channel, played: Played, owner: str) -> None:
        self._service = service
        self._channel = channel
        self._played = played
        self._owner = owner
        self._mcp: Mcp | None = None

    async def answer(self, data: str | bytes) -> bytes | None:
        """Return the frame that answers a message; raises `HangUpError` when the message asks for the end."""
        try:
            message = read_message(data)
            if isinstance(message, StepMessage):
                work = self._played.step(message.action, message.timeout_s)
                turn = await (self._channel.watching(work) if self._played.may_wait else work)
                self._service.stepped(turn)
                return turn_frame(turn)
            return await self._answered(message)
        except SupportbenchError as error:
            refusal = refusal_of(error, where="data")
            self._service.refused(refusal, error, self._played.session_id)
            return _frame(refusal)
        except (HangUpError, GoneError):
            raise
        except Exception as error:
            return _frame(self._service.failed(error, self._played.session_id))

    async def _answered(self, message: Incoming) -> bytes | None:
        if isinstance(message, ResetMessage):
            turn = await self._played.reset(message.request)
            self._service.counts["resets"] += 1
            return turn_frame(turn)
        if isinstance(message, StateMessage):
            return _encoder.encode({"type": "state", "data": codec.unstructure(await self._played.state())})
        if isinstance(message, McpMessage):
            reply = await self._channel.watching(self._of_mcp().answer(message.data))
            return None if reply is None else _encoder.encode({"type": "mcp", "data": reply})
        if isinstance(message, ToolMessage):
            return _encoder.encode(await self._channel.watching(self._observed(message)))
        raise HangUpError

    async def _observed(self, message: ToolMessage) -> dict[str, Any]:
        action = message.action
        if isinstance(action, ListToolsAction):
            return await self._of_mcp().observe_tools()
        return await self._of_mcp().observe_call(action.tool_name, action.arguments, message.timeout_s)

    def _of_mcp(self) -> Mcp:
        if self._mcp is None:
            self._mcp = Mcp(self._service, self._owner, own=self._played)
        return self._mcp


def _frame(refusal: Refusal) -> bytes:
    return _encoder.encode(refusal.frame())
