"""Where sessions stand between two requests: in this process, or in a Redis that several workers and hosts share."""

from __future__ import annotations

import itertools
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

import attrs

T = TypeVar("T")

MEMORY: Final = "memory"


@attrs.frozen
class Stored(Generic[T]):
    """A value as it stood when it was loaded. Its key has never had another value with this version."""

    version: int
    value: T


class SessionStore(Protocol[T]):
    """Values under keys, each with a version, that expire when nobody touches them.

    Versions are positive and say no more than whether two are the same. Times are in seconds and above 0; a life ends
    at its time or within a millisecond after it. Everything raises `StoreError` when the store cannot be reached or
    holds something else under the key; what was asked for is then done, or it is not.
    """

    async def load(self, key: str) -> Stored[T] | None:
        """Return the value, or None if the key is unknown or expired; the value lives no longer for it."""
        ...

    async def replace(self, key: str, expected_version: int | None, value: T, *, ttl_s: float) -> int | None:
        """Put the value in the place of that version, or, with None, under a key that does not exist.

        Returns:
            The new version; None when somebody else was faster, or when the key is gone: nothing has changed then.
        """
        ...

    async def touch(self, key: str, ttl_s: float) -> bool:
        """Let the value live for `ttl_s` from now, whatever was left; return whether there is one."""
        ...

    async def expires_in(self, key: str) -> float | None:
        """Return the seconds that the value has left, or None if the key is unknown or expired."""
        ...

    async def delete(self, key: str) -> bool:
        """Forget the value; return whether there was one."""
        ...

    async def check(self) -> None:
        """Raise `StoreError` unless values can be kept and read: for the start of a server."""
        ...

    async def aclose(self) -> None:
        """Let go of the store; closing twice does no harm."""
        ...


@attrs.define
class _Entry(Generic[T]):
    stored: Stored[T]
    expires_at: float


class MemoryStore(Generic[T]):
    """Keeps values in this process, as they are: whoever loads one shares it, so it must not be changed.

    Cost: O(1) a call. An expired value is gone when its key is next asked for; beyond that, every `replace` looks at
    two entries, in turn, and drops those that have expired. So with n entries the last of them is looked at within n/2
    replacements, and a store into which values flow evenly holds at most twice what is alive.
    """

    _LOOKED_AT: Final = 2

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: OrderedDict[str, _Entry[T]] = OrderedDict()
        # One count for all keys: a key that was deleted and made anew does not meet its old versions again.
        self._versions = itertools.count(1)

    def __len__(self) -> int:
        """Return how many values are held, expired ones that were not met yet included."""
        return len(self._entries)

    async def load(self, key: str) -> Stored[T] | None:
        """Return the value, as the protocol has it."""
        entry = self._living(key)
        return None if entry is None else entry.stored

    async def replace(self, key: str, expected_version: int | None, value: T, *, ttl_s: float) -> int | None:
        """Compare and set, as the protocol has it."""
        self._sweep()
        entry = self._living(key)
        if (None if entry is None else entry.stored.version) != expected_version:
            return None
        version = next(self._versions)
        self._entries[key] = _Entry(Stored(version, value), self._clock() + ttl_s)
        return version

    async def touch(self, key: str, ttl_s: float) -> bool:
        """Set the time that is left, as the protocol has it."""
        entry = self._living(key)
        if entry is None:
            return False
        entry.expires_at = self._clock() + ttl_s
        return True

    async def expires_in(self, key: str) -> float | None:
        """Return the time that is left, as the protocol has it."""
        entry = self._living(key)
        return None if entry is None else entry.expires_at - self._clock()

    async def delete(self, key: str) -> bool:
        """Forget the value, as the protocol has it."""
        known = self._living(key) is not None
        self._entries.pop(key, None)
        return known

    async def check(self) -> None:
        """Do nothing: this store is always there."""

    async def aclose(self) -> None:
        """Forget everything."""
        self._entries.clear()

    def _living(self, key: str) -> _Entry[T] | None:
        entry = self._entries.get(key)
        if entry is None or entry.expires_at > self._clock():
            return entry
        del self._entries[key]
        return None

    def _sweep(self) -> None:
        now = self._clock()
        for _ in range(min(self._LOOKED_AT, len(self._entries))):
            key = next(iter(self._entries))
            if self._entries[key].expires_at <= now:
                del self._entries[key]
            else:
                self._entries.move_to_end(key)
