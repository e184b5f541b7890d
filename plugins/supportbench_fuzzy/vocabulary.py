"""The words that a misspelling may have been meant for, and which of them is nearest to it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property, lru_cache
from typing import Final

import attrs

from supportbench import fold
from supportbench_fuzzy.english import forms

SHORTEST_TARGET: Final = 5
"""A word of fewer letters has too many words near it."""

LONGEST_WORD: Final = 24
"""English has some longer ones, which nobody misspells in a ticket."""

TWO_EDITS_FROM: Final = 9
"""The letters from which on two edits may part a misspelling from a word."""

_MOST_EDITS = 2
_WORD: Final = re.compile(r"[A-Za-z]+")


@attrs.frozen
class Correction:
    """A word that a misspelt one was meant to be, by how many edits, and how much of it is right, in [0, 100]."""

    word: str
    edits: int
    similarity: float


@attrs.frozen(slots=False)
class Vocabulary:
    """Words, of which each may be misspelt in all its regular inflections."""

    words: frozenset[str]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Vocabulary:
        """Return the words of these texts that are long enough for one to be taken for a misspelling of another."""
        words = (word.lower() for text in texts for word in _WORD.findall(text))
        return cls(frozenset(word for word in words if may_be_misspelling(word)))

    @cached_property
    def stems(self) -> frozenset[str]:
        """The words' stems."""
        return frozenset(map(stem_of, self.words))

    @cached_property
    def _forms(self) -> dict[str, list[str]]:
        """The words in all their forms, by first letter."""
        known: dict[str, dict[str, None]] = {}
        for word in sorted(self.words):
            for form in forms(word):
                if len(form) >= SHORTEST_TARGET:
                    known.setdefault(form[0], {})[form] = None
        return {letter: list(found) for letter, found in known.items()}

    def nearest(self, word: str) -> list[Correction]:
        """Return the words that this one is nearest to, if any is near enough for its length: one of each stem.

        Nearness is optimal string alignment: how many letters are left out, put in or taken for others, and how many
        neighbours are swapped. The first letter is never among them.
        """
        from rapidfuzz import process  # noqa: PLC0415 - see `load_matcher`
        from rapidfuzz.distance import OSA  # noqa: PLC0415

        among = self._forms.get(word[0], ())
        near = [
            (edits, form)
            for form, edits, _ in process.extract(
                word, among, scorer=OSA.distance, score_cutoff=_MOST_EDITS, limit=None
            )
            if edits < _MOST_EDITS or len(form) >= TWO_EDITS_FROM
        ]
        least = min((int(edits) for edits, _ in near), default=0)
        # Of a stem's forms that are as near, the longest: that much more of it is right.
        by_stem = {stem_of(form): form for edits, form in sorted(near, key=_by_length) if edits == least}
        return [Correction(form, least, 100.0 * OSA.normalized_similarity(word, form)) for form in by_stem.values()]


def load_matcher() -> None:
    """Import what finds the nearest word: it takes a tenth of a second, which an event loop must not be held for.

    Who grades by other rubrics needs none of it.
    """
    import rapidfuzz.distance  # noqa: PLC0415
    import rapidfuzz.process  # noqa: F401, PLC0415


def _by_length(near: tuple[float, str]) -> tuple[int, str]:
    return len(near[1]), near[1]


def may_be_misspelling(word: str) -> bool:
    """Return whether a word is long enough to be one of a word that can be misspelt, and short enough to be one."""
    return SHORTEST_TARGET - 1 <= len(word) <= LONGEST_WORD


@lru_cache(maxsize=1 << 14)
def stem_of(word: str) -> str:
    """Return the stem of one word."""
    return fold(word).strip()
