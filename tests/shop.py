"""Three providers to choose tasks from, graded by what an action says of itself."""

from __future__ import annotations

from typing import Any

from supportbench import (
    Registry,
    Rubric,
    RubricComponent,
    StaticTasks,
    SupportQueueAction,
    Task,
)
from tests.offering import Told, a_task, an_action, registry_of

TOLD = Rubric(name="told", components=[RubricComponent(use="told", weight=1.0)])


def provider(name: str, **splits: Any) -> StaticTasks:
    return StaticTasks(name=name, splits={split: tuple(tasks) for split, tasks in splits.items()})


def told_task(task_id: str, tickets: int = 2, **changes: Any) -> Task:
    return a_task(task_id, tickets, rubric="told", **changes)


def a_shop() -> Registry:
    """Three providers; the default one has two splits, and one task id stands in both others."""
    return registry_of(
        components=[Told("told")],
        rubrics=[TOLD],
        providers=[
            provider(
                "triage", test=[told_task("one"), told_task("two"), told_task("three", 1)], train=[told_task("learn")]
            ),
            provider("bakery", test=[told_task("monday"), told_task("everywhere")]),
            provider("butcher", test=[told_task("everywhere"), told_task("one", title="another one")], empty=[]),
        ],
    )


def told(score: float | None, **changes: Any) -> SupportQueueAction:
    return an_action(metadata={"told": score}, **changes)
