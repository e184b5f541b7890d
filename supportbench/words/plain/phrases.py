"""Finding phrases in a text."""

from __future__ import annotations

from typing import Final

from ahocorasick_rs import BytesAhoCorasick, Implementation

from supportbench.words.plain.reading import Words

_NOTHING: Final[frozenset[int]] = frozenset()
_LOOKS_WITHOUT_AUTOMATON: Final = 4


class Phrases:
    """Phrases, each of a group, to find which groups a text has any phrase of.

    Cost of a look: some nanoseconds a character, however many phrases there are. That takes an Aho-Corasick automaton,
    and making it takes as long as looking for each phrase in some ten texts; so the first texts are looked through for
    each of them.
    """

    __slots__ = ("_automaton", "_looks", "_phrases")

    def __init__(self, phrases: list[tuple[int, Words]]) -> None:
        self._phrases = [(group, words.folded) for group, words in phrases if words.stems]
        self._looks = 0
        self._automaton: BytesAhoCorasick | None = None

    def found_in(self, text: Words) -> frozenset[int]:
        """Return the groups of which the text contains a phrase."""
        folded, phrases, automaton = text.folded, self._phrases, self._automaton
        if automaton is None:
            self._looks += 1
            if self._looks <= _LOOKS_WITHOUT_AUTOMATON:
                return frozenset([group for group, phrase in phrases if phrase in folded])
            automaton = self._automaton = BytesAhoCorasick(
                [phrase.encode() for _, phrase in phrases], implementation=Implementation.ContiguousNFA
            )
        found = automaton.find_matches_as_indexes(folded.encode(), overlapping=True)
        return frozenset([phrases[place][0] for place, _, _ in found]) if found else _NOTHING
