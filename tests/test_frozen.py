"""A dictionary that refuses changes, which tasks, rubrics and what plugins may see are made of."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest

from supportbench.frozen import FrozenDict
from supportbench.models.fields import FrozenJson

CHANGES: dict[str, Callable[[dict[str, int]], object]] = {
    "set": lambda values: values.__setitem__("a", 2),
    "delete": lambda values: values.__delitem__("a"),
    "or": lambda values: values.__ior__({"a": 2}),
    "update": lambda values: values.update(a=2),
    "pop": lambda values: values.pop("a"),
    "popitem": lambda values: values.popitem(),
    "clear": lambda values: values.clear(),
    "setdefault": lambda values: values.setdefault("b", 2),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("kind", [FrozenDict, FrozenJson])
def test_refuses_every_change(kind: type[FrozenDict[str, int]], change: Callable[[dict[str, int]], object]) -> None:
    values = kind(a=1)

    with pytest.raises(TypeError, match=rf"^this {kind.__name__} is frozen: make a new one$"):
        change(values)
    assert values == {"a": 1}


def test_equal_ones_have_one_hash_whatever_their_order() -> None:
    assert hash(FrozenDict(a=1, b=2)) == hash(FrozenDict(b=2, a=1))
    assert len({FrozenDict(a=1), FrozenDict(a=1), FrozenDict(a=2)}) == 2


@pytest.mark.parametrize("kind", [FrozenDict, FrozenJson])
def test_comes_back_as_what_it_was_from_another_process_and_from_a_copy(kind: type[FrozenDict[str, int]]) -> None:
    values = kind(a=1)

    piped = pickle.loads(pickle.dumps(values))  # noqa: S301 - it was written a moment ago
    for again in (piped, copy.copy(values), copy.deepcopy(values)):
        assert again == values
        assert type(again) is kind
