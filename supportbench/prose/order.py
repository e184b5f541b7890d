"""Whether the words of an English text stand in an order, and are held together by small words, as in a sentence."""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from itertools import repeat
from typing import Final

import attrs

from supportbench.text import fold

_LEAST_ENGLISH: Final = 0.06
_CONTENT: Final = "x"
_LIST: Final = _CONTENT * 15
_LISTED: Final = re.compile(f"{_LIST}+")


@attrs.frozen
class _English:
    """The words that few other languages have, the class of each small word, a letter, and how likely two classes are
    to follow each other (`order.toml`)."""

    alone: frozenset[str]
    classes: dict[str, str]
    bits: dict[str, dict[str, float]]


@cache
def _english() -> _English:
    data = tomllib.loads((files(__package__) / "order.toml").read_text(encoding="utf-8"))
    names = iter(string.ascii_letters.replace(_CONTENT, ""))
    letters = {name: next(names) for name in data["words"]} | {"content": _CONTENT}
    classes = {stem: letters[name] for name, words in reversed(data["words"].items()) for stem in fold(words).split()}
    bits = {letters[name]: dict(zip(letters.values(), row, strict=True)) for name, row in data["order"].items()}
    return _English(frozenset(fold(data["english"]).split()), classes, bits)


def is_english(stems: Sequence[str]) -> bool:
    """Return whether these are the words of an English text: of most, a sixth are words that few languages share."""
    return sum(map(_english().alone.__contains__, stems)) >= _LEAST_ENGLISH * max(1, len(stems))


def content_of(stems: Sequence[str]) -> list[str]:
    """Return the words that are no small ones, in order."""
    classes = _english().classes
    return [stem for stem in stems if stem not in classes]


def kinds_of(stems: Sequence[str]) -> str:
    """Return the class of each word, a letter: which of the small words it belongs to, or that it has content."""
    return "".join(map(_english().classes.get, stems, repeat(_CONTENT)))


def order_of(kinds: str) -> float:
    """Return how much likelier than chance, in bits, words of these classes follow each other; below 0: shuffled."""
    follow = _english().bits
    bits, before = 0.0, follow[kinds[:1] or _CONTENT]
    for kind in kinds[1:]:
        bits += before[kind]
        before = follow[kind]
    return bits


@attrs.frozen
class Connection:
    """What holds the words of a text together.

    `small_words`: their share among the words without digits, in [0, 1]. `listed`: the most words of content on end,
    without a small word between, where that is 15 or more, else 0. `repetition`: how often each word of content is
    said, 1 or more on average.
    """

    small_words: float
    listed: int
    repetition: float


def connection(stems: Sequence[str], kinds: str, words: frozenset[str], *, enough: float = 1.0) -> Connection:
    """Return what holds the words together, given as they stand, by their classes, and each once.

    Names and figures (words with digits) are neither small words nor content. Where the share of small words is more
    than `enough` it may be told too low.
    """
    small, number = len(kinds) - kinds.count(_CONTENT), len(stems)
    # A closer look costs more than the rest together, and is taken only where it might matter.
    if small <= enough * number or len(words) * 1.3 < number:
        content = list(filter(str.isalpha, content_of(stems)))
        small_words = small / max(1, small + len(content))
        repetition = max(1.0, len(content) / max(1, len(frozenset(content))))
    else:
        small_words, repetition = small / number, 1.0
    listed = 0
    if _LIST in kinds:
        listed = max(sum(map(str.isalpha, stems[run.start() : run.end()])) for run in _LISTED.finditer(kinds))
    return Connection(small_words, listed, repetition)
