"""What a text must have at least for a pattern to stand in it: words, or two words next to each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from supportbench_safety.alphabet import Alphabet
from supportbench_safety.patterns import Pattern, Vocabulary

Signs = frozenset[str]
"""Characters of an `Alphabet`, and pairs of characters, at least one of which a text has."""

EDGE: Final = "\n"
"""Stands before and behind a sentence, so that its first and last words have signs of their own."""

_MOST_PAIRS: Final = 60


class Needs:
    """The signs that patterns and lists need."""

    def __init__(self, vocabulary: Vocabulary, alphabet: Alphabet) -> None:
        self._vocabulary = vocabulary
        self._alphabet = alphabet
        self._common = frozenset().union(*(alphabet[key] for key in alphabet if vocabulary.is_common(key)))
        self._lists: dict[int, Signs] = {}
        self._edges: dict[tuple[int, bool], frozenset[str] | None] = {}

    def of_list(self, number: int) -> Signs:
        """Return signs of which a text with an entry of the list has at least one."""
        if number not in self._lists:
            signs: set[str] = set()
            for entries in self._vocabulary.phrases(number).values():
                for words in entries:
                    signs |= self._rarest_first(self._of_phrase(words))[0]
            for pattern in self._vocabulary.composed(number):
                signs |= self.of_pattern(pattern)[0]
            self._lists[number] = frozenset(signs)
        return self._lists[number]

    def of_pattern(self, pattern: Pattern) -> Sequence[Signs]:
        """Return sets of signs, of each of which a text with the pattern has at least one, the rarest first."""
        return self._rarest_first(self._of_steps(pattern))

    def _rarest_first(self, each: Iterable[Signs]) -> Sequence[Signs]:
        return sorted(dict.fromkeys(each), key=self._rarity)

    def _of_phrase(self, words: Sequence[str]) -> Iterator[Signs]:
        chars = [self._alphabet[key] for key in words]
        yield from chars
        for left, right in pairwise(chars):
            if len(left) * len(right) <= _MOST_PAIRS:
                yield _pairs(left, right)

    def _of_steps(self, pattern: Pattern) -> Iterator[Signs]:
        before: frozenset[str] | None = None  # what a match of the steps so far ends with, None if it can be anything
        for step in pattern.steps:
            match step.kind:
                case "start":
                    begins = self._edge(self._vocabulary.starts, last=True)
                    before = None if begins is None else begins | {EDGE}
                case "end":
                    ends = self._edge(self._vocabulary.ends, last=False)
                    yield from self._joined(before, None if ends is None else ends | {EDGE})
                case "may" if before is not None:
                    after = self._edge(step.list, last=True)
                    before = None if after is None else before | after
                case "must":
                    yield self.of_list(step.list)
                    if not step.gap:
                        yield from self._joined(before, self._edge(step.list, last=False))
                    before = self._edge(step.list, last=True)

    def _joined(self, left: frozenset[str] | None, right: frozenset[str] | None) -> Iterator[Signs]:
        if left and right and len(left) * len(right) <= _MOST_PAIRS:
            yield _pairs(left, right)

    def _edge(self, number: int, *, last: bool) -> frozenset[str] | None:
        """Return what the entries of a list begin or end with, None if it cannot be told."""
        key = number, last
        if key not in self._edges:
            edge = -1 if last else 0
            phrases = self._vocabulary.phrases(number).values()
            chars = frozenset().union(*(self._alphabet[words[edge]] for entries in phrases for words in entries))
            steps = [pattern.steps[edge] for pattern in self._vocabulary.composed(number)]
            inner = [self._edge(step.list, last=last) if step.kind == "must" else None for step in steps]
            known = [each for each in inner if each is not None]
            self._edges[key] = chars.union(*known) if len(known) == len(inner) else None
        return self._edges[key]

    def _rarity(self, signs: Signs) -> tuple[int, int, int]:
        words = [sign for sign in signs if len(sign) == 1]
        return sum(word in self._common for word in words), len(words), len(signs)


def _pairs(left: frozenset[str], right: frozenset[str]) -> Signs:
    return frozenset(one + other for one in left for other in right)
