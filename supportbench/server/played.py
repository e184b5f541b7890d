"""What a connection plays in: a `Session` of its own, or one of the store; both answer in the same way."""

from __future__ import annotations

from typing import Protocol

from supportbench.models import SupportQueueAction, SupportQueueState
from supportbench.protocol import ResetRequest
from supportbench.server.service import Service
from supportbench.turns import Turn


class Played(Protocol):
    """What a connection plays in: a session of its own, or one of the store."""

    @property
    def session_id(self) -> str:
        """The session's id."""
        ...

    @property
    def may_wait(self) -> bool:
        """Whether a step may take long, so that the client has to be watched meanwhile."""
        ...

    async def reset(self, request: ResetRequest) -> Turn:
        """Begin an episode."""
        ...

    async def step(self, action: SupportQueueAction, timeout_s: float | None = None) -> Turn:
        """Grade an action."""
        ...

    async def state(self) -> SupportQueueState:
        """Tell where the episode stands."""
        ...


class AttachedSession:
    """A session of the store, which outlives the connection."""

    __slots__ = ("_owner", "_sessions", "session_id")

    may_wait = True  # the store is asked at least

    def __init__(self, service: Service, session_id: str, owner: str) -> None:
        self._sessions = service.sessions
        self._owner = owner
        self.session_id = session_id

    async def reset(self, request: ResetRequest) -> Turn:
        """Begin an episode."""
        return await self._sessions.reset(self.session_id, self._owner, request, by_id=True)

    async def step(self, action: SupportQueueAction, timeout_s: float | None = None) -> Turn:
        """Grade an action."""
        return await self._sessions.step(self.session_id, self._owner, action, timeout_s, by_id=True)

    async def state(self) -> SupportQueueState:
        """Tell where the episode stands."""
        return await self._sessions.state(self.session_id, self._owner)
