"""Episodes: their state while they run, and their record afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs
from attrs import field

from supportbench.models import fields
from supportbench.models.actions import SupportQueueAction, Usage
from supportbench.models.grades import Grade
from supportbench.models.rubrics import RubricCard
from supportbench.models.tickets import TaskCard

StepStatus = Literal["graded", "error", "unreached"]

ErrorKind = Literal["agent", "grader", "server", "task"]
"""Whose error it was: the agent's, a grader's (the ticket is unscored), a server's that was played, or its task's."""


@attrs.frozen(kw_only=True)
class SupportQueueState:
    """Where an episode stands. Before the first reset `episode_id` and `task` are None."""

    episode_id: str | None = None
    step_count: int = 0
    seed: int | None = None
    task: TaskCard | None = None
    current_index: int = 0
    total_tickets: int = 0
    done: bool = False
    cumulative_reward: float = 0.0
    average_reward: float = 0.0
    processed_ticket_ids: tuple[str, ...] = ()
    action_history: tuple[SupportQueueAction, ...] = ()
    grading_history: tuple[Mapping[str, Any], ...] = field(default=(), converter=fields.json_objects)
    rubric: str | None = None


@attrs.frozen(kw_only=True)
class EpisodeStep:
    """What became of one ticket: `graded`, `error` (no action, or none that could be graded) or `unreached`.

    An error of kind `grader` makes the ticket unscored: `judge_usage` is what its grading used all the same. Of a
    graded ticket that is in the grade.
    """

    ticket_id: str
    status: StepStatus
    action: SupportQueueAction | None = None
    grade: Grade | None = None
    error: str | None = field(default=None, converter=attrs.converters.optional(fields.writable_text))
    error_kind: ErrorKind | None = None
    usage: Usage | None = None
    judge_usage: Usage | None = None
    latency_s: float = 0.0

    @property
    def grading_usage(self) -> Usage | None:
        """What its grading used, whether it came to a grade or not."""
        return self.judge_usage if self.grade is None else self.grade.usage


@attrs.frozen(kw_only=True)
class Episode:
    """One pass through one task, without answer keys: the line of a run's journal and of a server's recording.

    `started_at` is UTC in ISO 8601; `seed` is the episode's own.
    """

    schema: Literal["supportbench.episode/1"] = "supportbench.episode/1"
    episode_id: str
    provider: str
    split: str
    index: int
    task_id: str
    task_title: str
    difficulty: str
    task_fingerprint: str
    rubric: RubricCard
    agent: str
    model: str | None = None
    seed: int | None = None
    repeat: int = field(default=0, validator=fields.count)
    steps: tuple[EpisodeStep, ...]
    started_at: str
    duration_s: float = field(validator=fields.amount)

    @property
    def rewards(self) -> tuple[float, ...]:
        """The rewards of the graded tickets, in order."""
        return tuple(step.grade.reward for step in self.steps if step.grade is not None)

    @property
    def unscored(self) -> int:
        """How many tickets have an action whose grading failed."""
        return sum(step.error_kind == "grader" for step in self.steps)

    @property
    def errors(self) -> tuple[str, ...]:
        """The messages of the tickets that ended in an error."""
        return tuple(step.error or "" for step in self.steps if step.status == "error")
