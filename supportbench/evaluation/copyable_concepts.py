"""Concepts that a copy would meet: a phrase of theirs stands in the ticket itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal

import attrs

from supportbench.models import Case, Concept, Task
from supportbench.prose import TextField
from supportbench.prose.ticket_words import shown_in
from supportbench.text import fold, fold_phrase

_FIELDS: Final[tuple[TextField, ...]] = ("summary", "response")
_MOST_SHOWN: Final = 3


@attrs.frozen(kw_only=True)
class CopyableConcept:
    """A concept of which the ticket itself says `phrases`: whoever takes words out of the ticket may be credited.

    `concept` is its first phrase, which is its name wherever concepts are shown; `message` says what to do.
    """

    severity: Literal["warning"] = "warning"
    task_id: str
    ticket_id: str
    field: TextField
    concept: str
    phrases: tuple[str, ...]
    message: str


def copyable_concepts(task: Task) -> Iterator[CopyableConcept]:
    """Yield the task's concepts of which the ticket says a phrase, in the order of its tickets and their keys."""
    for case in task.cases:
        shown = [fold(text) for text in shown_in(case.ticket)]
        for field in _FIELDS:
            for concept in concepts_for(case, field):
                phrases = tuple(phrase for phrase in concept.phrases if _stands_in(shown, fold_phrase(phrase)))
                if phrases:
                    yield CopyableConcept(
                        task_id=task.task_id,
                        ticket_id=case.ticket.ticket_id,
                        field=field,
                        concept=concept.phrases[0],
                        phrases=phrases,
                        message=_message(phrases),
                    )


def concepts_for(case: Case, field: TextField) -> Sequence[Concept]:
    """Return the concepts that the case expects in its summary or in its reply."""
    key = case.answer_key
    return key.summary_concepts if field == "summary" else key.response_concepts


def number_of_concepts(task: Task) -> int:
    """Return how many concepts the task's answer keys have."""
    return sum(len(concepts_for(case, field)) for case in task.cases for field in _FIELDS)


def _message(phrases: Sequence[str]) -> str:
    said, more = ", ".join(map(repr, phrases[:_MOST_SHOWN])), len(phrases) - _MOST_SHOWN
    rest = f" and {more} more" if more > 0 else ""
    return f"the ticket itself says {said}{rest}: whoever copies it is credited; ask for what follows from it"


def _stands_in(shown: Sequence[str], folded: str) -> bool:
    return folded != " " and any(folded in text for text in shown)
