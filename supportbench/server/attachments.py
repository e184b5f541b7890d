"""Which sessions of the store a WebSocket holds, at whatever worker: one WebSocket at a time."""

from __future__ import annotations

import uuid
from typing import Final

import attrs

from supportbench.server.refusals import attached_already, busy
from supportbench.server.store import SessionStore

_FREE_FOR_S: Final = 1.0
_TRIES: Final = 20


@attrs.frozen(kw_only=True)
class Attachment:
    """A WebSocket holds the session of this key, nobody if `holder` is empty; with `closing`, it ends when let go."""

    holder: str = ""
    closing: bool = False


class Attachments:
    """Who holds which session, for `lease_s` unless that is renewed: a worker that was killed lets go by itself.

    Every change is a compare and set, so that none is lost between workers: a session that is let go is not deleted but
    marked as free for a moment, lest a wish to close it that comes meanwhile be deleted with it.
    """

    def __init__(self, store: SessionStore[Attachment], lease_s: float) -> None:
        self._store = store
        self._lease_s = lease_s
        self._ours: dict[str, str] = {}  # session id -> holder, of this worker's WebSockets

    async def take(self, session_id: str) -> str:
        """Return what the session is let go with; raises `RefusedError` while another WebSocket holds it."""
        holder = str(uuid.uuid4())
        for _ in range(_TRIES):
            found = await self._store.load(session_id)
            if found is not None and found.value.holder:
                break
            version = None if found is None else found.version
            if await self._store.replace(session_id, version, Attachment(holder=holder), ttl_s=self._lease_s):
                self._ours[session_id] = holder
                return holder
        raise attached_already(session_id)

    async def keep(self, session_id: str) -> bool:
        """Renew the lease of a session that this worker holds; return whether it still does.

        A lease that the store lost (it was away for longer, or has forgotten everything) is taken anew.
        """
        holder = self._ours.get(session_id)
        if holder is None:
            return False
        found = await self._store.load(session_id)
        if found is None:
            taken = await self._store.replace(session_id, None, Attachment(holder=holder), ttl_s=self._lease_s)
            return taken is not None
        return found.value.holder == holder and await self._store.touch(session_id, self._lease_s)

    async def let_go(self, session_id: str, holder: str) -> bool:
        """Let the session go; return whether its end was asked for meanwhile."""
        if self._ours.get(session_id) == holder:
            del self._ours[session_id]
        for _ in range(_TRIES):
            found = await self._store.load(session_id)
            if found is None or found.value.holder != holder:
                return False
            if await self._store.replace(session_id, found.version, Attachment(), ttl_s=_FREE_FOR_S):
                return found.value.closing
        raise busy(session_id)

    async def ask_to_close(self, session_id: str) -> bool:
        """Ask for the session's end when it is let go; return whether anybody holds it."""
        for _ in range(_TRIES):
            found = await self._store.load(session_id)
            if found is None or not found.value.holder:
                return False
            closing = attrs.evolve(found.value, closing=True)
            if await self._store.replace(session_id, found.version, closing, ttl_s=self._lease_s):
                return True
        raise busy(session_id)

    async def aclose(self) -> None:
        """Let go of the store."""
        await self._store.aclose()
