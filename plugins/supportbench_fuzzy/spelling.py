"""Misspelt words of a text, and what they were meant to be."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Final

import attrs

from supportbench import Concept, TicketConcepts, unstructure
from supportbench_fuzzy.english import english, own_words
from supportbench_fuzzy.vocabulary import Correction, Vocabulary, may_be_misspelling, stem_of

_LONGEST_RUN = 60
_MOST_KEPT = 1 << 15
_MOST_KEPT_CORRECTIONS = 1 << 10

_AROUND: Final = string.punctuation + "“”„‘’‚«»…–—•·¿¡"
_WORD: Final = re.compile(r"[A-Za-z]+")
_WORDS: Final = re.compile(r"[A-Za-z]+(?:[-/'’][A-Za-z]+)*")
_RUN: Final = re.compile(r"\S+")


class _StrangeWords(dict[str, tuple[str, ...]]):
    """From a run of characters between blanks to those words of it that are no English; `familiar` runs have none.

    What holds a digit, or a mark within that no word has (an address, a file name, a number), is an identifier and has
    none; so is a word with capitals within.
    """

    def __init__(self) -> None:
        super().__init__()
        self.familiar: set[str] = set()

    def __missing__(self, run: str) -> tuple[str, ...]:
        if len(run) > _LONGEST_RUN:
            return ()
        core = run.strip(_AROUND)
        words = _WORD.findall(core) if _WORDS.fullmatch(core) else []
        written = (word.lower() for word in words if word[1:].islower() or word.isupper())
        strange = tuple(word for word in written if may_be_misspelling(word) and not english().has(word))
        if len(self) + len(self.familiar) >= _MOST_KEPT:
            self.clear()
            self.familiar.clear()
        if strange:
            self[run] = strange
        else:
            self.familiar.add(run)
        return strange


_strange_words: Final = _StrangeWords()


@attrs.frozen(slots=False)
class Spelling:
    """The words that matter at a ticket: its concepts', its own, and those of the concepts of other tickets."""

    concepts: TicketConcepts
    _kept: dict[str, Correction | None] = attrs.field(factory=dict, init=False)

    @cached_property
    def _own(self) -> Vocabulary:
        """The words that the ticket and its answer key have, and those of negations."""
        shown = _strings(unstructure(self.concepts.case.ticket))
        return Vocabulary.of([*_phrases(self.concepts.concepts), *shown, *own_words("negations")])

    @cached_property
    def _foreign(self) -> Vocabulary:
        return Vocabulary.of(_phrases(self.concepts.foreign))

    def corrections(self, text: str) -> dict[str, Correction]:
        """Return the text's misspelt words, in lower case, with what each was meant to be.

        A word counts as misspelt if it is none: neither English nor a word of the ticket or of its task's answer keys.
        It was meant to be the English word of these that is nearest (`Vocabulary.nearest`); of those as near, rather
        one of the ticket and its key than of others. As near to two words of the ticket and its key, it is taken for
        neither.
        """
        strange = {word for run in set(text.split()) - _strange_words.familiar for word in _strange_words[run]}
        return {word: meant for word in strange if (meant := self._correction(word)) is not None}

    def _correction(self, word: str) -> Correction | None:
        if word in self._kept:
            return self._kept[word]
        if len(self._kept) >= _MOST_KEPT_CORRECTIONS:
            self._kept.clear()
        meant = self._kept[word] = self._nearest(word)
        return meant

    def _nearest(self, word: str) -> Correction | None:
        stem = stem_of(word)
        if stem in self._own.stems or stem in self._foreign.stems:
            return None
        own, foreign = self._own.nearest(word), self._foreign.nearest(word)[:1]
        near = foreign if foreign and (not own or foreign[0].edits < own[0].edits) else own
        return near[0] if len(near) == 1 else None


def corrected(text: str, corrections: Mapping[str, Correction], threshold: float = 0.0) -> str:
    """Return the text with those of its misspelt words put right that are at least so similar to what was meant."""
    right = {word: meant.word for word, meant in corrections.items() if meant.similarity >= threshold}
    if not right:
        return text

    def put_right(match: re.Match[str]) -> str:
        run = match[0]
        if run in _strange_words.familiar or right.keys().isdisjoint(_strange_words[run]):
            return run
        return _WORD.sub(lambda word: right.get(word[0].lower(), word[0]), run)

    return _RUN.sub(put_right, text)


def _phrases(concepts: Iterable[Concept]) -> Iterator[str]:
    for concept in concepts:
        yield from concept.phrases


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for item in value.values() for text in _strings(item))
    elif isinstance(value, list | tuple):
        yield from (text for item in value for text in _strings(item))
