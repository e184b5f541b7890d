"""The concepts that a text about a ticket must express, and how many of those that its task's other tickets ask for.

A text that would answer the other tickets as well says nothing of this one: `TicketConcepts.elsewhere` tells, so that a
grader can discount a catch-all (`beyond_others`). `coverage_credit` and `CoverageScores` make a score of what a grader
found, whatever way it looks for phrases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from typing import Final, Protocol, TypeAlias

from supportbench.models import Case, ComponentScore, Concept, Submission, Task
from supportbench.models.tickets import MOST_CASES
from supportbench.prose import Credit, TextField, credit, unquoted
from supportbench.remembering import ByIdentity
from supportbench.text import PhraseGroups, fold_phrase

_MOST_IN_A_CIRCLE = 17
_MOST_KEPT_SCORES = 1024
_USUAL: Final = 1 / 3
_TOO_MUCH: Final = 2 / 3


class PhraseFinder(Protocol):
    """Groups of phrases, prepared once, to find which groups a text has any phrase of; `PhraseGroups` is one."""

    def found_in(self, text: str) -> frozenset[int]:
        """Return the places (from 0) of the groups of which the text has a phrase."""
        ...


PhraseFinders: TypeAlias = Callable[[Iterable[Iterable[str]]], PhraseFinder]
"""What prepares groups of phrases: a class such as `PhraseGroups`."""


class Circle:
    """Up to seventeen tickets, spread evenly over a task, that are each other's other tickets.

    What all of them ask for is compiled once, when it is first looked for, so that neither time nor memory grows faster
    than the task, and is looked for in a text at once.
    """

    __slots__ = ("_expected", "_finder", "_finders", "_folded", "_last", "concepts")

    def __init__(self, cases: Iterable[Case], field: TextField, finders: PhraseFinders) -> None:
        self._expected: Final = [(case, expected) for case in cases if (expected := _expected(case, field))]
        self.concepts: Final = [concept for _, expected in self._expected for concept in expected]
        self._folded: list[frozenset[str]] | None = None
        self._finders: Final = finders
        self._finder: PhraseFinder | None = None
        self._last: tuple[str | None, frozenset[int]] = None, frozenset()

    def found_in(self, text: str) -> frozenset[int]:
        """Return the places, from 0, of the concepts that the text expresses."""
        looked_at, found = self._last
        if looked_at is not text:  # a text is looked at for the ticket's own concepts, and again for those of others
            finder = self._finder
            if finder is None:
                finder = self._finder = self._finders(concept.phrases for concept in self.concepts)
            found = finder.found_in(text)
            self._last = text, found
        return found

    def first_of(self, case: Case) -> int:
        """Return the place of the first concept that this ticket asks for."""
        before = 0
        for other, expected in self._expected:
            if other is case:
                return before
            before += len(expected)
        raise LookupError(case.ticket.ticket_id)

    def shares_beside(self, case: Case, own: Sequence[Concept]) -> list[float]:
        """Return for each concept its share in what the tickets beside this one ask for; 0 if this one asks for it."""
        others = sum(other is not case for other, _ in self._expected)
        if not others:
            return [0.0] * len(self.concepts)
        known = frozenset(fold_phrase(phrase) for concept in own for phrase in concept.phrases)
        shares = [
            0.0 if other is case else 1 / (len(expected) * others)
            for other, expected in self._expected
            for _ in expected
        ]
        if self._folded is None:
            self._folded = [frozenset(map(fold_phrase, concept.phrases)) for concept in self.concepts]
        return [share if known.isdisjoint(folded) else 0.0 for share, folded in zip(shares, self._folded, strict=True)]


class TicketConcepts:
    """A ticket's concepts for one of its texts, compiled, and those of up to sixteen other tickets of its task.

    A concept of the others that has a phrase in common with one of the ticket's own counts as the same and is left out.
    `concepts` are the ticket's own, `names` their first phrases, and `foreign` the other tickets' concepts that are
    left.
    """

    __slots__ = ("_circle", "_first", "_own", "_shares", "case", "concepts", "foreign", "names")

    def __init__(self, case: Case, concepts: tuple[Concept, ...], circle: Circle) -> None:
        self.case: Final = case
        self.concepts: Final = concepts
        self.names: Final = tuple(concept.phrases[0] for concept in concepts)
        self._circle = circle
        self._first = circle.first_of(case)
        self._own = frozenset(range(self._first, self._first + len(concepts)))
        self._shares = circle.shares_beside(case, concepts)
        self.foreign: Final = tuple(
            concept for concept, share in zip(circle.concepts, self._shares, strict=True) if share > 0.0
        )

    def found_in(self, text: str) -> frozenset[int]:
        """Return the places, from 0, of the ticket's concepts that the text expresses."""
        own = self._own & self._circle.found_in(text)
        return frozenset([place - self._first for place in own]) if own and self._first else own

    def said_in(self, text: str) -> frozenset[int]:
        """Return the places of those that it expresses in other words than a long quotation of the ticket."""
        found = self.found_in(text)
        if found and (own := unquoted(text, self.case.ticket)) is not text:
            return self.found_in(own)
        return found

    def elsewhere(self, text: str) -> float:
        """Return the mean share, in [0, 1], of the other tickets' concepts that the text expresses; 0 if none."""
        return min(1.0, sum(map(self._shares.__getitem__, self._circle.found_in(text)))) if self.foreign else 0.0


def concepts_of(
    submission: Submission, field: TextField, finders: PhraseFinders = PhraseGroups
) -> TicketConcepts | None:
    """Return the concepts that the submission's summary or response must express, None where the key has none.

    They are compiled once for a ticket, by `finders`, which says what it is for a text to have a phrase.
    """
    return _compilers(field, finders)(submission.task)(submission.case)


@cache
def _compilers(field: TextField, finders: PhraseFinders) -> ByIdentity[Task, ByIdentity[Case, TicketConcepts | None]]:
    return ByIdentity(partial(_compiler, field, finders))


def _compiler(field: TextField, finders: PhraseFinders, task: Task) -> ByIdentity[Case, TicketConcepts | None]:
    number = -(-len(task.cases) // _MOST_IN_A_CIRCLE)
    circle_of = {id(case): place % number for place, case in enumerate(task.cases)}
    circles: dict[int, Circle] = {}

    def compiled(case: Case) -> TicketConcepts | None:
        own = _expected(case, field)
        if not own:
            return None
        first = circle_of.get(id(case))
        if first is None:  # a case that the task does not have stands beside its first circle
            return TicketConcepts(case, own, Circle([case, *task.cases[::number]], field, finders))
        if first not in circles:
            circles[first] = Circle(task.cases[first::number], field, finders)
        return TicketConcepts(case, own, circles[first])

    return ByIdentity(compiled, kept=MOST_CASES)


def _expected(case: Case, field: TextField) -> tuple[Concept, ...]:
    key = case.answer_key
    return key.summary_concepts if field == "summary" else key.response_concepts


def beyond_others(elsewhere: float) -> float:
    """Return the share of a text's score, in [0, 1], that is left when it covers so much of the other tickets.

    A third of the others is usual, since tickets of one desk have words in common; from there it falls evenly, and a
    text that covers two thirds of them keeps nothing.
    """
    return 1.0 if elsewhere <= _USUAL else max(0.0, (_TOO_MUCH - elsewhere) / (_TOO_MUCH - _USUAL))


def coverage_credit(submission: Submission, field: TextField, text: str, concepts: TicketConcepts) -> Credit:
    """Return how much may count of what the text says: what `credit` allows, or less where it answers other tickets.

    `text` is what is read of the submission's summary or response.
    """
    allowed = credit(submission, field)
    if allowed.value > 0.0 and (others := beyond_others(concepts.elsewhere(text))) < allowed.value:
        return Credit(others, "it would answer the other tickets as well")
    return allowed


class CoverageScores:
    """What a ticket's concepts that were found come to: their share, so far as it may count, in [0, 1].

    The note says how many, `details` which were `matched` and which `missed`. Where all counts, or nothing, one score
    serves for all texts that say the same.
    """

    __slots__ = ("_kept",)

    not_expected: Final = ComponentScore(score=None, note="does not apply: the answer key has no concepts")

    def __init__(self) -> None:
        self._kept: dict[tuple[TicketConcepts, frozenset[int], str], ComponentScore] = {}

    def of(self, concepts: TicketConcepts, found: frozenset[int], allowed: Credit) -> ComponentScore:
        """Return the score of the concepts found, by their places, when so much of it may count."""
        if 0.0 < allowed.value < 1.0:
            return _score(concepts.names, found, allowed)
        answer = concepts, found, allowed.reason
        score = self._kept.get(answer)
        if score is None:
            if len(self._kept) >= _MOST_KEPT_SCORES:
                self._kept.clear()
            score = self._kept[answer] = _score(concepts.names, found, allowed)
        return score


def _score(names: Sequence[str], found: frozenset[int], allowed: Credit) -> ComponentScore:
    note = f"{len(found)} of {len(names)} concepts"
    return ComponentScore(
        score=allowed.value * len(found) / len(names),
        note=f"{note}, of which {allowed.value:.0%} counts: {allowed.reason}" if allowed.reason else note,
        details={
            "matched": [name for place, name in enumerate(names) if place in found],
            "missed": [name for place, name in enumerate(names) if place not in found],
        },
    )
