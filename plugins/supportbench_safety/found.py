"""Where patterns stand in a sentence.

All single words and fixed phrases are looked for by the first word of each; a pattern joins what was found, in time
linear in the sentence, whatever it says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from supportbench_safety.patterns import Pattern, Vocabulary
from supportbench_safety.screens import Screens
from supportbench_safety.tokens import Token

Spans = Sequence[tuple[int, int]]
"""Where something stands in a sentence: the place of its first word, and the one behind its last."""


class Found:
    """What of a vocabulary stands in a sentence."""

    def __init__(self, vocabulary: Vocabulary, screens: Screens, tokens: Sequence[Token]) -> None:
        self._vocabulary = vocabulary
        self._screens = screens
        self._tokens = tokens
        self._known: dict[int, Spans] = {}

    @cached_property
    def _spelt(self) -> str:
        return self._screens.alphabet.spell(self._tokens)

    @cached_property
    def _places(self) -> Mapping[str, Sequence[int]]:
        places: dict[str, list[int]] = {}
        for place, token in enumerate(self._tokens):
            places.setdefault(token.stem, []).append(place)
            places.setdefault(token.form, []).append(place)
        return places

    def has(self, number: int) -> bool:
        """Return whether an entry of the list stands in the sentence."""
        if number not in self._known and self._screens.of_list(number).search(self._spelt) is None:
            self._known[number] = ()
        return bool(self.spans(number))

    def spans(self, number: int) -> Spans:
        """Return where entries of the list stand, from left to right."""
        if number not in self._known:
            found = set(self._phrases(number))
            self._known[number] = ()  # what is made of itself is not found
            composed = self._vocabulary.composed(number)
            if composed and self._screens.of_list(number).search(self._spelt):
                for pattern in composed:
                    found.update(self.matches(pattern))
            self._known[number] = sorted(found)
        return self._known[number]

    def _phrases(self, number: int) -> Iterator[tuple[int, int]]:
        phrases = self._vocabulary.phrases(number)
        for first in phrases.keys() & self._places.keys():
            for place in self._places[first]:
                for phrase in phrases[first]:
                    if len(phrase) == 1 or self._goes_on(phrase, place):
                        yield place, place + len(phrase)

    def _goes_on(self, phrase: tuple[str, ...], place: int) -> bool:
        words = self._tokens[place : place + len(phrase)]
        return len(words) == len(phrase) and all(key in word[:2] for key, word in zip(phrase, words, strict=True))

    def matches(self, pattern: Pattern) -> Spans:
        """Return where the pattern stands: for each place that it ends at, the shortest way there."""
        states: dict[int, int] | None = None  # where it may have ended so far, and where it then began
        for step in pattern.steps:
            match step.kind:
                case "start":
                    begins = {0, *(end for _, end in self.spans(self._vocabulary.starts))}
                    states = {place: place for place in begins}
                case "end":
                    closes = {len(self._tokens), *(start for start, _ in self.spans(self._vocabulary.ends))}
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
