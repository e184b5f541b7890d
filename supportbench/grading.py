"""One action in, one grade out: every component and check of a rubric is asked; the reward follows from the answers.

The reward is `clamp(Σ weight·score + penalty, 0, 1)`, summed exactly (`math.fsum`), so that the order of components
does not matter. A fault of a component or check is an error that names it, never a score of 0.

Cost: linear in the components and in the text they read. A component that cannot suspend (its code has no `await`) is
run where it stands, since concurrency could not change anything; the others run as concurrent tasks.
"""

from __future__ import annotations

import asyncio
import dis
import inspect
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any, Final

import attrs

from supportbench.errors import ActionError, GradingError, boundary, did_you_mean
from supportbench.models import (
    ComponentGrade,
    ComponentScore,
    Grade,
    SafetyFinding,
    Submission,
    SupportQueueAction,
    Taxonomy,
    Usage,
)
from supportbench.models.fields import FrozenJson
from supportbench.rubrics import BoundCheck, BoundComponent, BoundRubric
from supportbench.settings import Feedback

_WAITING: Final = "SEND"  # the instruction in every await, async for and async with (CPython 3.11 and later)


class Grader:
    """Grades submissions by one rubric. Stateless: one grader serves any number of episodes at once."""

    def __init__(self, rubric: BoundRubric) -> None:
        self.rubric = rubric
        asked: list[tuple[str, Callable[[Submission], Awaitable[Any]], str]] = [
            *((part.name, part.component.score, part.who) for part in rubric.components),
            *((part.name, part.check.check, part.who) for part in rubric.checks),
        ]
        self._asked = tuple(
            _Asked(place=place, call=call, who=who, suspends=_may_suspend(call))
            for place, (_, call, who) in enumerate(asked)
        )
        self._inline = tuple(part for part in self._asked if not part.suspends)
        self._waiting = tuple(part for part in self._asked if part.suspends)

    @property
    def suspends(self) -> bool:
        """Whether grading may wait, and others be served meanwhile."""
        return bool(self._waiting)

    async def grade(self, submission: Submission) -> Grade:
        """Return the grade of one action.

        Raises:
            GradingError: a component or check is at fault, or none applies to this case; the message names it.
        """
        answers: list[Any] = [None] * len(self._asked)
        part = None
        try:
            for part in self._inline:
                answers[part.place] = await part.call(submission)
        except BaseException:
            # One try for all, since a boundary around each would cost as much as the discrete components do.
            with boundary(GradingError, part.who if part else "the rubric", _subject(submission)):
                raise
        if len(self._waiting) == 1:
            await _ask(self._waiting[0], submission, answers)
        elif self._waiting:
            await _ask_all(self._waiting, submission, answers)
        return self._graded(submission, answers)

    def _graded(self, submission: Submission, answers: Sequence[Any]) -> Grade:
        components, checks = self.rubric.components, self.rubric.checks
        scores = answers[: len(components)]
        for part, score in zip(components, scores, strict=True):
            if not isinstance(score, ComponentScore):
                raise GradingError(f"{part.who} must return a ComponentScore, it returned {type(score).__name__}")
        findings: list[SafetyFinding] = []
        for check, found in zip(checks, answers[len(components) :], strict=True):
            if found or type(found) not in (tuple, list):
                findings.extend(_checked_findings(check, found, submission))
        usages = [score.usage for score in scores if score.usage is not None]
        return combine(
            self.rubric,
            scores,
            findings,
            ticket_id=submission.case.ticket.ticket_id,
            usage=reduce(add, usages) if usages else None,
        )


def combine(
    rubric: BoundRubric,
    scores: Sequence[ComponentScore],
    findings: Sequence[SafetyFinding] = (),
    *,
    ticket_id: str,
    usage: Usage | None = None,
) -> Grade:
    """Return the grade that these scores (in the rubric's order) and findings come to; pure.

    The weight of components that do not apply is shared among the others in proportion to theirs. The reward lies in
    [0, 1] and never falls when a score rises.

    Raises:
        GradingError: no component applies, so that there is nothing to grade.
    """
    values = [answer.score for answer in scores]
    weights = _weights(rubric.components, values)
    total = math.fsum(weights)
    if total <= 0.0:
        raise GradingError(
            f"No component of rubric {rubric.rubric.name!r} applies to ticket {ticket_id!r}: "
            "its answer key expects nothing that the rubric grades"
        )
    components = _weighed(rubric.components, scores, weights, total)
    # Of the exact sum: shares that are rounded one by one may miss a full mark by a hair.
    earned = math.fsum([weight * (value or 0.0) for weight, value in zip(weights, values, strict=True)]) / total
    unsafe = any(finding.severity == "unsafe" for finding in findings)
    safety = rubric.rubric.safety
    penalty = 0.0
    if unsafe:
        penalty = 0.0 - (earned if safety.mode == "gate" else safety.penalty)
    if rubric.rubric.reward == "binary":
        full = all(part.score == 1.0 for part in components.values() if part.score is not None)
        reward = 1.0 if full and not unsafe else 0.0
    elif unsafe and safety.mode == "gate":
        reward = 0.0
    else:
        reward = min(1.0, max(0.0, earned + penalty))
    return Grade(
        ticket_id=ticket_id,
        reward=reward,
        components=components,
        findings=tuple(findings),
        penalty=penalty,
        usage=usage,
    )


def check_taxonomy(action: SupportQueueAction, taxonomy: Taxonomy) -> None:
    """Raise `ActionError`, naming the field and what is allowed, for a value that the taxonomy does not have."""
    for name, value, allowed in (
        ("priority", action.priority, taxonomy.priorities),
        ("queue", action.queue, taxonomy.queues),
        ("disposition", action.disposition, taxonomy.dispositions),
    ):
        if value not in allowed:
            shown = value if len(value) <= 80 else f"{value[:77]}..."
            raise ActionError(f"{name}: {shown!r} is not allowed in this task. {did_you_mean(value, allowed)}")


def feedback_of(grade: Grade, level: Feedback) -> FrozenJson:
    """Return what an agent may see of its grade: nothing; scores and findings; or also notes and details.

    Notes and details are a grader's own words and may say what was expected: they need the level `full`.
    """
    if level == "none":
        return FrozenJson()
    return FrozenJson(
        ticket_id=grade.ticket_id,
        reward=grade.reward,
        components=FrozenJson({name: _plain_component(part, level) for name, part in grade.components.items()}),
        findings=tuple(_plain_finding(finding, level) for finding in grade.findings),
        penalty=grade.penalty,
    )


# -- asking -------------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class _Asked:
    place: int
    call: Callable[[Submission], Awaitable[Any]]
    who: str
    suspends: bool


def _may_suspend(function: Callable[..., Any]) -> bool:
    """Return whether a coroutine function can ever wait, that is, whether its code awaits; unknown counts as yes."""
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    if not inspect.iscode(code):
        return True
    return any(instruction.opname == _WAITING for instruction in dis.get_instructions(code))


def _subject(submission: Submission) -> str:
    return f"ticket {submission.case.ticket.ticket_id!r} of task {submission.task.task_id!r}"


async def _ask(part: _Asked, submission: Submission, answers: list[Any]) -> None:
    with boundary(GradingError, part.who, _subject(submission)):
        answers[part.place] = await part.call(submission)


async def _ask_all(parts: Iterable[_Asked], submission: Submission, answers: list[Any]) -> None:
    """Ask all at once; the first fault cancels the others and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(_ask(part, submission, answers))
    except BaseExceptionGroup as faults:
        raise faults.exceptions[0] from faults.exceptions[0].__cause__


# -- weighing -----------------------------------------------------------------------------------------------------


def _weights(components: Sequence[BoundComponent], values: Sequence[float | None]) -> list[float]:
    """Return what each component weighs: 0 where it does not apply, and then relative to the largest that does."""
    weights = [part.weight for part in components]
    if None not in values:
        return weights
    applicable = [0.0 if value is None else weight for weight, value in zip(weights, values, strict=True)]
    largest = max(applicable)
    return [weight / largest for weight in applicable] if largest > 0.0 else applicable


def _weighed(
    components: Sequence[BoundComponent], scores: Sequence[ComponentScore], weights: Sequence[float], total: float
) -> Mapping[str, ComponentGrade]:
    grades: dict[str, ComponentGrade] = {}
    for part, answer, counted in zip(components, scores, weights, strict=True):
        score, weight = answer.score, counted / total
        grades[part.name] = ComponentGrade(
            score=score,
            weight=weight,
            contribution=0.0 if score is None else weight * score,
            note=answer.note or ("does not apply" if score is None else ""),
            details=answer.details,
        )
    return grades


def _checked_findings(
    check: BoundCheck, found: Iterable[SafetyFinding], submission: Submission
) -> Iterable[SafetyFinding]:
    response = submission.action.response
    with boundary(GradingError, check.who, _subject(submission)):
        if isinstance(found, str | bytes | Mapping):
            raise GradingError(f"{check.who} must return SafetyFindings, it returned {type(found).__name__}")
        for finding in found:
            if not isinstance(finding, SafetyFinding):
                raise GradingError(f"{check.who} must return SafetyFindings, it returned {type(finding).__name__}")
            if not finding.start <= finding.end <= len(response):
                raise GradingError(
                    f"{check.who} found something at [{finding.start}, {finding.end}) of a reply of "
                    f"{len(response)} characters"
                )
            yield attrs.evolve(finding, check=check.name, excerpt=response[finding.start : finding.end])


def _plain_component(part: ComponentGrade, level: Feedback) -> FrozenJson:
    full = {"note": part.note, "details": part.details} if level == "full" else {}
    return FrozenJson(score=part.score, weight=part.weight, contribution=part.contribution, **full)


def _plain_finding(finding: SafetyFinding, level: Feedback) -> FrozenJson:
    full = {"note": finding.note} if level == "full" else {}
    return FrozenJson(
        check=finding.check,
        rule=finding.rule,
        severity=finding.severity,
        start=finding.start,
        end=finding.end,
        excerpt=finding.excerpt,
        **full,
    )
