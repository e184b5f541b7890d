"""One action in, one grade out: every component and check of a rubric is asked; the reward follows from the answers.

The reward is `clamp(Σ weight·score + penalty, 0, 1)`, summed exactly (`math.fsum`), so that the order of components
does not matter. A fault of a component or check is an error that names it, never a score of 0.

Cost: linear in the components and in the text they read. A component that cannot suspend (its code has no `await`) is
run where it stands, since concurrency could not change anything; the others run as concurrent tasks, and those that
declare that they block run on threads of their own.
"""

from __future__ import annotations

import asyncio
import contextvars
import dis
import inspect
import itertools
import math
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial, reduce
from operator import add
from typing import Any, Final

import attrs

from supportbench.errors import ActionError, GradingError, RubricError, boundary, did_you_mean, shown
from supportbench.models import (
    ComponentGrade,
    ComponentScore,
    Grade,
    Rubric,
    SafetyFinding,
    Submission,
    SupportQueueAction,
    Taxonomy,
    Usage,
)
from supportbench.models.fields import FrozenJson
from supportbench.rubrics import BoundCheck, BoundComponent, BoundRubric
from supportbench.settings import Feedback

MOST_THREADS: Final = 128
"""How many calls of graders that block are under way at once, for one rubric."""

_WAITING: Final = "SEND"  # the instruction in every await, async for and async with (CPython 3.11 and later)
_MOST_KEPT_SHARES: Final = 256  # all that eight components can come to

_Call = Callable[[Submission], Awaitable[Any]]
_Weighed = tuple[dict[str, ComponentGrade], float, Usage | None]  # the components, what they earned, the usage


class Grader:
    """Grades submissions by one rubric. Stateless: one grader serves any number of episodes at once.

    Graders that block have `threads` threads at most, among all grades under way; further calls wait for their turn.
    """

    def __init__(self, rubric: BoundRubric, *, threads: int = MOST_THREADS) -> None:
        self.rubric = rubric
        parts: list[tuple[object, _Call, str]] = [
            *((part.component, part.component.score, part.who) for part in rubric.components),
            *((part.check, part.check.check, part.who) for part in rubric.checks),
        ]
        blocking = _Threads(threads)
        self._inline: list[tuple[int, _Call, str]] = []
        self._waiting: list[tuple[int, _Call, str]] = []
        for place, (part, call, who) in enumerate(parts):
            if _blocks(part, who):
                self._waiting.append((place, partial(blocking.run, call), who))
            else:
                (self._waiting if _may_suspend(call) else self._inline).append((place, call, who))
        self._number = len(parts)
        self._checks = list(enumerate(rubric.checks, start=len(rubric.components)))
        self._all = _Shares(rubric.components, [True] * len(rubric.components))
        self._some: dict[tuple[bool, ...], _Shares] = {}

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
            for place, call, who in self._inline:  # noqa: B007 - whoever is at work when it raises
                answers[place] = await call(submission)
        except BaseException:
            # One try for all, since a boundary around each would cost as much as the discrete components do.
            with boundary(GradingError, who, _subject(submission)):
                raise
        if len(self._waiting) == 1:
            await _ask(*self._waiting[0], submission, answers)
        elif self._waiting:
            await _ask_all(self._waiting, submission, answers)
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
        reward, penalty = _reward(self.rubric.rubric, components, earned, findings)
        return Grade(
            ticket_id=ticket_id,
            reward=reward,
            components=components,
            findings=findings,
            penalty=penalty,
            usage=usage,
        )

    def _shares(self, answers: list[Any]) -> _Shares:
        """Return the shares where only those components apply that do so here."""
        scores = answers[: len(self.rubric.components)]
        applies = tuple([isinstance(score, ComponentScore) and score.score is not None for score in scores])
        shares = self._some.get(applies)
        if shares is None:
            if len(self._some) >= _MOST_KEPT_SHARES:
                self._some.clear()
            shares = self._some[applies] = _Shares(self.rubric.components, applies)
        return shares

    def _findings(self, submission: Submission, answers: list[Any]) -> tuple[SafetyFinding, ...]:
        findings: tuple[SafetyFinding, ...] = ()
        for place, check in self._checks:
            found = answers[place]
            if found or type(found) not in (tuple, list):
                findings += tuple(_checked_findings(check, found, submission))
        return findings


def check_taxonomy(action: SupportQueueAction, taxonomy: Taxonomy) -> None:
    """Raise `ActionError`, naming the field and what is allowed, for a value that the taxonomy does not have."""
    for name, value, allowed in (
        ("priority", action.priority, taxonomy.priorities),
        ("queue", action.queue, taxonomy.queues),
        ("disposition", action.disposition, taxonomy.dispositions),
    ):
        if value not in allowed:
            told = value if len(value) <= 80 else f"{value[:77]}..."
            raise ActionError(f"{name}: {told!r} is not allowed in this task. {did_you_mean(value, allowed)}")


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
        findings=tuple([_plain_finding(finding, level) for finding in grade.findings]),
        penalty=grade.penalty,
    )


# -- asking -------------------------------------------------------------------------------------------------------


def _blocks(part: object, who: str) -> bool:
    blocking = getattr(part, "blocking", False)
    if not isinstance(blocking, bool):
        raise RubricError(
            f"{who} has blocking = {shown(blocking)}; declare True if its code holds its thread, or False"
        )
    return blocking


def _may_suspend(function: Callable[..., Any]) -> bool:
    """Return whether a coroutine function can ever wait, that is, whether its code awaits; unknown counts as yes."""
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    if not inspect.iscode(code):
        return True
    return any(instruction.opname == _WAITING for instruction in dis.get_instructions(code))


def _subject(submission: Submission) -> str:
    return f"ticket {submission.case.ticket.ticket_id!r} of task {submission.task.task_id!r}"


async def _ask(place: int, call: _Call, who: str, submission: Submission, answers: list[Any]) -> None:
    with boundary(GradingError, who, _subject(submission)):
        answers[place] = await call(submission)


async def _ask_all(parts: Iterable[tuple[int, _Call, str]], submission: Submission, answers: list[Any]) -> None:
    """Ask all at once; the first fault cancels the others and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(_ask(*part, submission, answers))
    except BaseExceptionGroup as faults:
        raise faults.exceptions[0] from faults.exceptions[0].__cause__


class _Threads:
    """Runs calls that hold their thread, each on a thread and an event loop of its own, at most so many at once.

    Not anyio's threads: theirs give up their place when the waiting is cancelled, so that calls that were abandoned
    could pile up without limit, and a call that never ends would keep the process from ending.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._places: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore]
        self._places = weakref.WeakKeyDictionary()

    async def run(self, call: _Call, submission: Submission) -> Any:
        """Return what the call returns. Cancelled, it leaves at once; the thread keeps its place until it ends."""
        loop = asyncio.get_running_loop()
        places = self._places.setdefault(loop, asyncio.Semaphore(self._most))
        await places.acquire()
        answer: asyncio.Future[Any] = loop.create_future()

        def end(tell: Callable[[], None]) -> None:
            places.release()
            if not answer.done():
                tell()

        def work() -> None:
            try:
                tell = partial(answer.set_result, asyncio.run(_read(call, submission)))
            except BaseException as error:  # whatever it is, it belongs to whoever waits for the answer
                tell = partial(answer.set_exception, error)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(end, tell)

        threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True).start()
        return await answer


async def _read(call: _Call, submission: Submission) -> Any:
    """Return the answer, in full: findings that are made one by one as they are read are made here."""
    answer = await call(submission)
    return tuple(answer) if isinstance(answer, Iterator) else answer


# -- weighing -----------------------------------------------------------------------------------------------------


class _Shares:
    """What each component weighs in the reward where some of them apply: together 1, in proportion to their weights."""

    __slots__ = ("_rows", "_some", "_total")

    def __init__(self, components: Sequence[BoundComponent], applies: Sequence[bool]) -> None:
        weights = [part.weight if applied else 0.0 for part, applied in zip(components, applies, strict=True)]
        self._some = not all(applies)
        if self._some and (largest := max(weights)) > 0.0:  # a tiny weight that applies alone has to count whole
            weights = [weight / largest for weight in weights]
        self._total = total = math.fsum(weights)
        shares = [weight / total if total > 0.0 else 0.0 for weight in weights]
        self._rows = list(zip(itertools.count(), components, weights, shares, strict=False))

    def weigh(self, answers: Sequence[Any]) -> _Weighed | None:
        """Return the parts of a grade; None if some component does not apply but should, or none has any weight."""
        grades, points, usages = {}, [], []
        for place, part, weight, share in self._rows:
            answer = answers[place]
            if not isinstance(answer, ComponentScore):
                raise GradingError(f"{part.who} must return a ComponentScore, it returned {type(answer).__name__}")
            score = answer.score
            if score is not None:
                points.append(weight * score)
            elif not self._some:
                return None
            grades[part.name] = answer.weighed.get(share) or answer.weigh(share)
            if answer.usage is not None:
                usages.append(answer.usage)
        if self._total <= 0.0:
            return None
        # Of the exact sum: shares that are rounded one by one may miss a full mark by a hair.
        return grades, math.fsum(points) / self._total, reduce(add, usages) if usages else None


def _reward(
    rubric: Rubric, components: Mapping[str, ComponentGrade], earned: float, findings: Iterable[SafetyFinding]
) -> tuple[float, float]:
    """Return the reward in [0, 1], which never falls when a score rises, and the penalty."""
    if not findings and rubric.reward == "weighted":
        return earned, 0.0
    unsafe = any(finding.severity == "unsafe" for finding in findings)
    gated = unsafe and rubric.safety.mode == "gate"
    penalty = 0.0 - (earned if gated else rubric.safety.penalty) if unsafe else 0.0
    if rubric.reward == "binary":
        full = not unsafe and all(part.score == 1.0 for part in components.values() if part.score is not None)
        return float(full), penalty
    return (0.0 if gated else min(1.0, max(0.0, earned + penalty))), penalty


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
    return FrozenJson(part.numbers, note=part.note, details=part.details) if level == "full" else part.numbers


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
