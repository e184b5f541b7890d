"""The sessions that stand in the session store, and the places that this worker has given them."""

from __future__ import annotations

import contextlib
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import attrs

from supportbench.environment import SavedEpisode
from supportbench.errors import StoreError
from supportbench.frozen import FrozenDict
from supportbench.models import SupportQueueState
from supportbench.server.chosen_store import open_store
from supportbench.server.places import Places
from supportbench.server.refusals import busy, unknown_session
from supportbench.server.session import SavedSession
from supportbench.server.store import MEMORY, MemoryStore, SessionStore, Stored
from supportbench.settings import ServerSettings

T = TypeVar("T")

_ASK_AFTER_S: Final = 60.0
_TRIES: Final = 20

logger: Final = logging.getLogger("supportbench.server.sessions")


def open_shared(
    settings: ServerSettings, kind: type[T], prefix: str, clock: Callable[[], float] = time.monotonic
) -> SessionStore[T]:
    """Return the store of these settings for values of that kind; one in memory goes by the clock."""
    return MemoryStore(clock) if settings.store == MEMORY else open_store(settings.store, kind, prefix)


@attrs.frozen(kw_only=True)
class Defaults:
    """The sessions that one caller's bare resets began, the latest last."""

    session_ids: tuple[str, ...] = ()


class StoredSessions:
    """Sessions that live between requests, for `timeout_s` after the last one; each belongs to its owner.

    Cost: O(1) a call. In a store that is shared, a sweep asks after each session that this worker opened and has not
    heard of for a minute: 10,000 idle sessions are 170 questions a second, some hundredth of a core.
    """

    def __init__(self, settings: ServerSettings, places: Places, clock: Callable[[], float]) -> None:
        self._timeout_s = settings.session_timeout_s
        # What is in memory, no other worker ends before its time.
        self._place_for_s = self._timeout_s if settings.store == MEMORY else min(_ASK_AFTER_S, self._timeout_s)
        self._places = places
        self._store = open_shared(settings, SavedSession, "session:", clock)

    async def create(self, owner: str, positions: Mapping[str, int] = FrozenDict()) -> str:
        """Begin a session at those places of the splits; raises `RefusedError` at capacity, `StoreError`."""
        session_id = str(uuid.uuid4())
        begun = SavedEpisode(state=SupportQueueState(), positions=positions)
        self._places.take(session_id, self._place_for_s)
        try:
            await self._store.replace(session_id, None, SavedSession(owner=owner, episode=begun), ttl_s=self._timeout_s)
        except BaseException:
            self._places.free(session_id)
            raise
        return session_id

    async def find(self, session_id: str) -> SavedSession | None:
        """Return the session, whoever it belongs to."""
        stored = await self._store.load(session_id)
        return None if stored is None else stored.value

    async def positions(self, session_id: str, owner: str) -> Mapping[str, int]:
        """Return where in each split the session stands; nowhere if that owner has none that could be read."""
        with contextlib.suppress(StoreError):  # if the store is gone, whatever comes next says so
            saved = await self.find(session_id)
            if saved is not None and saved.owner == owner:
                return saved.episode.positions
        return FrozenDict()

    async def load(self, session_id: str, owner: str) -> Stored[SavedSession]:
        """Return the session and its version; raises `RefusedError` if there is none of this owner."""
        stored = await self._store.load(session_id)
        if stored is None or stored.value.owner != owner:
            raise unknown_session(session_id)
        return stored

    async def put_back(self, session_id: str, version: int, saved: SavedSession) -> None:
        """Replace that version of the session; raises `RefusedError` when another request was faster or ended it."""
        try:
            replaced = await self._store.replace(session_id, version, saved, ttl_s=self._timeout_s)
        except StoreError as error:
            error.told += " Whether the request was taken is not known: look at the state before you send it again."
            raise
        if replaced is None:
            found = await self.find(session_id)
            raise unknown_session(session_id) if found is None else busy(session_id)
        self._places.renew(session_id, self._place_for_s)

    async def keep(self, session_id: str, *, longer_s: float = 0.0) -> None:
        """Keep the session from ending, for longer than usual where a request of it may take long."""
        if await self._store.touch(session_id, self._timeout_s + longer_s):
            self._places.renew(session_id, self._place_for_s + longer_s)

    async def name(self, session_id: str, owner: str) -> None:
        """Note that a request has named the session, and keep it from ending; raises like `load`."""
        for _ in range(_TRIES):
            stored = await self.load(session_id, owner)
            if stored.value.addressed:
                await self.keep(session_id)
                return
            named = attrs.evolve(stored.value, addressed=True)
            if await self._store.replace(session_id, stored.version, named, ttl_s=self._timeout_s):
                self._places.renew(session_id, self._place_for_s)
                return
        raise busy(session_id)

    async def forget(self, session_id: str) -> None:
        """End the session."""
        await self._store.delete(session_id)
        self._places.free(session_id)

    async def sweep(self, *, everything: bool) -> None:
        """Free the places of sessions that have ended; with `everything`, also of those that should not have yet."""
        for session_id in self._places.of_the_store() if everything else self._places.overdue():
            left_s = await self._store.expires_in(session_id)
            if left_s is None:
                self._places.free(session_id)
                logger.info("Session ended", extra={"session_id": session_id})
            else:
                self._places.renew(session_id, min(left_s, self._place_for_s))

    async def check(self) -> None:
        """Raise `StoreError` unless the store can be reached."""
        await self._store.check()

    async def aclose(self) -> None:
        """Let go of the store."""
        await self._store.aclose()
