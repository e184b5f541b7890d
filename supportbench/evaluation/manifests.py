"""A run's `run.json`: what was asked, of what, with which versions. Read again to compare, to regrade and to resume."""

from __future__ import annotations

import itertools
import platform
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal

import attrs

from supportbench import codec
from supportbench.errors import DecodeError, RunError
from supportbench.evaluation.journal import RUN
from supportbench.evaluation.limits import Limits
from supportbench.evaluation.planning import PlannedRun
from supportbench.evaluation.results import PluginCard
from supportbench.models import Rubric, RubricCard
from supportbench.settings import Feedback
from supportbench.wording import shown

_MUST_AGREE: Final = (
    *("agent", "agent_version", "agent_options", "agent_data", "model"),
    *("tasks", "repeats", "seed", "limit", "feedback", "server"),
)
"""What decides what a run comes to: with another value it is another run."""


@attrs.frozen(kw_only=True)
class TaskManifest:
    """A task as `run.json` names it."""

    provider: str
    split: str
    index: int
    task_id: str
    tickets: int
    fingerprint: str
    rubric: RubricCard


@attrs.frozen(kw_only=True)
class Asked:
    """What was asked for, so far as nothing else in the manifest tells it: enough to plan the run once more.

    `agent_options` and `executor_options` are those that were given; `tickets` is the path of a file of the person's
    own; `rubric` is the one that took the place of the tasks' own. `limits` and `keeps_answers` are those of the
    beginning; whoever goes on may say otherwise.
    """

    agent_options: Mapping[str, Any]
    provider: str
    strict_provider: bool
    tickets: str | None
    task_ids: tuple[str, ...]
    split: str | None
    index: int | None
    rubric: Rubric | None
    executor_options: Mapping[str, Any] = attrs.field(factory=dict)
    limits: Limits = attrs.field(factory=Limits)
    keeps_answers: bool = False


@attrs.frozen(kw_only=True)
class Origin:
    """The run whose actions were graded again: its id, when it was made, and the path that was given for it."""

    run_id: str
    created_at: str
    path: str


@attrs.frozen(kw_only=True)
class RunManifest:
    """What was asked, of what, with which versions: enough to know whether two runs compare, and to run it again.

    What was played on a `server` has a `feedback` of None, since that is the server's own. A run whose actions come
    from another one names its `origin`: the agent, its options, the seed and how it was played are those of that one.
    `asked` is None where nothing can be resumed.
    """

    schema: Literal["supportbench.run/1"] = "supportbench.run/1"
    run_id: str
    created_at: str
    supportbench: str
    python: str
    agent: str
    agent_version: str
    agent_options: Mapping[str, Any]
    agent_data: str | None
    model: str | None
    tasks: tuple[TaskManifest, ...]
    repeats: int
    seed: int
    concurrency: int
    limit: int | None
    executor: str
    feedback: Feedback | None
    server: str | None = None
    plugins: tuple[PluginCard, ...]
    blocked: tuple[str, ...]
    asked: Asked | None = None
    origin: Origin | None = None

    @property
    def planned_episodes(self) -> int:
        """How many episodes the run was to have: a limit of tickets may end it before all repeats."""
        if self.limit is None:
            return self.repeats * len(self.tasks)
        left, episodes = self.limit, 0
        for task in itertools.chain.from_iterable(itertools.repeat(self.tasks, self.repeats)):
            if left <= 0:
                break
            left -= task.tickets
            episodes += 1
        return episodes

    def differences(self, other: RunManifest) -> Iterator[str]:
        """Yield what makes the other one another run, in words."""
        for name in _MUST_AGREE:
            then, now = getattr(self, name), getattr(other, name)
            if name == "tasks":
                yield from _different_tasks(then, now)
            elif codec.unstructure(then) != codec.unstructure(now):
                yield f"{name} was {shown(then)} and is {shown(now)}"


def manifest_of(planned: PlannedRun, run_id: str) -> RunManifest:
    """Return the manifest of a run that is about to begin."""
    evaluation, registry = planned.evaluation, planned.registry
    return RunManifest(
        run_id=run_id,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        supportbench=version("supportbench"),
        python=platform.python_version(),
        agent=evaluation.agent.label,
        agent_version=evaluation.agent.version,
        agent_options=evaluation.agent.options,
        agent_data=evaluation.agent.data_fingerprint,
        model=evaluation.agent.model,
        tasks=tuple(
            TaskManifest(
                provider=task.provider,
                split=task.split,
                index=task.index,
                task_id=task.task_id,
                tickets=len(task.ticket_ids),
                fingerprint=task.fingerprint,
                rubric=task.rubric,
            )
            for task in planned.tasks
        ),
        repeats=evaluation.repeats,
        seed=evaluation.seed,
        concurrency=evaluation.concurrency,
        limit=evaluation.limit,
        executor=evaluation.executor,
        feedback=None if planned.environments.server else evaluation.feedback,
        server=planned.environments.server,
        plugins=tuple(map(PluginCard.from_plugin, registry.plugins)),
        blocked=registry.blocked,
        asked=Asked(
            agent_options=evaluation.agent_options,
            provider=evaluation.provider,
            strict_provider=evaluation.strict_provider,
            tickets=None if evaluation.tickets is None else str(evaluation.tickets.absolute()),
            task_ids=evaluation.task_ids,
            split=evaluation.split,
            index=evaluation.index,
            rubric=evaluation.rubric,
            executor_options=evaluation.executor_options,
            limits=evaluation.limits,
            keeps_answers=evaluation.keeps_answers,
        ),
    )


def read_manifest(folder: Path) -> RunManifest:
    """Return the `run.json` of a run's folder; raises `RunError` where there is none that can be read."""
    file = folder / RUN
    if not file.is_file():
        raise RunError(f"{folder} has no {RUN}: it is no run's folder.")
    try:
        return codec.decode(file.read_bytes(), RunManifest)
    except (OSError, DecodeError) as error:
        told = error.strerror if isinstance(error, OSError) else str(error)
        raise RunError(f"Cannot read {file}: {told}") from error


def _different_tasks(then: tuple[TaskManifest, ...], now: tuple[TaskManifest, ...]) -> Iterator[str]:
    if [task.task_id for task in then] != [task.task_id for task in now]:
        yield f"the tasks were {_named(then)} and are {_named(now)}"
        return
    for before, after in zip(then, now, strict=True):
        if before.fingerprint != after.fingerprint:
            yield f"task {shown(before.task_id)} is another one by now"
        if before.rubric != after.rubric:
            yield f"rubric {shown(after.rubric.name)} of task {shown(before.task_id)} is another one by now"


def _named(tasks: tuple[TaskManifest, ...]) -> str:
    names = [shown(task.task_id) for task in tasks[:5]]
    return ", ".join(names) + (f" and {len(tasks) - 5} more" if len(tasks) > 5 else "")
