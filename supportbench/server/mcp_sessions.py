"""Which session a message of the Model Context Protocol means: that depends on how the message comes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from litestar import Request

from supportbench.errors import EpisodeNotOpenError, Fault
from supportbench.models import SupportQueueAction, SupportQueueState
from supportbench.protocol import SESSION_HEADER, ResetRequest
from supportbench.server.answers import while_connected
from supportbench.server.callers import Callers, SessionChoice
from supportbench.server.mcp_rpc import INVALID_REQUEST, RpcError, invalid_params
from supportbench.server.played import AttachedSession, Played
from supportbench.server.refusals import Refusal, RefusedError
from supportbench.server.service import Service
from supportbench.turns import Turn

_NOT_OPEN = "No episode is open: call start_episode first."


class NamedSessions:
    """The sessions of one owner that stand in the store; each message has to name the one that it means."""

    def __init__(self, service: Service, owner: str) -> None:
        self._service = service
        self._owner = owner

    def played(self, session_id: str | None) -> Played:
        """Return the session to play in: the named one, or, where the message names none, the one that goes without
        saying. Whether it exists shows when it is played.
        """
        if session_id is None:
            raise invalid_params([Fault("params.session_id", "required here: openenv/session/create begins one")])
        return AttachedSession(self._service, session_id, self._owner)

    async def check(self, session_id: str | None) -> None:
        """Keep a session from ending that was named where nothing is played; raises `RefusedError` if there is none."""
        if session_id is not None:
            await self._service.sessions.saved(session_id, self._owner)

    async def begin(self) -> None:
        """Begin what `initialize` begins; raises `RefusedError` at capacity."""

    async def create(self) -> str:
        """Return the id of a new session; raises `RefusedError` at capacity."""
        return await self._service.sessions.create(self._owner)

    async def close(self, session_id: str) -> bool:
        """End the session; False if it will end when the WebSocket lets go that is attached to it.

        Raises:
            RefusedError: this owner has no such session.
            RpcError: the session lives with a WebSocket.
        """
        if self._service.sessions.is_live(session_id, self._owner):
            raise _lives_with_a_socket()
        return await self._service.sessions.close(session_id, self._owner)


class SocketSessions(NamedSessions):
    """What comes by a WebSocket means that one's own session, unless it names another."""

    def __init__(self, service: Service, owner: str, own: Played) -> None:
        super().__init__(service, owner)
        self._own = own

    def played(self, session_id: str | None) -> Played:
        """Return the session to play in."""
        return self._own if session_id in (None, self._own.session_id) else super().played(session_id)

    async def check(self, session_id: str | None) -> None:
        """Keep another session than the own one from ending."""
        await super().check(None if session_id == self._own.session_id else session_id)

    async def create(self) -> str:
        """Return the own session's id: there is one already."""
        return self._own.session_id

    async def close(self, session_id: str) -> bool:
        """End another session than the own one."""
        if session_id == self._own.session_id:
            raise _lives_with_a_socket()
        return await super().close(session_id)


class RequestSessions(NamedSessions):
    """What comes by HTTP means the session that it names, in `Mcp-Session-Id` or its params, or its caller's own."""

    def __init__(
        self, service: Service, owner: str, callers: Callers, request: Request[Any, Any, Any], in_header: str | None
    ) -> None:
        super().__init__(service, owner)
        self._callers = callers
        self._request = request
        self._in_header = in_header
        self._used: CallerSession | None = None
        self.begun: str | None = None
        """The session that `initialize` has begun."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What the answer's headers tell of the session that was played in."""
        return {} if self._used is None else self._used.headers

    def played(self, session_id: str | None) -> Played:
        """Return the session to play in; raises `RpcError` when the request names two."""
        if None not in (session_id, self._in_header) and session_id != self._in_header:
            problem = "is another session than that of the header Mcp-Session-Id. Name one, once."
            raise invalid_params([Fault("params.session_id", problem)])
        self._used = CallerSession(self._service, self._callers, self._request, session_id or self._in_header)
        return self._used

    async def begin(self) -> None:
        """Begin a session, unless the request has one already."""
        if self._in_header is None:
            self.begun = await self.create()


class CallerSession:
    """The session that an HTTP request means, found when it is played in; `/reset` and `/step` find it likewise."""

    may_wait = True

    def __init__(
        self, service: Service, callers: Callers, request: Request[Any, Any, Any], session_id: str | None
    ) -> None:
        self._sessions = service.sessions
        self._callers = callers
        self._request = request
        self._named = session_id
        self._choice: SessionChoice | None = None

    @property
    def session_id(self) -> str:
        """The session's id; empty until it is found, where the request does not say it."""
        return self._choice.session_id if self._choice else self._named or ""

    @property
    def headers(self) -> Mapping[str, str]:
        """What the answer's headers tell of the session, as after `/reset`."""
        if self._choice is None:
            return {}
        cookie = {"Set-Cookie": self._choice.cookie} if self._choice.cookie else {}
        return {SESSION_HEADER: self._choice.session_id, **cookie}

    async def reset(self, request: ResetRequest) -> Turn:
        """Begin an episode, in a new session where the request names none."""
        choice = await self._callers.to_reset(self._request, self._named)
        try:
            turn = await self._sessions.reset(choice.session_id, choice.owner, request, by_id=choice.by_id)
            await self._callers.remember(choice)
        except BaseException:
            await self._callers.give_up(choice)
            raise
        self._choice = choice
        return turn

    async def step(self, action: SupportQueueAction, timeout_s: float | None = None) -> Turn:
        """Grade an action."""
        try:
            choice = self._choice = await self._callers.to_use(self._request, self._named)
            return await self._sessions.step(
                choice.session_id,
                choice.owner,
                action,
                timeout_s,
                by_id=choice.by_id,
                watching=partial(while_connected, self._request),
            )
        except RefusedError as error:
            if self._stands(error):
                raise
            raise EpisodeNotOpenError(_NOT_OPEN) from None

    async def state(self) -> SupportQueueState:
        """Tell where the episode stands; without a session, that there is none."""
        try:
            choice = self._choice = await self._callers.to_use(self._request, self._named)
            return await self._sessions.state(choice.session_id, choice.owner)
        except RefusedError as error:
            if self._stands(error):
                raise
            self._choice = None
            return SupportQueueState()

    def _stands(self, error: RefusedError) -> bool:
        """Return whether the refusal is for something else than that the caller has no session by default."""
        asked = self._request
        named = self._named or asked.headers.get(SESSION_HEADER) or asked.query_params.get("session_id")
        return bool(named) or error.refusal.code != "SESSION_ERROR" or error.refusal.status != 404


def _lives_with_a_socket() -> RpcError:
    told = "Invalid Request: params.session_id: that session lives with its WebSocket, and ends when it is closed."
    return RpcError(INVALID_REQUEST, Refusal(status=409, code="SESSION_ERROR", message=told))
