"""The floor: what can be had without reading, by one constant decision and empty texts."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence

from supportbench.evaluation.audit.subject import Unit
from supportbench.models import Submission, SupportQueueAction, Taxonomy

MOST_VALUES = 6
"""Of so many values at most, for each part of a decision, the best constant one is sought: those expected most."""


async def best_constant(unit: Unit) -> tuple[float, SupportQueueAction]:
    """Return the mean reward of the best constant decision with empty texts over the unit, and that decision."""
    actions = constant_actions(unit)
    rewards: list[list[float]] = [[] for _ in actions]
    # Ticket by ticket, since graders prepare themselves for a ticket and may forget it among many.
    for task in unit.tasks:
        for place, case in enumerate(unit.cases(task)):
            for action, earned in zip(actions, rewards, strict=True):
                submission = Submission(task=task.chosen.task, case=case, action=action, previous=(action,) * place)
                earned.append((await task.grader.grade(submission)).reward)
    means = [math.fsum(earned) / len(earned) for earned in rewards]
    best = max(range(len(actions)), key=means.__getitem__)
    return means[best], actions[best]


def constant_actions(unit: Unit) -> list[SupportQueueAction]:
    """Return the decisions that can be best, with empty texts: made of what the answer keys expect or accept."""
    taxonomy = unit.tasks[0].chosen.task.taxonomy
    keys = [case.answer_key for task in unit.tasks for case in task.cases]
    expected = (
        _commonest([key.priority for key in keys], taxonomy.priorities),
        _commonest([value for key in keys for value in (key.queue, *key.acceptable_queues)], taxonomy.queues),
        _commonest(
            [value for key in keys for value in (key.disposition, *key.acceptable_dispositions)], taxonomy.dispositions
        ),
    )
    return [silent(*values) for values in itertools.product(*expected)]


def random_actions(taxonomy: Taxonomy, draws: Sequence[float]) -> list[SupportQueueAction]:
    """Return a decision with empty texts for each draw, a number in [0, 1), evenly over all that are allowed."""
    every = list(itertools.product(taxonomy.priorities, taxonomy.queues, taxonomy.dispositions))
    return [silent(*every[int(draw * len(every))]) for draw in draws]


def silent(priority: str, queue: str, disposition: str) -> SupportQueueAction:
    """Return the decision with empty texts."""
    return SupportQueueAction(
        priority=priority, queue=queue, disposition=disposition, summary="", response="", confidence=0.0
    )


def _commonest(expected: Sequence[str | None], allowed: Sequence[str]) -> Sequence[str]:
    """Return the values to try: all that are allowed where they are few, else those that keys name most."""
    if len(allowed) <= MOST_VALUES:
        return allowed
    counts = Counter(value for value in expected if value is not None)
    return [value for value, _ in counts.most_common(MOST_VALUES)] or allowed[:1]
