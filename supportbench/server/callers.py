"""Which session an HTTP request means: the one that it names, or its caller's default one.

A default session is kept per token; where there are no tokens, per cookie that a reset sets; on loopback alone there
is one for all who say nothing. A bare reset begins a new session, so that clients that go on by `X-Session-ID` do not
meet; it plays the task behind that of the default session before it, which ends if it was only ever used as such.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import attrs
from litestar import Request

from supportbench.protocol import SESSION_HEADER
from supportbench.server.gate import Caller
from supportbench.server.refusals import RefusedError, busy, no_session, two_sessions
from supportbench.server.service import Service
from supportbench.server.stored import Defaults

COOKIE: Final = "supportbench_session"
_SESSION_HEADER: Final = SESSION_HEADER.lower().encode()
_MOST_UNPLAYED: Final = 256
_TRIES: Final = 100


@attrs.frozen(kw_only=True)
class SessionChoice:
    """The session that a request means: `by_id` if the request named it, `new` if it was made for this request.

    `default_key` is where a bare reset is remembered, `cookie` what the answer sets.
    """

    session_id: str
    owner: str
    by_id: bool = False
    new: bool = False
    default_key: str | None = None
    cookie: str | None = None


class Callers:
    """Finds the sessions of HTTP requests."""

    def __init__(self, service: Service) -> None:
        self._sessions = service.sessions
        # Each use renews it, and a session lives this long at most after its last one: so the default one is not
        # forgotten before it has ended.
        self._defaults_live_s = service.sessions.timeout_s + service.settings.step_timeout_s
        self._has_tokens = bool(service.settings.tokens)
        self._keeps_defaults = service.settings.default_session

    async def to_reset(self, request: Request[Any, Any, Any], in_body: str | None) -> SessionChoice:
        """Return the session that a reset is for: the named one, that of its cookie, or a new one.

        Raises:
            RefusedError: at capacity, or two different sessions are named.
        """
        caller = _caller(request)
        named = _named(request, in_body)
        if named is not None:
            return SessionChoice(session_id=named, owner=caller.owner, by_id=True)
        cookie = self._from_cookie(request)
        if cookie is not None and await self._sessions.exists(cookie, caller.owner):
            return SessionChoice(session_id=cookie, owner=caller.owner, by_id=True)
        key = self._default_key(caller)
        session_id = await self._created(caller.owner, key)
        sets_cookie = self._keeps_defaults and not self._has_tokens
        secure = "; Secure" if request.url.scheme == "https" else ""
        return SessionChoice(
            session_id=session_id,
            owner=caller.owner,
            new=True,
            default_key=key,
            cookie=f"{COOKIE}={session_id}; Path=/; HttpOnly; SameSite=Strict{secure}" if sets_cookie else None,
        )

    async def to_use(self, request: Request[Any, Any, Any], in_body: str | None) -> SessionChoice:
        """Return the session that a step or a look at the state is for; raises `RefusedError` if there is none."""
        caller = _caller(request)
        named = _named(request, in_body)
        if named is not None:
            return SessionChoice(session_id=named, owner=caller.owner, by_id=True)
        cookie = self._from_cookie(request)
        if cookie is not None:
            return SessionChoice(session_id=cookie, owner=caller.owner, by_id=True)
        key = self._default_key(caller)
        session_ids = () if key is None else await self._defaults_of(key)
        if key is None or not session_ids:
            raise no_session()
        await self._sessions.defaults.touch(key, self._defaults_live_s)
        return SessionChoice(session_id=session_ids[-1], owner=caller.owner)

    async def give_up(self, choice: SessionChoice) -> None:
        """End the session that was made for a reset which was refused."""
        if choice.new:
            await self._sessions.drop_unless_named(choice.session_id)

    async def remember(self, choice: SessionChoice) -> None:
        """Make a new session its caller's default one; end those before it that nobody can want any more."""
        key = choice.default_key
        if key is None:
            return
        defaults = self._sessions.defaults
        for _ in range(_TRIES):
            stored = await defaults.load(key)
            before = stored.value.session_ids if stored else ()
            kept = before[-_MOST_UNPLAYED + 1 :]
            value = Defaults(session_ids=(*kept, choice.session_id))
            version = stored.version if stored else None
            if await defaults.replace(key, version, value, ttl_s=self._defaults_live_s) is None:
                continue
            if before:
                await self._sessions.drop_if_played(before[-1])
            for session_id in before[: len(before) - len(kept)]:
                await self._sessions.drop_unless_named(session_id)
            return
        raise busy(choice.session_id)

    async def _created(self, owner: str, key: str | None) -> str:
        """Return a new session, which goes on in each split where the caller's default one stands.

        Where there is no room for one more, it takes that of the default one, if that was played and never named: this
        reset ends it anyway, just a moment later.
        """
        session_ids = () if key is None else await self._defaults_of(key)
        positions = await self._sessions.positions(session_ids[-1], owner) if session_ids else {}
        try:
            return await self._sessions.create(owner, positions)
        except RefusedError:
            if not session_ids or not await self._sessions.drop_if_played(session_ids[-1]):
                raise
        return await self._sessions.create(owner, positions)

    async def _defaults_of(self, key: str) -> Sequence[str]:
        stored = await self._sessions.defaults.load(key)
        return () if stored is None else stored.value.session_ids

    def _default_key(self, caller: Caller) -> str | None:
        if not self._keeps_defaults:
            return None
        if caller.owner:
            return f"token:{caller.owner}"
        return "loopback" if caller.loopback else None

    def _from_cookie(self, request: Request[Any, Any, Any]) -> str | None:
        if not self._keeps_defaults or self._has_tokens:
            return None
        has_cookies = any(name == b"cookie" for name, _ in request.scope["headers"])
        return request.cookies.get(COOKIE) if has_cookies else None


def _caller(request: Request[Any, Any, Any]) -> Caller:
    caller: Caller = request.scope["state"]["caller"]
    return caller


def _named(request: Request[Any, Any, Any], in_body: str | None) -> str | None:
    """Return the session that the request names, in its header, body or query; an empty one is none."""
    # What is not there is not looked for in Litestar's way, which makes all headers into an object first.
    asked = [value.decode("latin-1") for name, value in request.scope["headers"] if name == _SESSION_HEADER]
    if request.scope["query_string"]:
        asked += request.query_params.getall("session_id", [])
    named = {session_id for session_id in (*asked, in_body) if session_id}
    if len(named) > 1:
        raise two_sessions()
    return named.pop() if named else None
