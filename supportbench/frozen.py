"""A dictionary that refuses changes."""

from __future__ import annotations

from typing import Never, TypeVar

K = TypeVar("K")
V = TypeVar("V")


def _refuse(self: object, *args: object, **kwargs: object) -> Never:
    raise TypeError(f"this {type(self).__name__} is frozen: make a new one")


class FrozenDict(dict[K, V]):
    """A dictionary that refuses changes, and has a hash if its values have one.

    Several are made for each graded action, so that it is a `dict` and no `Mapping` around one: it is made, asked and
    written as JSON as fast as a dict.
    """

    __slots__ = ()
    __setitem__ = __delitem__ = __ior__ = update = pop = popitem = clear = setdefault = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type[FrozenDict[K, V]], tuple[dict[K, V]]]:
        return type(self), (dict(self),)
