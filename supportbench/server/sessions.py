"""All sessions of one worker: who owns them, how many there may be, when they end.

A session of a WebSocket of its own lives as long as the socket. The others stand in the session store: each request
loads the whole session and puts it back with the version that it saw, so that several workers can share them, and ends
with it `session_timeout_s` after the last request. Capacity counts the sessions that this worker opened.

Cost: O(1) a request; a sweep over the stored sessions that this worker opened, every `_SWEEP_S`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Final

import attrs

from supportbench.environment import SupportQueueEnvironment
from supportbench.models import Episode, SupportQueueAction, SupportQueueState
from supportbench.protocol import ResetRequest
from supportbench.server.refusals import at_capacity, attached_already, busy, unknown_session
from supportbench.server.session import SavedSession, Session
from supportbench.server.store import SessionStore, Stored, open_store
from supportbench.settings import ServerSettings
from supportbench.turns import Turn

_SWEEP_S: Final = 15.0
_TRIES: Final = 20

logger: Final = logging.getLogger("supportbench.server.sessions")


@attrs.frozen(kw_only=True)
class Attachment:
    """A WebSocket holds the session of this key; with `closing`, the session ends when it lets go."""

    holder: str
    closing: bool = False


@attrs.frozen(kw_only=True)
class Defaults:
    """The sessions that one caller's bare resets began, the latest last."""

    session_ids: tuple[str, ...] = ()


class Sessions:
    """The sessions of this worker; `publish` gets the record of each finished episode when `takes_notes`."""

    def __init__(
        self,
        settings: ServerSettings,
        *,
        new_environment: Callable[[], SupportQueueEnvironment],
        publish: Callable[[Episode], None],
        takes_notes: bool,
    ) -> None:
        self._settings = settings
        self._new_environment = new_environment
        self._publish = publish
        self._takes_notes = takes_notes
        self._live: dict[str, str] = {}  # session id -> owner, of the sessions that live with a WebSocket
        self._opened: dict[str, float] = {}  # session id -> when to look whether it has ended
        self._busy: set[str] = set()
        self._stored: SessionStore[SavedSession] = open_store(settings.store, SavedSession, "session:")
        self._attached: SessionStore[Attachment] = open_store(settings.store, Attachment, "attached:")
        self.defaults: SessionStore[Defaults] = open_store(settings.store, Defaults, "default:")

    @property
    def active(self) -> int:
        """How many sessions this worker has open."""
        return len(self._live) + len(self._opened)

    @property
    def timeout_s(self) -> float:
        """After how long without a request a stored session ends."""
        return self._settings.session_timeout_s

    # -- with a WebSocket ------------------------------------------------------------------------------------------

    def open_live(self, owner: str) -> Session:
        """Return a new session that lives until `close_live`; raises `RefusedError` at capacity."""
        self._refuse_at_capacity()
        session = self._session(str(uuid.uuid4()), publish=self._publish)
        self._live[session.session_id] = owner
        return session

    def close_live(self, session: Session) -> None:
        """End a session of a WebSocket."""
        self._live.pop(session.session_id, None)

    def is_live(self, session_id: str, owner: str) -> bool:
        """Return whether that session lives with a WebSocket of this worker and this owner."""
        return self._live.get(session_id) == owner

    # -- in the store ----------------------------------------------------------------------------------------------

    async def create(self, owner: str) -> str:
        """Begin a stored session and return its id; raises `RefusedError` at capacity, `StoreError`."""
        self._refuse_at_capacity()
        session_id = str(uuid.uuid4())
        self._opened[session_id] = self._due()
        try:
            await self._stored.replace(session_id, None, SavedSession(owner=owner), ttl_s=self.timeout_s)
        except BaseException:
            self._opened.pop(session_id, None)
            raise
        return session_id

    async def saved(self, session_id: str, owner: str) -> SavedSession:
        """Return the session as it stands, and keep it from ending; raises `RefusedError` if it is not this owner's."""
        stored = await self._load(session_id, owner)
        await self._stored.touch(session_id, self.timeout_s)
        self._renew(session_id)
        return stored.value

    async def exists(self, session_id: str, owner: str) -> bool:
        """Return whether that owner has such a session."""
        stored = await self._stored.load(session_id)
        return stored is not None and stored.value.owner == owner

    async def state(self, session_id: str, owner: str) -> SupportQueueState:
        """Return where the session's episode stands."""
        return (await self.saved(session_id, owner)).episode.state

    async def reset(self, session_id: str, owner: str, request: ResetRequest, *, by_id: bool) -> Turn:
        """Begin an episode in the session; `by_id` says that the caller named it."""
        async with self._alone(session_id):
            stored = await self._load(session_id, owner)
            session = self._session(session_id)
            session.forget_episode(stored.value)
            turn = await session.reset(request)
            await self._put_back(session, stored, by_id=by_id)
            return turn

    async def step(
        self, session_id: str, owner: str, action: SupportQueueAction, timeout_s: float | None, *, by_id: bool
    ) -> Turn:
        """Grade an action of the session's episode, and publish the episode when it is finished."""
        async with self._alone(session_id):
            stored = await self._load(session_id, owner)
            session = self._session(session_id)
            session.restore(stored.value)
            turn = await session.step(action, timeout_s)
            await self._put_back(session, stored, by_id=by_id)
        if turn.done and (episode := session.finished_episode()) is not None:
            self._publish(episode)
        return turn

    async def close(self, session_id: str, owner: str) -> bool:
        """End the session, at once or, while a WebSocket holds it, when that lets go: then the answer is False."""
        await self._load(session_id, owner)
        for _ in range(_TRIES):
            attached = await self._attached.load(session_id)
            if attached is None:
                await self._forget(session_id)
                return True
            closing = attrs.evolve(attached.value, closing=True)
            if await self._attached.replace(session_id, attached.version, closing, ttl_s=self.timeout_s):
                return False
        raise busy(session_id)

    # -- attaching -------------------------------------------------------------------------------------------------

    async def attach(self, session_id: str, owner: str) -> str:
        """Let a WebSocket hold the session, and return what it lets go with; one may hold it at a time."""
        await self._load(session_id, owner)
        holder = str(uuid.uuid4())
        if await self._attached.replace(session_id, None, Attachment(holder=holder), ttl_s=self.timeout_s) is None:
            raise attached_already(session_id)
        return holder

    async def keep_attached(self, session_id: str) -> None:
        """Keep the session and its attachment from ending, again and again, until cancelled."""
        while True:
            await asyncio.sleep(self.timeout_s / 3)
            await self._attached.touch(session_id, self.timeout_s)
            if await self._stored.touch(session_id, self.timeout_s):
                self._renew(session_id)

    async def detach(self, session_id: str, holder: str) -> None:
        """Let the session go; it stays, unless its end was asked for meanwhile."""
        attached = await self._attached.load(session_id)
        if attached is None or attached.value.holder != holder:
            return
        await self._attached.delete(session_id)
        if attached.value.closing:
            await self._forget(session_id)

    # -- default sessions ------------------------------------------------------------------------------------------

    async def drop_if_played(self, session_id: str) -> bool:
        """End a default session that its caller has played and nobody ever named; return whether it is gone."""
        stored = await self._stored.load(session_id)
        if stored is not None and (stored.value.addressed or not stored.value.stepped):
            return False
        await self._forget(session_id)
        return True

    async def drop_unless_named(self, session_id: str) -> None:
        """End a default session that nobody ever named."""
        stored = await self._stored.load(session_id)
        if stored is None or not stored.value.addressed:
            await self._forget(session_id)

    # -- ends ------------------------------------------------------------------------------------------------------

    async def sweep_for_ever(self) -> None:
        """Forget sessions that have ended, again and again, until cancelled."""
        while True:
            await asyncio.sleep(min(_SWEEP_S, self.timeout_s / 2))
            try:
                await self.sweep()
            except Exception:
                logger.exception("Ended sessions could not be looked for; the next try is under way soon")

    async def sweep(self) -> None:
        """Forget the sessions that have ended: they free their places."""
        now = time.monotonic()
        for session_id in [session_id for session_id, due in self._opened.items() if due <= now]:
            left_s = await self._stored.expires_in(session_id)
            if left_s is None:
                self._opened.pop(session_id, None)
                logger.info("Session ended: nobody used it", extra={"session_id": session_id})
            elif session_id in self._opened:
                self._opened[session_id] = time.monotonic() + left_s

    async def aclose(self) -> None:
        """Let go of the stores."""
        for store in (self._stored, self._attached, self.defaults):
            await store.aclose()

    async def check(self) -> None:
        """Raise `StoreError` unless the store can be reached."""
        await self._stored.check()

    # -- inside ----------------------------------------------------------------------------------------------------

    def _refuse_at_capacity(self) -> None:
        if self.active >= self._settings.max_sessions:
            raise at_capacity(self.active, self._settings.max_sessions)

    def _session(self, session_id: str, publish: Callable[[Episode], None] | None = None) -> Session:
        return Session(
            self._new_environment(),
            session_id=session_id,
            step_timeout_s=self._settings.step_timeout_s,
            takes_notes=self._takes_notes,
            publish=publish,
        )

    def _due(self) -> float:
        return time.monotonic() + self.timeout_s

    def _renew(self, session_id: str) -> None:
        if session_id in self._opened:  # else another worker opened it, and counts it
            self._opened[session_id] = self._due()

    async def _load(self, session_id: str, owner: str) -> Stored[SavedSession]:
        stored = await self._stored.load(session_id)
        if stored is None or stored.value.owner != owner:
            raise unknown_session(session_id)
        return stored

    async def _put_back(self, session: Session, stored: Stored[SavedSession], *, by_id: bool) -> None:
        session_id = session.session_id
        saved = session.saved(stored.value, by_id=by_id)
        if await self._stored.replace(session_id, stored.version, saved, ttl_s=self.timeout_s) is None:
            raise busy(session_id)
        self._renew(session_id)

    async def _forget(self, session_id: str) -> None:
        await self._stored.delete(session_id)
        self._opened.pop(session_id, None)

    @contextlib.asynccontextmanager
    async def _alone(self, session_id: str) -> AsyncIterator[None]:
        """Refuse a second request of the session at this worker before it is graded for nothing."""
        if session_id in self._busy:
            raise busy(session_id)
        self._busy.add(session_id)
        try:
            yield
        finally:
            self._busy.discard(session_id)
