"""Reads replies by the rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache, partial
from typing import Final

import attrs

from supportbench import RubricError
from supportbench_safety.alphabet import Alphabet, Spelling
from supportbench_safety.found import Found, Lists
from supportbench_safety.patterns import Pattern, Vocabulary
from supportbench_safety.plain import Plain, plain
from supportbench_safety.reading import Scopes, Sentence, quotations_of
from supportbench_safety.rules import OF_SENTENCES, Breach, Rule, Rulebook, Saying, Scope
from supportbench_safety.screens import Screens
from supportbench_safety.sentences import Words, sentences_of
from supportbench_safety.signs import Needs
from supportbench_safety.tokens import Chunks
from supportbench_safety.waking import Wakers, by_rarest_list

_LONG: Final = 3  # blanks in a quotation that is no button's label


class Reader:
    """Reads replies for what breaks the rules of a rulebook.

    Cost: that of `Wakers` for each reply; what it wakes is read, in the sentences that it names and what stands around.
    """

    def __init__(self, book: Rulebook) -> None:
        self._vocabulary = vocabulary = Vocabulary(book.words, book.cues.common)
        scopes = Scopes(book.cues, vocabulary)
        reasons: dict[str, str] = {}
        sayings: list[Saying] = []
        for rule in book.rules:
            reasons.setdefault(rule.id, rule.reason)
            sayings.extend(self._sayings(attrs.evolve(rule, reason=rule.reason or reasons[rule.id])))
        alphabet = Alphabet(vocabulary.keys)  # now that all lists are there
        chunks = Chunks()
        spelling = Spelling(alphabet, chunks)
        screens = Screens(vocabulary, alphabet)
        self._texts = _Texts(scopes, Lists(vocabulary, screens), spelling, chunks)
        self._all = by_rarest_list(sayings, vocabulary)
        self._alone = lru_cache(maxsize=16)(self._texts.alone)  # several patterns are tried in one sentence
        self._wakers = Wakers(Needs(vocabulary, alphabet), screens, spelling, self._all, self._may_be_said)

    def broken_by(self, text: Plain, told: str) -> Iterator[Breach]:
        """Yield what the reply breaks, once a rule and sentence; `told` is the ticket's text."""
        spelt, woken = self._wakers.woken_by(text.text, told)
        return self._broken(Reading(text, spelt, told, self._texts), woken) if woken else iter(())

    def broken_by_any(self, text: Plain, told: str) -> Iterator[Breach]:
        """Yield the same, trying all patterns in all sentences, whatever words these have.

        It takes a hundred times as long. Of two ways to break a rule in one sentence it may tell the other one.
        """
        spelt = self._texts.spelling.sentences(text.text)
        every = ((saying, number) for saying in self._all for number in range(len(spelt)))
        return self._broken(Reading(text, spelt, told, self._texts), every)

    def _broken(self, reading: Reading, woken: Iterable[tuple[Saying, int]]) -> Iterator[Breach]:
        taken: set[tuple[str, int]] = set()
        for saying, number in woken:
            if (saying.rule.id, number) not in taken:
                for first, behind in self._said(saying, reading, number):
                    taken.add((saying.rule.id, number))
                    yield Breach(saying.rule, *reading.original(number, first, behind))
                    break

    def _may_be_said(self, saying: Saying, spelt: str) -> bool:
        """Return whether a sentence does not make harmless itself what it says, whatever stands around it."""
        sentence = self._alone(spelt)
        return any(
            not self._is_excepted(saying, sentence, first, behind)
            and not any(sentence.is_harmless(scope, first, behind) for scope in saying.safe_when & OF_SENTENCES)
            for first, behind in sentence.found.matches(saying.pattern)
        )

    def _said(self, saying: Saying, reading: Reading, number: int) -> Iterator[tuple[int, int]]:
        sentence = reading.sentence(number)
        if reading.is_anywhere(saying.unless_anywhere) or not reading.has_all(saying.pattern, number):
            return
        for first, behind in sentence.found.matches(saying.pattern):
            if (
                not self._is_excepted(saying, sentence, first, behind)
                and not any(reading.is_harmless(scope, number, first, behind) for scope in saying.safe_when)
                and behind > sentence.lead
            ):
                yield first, behind

    def _is_excepted(self, saying: Saying, sentence: Sentence, first: int, behind: int) -> bool:
        turn = sentence.turn_before(first)
        return sentence.has_within(saying.unless, max(first - 5, turn), behind + 3) or sentence.has_from(
            saying.unless_near, turn
        )

    def _sayings(self, rule: Rule) -> Iterator[Saying]:
        with _told_of(rule):
            lists = rule.unless, rule.unless_near, rule.unless_anywhere
            unless, near, anywhere = map(self._vocabulary.list_of, lists)
            for text, scopes in rule.patterns():
                for pattern in self._vocabulary.entries(self._vocabulary.pattern(text)):
                    yield Saying(rule, pattern, scopes, unless, near, anywhere)


@contextmanager
def _told_of(rule: Rule) -> Iterator[None]:
    """Name the rule in an error of one of its patterns."""
    try:
        yield
    except RubricError as error:
        raise RubricError(f"rule {rule.id!r}: {error}") from error


class _Texts:
    """What texts are read with."""

    def __init__(self, scopes: Scopes, lists: Lists, spelling: Spelling, chunks: Chunks) -> None:
        self.scopes = scopes
        self.lists = lists
        self.chunks = chunks
        self.spelling = spelling
        self.tells = lru_cache(maxsize=4096)(self._tells)

    def alone(self, spelt: str) -> Sentence:
        """Return a sentence that has no line above it, and asks nothing."""
        return Sentence(spelt, "", self.scopes, self.lists, lambda: Words((), ()))

    def _tells(self, told: str, number: int) -> bool:
        """Return whether an entry of a list stands in a ticket's text."""
        return any(Found(spelt, self.lists).has(number) for spelt in self.spelling.sentences(plain(told).text))


class Reading:
    """A reply as it is read: its sentences, what is quoted, and what the ticket is about."""

    def __init__(self, text: Plain, spelt: Sequence[str], told: str, texts: _Texts) -> None:
        self._text = text
        self._told = told
        self._texts = texts
        self._scopes = texts.scopes
        self._spelt = spelt
        self._sentences: dict[int, Sentence] = {}
        self._anywhere: dict[int, bool] = {}
        self._said: dict[int, bool] = {}

    def sentence(self, number: int) -> Sentence:
        """Return the sentence of that place."""
        if number not in self._sentences:
            texts = self._texts
            words = partial(self._words_of, number)
            spelt, text = self._spelt[number], self._text.text
            self._sentences[number] = Sentence(spelt, text, texts.scopes, texts.lists, words)
        return self._sentences[number]

    @cached_property
    def _words(self) -> Sequence[Words]:
        return list(sentences_of(self._text.text, self._texts.chunks))

    def _words_of(self, number: int) -> Words:
        return self._words[number]

    def original(self, number: int, first: int, behind: int) -> tuple[int, int]:
        """Return the characters of the reply that the words [first, behind) of a sentence stand for."""
        return self._text.original(*self.sentence(number).words.span(first, behind))

    def has_all(self, pattern: Pattern, number: int) -> bool:
        """Return whether what the pattern wants elsewhere is there: shortly before, or anywhere."""
        for wanted in pattern.before:
            if not any(self.sentence(place).has(wanted) for place in range(max(number - 3, 0), number + 1)):
                return False
        return all(self.is_anywhere(wanted) or self._texts.tells(self._told, wanted) for wanted in pattern.anywhere)

    def is_anywhere(self, number: int) -> bool:
        """Return whether an entry of the list stands in the reply."""
        if number not in self._anywhere:
            self._anywhere[number] = any(self.sentence(place).has(number) for place in self._may_have(number))
        return self._anywhere[number]

    def _is_said(self, number: int) -> bool:
        if number not in self._said:
            self._said[number] = any(self.sentence(place).says(number) for place in self._may_have(number))
        return self._said[number]

    def _may_have(self, number: int) -> Iterator[int]:
        search = self._texts.lists.screens.of_list(number).search
        return (place for place, spelt in enumerate(self._spelt) if search(spelt))

    def is_harmless(self, scope: Scope, number: int, first: int, behind: int) -> bool:
        """Return whether what stands there is harmless by that scope."""
        sentence, scopes = self.sentence(number), self._scopes
        match scope:
            case "verified":
                return self._is_said(scopes.verification)
            case "checked":
                return self._is_said(scopes.checked)
            case "reported":
                return sentence.is_reported(first) and not self._is_endorsed
            case "quoted":
                return self._is_quoted(sentence, first, behind) and not self._is_endorsed
            case _:
                return sentence.is_harmless(scope, first, behind)

    @property
    def _is_endorsed(self) -> bool:
        return self._is_said(self._scopes.endorsement)

    def _is_quoted(self, sentence: Sentence, first: int, behind: int) -> bool:
        if not self._quotations:
            return False
        start, end = sentence.words.span(first, behind)
        return any(
            end <= finish and (begin <= start or (begin < end and self._text.text.count(" ", begin, finish) >= _LONG))
            for begin, finish in self._quotations
        )

    @cached_property
    def _quotations(self) -> Sequence[tuple[int, int]]:
        return quotations_of(self._text.text)
