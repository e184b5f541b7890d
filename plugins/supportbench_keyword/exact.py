"""The three discrete decisions, compared with the answer key."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from supportbench import ComponentScore, Submission

# One object for each answer: what a score comes to in a grade is worked out once for each.
_FULL = ComponentScore(score=1.0)
_ONE_STEP_OFF = ComponentScore(score=0.5, note="one step off")
_NONE = ComponentScore(score=0.0)
_NOT_EXPECTED = ComponentScore(score=None, note="does not apply: the answer key expects none")


class PriorityMatch:
    """1 for the expected priority, 0.5 one step off in the taxonomy's order, else 0."""

    name = "priority"
    version = "1"

    async def score(self, submission: Submission) -> ComponentScore:
        """Return the score of the action's priority; it does not apply where none is expected."""
        expected, given = submission.case.answer_key.priority, submission.action.priority
        if expected is None:
            return _NOT_EXPECTED
        if given == expected:
            return _FULL
        order = submission.task.taxonomy.priorities
        steps = abs(order.index(given) - order.index(expected))
        return _ONE_STEP_OFF if steps == 1 else _NONE


class QueueMatch:
    """1 for the expected queue, else the credit that the answer key gives the alternative."""

    name = "queue"
    version = "1"

    async def score(self, submission: Submission) -> ComponentScore:
        """Return the score of the action's queue; it does not apply where none is expected."""
        key = submission.case.answer_key
        return _matched(submission.action.queue, key.queue, key.acceptable_queues)


class DispositionMatch:
    """1 for the expected disposition, else the credit that the answer key gives the alternative."""

    name = "disposition"
    version = "1"

    async def score(self, submission: Submission) -> ComponentScore:
        """Return the score of the action's disposition; it does not apply where none is expected."""
        key = submission.case.answer_key
        return _matched(submission.action.disposition, key.disposition, key.acceptable_dispositions)


def _matched(given: str, expected: str | None, alternatives: Mapping[str, float]) -> ComponentScore:
    if expected is None:
        return _NOT_EXPECTED
    if given == expected:
        return _FULL
    credit = alternatives.get(given)
    return _NONE if credit is None else _accepted(credit)


@lru_cache(maxsize=256, typed=True)
def _accepted(credit: float) -> ComponentScore:
    return ComponentScore(score=credit, note="an accepted alternative")
