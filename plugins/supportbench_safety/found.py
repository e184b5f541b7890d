"""Where patterns stand in a sentence.

Words and fixed phrases are looked for by their first words, all of a list at once; a pattern joins what was found, in
time linear in the sentence, whatever it says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from supportbench_safety.patterns import Pattern, Vocabulary
from supportbench_safety.screens import Screens

Spans = Sequence[tuple[int, int]]
"""Where something stands in a sentence: the place of its first word, and the one behind its last."""

Phrases = Mapping[str, Sequence[tuple[frozenset[str], ...]]]


class Lists:
    """A vocabulary's lists, as they are found in sentences that are spelt in an alphabet."""

    def __init__(self, vocabulary: Vocabulary, screens: Screens) -> None:
        self.vocabulary = vocabulary
        self.screens = screens
        self.phrases = lru_cache(maxsize=None)(self._phrases)
        self.chars = lru_cache(maxsize=None)(self._chars)
        self.composed = lru_cache(maxsize=None)(self._composed)

    def _chars(self, number: int) -> frozenset[str]:
        """Return the characters that the list's words and phrases begin with."""
        return frozenset(self.phrases(number))

    def _phrases(self, number: int) -> Phrases:
        """Return by the first character of each word and phrase of a list what may be each of the further ones."""
        alphabet = self.screens.alphabet
        phrases: dict[str, list[tuple[frozenset[str], ...]]] = {}
        for entries in self.vocabulary.phrases(number).values():
            for entry in entries:
                first, *rest = (alphabet[key] for key in entry)
                for char in first:
                    phrases.setdefault(char, []).append(tuple(rest))
        return phrases

    def _composed(self, number: int) -> Sequence[tuple[Pattern, Sequence[frozenset[str]]]]:
        """Return a list's entries that are more than words in a row, each with the characters that it needs."""
        alphabet = self.screens.alphabet
        entries = self.vocabulary.composed(number)
        return [
            (entry, [frozenset().union(*map(alphabet.of_stem, stems)) for stems in entry.needs]) for entry in entries
        ]


class Found:
    """What of a vocabulary stands in a sentence."""

    def __init__(self, spelt: str, lists: Lists) -> None:
        self._spelt = spelt
        self._lists = lists
        self._known: dict[int, Spans] = {}

    def has(self, number: int) -> bool:
        """Return whether an entry of the list stands in the sentence."""
        screen = self._lists.screens.of_list(number)
        return screen.search(self._spelt) is not None and (screen.exact or bool(self.spans(number)))

    def has_within(self, number: int, first: int, behind: int) -> bool:
        """Return whether an entry of the list stands among the words [first, behind)."""
        screen = self._lists.screens.of_list(number)
        if screen.search(self._spelt, first, behind) is None:
            return False
        return screen.within or any(first <= start and end <= behind for start, end in self.spans(number))

    def spans(self, number: int) -> Spans:
        """Return where entries of the list stand, from left to right."""
        if number not in self._known:
            found = set(self._phrases(number))
            self._known[number] = ()  # what is made of itself is not found
            for pattern, needs in self._lists.composed(number):
                if not any(need.isdisjoint(self._spelt) for need in needs):
                    found.update(self.matches(pattern))
            self._known[number] = sorted(found)
        return self._known[number]

    def _phrases(self, number: int) -> Iterator[tuple[int, int]]:
        phrases, spelt = self._lists.phrases(number), self._spelt
        for place, char in enumerate(spelt):
            for rest in phrases.get(char, ()):
                behind = place + 1 + len(rest)
                if not rest or (
                    behind <= len(spelt)
                    and all(other in chars for other, chars in zip(spelt[place + 1 : behind], rest, strict=True))
                ):
                    yield place, behind

    def matches(self, pattern: Pattern) -> Spans:
        """Return where the pattern stands: for each place that it ends at, the shortest way there."""
        vocabulary = self._lists.vocabulary
        states: dict[int, int] | None = None  # where it may have ended so far, and where it then began
        for step in pattern.steps:
            match step.kind:
                case "start":
                    begins = {0, *(end for _, end in self.spans(vocabulary.starts))}
                    states = {place: place for place in begins}
                case "end":
                    closes = {len(self._spelt), *(start for start, _ in self.spans(vocabulary.ends))}
                    states = {place: begin for place, begin in (states or {}).items() if place in closes}
                case "not":
                    refused = {start for start, _ in self.spans(step.list)}
                    states = {place: begin for place, begin in (states or {}).items() if place not in refused}
                case "may" if states is not None:
                    states = {**_joined(states, self.spans(step.list), step.gap), **states}
                case "must":
                    states = _joined(states, self.spans(step.list), step.gap)
            if states is not None and not states:
                return ()
        return [(begin, place) for place, begin in (states or {}).items()]


def _joined(states: Mapping[int, int] | None, spans: Spans, gap: int) -> dict[int, int]:
    if states is None:
        return {end: start for start, end in spans}
    reached: dict[int, int] = {}
    for start, end in spans:
        for before in range(start, max(start - gap, 0) - 1, -1):
            if before in states:
                reached[end] = max(states[before], reached.get(end, -1))
                break
    return reached
