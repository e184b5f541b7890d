"""One call a ticket: the components of a rubric that ask a judge about the same submission sit together.

A grader asks all components that wait at once. The first of them opens a sitting, the others join it before it begins,
and each takes what it asked for from the one answer.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

import attrs

from supportbench import EndpointError, Submission, UnscoredError, Usage
from supportbench_judge.judge import Answered, Judge, Judgement
from supportbench_judge.options import Criterion
from supportbench_judge.prompt import Question

logger: Final = logging.getLogger("supportbench_judge")

_WHY: Final = {
    "no key": "its endpoint takes no key that it was given",
    "unreachable": "it cannot be reached",
    "timed out": "it did not answer in time",
    "failed": "its endpoint answered with an error",
    "withheld": "its content filter withheld the answer",
    "refused": "it refused to judge",
    "unusable": "its answer is outside the schema, even after a repair turn",
}


@attrs.define(eq=False)
class _Sitting:
    """A submission that is being judged, and for whom."""

    submission: Submission  # held, so that no other can have its identity meanwhile
    criteria: dict[str, tuple[Criterion, ...]] = attrs.field(factory=dict)
    waiting: int = 0
    begun: bool = False
    answering: asyncio.Task[Answered] | None = None


class Sittings:
    """The sittings of one judge."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._open: dict[int, _Sitting] = {}

    async def judge(
        self, submission: Submission, text: str, criteria: tuple[Criterion, ...]
    ) -> tuple[Judgement, Usage | None]:
        """Return the judgement of one of the submission's texts; the usage goes to whoever came first.

        Whoever is cancelled leaves; when nobody waits any more, the call is cancelled too.

        Raises:
            UnscoredError: the judge gave no answer that can be used.
        """
        sitting = self._open.get(id(submission))
        if sitting is None or sitting.begun or text in sitting.criteria:
            sitting = self._open[id(submission)] = _Sitting(submission)
            sitting.answering = asyncio.create_task(self._answer(sitting))
        assert sitting.answering is not None  # noqa: S101 - it is set where a sitting is made
        came_first = not sitting.criteria
        sitting.criteria[text] = criteria
        sitting.waiting += 1
        try:
            answered = await asyncio.shield(sitting.answering)
        finally:
            sitting.waiting -= 1
            if not sitting.waiting:
                sitting.answering.cancel()
        return answered.judgements[text], answered.usage if came_first else None

    async def _answer(self, sitting: _Sitting) -> Answered:
        submission = sitting.submission
        try:
            await asyncio.sleep(0)  # the others of this grade come in
            sitting.begun = True
            return await self._judge.judge(Question.of(submission, sitting.criteria))
        except EndpointError as error:
            failure = error
        finally:
            if self._open.get(id(submission)) is sitting:
                del self._open[id(submission)]
        ticket_id = submission.case.ticket.ticket_id
        # Agents may read the error: where the judge is, and what went wrong there, is for whoever runs it.
        logger.warning("The judge gave ticket %r no score: %s", ticket_id, failure)
        raise UnscoredError(
            f"the judge gave ticket {ticket_id!r} no score: {_WHY[failure.reason]}", usage=failure.usage
        ) from failure
