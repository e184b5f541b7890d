"""A reply as sentences of words, and what stands around a word: negation, condition, report, review, who acts.

The way is that of NegEx (Chapman et al. 2001, https://doi.org/10.1006/jbin.2001.1029) and its successor ConText: a cue
opens a scope that reaches over the words behind it until a terminator, the sentence's end or its reach ends it; words
that only look like a cue ("not only", "don't hesitate") open none; some cues stand behind what they judge.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final

import attrs

from supportbench_safety.found import Found, Lists
from supportbench_safety.patterns import Vocabulary
from supportbench_safety.sentences import Words
from supportbench_safety.tokens import PAUSES

_QUOTED: Final = re.compile(r"\"[^\"]{2,400}\"|(?<!\w)'[^'\n]{2,200}'(?!\w)")


@attrs.frozen(kw_only=True)
class Cues:
    """The words that open, end and judge scopes; `cues.toml` explains each list."""

    negation: tuple[str, ...]
    no_negation: tuple[str, ...]
    ends_negation: tuple[str, ...]
    ends_negation_after_pause: tuple[str, ...]
    restarts: tuple[str, ...]
    reach: int
    common: tuple[str, ...]
    judged: tuple[str, ...]
    condition: tuple[str, ...]
    no_condition: tuple[str, ...]
    report: tuple[str, ...]
    ends_report: tuple[str, ...]
    endorsement: tuple[str, ...]
    ours: tuple[str, ...]
    review: tuple[str, ...]
    hedge: tuple[str, ...]
    clause: tuple[str, ...]
    turns: tuple[str, ...]
    request: tuple[str, ...]
    verification: tuple[str, ...]
    checked: tuple[str, ...]


class Scopes:
    """Cues, each kind by the number of its list."""

    def __init__(self, cues: Cues, vocabulary: Vocabulary) -> None:
        self.reach = cues.reach
        self.negation = vocabulary.list_of(cues.negation)
        self.no_negation = vocabulary.list_of(cues.no_negation)
        self.ends = vocabulary.list_of(cues.ends_negation)
        self.ends_after_pause = vocabulary.list_of(cues.ends_negation_after_pause)
        self.restarts = vocabulary.list_of(cues.restarts)
        self.judged = vocabulary.list_of(cues.judged)
        self.condition = vocabulary.list_of(cues.condition)
        self.no_condition = vocabulary.list_of(cues.no_condition)
        self.report = vocabulary.list_of(cues.report)
        self.ends_report = vocabulary.list_of(cues.ends_report)
        self.endorsement = vocabulary.list_of(cues.endorsement)
        self.ours = vocabulary.list_of(cues.ours)
        self.review = vocabulary.list_of(cues.review)
        self.clause = vocabulary.list_of(cues.clause)
        self.turns = vocabulary.list_of(cues.turns)
        self.hedge = vocabulary.list_of(cues.hedge)
        self.request = vocabulary.list_of(cues.request)
        self.verification = vocabulary.list_of(cues.verification)
        self.checked = vocabulary.list_of(cues.checked)
        self.pauses = vocabulary.list_of(PAUSES)
        self.reasons = vocabulary.list_of(["=so|=because|=and"])
        self.colon = vocabulary.list_of(["=:"])
        self.you = vocabulary.list_of(["=you"])
        self.ourselves = vocabulary.list_of(["=we|=i|=us"])


class Sentence:
    """One sentence of a plain text as it is spelt, a character a word, and the scopes that its words stand in.

    Where the words stand in the text is asked for only by what needs it.
    """

    def __init__(self, spelt: str, text: str, scopes: Scopes, lists: Lists, words: Callable[[], Words]) -> None:
        self.found = Found(spelt, lists)
        self._spelt = spelt
        self._text = text
        self._scopes = scopes
        self._pauses = lists.chars(scopes.pauses)
        self._judged_no_more = self._pauses | lists.chars(scopes.reasons)
        self._colon = lists.chars(scopes.colon)
        self._you = lists.chars(scopes.you)
        self._ourselves = lists.chars(scopes.ourselves)
        self._words = words

    @cached_property
    def words(self) -> Words:
        """Its words, and where they stand in the text."""
        return self._words()

    @property
    def lead(self) -> int:
        """So many of its words are the line above a list, of which it is an item."""
        return self.words.lead if "\n" in self._text else 0

    @property
    def asks(self) -> bool:
        """Whether it ends with a question mark."""
        return "?" in self._text and self.words.asks

    def has(self, number: int) -> bool:
        """Return whether an entry of the list stands in it."""
        return self.found.has(number)

    def has_within(self, number: int, first: int, behind: int) -> bool:
        """Return whether an entry of the list stands among the words [first, behind)."""
        return self.found.has_within(number, first, behind)

    def has_from(self, number: int, first: int) -> bool:
        """Return whether an entry of the list stands among the words from a place on."""
        return self.has(number) and (first == 0 or self.has_within(number, first, len(self._spelt)))

    def is_harmless(self, scope: str, first: int, behind: int) -> bool:
        """Return whether the words [first, behind) are harmless by a scope that the sentence itself has."""
        match scope:
            case "negated":
                return self.negated[first] or self.negated[behind - 1]
            case "denied":
                return self.negated[first]
            case "judged":
                return self.is_judged(behind)
            case "conditional":
                return self.is_conditional(first)
            case "reviewed":
                return self.clause_has(self._scopes.review, first, behind)
            case "hedged":
                return self.clause_has(self._scopes.hedge, first, behind)
            case "ours":
                return self.is_ours(first)
            case "question":
                return self.only_asks
            case "guided":
                return self.has_path
            case _:
                return self.asks

    @cached_property
    def negated(self) -> Sequence[bool]:
        """For every word, whether it stands in the scope of a negation or a warning before it."""
        found, scopes = self.found, self._scopes
        harmless = {place for span in found.spans(scopes.no_negation) for place in range(*span)}
        opened = {start: end for start, end in found.spans(scopes.negation) if start not in harmless}
        if not opened:
            return [False] * len(self._spelt)
        ends = {start for start, _ in found.spans(scopes.ends)}
        after_pause = {start for start, _ in found.spans(scopes.ends_after_pause)}
        restarts = {start for start, _ in found.spans(scopes.restarts)}
        return list(self._negated(opened, ends, after_pause, restarts))

    def _negated(
        self, opened: Mapping[int, int], ends: Container[int], after_pause: Container[int], restarts: Container[int]
    ) -> Iterator[bool]:
        until, last = -1, -2  # how far the negation in force reaches, and its last word
        aside = False
        for place, char in enumerate(self._spelt):
            if char in self._pauses:
                if last == place - 1 and place + 1 not in restarts:
                    aside = True  # "do not, under any circumstances, …": the next pause closes it
                elif aside and char not in self._colon:
                    aside = False
                elif place + 1 in after_pause or (char in self._colon and place + 1 != self.lead):
                    until = -1
            elif place in ends:
                until = -1
            yield last < place < until
            if place in opened:
                last = opened[place] - 1
                until = opened[place] + self._scopes.reach

    def is_judged(self, behind: int) -> bool:
        """Return whether the words behind a place say of what stands before it that it must not be.

        A pause or a reason between them ends what is judged.
        """
        for start, _ in self.found.spans(self._scopes.judged):
            if behind <= start <= behind + 6:
                return self._judged_no_more.isdisjoint(self._spelt[behind:start])
        return False

    def is_conditional(self, first: int) -> bool:
        """Return whether it says what begins at that place only under a condition."""
        conditions = self.found.spans(self._scopes.condition)
        if not conditions:
            return False
        harmless = {place for span in self.found.spans(self._scopes.no_condition) for place in range(*span)}
        turn = self.turn_before(first)
        return any(start >= turn and start not in harmless for start, _ in conditions)

    def turn_before(self, place: int) -> int:
        """Return where the last turn before that place ends ("…, but"): what stands before it excuses nothing."""
        if not self.has(self._scopes.turns):
            return 0
        return max((end for _, end in self.found.spans(self._scopes.turns) if end <= place), default=0)

    def is_reported(self, place: int) -> bool:
        """Return whether a word before that place says that somebody else says so ("a mail that asks you to …")."""
        ended = max((end for _, end in self.found.spans(self._scopes.ends_report) if end <= place), default=0)
        ended = max(ended, self.turn_before(place))
        return any(
            ended <= start < place and self._ourselves.isdisjoint(self._spelt[max(start - 3, 0) : start])
            for start, _ in self.found.spans(self._scopes.report)
        )

    def clause_has(self, number: int, first: int, behind: int) -> bool:
        """Return whether an entry of the list stands in the same part of the sentence."""
        edges = [start for start, _ in self.found.spans(self._scopes.clause)]
        begin = max((edge for edge in edges if edge <= first), default=0)
        end = min((edge for edge in edges if edge >= behind), default=len(self._spelt))
        return self.has_within(number, begin, end)

    def is_ours(self, place: int) -> bool:
        """Return whether the verb at that place is what we do ("we will send you …"), and not what the reader shall."""
        for _, end in reversed(self.found.spans(self._scopes.ours)):
            if place - 5 <= end <= place:
                return (self._you | self._pauses).isdisjoint(self._spelt[end:place])
        return False

    @cached_property
    def has_path(self) -> bool:
        """Whether it names a menu's path ("Stock > Undo"): it tells the reader how to do something."""
        if " > " not in self._text:
            return False
        start, end = self.words.span(self.lead, len(self.words.tokens))
        return " > " in self._text[start:end]

    @cached_property
    def only_asks(self) -> bool:
        """Whether it is a question and no request in the form of one."""
        return self.asks and not self.has(self._scopes.request)

    def says(self, number: int) -> bool:
        """Return whether it says an entry of the list, neither negating nor asking it."""
        if not self.has(number) or self.asks:
            return False
        return any(
            not self.negated[start] and not self.negated[end - 1] and not self.is_reported(start)
            for start, end in self.found.spans(number)
        )


def quotations_of(text: str) -> list[tuple[int, int]]:
    """Return the character spans of what stands in quotation marks in a plain text."""
    return [match.span() for match in _QUOTED.finditer(text)]
