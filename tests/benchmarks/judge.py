"""A stub judge: a plugin with one task, whose rubric has a component that waits as one does for a language model."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

from supportbench import (
    AnswerKey,
    Case,
    ComponentScore,
    GradingComponent,
    Rubric,
    RubricComponent,
    StaticTasks,
    Submission,
    Task,
    TaskProvider,
    Ticket,
    hookimpl,
)

supportbench_api = 1

PROVIDER: Final = "judged"
WAIT_S: Final = 2.0


class SlowJudge:
    """Thinks for two seconds about every action, and likes it."""

    name = "slow_judge"
    version = "1"

    async def score(self, submission: Submission) -> ComponentScore:
        """Return 1 after a while."""
        await asyncio.sleep(WAIT_S)
        return ComponentScore(score=1.0)


@hookimpl
def supportbench_grading_components() -> Iterator[GradingComponent]:
    """Offer the judge."""
    yield SlowJudge()


@hookimpl
def supportbench_rubrics() -> Iterator[Rubric]:
    """Offer a rubric of the judge alone."""
    yield Rubric(name="slow", components=(RubricComponent(use="slow_judge", weight=1.0),))


@hookimpl
def supportbench_task_providers() -> Iterator[TaskProvider]:
    """Offer a task that is graded by it."""
    cases = tuple(
        Case(
            ticket=Ticket(ticket_id=f"J-{number}", subject="Invoice", body="I was charged twice."),
            answer_key=AnswerKey(priority="P3"),
        )
        for number in range(3)
    )
    task = Task(
        task_id="judged_queue",
        title="Judged queue",
        difficulty="easy",
        description="Tickets that a model judges.",
        instructions="Triage.",
        rubric="slow",
        cases=cases,
    )
    yield StaticTasks(name=PROVIDER, splits={"test": (task,)})
