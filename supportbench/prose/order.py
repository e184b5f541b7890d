"""What is known of English: its small words, by what may stand beside them, and in which order they stand."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final

from supportbench.text import fold
from supportbench.words import English

_LEAST: Final = 0.06


@cache
def english() -> English:
    """Return the classes of the small words, and how likely they follow each other (`order.toml`)."""
    data = _data()
    numbers = {name: number for number, name in enumerate(["content", *data["words"]])}
    classes = {stem: numbers[name] for name, words in reversed(data["words"].items()) for stem in fold(words).split()}
    half_bits = [[0] * len(numbers) for _ in numbers]
    for name, row in data["order"].items():
        for after, bits in zip([*data["words"], "content"], row, strict=True):
            half_bits[numbers[name]][numbers[after]] = int(2 * bits)
    return English(classes, half_bits)


def is_english(stems: Sequence[str]) -> bool:
    """Return whether these are the words of an English text: of most, a sixth are words that few languages share."""
    return sum(map(_alone().__contains__, stems)) >= _LEAST * max(1, len(stems))


@cache
def _alone() -> frozenset[str]:
    return frozenset(fold(_data()["english"]).split())


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads((files(__package__) / "order.toml").read_text(encoding="utf-8"))
