"""Whether the words of an English text stand in an order, and are held together by small words, as in a sentence."""

from __future__ import annotations

import re
import sys
import tomllib
from array import array
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from itertools import compress, repeat
from typing import Final

import attrs

from supportbench.text import fold

_LEAST_ENGLISH: Final = 0.06
_CONTENT: Final = 0
_HAS_CONTENT: Final = bytes(kind == _CONTENT for kind in range(256))
LIST: Final = bytes([_CONTENT]) * 15
"""The classes of fifteen words of content on end, which are a list if they are one sentence's."""

_LISTED: Final = re.compile(LIST + b"+")


@attrs.frozen
class _English:
    """The words that few other languages have, the class of each small word, a number, and how likely two classes are
    to follow each other (`order.toml`), in half bits, by the number that their two bytes make in memory."""

    alone: frozenset[str]
    class_of: Callable[[str, int], int]
    half_bits_of: Callable[[int], int]


@cache
def _english() -> _English:
    data = tomllib.loads((files(__package__) / "order.toml").read_text(encoding="utf-8"))
    numbers = {"content": _CONTENT} | {name: number for number, name in enumerate(data["words"], start=_CONTENT + 1)}
    classes = {stem: numbers[name] for name, words in reversed(data["words"].items()) for stem in _stems(words)}
    names = [*data["words"], "content"]
    pairs = {
        int.from_bytes((numbers[name], numbers[after]), sys.byteorder): bits
        for name, row in data["order"].items()
        for after, bits in zip(names, row, strict=True)
    }
    half_bits = [int(2 * pairs.get(pair, 0)) for pair in range(max(pairs) + 1)]
    return _English(frozenset(_stems(data["english"])), classes.get, half_bits.__getitem__)


def _stems(words: str) -> list[str]:
    return list(map(sys.intern, fold(words).split()))


def is_english(stems: Sequence[str]) -> bool:
    """Return whether these are the words of an English text: of most, a sixth are words that few languages share."""
    return sum(map(_english().alone.__contains__, stems)) >= _LEAST_ENGLISH * max(1, len(stems))


def kinds_of(stems: Sequence[str]) -> bytes:
    """Return the class of each word, a number: which of the small words it belongs to, or 0 if it has content."""
    return bytes(map(_english().class_of, stems, repeat(_CONTENT)))


def content_of(stems: Sequence[str], kinds: bytes) -> list[str]:
    """Return the words that are no small ones, in order."""
    return list(compress(stems, kinds.translate(_HAS_CONTENT)))


def order_of(kinds: bytes) -> float:
    """Return how much likelier than chance, in bits, words of these classes follow each other; below 0: shuffled."""
    # Each two neighbours are one number: those that begin at even places, and those that begin at odd ones.
    even, odd = len(kinds) // 2 * 2, (len(kinds) - 1) // 2 * 2 + 1
    pairs = array("H", kinds[:even] + kinds[1:odd])
    return sum(map(_english().half_bits_of, pairs)) / 2


def small_words(stems: Sequence[str], kinds: bytes) -> float:
    """Return the share of the small words among the words that have no digits, in [0, 1].

    Names and figures (words with digits) are neither small words nor content.
    """
    small = len(kinds) - kinds.count(_CONTENT)
    return small / (small + sum(map(str.isalpha, content_of(stems, kinds)))) if small else 0.0


def listed(stems: Sequence[str], kinds: bytes) -> int:
    """Return the most words of content on end, without a small word between, where `LIST` is in `kinds`."""
    return max(sum(map(str.isalpha, stems[run.start() : run.end()])) for run in _LISTED.finditer(kinds))


def repetition(content: Sequence[str]) -> float:
    """Return how often each word of content is said, 1 or more on average."""
    spelt = list(filter(str.isalpha, content))
    return max(1.0, len(spelt) / max(1, len(frozenset(spelt))))
