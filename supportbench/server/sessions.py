"""All sessions of one worker: who owns them, how many there may be, when they end.

A session of a WebSocket of its own lives as long as the socket. The others stand in the session store: each request
loads the whole session and puts it back with the version that it saw, so that several workers can share them, and ends
with it `session_timeout_s` after the last request. Capacity counts the sessions that this worker opened.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Final

from supportbench.environment import SupportQueueEnvironment
from supportbench.errors import StoreError, SupportbenchError
from supportbench.frozen import FrozenDict
from supportbench.models import Episode, SupportQueueAction, SupportQueueState
from supportbench.protocol import ResetRequest
from supportbench.server.attachments import Attachment, Attachments
from supportbench.server.places import Places
from supportbench.server.refusals import RefusedError, busy
from supportbench.server.session import SavedSession, Session, Watching, unwatched
from supportbench.server.store import MEMORY, SessionStore, Stored
from supportbench.server.stored import Defaults, StoredSessions, open_shared
from supportbench.settings import ServerSettings
from supportbench.turns import Turn

_SWEEP_S: Final = 15.0
_LEASE_S: Final = 30.0
_PAUSE_S: Final = 5.0

logger: Final = logging.getLogger("supportbench.server.sessions")


class Sessions:
    """The sessions of this worker; `publish` gets the record of each finished episode when `takes_notes`."""

    def __init__(
        self,
        settings: ServerSettings,
        *,
        new_environment: Callable[[], SupportQueueEnvironment],
        publish: Callable[[Episode], None],
        takes_notes: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._new_environment = new_environment
        self._publish = publish
        self._takes_notes = takes_notes
        self._places = Places(settings.max_sessions, sure=settings.store == MEMORY, clock=clock)
        self._is_full = asyncio.Event()
        self._busy: set[tuple[str, str]] = set()
        self._finishing: set[asyncio.Task[None]] = set()
        self._stored = StoredSessions(settings, self._places, clock)
        self._lease_s = min(_LEASE_S, self.timeout_s)
        self._attachments = Attachments(open_shared(settings, Attachment, "attached:", clock), self._lease_s)
        self.defaults: SessionStore[Defaults] = open_shared(settings, Defaults, "default:", clock)

    @property
    def active(self) -> int:
        """How many sessions this worker has open, as far as it knows of those that other workers may end."""
        return self._places.taken

    @property
    def timeout_s(self) -> float:
        """After how long without a request a stored session ends."""
        return self._settings.session_timeout_s

    # -- with a WebSocket ------------------------------------------------------------------------------------------

    def open_live(self, owner: str) -> Session:
        """Return a new session that lives until `close_live`; raises `RefusedError` at capacity."""
        # First the session, which may fail to be made, and would leave its place taken.
        session = self._session(str(uuid.uuid4()), publish=self._publish)
        with self._looking_when_full():
            self._places.take_live(session.session_id, owner)
        return session

    def close_live(self, session: Session) -> None:
        """End a session of a WebSocket."""
        self._places.free(session.session_id)

    def is_live(self, session_id: str, owner: str) -> bool:
        """Return whether that session lives with a WebSocket of this worker and this owner."""
        return self._places.owner_of_live(session_id) == owner

    # -- in the store ----------------------------------------------------------------------------------------------

    async def create(self, owner: str, positions: Mapping[str, int] = FrozenDict()) -> str:
        """Begin a stored session at those places of the splits; raises `RefusedError` at capacity, `StoreError`."""
        with self._looking_when_full():
            return await self._stored.create(owner, positions)

    async def positions(self, session_id: str, owner: str) -> Mapping[str, int]:
        """Return where in each split the session stands; nowhere if that owner has none that could be read."""
        return await self._stored.positions(session_id, owner)

    async def saved(self, session_id: str, owner: str) -> SavedSession:
        """Return the session as it stands, and keep it from ending; raises `RefusedError` if it is not this owner's."""
        stored = await self._stored.load(session_id, owner)
        await self._stored.keep(session_id)
        return stored.value

    async def exists(self, session_id: str, owner: str) -> bool:
        """Return whether that owner has such a session."""
        saved = await self._stored.find(session_id)
        return saved is not None and saved.owner == owner

    async def state(self, session_id: str, owner: str) -> SupportQueueState:
        """Return where the session's episode stands; a look changes nothing, lest a step under way meet it."""
        return (await self.saved(session_id, owner)).episode.state

    async def reset(self, session_id: str, owner: str, request: ResetRequest, *, by_id: bool) -> Turn:
        """Begin an episode in the session; `by_id` says that the caller named it."""
        async with self._at_work(session_id, owner) as stored:
            session = self._session(session_id)
            session.forget_episode(stored.value)
            turn = await session.reset(request)
            await self._stored.put_back(session_id, stored.version, session.saved(stored.value, by_id=by_id))
            return turn

    async def step(
        self,
        session_id: str,
        owner: str,
        action: SupportQueueAction,
        timeout_s: float | None,
        *,
        by_id: bool,
        watching: Watching = unwatched,
    ) -> Turn:
        """Grade an action of the session's episode, `watching` the client where that may take long."""
        async with self._at_work(session_id, owner) as stored:
            session = self._session(session_id)
            session.restore(stored.value)
            if session.may_wait:
                await self._stored.keep(session_id, longer_s=self._settings.step_timeout_s)
            work = session.step(action, timeout_s)
            turn = await (watching(work) if session.may_wait else work)
            if turn.done:
                await self._finish(session, stored, by_id=by_id)
            else:
                await self._stored.put_back(session_id, stored.version, session.saved(stored.value, by_id=by_id))
            return turn

    async def close(self, session_id: str, owner: str) -> bool:
        """End the session, at once or, while a WebSocket holds it, when that lets go: then the answer is False."""
        await self._stored.load(session_id, owner)
        if await self._attachments.ask_to_close(session_id):
            return False
        await self._stored.forget(session_id)
        return True

    # -- attaching -------------------------------------------------------------------------------------------------

    async def attach(self, session_id: str, owner: str) -> str:
        """Let a WebSocket hold the session, and return what it lets go with; one may hold it at a time."""
        await self._stored.load(session_id, owner)
        holder = await self._attachments.take(session_id)
        try:
            await self._stored.name(session_id, owner)
        except BaseException:
            await self.detach(session_id, holder)
            raise
        return holder

    async def keep_attached(self, session_id: str) -> None:
        """Keep the session and its attachment from ending, again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._lease_s / 3)
            try:
                await self._stored.keep(session_id)
                if not await self._attachments.keep(session_id):
                    logger.warning("Another WebSocket holds the session now", extra={"session_id": session_id})
                    return
            except StoreError as error:  # requests say so too, and the lease lasts for another try
                logger.debug("%s", error, extra={"session_id": session_id})

    async def detach(self, session_id: str, holder: str) -> None:
        """Let the session go; it stays, unless its end was asked for meanwhile. A lost store is no reason to fail."""
        try:
            if await self._attachments.let_go(session_id, holder):
                await self._stored.forget(session_id)
        except SupportbenchError as error:
            logger.warning("A session is let go later, by itself: %s", error, extra={"session_id": session_id})

    # -- default sessions ------------------------------------------------------------------------------------------

    async def drop_if_played(self, session_id: str) -> bool:
        """End a default session that its caller has played and nobody ever named; return whether it is gone."""
        return await self._drop_unless(lambda saved: saved.addressed or not saved.stepped, session_id)

    async def drop_unless_named(self, session_id: str) -> None:
        """End a default session that nobody ever named."""
        await self._drop_unless(lambda saved: saved.addressed, session_id)

    async def _drop_unless(self, may_be_wanted: Callable[[SavedSession], bool], session_id: str) -> bool:
        """End the session; where the store fails, or holds what nobody can read, it ends later, by itself."""
        try:
            saved = await self._stored.find(session_id)
            if saved is not None and may_be_wanted(saved):
                return False
            await self._stored.forget(session_id)
        except StoreError as error:
            logger.warning("A session that was the default one ends later, by itself: %s", error)
            return False
        return True

    # -- ends ------------------------------------------------------------------------------------------------------

    async def sweep_for_ever(self) -> None:
        """Forget sessions that have ended, again and again, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(_SWEEP_S, self.timeout_s / 2)):
                    await self._is_full.wait()
            was_full = self._is_full.is_set()
            self._is_full.clear()
            try:
                await self.sweep(everything=was_full)
            except StoreError as error:
                logger.warning("Ended sessions cannot be looked for, the next try is soon: %s", error)
            except Exception:
                logger.exception("Ended sessions could not be looked for; the next try is under way soon")
            if was_full:
                await asyncio.sleep(_PAUSE_S)

    async def sweep(self, *, everything: bool = False) -> None:
        """Forget the sessions that have ended: they free their places; look at those also that should not have."""
        await self._stored.sweep(everything=everything)

    async def aclose(self) -> None:
        """Let go of the stores."""
        await asyncio.gather(*self._finishing, return_exceptions=True)
        for store in (self._stored, self._attachments, self.defaults):
            await store.aclose()

    async def check(self) -> None:
        """Raise `StoreError` unless the store can be reached."""
        await self._stored.check()

    # -- inside ----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _looking_when_full(self) -> Iterator[None]:
        """Let the sweep look at once whether other workers have ended sessions, where there is no room for one more."""
        try:
            yield
        except RefusedError:
            if self._settings.store != MEMORY:
                self._is_full.set()
            raise

    def _session(self, session_id: str, publish: Callable[[Episode], None] | None = None) -> Session:
        return Session(
            self._new_environment(),
            session_id=session_id,
            step_timeout_s=self._settings.step_timeout_s,
            takes_notes=self._takes_notes,
            publish=publish,
        )

    async def _finish(self, session: Session, stored: Stored[SavedSession], *, by_id: bool) -> None:
        """Put back a session whose episode is done and publish that: both or none, even if the client is gone."""

        async def finish() -> None:
            await self._stored.put_back(session.session_id, stored.version, session.saved(stored.value, by_id=by_id))
            if (episode := session.finished_episode()) is not None:
                self._publish(episode)

        finishing = asyncio.create_task(finish())
        self._finishing.add(finishing)
        finishing.add_done_callback(self._finishing.discard)
        await asyncio.shield(finishing)

    @contextlib.asynccontextmanager
    async def _at_work(self, session_id: str, owner: str) -> AsyncIterator[Stored[SavedSession]]:
        """Load the session, and refuse a second request of it at this worker before that is graded for nothing."""
        at_work = owner, session_id  # somebody else's request must not get in the way, nor learn that there is one
        if at_work in self._busy:
            raise busy(session_id)
        self._busy.add(at_work)
        try:
            stored = await self._stored.load(session_id, owner)
            try:
                yield stored
            except StoreError:
                raise
            except BaseException:
                with contextlib.suppress(StoreError):
                    await self._stored.keep(session_id)  # a request that was refused is one all the same
                raise
        finally:
            self._busy.discard(at_work)
