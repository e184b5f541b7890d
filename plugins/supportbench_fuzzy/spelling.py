"""Misspelt words of a text, and what they were meant to be."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Final

import attrs
from rapidfuzz.distance import OSA

from supportbench import Concept, TicketConcepts, fold, unstructure
from supportbench_fuzzy.english import english, forms, own_words

SHORTEST_TARGET: Final = 5
"""A word of fewer letters has too many words near it."""

_TWO_EDITS_FROM = 9
_LONGEST_CHUNK = 60
_LONGEST_WORD = 24  # English has some longer ones, and nobody misspells them in a ticket

_AROUND: Final = string.punctuation + "“”„‘’‚«»…–—•·¿¡"
_WORD: Final = re.compile(r"[A-Za-z]+")
_WORDS: Final = re.compile(r"[A-Za-z]+(?:[-/'’][A-Za-z]+)*")


def edits_allowed(letters: int) -> int:
    """Return how many edits may part a word of so many letters from a misspelling of it, whatever the threshold."""
    return 0 if letters < SHORTEST_TARGET else 1 if letters < _TWO_EDITS_FROM else 2


def _strange_words(chunk: str) -> tuple[str, ...]:
    """Return those words of a run of characters between blanks that are no English; none if it is no run of words.

    What holds a digit, or a mark within that no word has (an address, a file name, a number), is an identifier; so is a
    word with capitals within.
    """
    return _strange_words_of(chunk) if len(chunk) <= _LONGEST_CHUNK else ()


@lru_cache(maxsize=1 << 14)
def _strange_words_of(chunk: str) -> tuple[str, ...]:
    core = chunk.strip(_AROUND)
    if _WORDS.fullmatch(core) is None:
        return ()
    words = [word for word in _WORD.findall(core) if SHORTEST_TARGET - 1 <= len(word) <= _LONGEST_WORD]
    plain = (word.lower() for word in words if word[1:].islower() or word.isupper())
    return tuple(word for word in plain if not english().has(word))


@attrs.frozen
class Correction:
    """A word that a misspelt one was meant to be, and how much of it is right, in [0, 100]."""

    word: str
    similarity: float


@attrs.frozen(slots=False)
class Spelling:
    """The words that matter at a ticket: its concepts', its own, and those of the concepts of other tickets."""

    concepts: TicketConcepts

    @cached_property
    def _near_words(self) -> Mapping[str, tuple[str, ...]]:
        """The words that the ticket and its answer key have, by first letter, and those of negations."""
        shown = _words_in(_strings(unstructure(self.concepts.case.ticket)))
        return _by_first_letter(
            [*_words_in(_phrases(self.concepts.concepts)), *shown, *_words_in(own_words("negations"))]
        )

    @cached_property
    def _foreign_words(self) -> Mapping[str, tuple[str, ...]]:
        return _by_first_letter(_words_in(_phrases(self.concepts.foreign)))

    @cached_property
    def _known_stems(self) -> frozenset[str]:
        words = (
            word for known in (self._near_words, self._foreign_words) for group in known.values() for word in group
        )
        return frozenset(map(_stem, words))

    def corrections(self, text: str) -> dict[str, Correction]:
        """Return the text's misspelt words, in lower case, with what each was meant to be.

        A word counts as misspelt if it is none: neither English nor a word of the ticket or of its task's answer keys.
        It was meant to be the English word of these that is nearest by optimal string alignment (letters left out, put
        in, taken for others, or two neighbours swapped), begins with the same letter and is near enough for its length.
        As near to two words of the ticket and its key, it is taken for neither.
        """
        found: dict[str, Correction] = {}
        for chunk in set(text.split()):
            for word in _strange_words(chunk):
                if word not in found and (correction := self._correction(word)) is not None:
                    found[word] = correction
        return found

    def _correction(self, word: str) -> Correction | None:
        if _stem(word) in self._known_stems:
            return None
        near = _nearest(word, self._near_words.get(word[0], ()))
        if not near:
            near = _nearest(word, self._foreign_words.get(word[0], ()))[:1]
        if len({_stem(form) for form in near}) != 1:
            return None
        meant = near[0]
        return Correction(meant, 100.0 * OSA.normalized_similarity(word, meant))


def corrected(text: str, corrections: Mapping[str, Correction], threshold: float = 0.0) -> str:
    """Return the text with those of its misspelt words put right that are at least so similar to what was meant."""
    right = {word: meant.word for word, meant in corrections.items() if meant.similarity >= threshold}
    if not right:
        return text

    def put_right(match: re.Match[str]) -> str:
        chunk = match[0]
        if right.keys().isdisjoint(_strange_words(chunk)):
            return chunk
        return _WORD.sub(lambda word: right.get(word[0].lower(), word[0]), chunk)

    return re.sub(r"\S+", put_right, text)


def _nearest(word: str, among: Iterable[str]) -> list[str]:
    """Return the forms of these words that the word is nearest to, if any is near enough."""
    nearest: list[str] = []
    least = edits_allowed(_LONGEST_WORD)
    for candidate in among:
        for form in forms(candidate):
            allowed = min(least, edits_allowed(len(form)))
            if allowed and form[0] == word[0] and abs(len(form) - len(word)) <= allowed:
                edits = OSA.distance(word, form, score_cutoff=allowed)
                if edits <= allowed:
                    if edits < least:
                        nearest.clear()
                        least = edits
                    nearest.append(form)
    return nearest


@lru_cache(maxsize=1 << 14)
def _stem(word: str) -> str:
    return fold(word).strip()


def _by_first_letter(words: Iterable[str]) -> dict[str, tuple[str, ...]]:
    known: dict[str, dict[str, None]] = {}
    for word in words:
        known.setdefault(word[0], {})[word] = None
    return {letter: tuple(group) for letter, group in known.items()}


def _phrases(concepts: Iterable[Concept]) -> Iterator[str]:
    for concept in concepts:
        yield from concept.phrases


def _words_in(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for word in _WORD.findall(text):
            if SHORTEST_TARGET - 1 <= len(word) <= _LONGEST_WORD:
                yield word.lower()


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for item in value.values() for text in _strings(item))
    elif isinstance(value, list | tuple):
        yield from (text for item in value for text in _strings(item))
