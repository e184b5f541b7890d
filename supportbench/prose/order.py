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

_CONTENT: Final = "x"
_LIST: Final = _CONTENT * 15
_LISTED: Final = re.compile(f"{_LIST}+")


@attrs.frozen
class _English:
    """The class of each small word, a letter, and how likely two classes are to follow each other (`order.toml`)."""

    classes: dict[str, str]
    bits: dict[str, dict[str, float]]


@cache
def _english() -> _English:
    data = tomllib.loads((files(__package__) / "order.toml").read_text(encoding="utf-8"))
    names = iter(string.ascii_letters.replace(_CONTENT, ""))
    letters = {name: next(names) for name in data["words"]} | {"content": _CONTENT}
    classes = {stem: letters[name] for name, words in reversed(data["words"].items()) for stem in fold(words).split()}
    bits = {letters[name]: dict(zip(letters.values(), row, strict=True)) for name, row in data["order"].items()}
    return _English(classes, bits)


@attrs.frozen
class Connection:
    """How the words of a text are connected, measured as in English.

    `bits`: how much likelier than chance their order is (below 0: rather shuffled). `small_words`: their share among
    the words without digits, in [0, 1]. `listed`: the most words of content on end, without a small word between, where
    that is 15 or more, else 0. `repetition`: how often each word of content is said, 1 or more on average.
    """

    bits: float
    small_words: float
    listed: int
    repetition: float


def connection(stems: Sequence[str], words: frozenset[str], *, enough: float = 1.0) -> Connection:
    """Return how the words are connected, given as they stand and each once.

    Names and figures (words with digits) are neither small words nor content. Where the share of small words is more
    than `enough` it may be told too low.
    """
    english = _english()
    classes = "".join(map(english.classes.get, stems, repeat(_CONTENT)))
    small, number = len(classes) - classes.count(_CONTENT), len(stems)
    # A closer look costs more than the rest together, and is taken only where it might matter.
    if small <= enough * number or len(words) * 1.3 < number:
        content = [stem for stem, kind in zip(stems, classes, strict=True) if kind == _CONTENT and stem.isalpha()]
        small_words = small / max(1, small + len(content))
        repetition = max(1.0, len(content) / max(1, len(frozenset(content))))
    else:
        small_words, repetition = small / number, 1.0
    listed = 0
    if _LIST in classes:
        listed = max(sum(map(str.isalpha, stems[run.start() : run.end()])) for run in _LISTED.finditer(classes))
    bits, before = 0.0, english.bits[classes[:1] or _CONTENT]
    for kind in classes[1:]:
        bits += before[kind]
        before = english.bits[kind]
    return Connection(bits=bits, small_words=small_words, listed=listed, repetition=repetition)
