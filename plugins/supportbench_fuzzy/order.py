"""Phrases whose words stand near each other, in any order."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final

import attrs

from supportbench import PhraseGroups, fold, stems, word_spans
from supportbench_fuzzy.english import own_words

MOST_BETWEEN: Final = 3
"""How many other words may stand among those of a phrase."""

MOST_CONTENT_BETWEEN: Final = 1
"""How many of them may be more than small words, where the phrase's own are in order; else none may."""

_TERSE = 4  # words of a clause, as in "twice charged for May"

_MARK: Final = re.compile(r"[.,;:!?…()\[\]\n\r–—]|\s-+\s")
_NONE: Final[frozenset[int]] = frozenset()


@attrs.frozen
class _Phrase:
    """A phrase that may stand in any order: its group, and the stems of its words."""

    group: int
    wanted: tuple[str, ...]

    def stands_in(self, clause: Sequence[str], trigger: str) -> bool:
        """Return whether its words stand near each other in the clause, with no negation among them."""
        reach = len(self.wanted) + MOST_BETWEEN
        for place, stem in enumerate(clause):
            if stem != trigger:
                continue
            for start in range(max(0, place - reach + 1), place + 1):
                if clause[start] in self.wanted and self._stands_from(clause[start : start + reach]):
                    return True
        return False

    def _stands_from(self, window: Sequence[str]) -> bool:
        missing, between, said = Counter(self.wanted), 0, []
        for stem in window:
            if missing[stem] > 0:
                missing[stem] -= 1
                said.append(stem)
                if len(said) == len(self.wanted):
                    return between == 0 or tuple(said) == self.wanted
            elif stem in _negations():
                return False
            elif stem not in _small():
                between += 1
                if between > MOST_CONTENT_BETWEEN:
                    return False
        return False


class NearPhrases:
    """Groups of phrases, as `PhraseGroups` finds them, and phrases whose words stand near each other in any order.

    A phrase counts in any order when it has at least two words of content and none that its meaning hangs on the order
    of (`keeps_order` in `words.toml`: negations, prepositions, pronouns, numbers). Its words then stand in one clause,
    with a few others among them and no negation; articles and forms of "be" may be missing. In their own order one of
    the others may be a word of content ("charged the customer twice"), else all are small words ("twice was charged"):
    more would find phrases in any list of words.
    """

    __slots__ = ("_exact", "_phrases", "_triggers")

    def __init__(self, groups: Iterable[Iterable[str]]) -> None:
        listed = [tuple(phrases) for phrases in groups]
        self._exact = PhraseGroups(listed)
        found = [(group, _words_in_any_order(phrase)) for group, phrases in enumerate(listed) for phrase in phrases]
        phrases = [_Phrase(group, words) for group, words in found if words]
        number = Counter(stem for phrase in phrases for stem in set(phrase.wanted))
        self._phrases: dict[str, list[_Phrase]] = {}
        for phrase in phrases:
            rarest = min(phrase.wanted, key=lambda stem: (number[stem], -len(stem)))
            self._phrases.setdefault(rarest, []).append(phrase)
        self._triggers = frozenset(self._phrases)

    def found_in(self, text: str) -> frozenset[int]:
        """Return the places (from 0) of the groups of which the text has a phrase."""
        found = self._exact.found_in(text)
        words = frozenset(stems(text))
        woken = [
            (trigger, phrase)
            for trigger in self._triggers & words
            for phrase in self._phrases[trigger]
            if phrase.group not in found and words.issuperset(phrase.wanted)
        ]
        if not woken:
            return found
        clauses = _clauses(text)
        near: set[int] = set()
        for trigger, phrase in woken:
            if phrase.group not in near and any(phrase.stands_in(clause, trigger) for clause in clauses):
                near.add(phrase.group)
        return found | near


def _words_in_any_order(phrase: str) -> tuple[str, ...]:
    """Return the stems that must stand near each other; none if the phrase counts as it is written alone."""
    words = fold(phrase).split()
    if not _keeping_order().isdisjoint(words):
        return ()
    content = tuple(word for word in words if word not in _weightless())
    return content if len(content) > 1 else ()


def _clauses(text: str) -> list[list[str]]:
    """Return the stems of those clauses, of what stands between two marks of punctuation, that say something."""
    clauses: list[list[str]] = [[]]
    behind = 0
    for stem, start, end in word_spans(text):
        if behind < start and _MARK.search(text, behind, start):
            clauses.append([])
        clauses[-1].append(stem)
        behind = end
    return [clause for clause in clauses if _is_said(clause)]


def _is_said(clause: Sequence[str]) -> bool:
    """Return whether it may be part of a sentence; in a row of words without small ones, order is all there is."""
    return 1 < len(clause) <= _TERSE or 5 * sum(stem in _small() for stem in clause) >= len(clause)


def _stems_of(name: str) -> frozenset[str]:
    return frozenset(fold(" ".join(own_words(name))).split())


@cache
def _keeping_order() -> frozenset[str]:
    return _stems_of("keeps_order")


@cache
def _weightless() -> frozenset[str]:
    return _stems_of("weightless")


@cache
def _small() -> frozenset[str]:
    return _keeping_order() | _weightless() | _stems_of("small")


@cache
def _negations() -> frozenset[str]:
    return _stems_of("negations")
