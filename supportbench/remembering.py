"""Remembering what was made of values that are met again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_MOST = 512


class ByIdentity(Generic[K, V]):
    """What `make` made of a value, found again by the value's identity: nothing of it is hashed or compared.

    For values that never change and live long, such as tickets. Keeps the last 512, or `kept`, at most, and with them
    the values.
    """

    __slots__ = ("_kept", "_make", "_most")

    def __init__(self, make: Callable[[K], V], *, kept: int = _MOST) -> None:
        self._make = make
        self._most = kept
        self._kept: dict[int, tuple[K, V]] = {}

    def __call__(self, value: K) -> V:
        """Return what was made of this very value, making it if need be."""
        kept = self._kept.get(id(value))
        if kept is not None and kept[0] is value:
            return kept[1]
        if len(self._kept) >= self._most:
            self._kept.clear()
        made = self._make(value)
        self._kept[id(value)] = value, made
        return made
