"""Whether the same actions get the same grades: graded again, played again, played with another seed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import attrs

from supportbench import codec
from supportbench.errors import GradingError
from supportbench.evaluation.audit.playing import Played
from supportbench.evaluation.audit.subject import Subject
from supportbench.evaluation.environments import LocalEnvironments
from supportbench.graders import Graders, OpenTask
from supportbench.models import Grade, Submission, SupportQueueAction

_GRADINGS = 2
_SEEDS = (1, 2)


@attrs.frozen(kw_only=True)
class Steadiness:
    """How much moves when nothing should. No answer that was kept is used for it.

    `regraded` is the largest change of a reward or score by grading again with graders made anew; `replayed` counts the
    steps that looked otherwise when their episode was played again; `spread` is the largest standard deviation of one
    action's reward over seeds; `steps` says over how many actions.
    """

    regraded: float
    replayed: int
    spread: float
    steps: int


async def measure(subject: Subject, played: Iterable[Played]) -> Steadiness:
    """Grade and play the episodes' actions again."""
    regraded = spread = 0.0
    replayed = steps = 0
    for each in played:
        for task in subject.tasks:
            grades = _graded(each, task)
            actions = [action for action, _ in grades]
            steps += len(actions)
            for _ in range(_GRADINGS):
                regraded = max(regraded, await _largest_change(subject.remeasuring, task, grades))
            first = await _transcript(subject, task, actions, subject.seed)
            if not subject.is_judged:  # a judge's rewards may move, and to ask it costs
                again = await _transcript(subject, task, actions, subject.seed)
                rewards = [grade.reward for _, grade in grades]
                same = zip(first, again, rewards, strict=False)
                replayed += len(actions) - sum(one == other and one.reward == reward for one, other, reward in same)
            others = [await _transcript(subject, task, actions, subject.seed + seed) for seed in _SEEDS]
            for rows in zip(first, *others, strict=False):
                spread = max(spread, _deviation([row.reward for row in rows]))
    return Steadiness(regraded=regraded, replayed=replayed, spread=spread, steps=steps)


@attrs.frozen
class _Row:
    """A step as its agent saw it, and its reward."""

    seen: bytes
    reward: float


def _graded(played: Played, task: OpenTask) -> list[tuple[SupportQueueAction, Grade]]:
    steps = played.episodes[task.card.task_id].steps
    return [(step.action, step.grade) for step in steps if step.action is not None and step.grade is not None]


async def _largest_change(graders: Graders, task: OpenTask, grades: list[tuple[SupportQueueAction, Grade]]) -> float:
    grader = graders.for_task(task.chosen.task)
    changes = [0.0]
    earlier: tuple[SupportQueueAction, ...] = ()
    for case, (action, before) in zip(task.cases, grades, strict=False):
        submission = Submission(task=task.chosen.task, case=case, action=action, previous=earlier)
        try:
            changes.extend(_changes(before, await grader.grade(submission)))
        except GradingError:  # what got a grade once gets none now
            changes.append(1.0)
        earlier = (*earlier, action)
    return max(changes)


def _changes(before: Grade, after: Grade) -> Iterator[float]:
    yield abs(before.reward - after.reward)
    for name, part in before.components.items():
        one, other = part.score, after.components[name].score
        yield abs(one - other) if one is not None and other is not None else float(one is not other)


async def _transcript(subject: Subject, task: OpenTask, actions: list[SupportQueueAction], seed: int) -> list[_Row]:
    environments = LocalEnvironments(registry=subject.registry, graders=subject.remeasuring)
    environment = environments.open(subject.spec(task, seed))
    await environment.reset(seed)
    rows: list[_Row] = []
    for action in actions:
        try:
            observation, grade = await environment.step(action)
        except GradingError:
            break
        rows.append(_Row(codec.encode(attrs.evolve(observation, info={})), grade.reward))
    return rows


def _deviation(values: list[float]) -> float:
    if min(values) == max(values):
        return 0.0  # of the same figure three times, rounding would make a little
    middle = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - middle) ** 2 for value in values) / len(values))
