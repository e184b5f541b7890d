"""The concepts that a text about a ticket must express, and how many of those that its task's other tickets ask for.

A text that would answer the other tickets as well says nothing of this one: `TicketConcepts.elsewhere` tells, so that a
grader can discount a catch-all (`beyond_others`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Final

from supportbench.models import Case, Concept, Submission, Task
from supportbench.prose import TextField
from supportbench.remembering import ByIdentity
from supportbench.text import PhraseGroups, fold

_MOST_OTHERS = 16
_USUAL: Final = 1 / 3


class TicketConcepts:
    """A ticket's concepts for one of its texts, compiled, and those of up to sixteen other tickets of its task.

    The others are spread evenly over the task, so that cost does not grow with its length. A concept of theirs that
    has a phrase in common with one of the ticket's own counts as the same and is left out.
    """

    __slots__ = ("_others", "_own", "_shares", "names")

    def __init__(self, concepts: tuple[Concept, ...], others: Sequence[tuple[Concept, ...]]) -> None:
        self.names: Final = tuple(concept.phrases[0] for concept in concepts)
        self._own = PhraseGroups(concept.phrases for concept in concepts)
        known = {fold(phrase) for concept in concepts for phrase in concept.phrases}
        foreign = [
            (concept.phrases, 1 / (len(expected) * len(others)))
            for expected in others
            for concept in expected
            if known.isdisjoint(map(fold, concept.phrases))
        ]
        self._others = PhraseGroups(phrases for phrases, _ in foreign)
        self._shares = [share for _, share in foreign]

    def found_in(self, text: str) -> frozenset[int]:
        """Return the places, from 0, of the ticket's concepts that the text expresses."""
        return self._own.found_in(text)

    def elsewhere(self, text: str) -> float:
        """Return the mean share, in [0, 1], of the other tickets' concepts that the text expresses; 0 if none."""
        return math.fsum([self._shares[place] for place in self._others.found_in(text)])


def concepts_of(submission: Submission, field: TextField) -> TicketConcepts | None:
    """Return the concepts that the submission's summary or response must express, None where the key has none."""
    of_case = (_summaries if field == "summary" else _responses)(submission.task)
    return of_case(submission.case)


def _compiler(field: TextField, task: Task) -> ByIdentity[Case, TicketConcepts | None]:
    def compiled(case: Case) -> TicketConcepts | None:
        own = _expected(case, field)
        others = filter(None, (_expected(other, field) for other in _others(task, case)))
        return TicketConcepts(own, list(others)) if own else None

    return ByIdentity(compiled)


_summaries: Final = ByIdentity(partial(_compiler, "summary"))
_responses: Final = ByIdentity(partial(_compiler, "response"))


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
