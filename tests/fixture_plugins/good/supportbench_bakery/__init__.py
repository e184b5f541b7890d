"""A pack for a bakery: its Monday as a task, what counts there, and an agent to beat."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from importlib.resources import as_file, files

from supportbench import (
    Agent,
    Episode,
    GradingComponent,
    Rubric,
    RubricComponent,
    SafetyCheck,
    SafetyPolicy,
    StaticTasks,
    TaskProvider,
    hookimpl,
    read_task,
)
from supportbench_bakery.always_oven import AlwaysOven
from supportbench_bakery.area import Area
from supportbench_bakery.calm import Calm

supportbench_api = 1

logger = logging.getLogger(__name__)


@hookimpl
def supportbench_task_providers() -> Iterator[TaskProvider]:
    """Offer the tasks of the bakery: so far, its Monday."""
    with as_file(files(__name__) / "monday.toml") as monday:
        yield StaticTasks(name="bakery", splits={"test": [read_task(monday)]})


@hookimpl
def supportbench_grading_components() -> Iterator[GradingComponent]:
    """Offer the component that knows the bakery's areas."""
    yield Area()


@hookimpl
def supportbench_safety_checks() -> Iterator[SafetyCheck]:
    """Offer the check against shouting."""
    yield Calm()


@hookimpl
def supportbench_rubrics() -> Iterator[Rubric]:
    """Offer the bakery's rubric: our own `area` beside `priority`, which comes with supportbench."""
    yield Rubric(
        name="bakery",
        components=(RubricComponent(use="area", weight=0.6), RubricComponent(use="priority", weight=0.4)),
        safety=SafetyPolicy(checks=("calm",), penalty=0.25),
    )


@hookimpl
def supportbench_agents() -> Iterator[Agent]:
    """Offer an agent to beat."""
    yield AlwaysOven()


@hookimpl
async def supportbench_episode_finished(episode: Episode) -> None:
    """Ring the bell."""
    logger.info("%s is done: %s", episode.task_title, ", ".join(f"{reward:.2f}" for reward in episode.rewards))
