"""An evaluation from beginning to end: choose tasks, play episodes, keep a journal, write results."""

from __future__ import annotations

import contextlib
import hashlib
import platform
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import attrs
from attrs import field
from attrs.validators import ge, optional

from supportbench.choosing import DEFAULT_SPLIT, ChosenTask, TaskChooser
from supportbench.errors import HookError, RunError, SupportbenchError, UnknownNameError, did_you_mean
from supportbench.evaluation.agents import ChosenAgent
from supportbench.evaluation.episode import EpisodePlayer
from supportbench.evaluation.executors import LocalExecutor
from supportbench.evaluation.journal import RESULTS, RunFolder, write_json
from supportbench.evaluation.results import PluginCard, Results, Summary, summarize
from supportbench.graders import Graders, task_fingerprint
from supportbench.interfaces import LOCAL_EXECUTOR, EpisodeSpec, Executor
from supportbench.models import Episode, Rubric, RubricCard
from supportbench.offers import closing
from supportbench.registry import Registry
from supportbench.settings import Feedback
from supportbench.watchdog import watch


@attrs.frozen(kw_only=True)
class Evaluation:
    """What to evaluate: the agent, the tasks, the rubric in place of the tasks' own, and how often.

    With `strict_provider` task ids are those of that provider alone. `limit` is the number of tickets to play at most,
    over all tasks in order; `repeats` plays every task that often.
    """

    agent: ChosenAgent
    provider: str
    strict_provider: bool = False
    task_ids: tuple[str, ...] = ()
    split: str | None = None
    index: int | None = None
    rubric: Rubric | None = None
    repeats: int = field(default=1, validator=ge(1))
    seed: int = field(default=0, validator=ge(0))
    concurrency: int = field(default=8, validator=ge(1))
    limit: int | None = field(default=None, validator=optional(ge(1)))
    executor: str = LOCAL_EXECUTOR
    feedback: Feedback = "scores"


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
class RunManifest:
    """What was asked, of what, with which versions: enough to know whether two runs compare, and to run it again."""

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
    feedback: Feedback
    plugins: tuple[PluginCard, ...]
    blocked: tuple[str, ...]


@attrs.frozen(kw_only=True)
class PlannedRun:
    """An evaluation whose tasks are chosen and whose rubrics are bound: nothing in it can be misspelt any more."""

    evaluation: Evaluation
    registry: Registry
    graders: Graders
    executor: Executor
    tasks: tuple[ChosenTask, ...]

    @property
    def total_episodes(self) -> int:
        """How many episodes will be played."""
        return sum(1 for _ in self.specs())

    def specs(self) -> Iterator[EpisodeSpec]:
        """Yield the episodes to play, repeat by repeat, until the limit of tickets is reached."""
        left = self.evaluation.limit
        for repeat in range(self.evaluation.repeats):
            for chosen in self.tasks:
                if left == 0:
                    return
                tickets = len(chosen.task.cases)
                played = tickets if left is None else min(tickets, left)
                left = None if left is None else left - played
                yield EpisodeSpec(
                    provider=chosen.provider,
                    split=chosen.split,
                    index=chosen.index,
                    task_id=chosen.task.task_id,
                    repeat=repeat,
                    seed=episode_seed(self.evaluation.seed, chosen.provider, chosen.task.task_id, repeat),
                    max_tickets=None if played == tickets else played,
                )


def plan(evaluation: Evaluation, registry: Registry) -> PlannedRun:
    """Choose the tasks and bind the rubrics.

    Raises:
        ResetError, UnknownNameError, RubricError, ProviderError: something does not exist or does not fit.
    """
    graders = Graders(registry, evaluation.rubric)
    tasks = tuple(_chosen_tasks(evaluation, TaskChooser(registry, evaluation.provider)))
    for chosen in tasks:
        graders.for_task(chosen.task)
    if evaluation.executor == LOCAL_EXECUTOR:
        executor: Executor = LocalExecutor()
    elif evaluation.executor in registry.executors:
        executor = registry.executors[evaluation.executor]
    else:
        known = (LOCAL_EXECUTOR, *registry.executors)
        raise UnknownNameError(
            f"There is no executor {evaluation.executor!r}. {did_you_mean(evaluation.executor, known)}"
        )
    return PlannedRun(evaluation=evaluation, registry=registry, graders=graders, executor=executor, tasks=tasks)


def new_run_id() -> str:
    """Return an id that sorts by time and that nobody else has."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


async def evaluate(
    planned: PlannedRun, out: Path, *, run_id: str, on_episode: Callable[[Episode], None] = lambda episode: None
) -> Results:
    """Play the planned episodes, append each to the journal in the folder `out` as it ends, write and return results.

    The agent and the graders are closed afterwards.

    Raises:
        RunError: the folder cannot be used; what was played before stays in it.
    """
    begun = time.perf_counter()
    evaluation, registry = planned.evaluation, planned.registry
    folder = RunFolder.create(out, _manifest(planned, run_id))
    player = EpisodePlayer(
        registry=registry, graders=planned.graders, agent=evaluation.agent, feedback=evaluation.feedback
    )
    with contextlib.closing(folder):
        async with closing((*registry.offers(), evaluation.agent.agent, *planned.graders.offers())):
            async with watch(registry), contextlib.aclosing(_played(planned, player)) as episodes:
                async for episode in episodes:
                    folder.append(episode)
                    on_episode(episode)
            # Before anything is closed: what a plugin does at its end must not cost the results.
            summary = summarize(folder.episodes())
            results = results_of(planned, summary, run_id=run_id, duration_s=time.perf_counter() - begun)
            try:
                write_json(out / RESULTS, results)
            except OSError as error:
                raise RunError(f"Cannot write {out / RESULTS}: {error}. Finished episodes are kept.") from error
    return results


async def _played(planned: PlannedRun, player: EpisodePlayer) -> AsyncGenerator[Episode, None]:
    """Yield the episodes that the executor plays; an executor that loses one, or invents one, is at fault."""
    who = f"executor {planned.executor.name!r}"
    missing = {(spec.provider, spec.split, spec.index, spec.repeat) for spec in planned.specs()}
    try:
        run = planned.executor.run(player.play, planned.specs(), concurrency=planned.evaluation.concurrency)
        async with contextlib.aclosing(run) as episodes:
            async for episode in episodes:
                missing.remove((episode.provider, episode.split, episode.index, episode.repeat))
                yield episode
    except SupportbenchError:
        raise
    except Exception as error:
        raise HookError(f"{who} failed: {type(error).__name__}") from error
    if missing:
        raise HookError(f"{who} ended with {len(missing)} episodes unplayed")


def results_of(planned: PlannedRun, summary: Summary, *, run_id: str, duration_s: float) -> Results:
    """Return the results of a run whose episodes have this sum."""
    return Results(
        run_id=run_id,
        agent=planned.evaluation.agent.label,
        model=planned.evaluation.agent.model,
        plugins=tuple(map(PluginCard.from_plugin, planned.registry.plugins)),
        seed=planned.evaluation.seed,
        average_score=summary.average_score,
        error_count=sum(len(task.errors) for task in summary.tasks),
        unreached_count=sum(task.unreached for task in summary.tasks),
        tasks=summary.tasks,
        agent_usage=summary.agent_usage,
        judge_usage=summary.judge_usage,
        duration_s=round(duration_s, 3),
    )


def episode_seed(seed: int, provider: str, task_id: str, repeat: int) -> int:
    """Return an episode's own seed, from 0 to 2^63-1: independent of the order of episodes and of other tasks."""
    text = f"{seed}\0{provider}\0{task_id}\0{repeat}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1


def _chosen_tasks(evaluation: Evaluation, chooser: TaskChooser) -> Sequence[ChosenTask]:
    if evaluation.task_ids:
        provider = evaluation.provider if evaluation.strict_provider else None
        return [chooser.find(task_id, provider) for task_id in dict.fromkeys(evaluation.task_ids)]
    split = evaluation.split or DEFAULT_SPLIT
    if evaluation.index is not None:
        return [chooser.at(evaluation.provider, split, evaluation.index)]
    chosen: list[ChosenTask] = []
    tickets = 0
    for index in range(chooser.num_tasks(evaluation.provider, split)):
        if evaluation.limit is not None and tickets >= evaluation.limit:
            break  # a provider may have millions more
        chosen.append(chooser.at(evaluation.provider, split, index))
        tickets += len(chosen[-1].task.cases)
    return chosen


def _manifest(planned: PlannedRun, run_id: str) -> RunManifest:
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
                provider=chosen.provider,
                split=chosen.split,
                index=chosen.index,
                task_id=chosen.task.task_id,
                tickets=len(chosen.task.cases),
                fingerprint=task_fingerprint(chosen.task),
                rubric=planned.graders.for_task(chosen.task).rubric.card,
            )
            for chosen in planned.tasks
        ),
        repeats=evaluation.repeats,
        seed=evaluation.seed,
        concurrency=evaluation.concurrency,
        limit=evaluation.limit,
        executor=evaluation.executor,
        feedback=evaluation.feedback,
        plugins=tuple(map(PluginCard.from_plugin, registry.plugins)),
        blocked=registry.blocked,
    )
