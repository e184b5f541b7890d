"""The places that one worker has for sessions: who has one, and whose is free again."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Final

from supportbench.server.refusals import at_capacity

logger: Final = logging.getLogger("supportbench.server.places")


class Places:
    """So many sessions at once: those that live with a WebSocket, and those of the store that this worker opened.

    A session of the store has its place for a time that each request renews. When that is over, a session that is
    `sure` to have ended is dropped at once; one that other workers may have kept stays until the store was asked.

    Cost: O(1) a call, but for one look at all sessions each time that the time of one may be over.
    """

    def __init__(self, most: int, *, sure: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._sure = sure
        self._clock = clock
        self._owners: dict[str, str] = {}  # of the sessions that live with a WebSocket
        self._until: dict[str, float] = {}  # of the sessions of the store
        self._next = math.inf  # before this moment, nobody's time is over

    @property
    def taken(self) -> int:
        """How many sessions have a place."""
        if self._sure and self._until and self._next <= self._clock():
            for session_id in self.overdue():
                self.free(session_id)
                logger.info("Session ended: nobody used it", extra={"session_id": session_id})
        return len(self._owners) + len(self._until)

    def take(self, session_id: str, for_s: float) -> None:
        """Give a session of the store a place for so long; raises `RefusedError` at capacity."""
        self._refuse_when_full()
        self._until[session_id] = until = self._clock() + for_s
        self._next = min(self._next, until)

    def take_live(self, session_id: str, owner: str) -> None:
        """Give a session that lives with a WebSocket a place; raises `RefusedError` at capacity."""
        self._refuse_when_full()
        self._owners[session_id] = owner

    def renew(self, session_id: str, for_s: float) -> None:
        """Let a session keep its place for so long from now; one that another worker opened has none here."""
        if session_id in self._until:
            self._until[session_id] = until = self._clock() + for_s
            self._next = min(self._next, until)

    def free(self, session_id: str) -> None:
        """Note that a session has ended."""
        self._until.pop(session_id, None)
        self._owners.pop(session_id, None)

    def owner_of_live(self, session_id: str) -> str | None:
        """Return whose that session is, None unless it lives with a WebSocket of this worker."""
        return self._owners.get(session_id)

    def overdue(self) -> list[str]:
        """Return the sessions whose time is over."""
        now = self._clock()
        self._next = min((until for until in self._until.values() if until > now), default=math.inf)
        return [session_id for session_id, until in self._until.items() if until <= now]

    def of_the_store(self) -> list[str]:
        """Return all sessions of the store that have a place."""
        return list(self._until)

    def _refuse_when_full(self) -> None:
        taken = self.taken
        if taken >= self._most:
            raise at_capacity(taken, self._most)
