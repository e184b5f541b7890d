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
from supportbench.prose import Credit, TextField, credit, unquoted
from supportbench.remembering import ByIdentity
from supportbench.text import PhraseGroups, fold_phrase

_MOST_OTHERS = 16
_MOST_KEPT_SCORES = 1024
_USUAL: Final = 1 / 3


class PhraseFinder(Protocol):
    """Groups of phrases, prepared once, to find which groups a text has any phrase of; `PhraseGroups` is one."""

    def found_in(self, text: str) -> frozenset[int]:
        """Return the places (from 0) of the groups of which the text has a phrase."""
        ...


PhraseFinders: TypeAlias = Callable[[Iterable[Iterable[str]]], PhraseFinder]
"""What prepares groups of phrases: a class such as `PhraseGroups`."""


class TicketConcepts:
    """A ticket's concepts for one of its texts, compiled, and those of up to sixteen other tickets of its task.

    The others are spread evenly over the task, so that cost does not grow with its length. A concept of theirs that
    has a phrase in common with one of the ticket's own counts as the same and is left out. `concepts` are the ticket's
    own, `names` their first phrases, and `foreign` the other tickets' concepts that are left.
    """

    __slots__ = ("_others", "_own", "_shares", "case", "concepts", "foreign", "names")

    def __init__(
        self,
        case: Case,
        concepts: tuple[Concept, ...],
        others: Sequence[tuple[Concept, ...]],
        finders: PhraseFinders = PhraseGroups,
    ) -> None:
        self.case: Final = case
        self.concepts: Final = concepts
        self.names: Final = tuple(concept.phrases[0] for concept in concepts)
        self._own = finders(concept.phrases for concept in concepts)
        known = {fold_phrase(phrase) for concept in concepts for phrase in concept.phrases}
        foreign = [
            (concept, 1 / (len(expected) * len(others)))
            for expected in others
            for concept in expected
            if known.isdisjoint(map(fold_phrase, concept.phrases))
        ]
        self.foreign: Final = tuple(concept for concept, _ in foreign)
        self._others = finders(concept.phrases for concept in self.foreign)
        self._shares = [share for _, share in foreign]

    def found_in(self, text: str) -> frozenset[int]:
        """Return the places, from 0, of the ticket's concepts that the text expresses."""
        return self._own.found_in(text)

    def said_in(self, text: str) -> frozenset[int]:
        """Return the places of those that it expresses in other words than a long quotation of the ticket."""
        found = self.found_in(text)
        if found and (own := unquoted(text, self.case.ticket)) is not text:
            return self.found_in(own)
        return found

    def elsewhere(self, text: str) -> float:
        """Return the mean share, in [0, 1], of the other tickets' concepts that the text expresses; 0 if none."""
        return min(1.0, sum([self._shares[place] for place in self._others.found_in(text)]))


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
    def compiled(case: Case) -> TicketConcepts | None:
        own = _expected(case, field)
        others = filter(None, (_expected(other, field) for other in _others(task, case)))
        return TicketConcepts(case, own, list(others), finders) if own else None

    return ByIdentity(compiled)


def _expected(case: Case, field: TextField) -> tuple[Concept, ...]:
    key = case.answer_key
    return key.summary_concepts if field == "summary" else key.response_concepts


def _others(task: Task, case: Case) -> list[Case]:
    number = len(task.cases) - 1
    place = next((place for place, other in enumerate(task.cases) if other is case), 0)
    chosen = min(number, _MOST_OTHERS)
    return [task.cases[(place + 1 + nth * number // chosen) % len(task.cases)] for nth in range(chosen)]


def beyond_others(elsewhere: float) -> float:
    """Return the share of a text's score, in [0, 1], that is left when it covers so much of the other tickets.

    A third of the others is usual, since tickets of one desk have words in common; from there it falls evenly, and a
    text that covers all of them keeps nothing.
    """
    return 1.0 if elsewhere <= _USUAL else max(0.0, (1.0 - elsewhere) / (1.0 - _USUAL))


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
