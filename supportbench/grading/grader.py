"""The grader of one rubric."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import attrs

from supportbench.errors import ActionError, Fault, GradingError, boundary
from supportbench.grading.asking import Call, Part, Threads, ask, ask_all, blocks, may_suspend, subject_of
from supportbench.grading.weighing import Shares, reward_of
from supportbench.models import (
    ComponentScore,
    Grade,
    SafetyFinding,
    Submission,
    SupportQueueAction,
    Taxonomy,
)
from supportbench.rubrics import BoundCheck, BoundRubric
from supportbench.wording import did_you_mean

MOST_THREADS: Final = 128
"""How many calls of one rubric's graders that block are under way at once, unless told otherwise."""

_MOST_KEPT_SHARES: Final = 256  # all that eight components can come to


class Grader:
    """Grades submissions by one rubric. Stateless: one grader serves any number of episodes at once.

    Those of its components and checks that block have `threads` threads at most, for all grades under way together;
    further calls wait for their turn.
    """

    def __init__(self, rubric: BoundRubric, *, threads: int = MOST_THREADS) -> None:
        self.rubric = rubric
        asked: list[tuple[object, Call, str]] = [
            *((part.component, part.component.score, part.who) for part in rubric.components),
            *((part.check, part.check.check, part.who) for part in rubric.checks),
        ]
        on_threads = Threads(threads)
        self._inline: list[Part] = []
        self._waiting: list[Part] = []
        for place, (grader, call, who) in enumerate(asked):
            if blocks(grader, who):
                self._waiting.append((place, partial(on_threads.run, call), who))
            elif may_suspend(call):
                self._waiting.append((place, call, who))
            else:
                self._inline.append((place, call, who))
        self._number = len(asked)
        self._checks = list(enumerate(rubric.checks, start=len(rubric.components)))
        self._all = Shares(rubric.components, [True] * len(rubric.components))
        self._some: dict[tuple[bool, ...], Shares] = {}

    @property
    def suspends(self) -> bool:
        """Whether grading may wait, and others be served meanwhile."""
        return bool(self._waiting)

    async def grade(self, submission: Submission) -> Grade:
        """Return the grade of one action.

        Raises:
            GradingError: a component or check is at fault, or none applies to this case; the message names it.
        """
        answers: list[Any] = [None] * self._number
        who = "the rubric"
        try:
            for place, call, who in self._inline:  # noqa: B007 - it says who was at work when one raises
                answers[place] = await call(submission)
        except BaseException:
            # One try for all, since a boundary around each would cost as much as the discrete components do.
            with boundary(GradingError, who, subject_of(submission)):
                raise
        if len(self._waiting) == 1:
            await ask(self._waiting[0], submission, answers)
        elif self._waiting:
            await ask_all(self._waiting, submission, answers)
        return self._graded(submission, answers)

    def _graded(self, submission: Submission, answers: list[Any]) -> Grade:
        ticket_id = submission.case.ticket.ticket_id
        weighed = self._all.weigh(answers) or self._shares(answers).weigh(answers)
        if weighed is None:
            raise GradingError(
                f"No component of rubric {self.rubric.rubric.name!r} applies to ticket {ticket_id!r}: "
                "its answer key expects nothing that the rubric grades"
            )
        components, earned, usage = weighed
        findings = self._findings(submission, answers)
        reward, penalty = reward_of(self.rubric.rubric, components, earned, findings)
        return Grade(
            ticket_id=ticket_id,
            reward=reward,
            components=components,
            findings=findings,
            penalty=penalty,
            usage=usage,
        )

    def _shares(self, answers: list[Any]) -> Shares:
        """Return the shares where only those components apply that do so here."""
        scores = answers[: len(self.rubric.components)]
        applies = tuple([isinstance(score, ComponentScore) and score.score is not None for score in scores])
        shares = self._some.get(applies)
        if shares is None:
            if len(self._some) >= _MOST_KEPT_SHARES:
                self._some.clear()
            shares = self._some[applies] = Shares(self.rubric.components, applies)
        return shares

    def _findings(self, submission: Submission, answers: list[Any]) -> tuple[SafetyFinding, ...]:
        findings: tuple[SafetyFinding, ...] = ()
        for place, check in self._checks:
            found = answers[place]
            if found or type(found) not in (tuple, list):
                findings += tuple(_checked_findings(check, found, submission))
        return findings


def check_taxonomy(action: SupportQueueAction, taxonomy: Taxonomy) -> None:
    """Raise `ActionError`, naming the fields and what is allowed, for values that the taxonomy does not have."""
    if (
        action.priority in taxonomy.priorities
        and action.queue in taxonomy.queues
        and action.disposition in taxonomy.dispositions
    ):
        return
    given = (
        ("priority", action.priority, taxonomy.priorities),
        ("queue", action.queue, taxonomy.queues),
        ("disposition", action.disposition, taxonomy.dispositions),
    )
    raise ActionError(faults=[_not_allowed(*each) for each in given if each[1] not in each[2]])


def _not_allowed(name: str, value: str, allowed: Sequence[str]) -> Fault:
    told = value if len(value) <= 80 else f"{value[:77]}..."
    return Fault(name, f"{told!r} is not allowed in this task. {did_you_mean(value, allowed)}")


def _checked_findings(
    check: BoundCheck, found: Iterable[SafetyFinding], submission: Submission
) -> Iterable[SafetyFinding]:
    response = submission.action.response
    with boundary(GradingError, check.who, subject_of(submission)):
        if isinstance(found, str | bytes | Mapping) or not isinstance(found, Iterable):
            raise GradingError(
                f"{check.who} must return SafetyFindings (an empty list where it finds nothing), "
                f"it returned {type(found).__name__}"
            )
        for finding in found:
            if not isinstance(finding, SafetyFinding):
                raise GradingError(f"{check.who} must return SafetyFindings, it returned {type(finding).__name__}")
            if not finding.start <= finding.end <= len(response):
                raise GradingError(
                    f"{check.who} found something at [{finding.start}, {finding.end}) of a reply of "
                    f"{len(response)} characters"
                )
            yield attrs.evolve(finding, check=check.name, excerpt=response[finding.start : finding.end])
