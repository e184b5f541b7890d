"""A run from beginning to end: play the planned episodes, keep a journal, write results."""

from __future__ import annotations

import contextlib
import platform
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import attrs

from supportbench.errors import HookError, RunError, SupportbenchError
from supportbench.evaluation.episode import EpisodePlayer
from supportbench.evaluation.journal import RESULTS, RunFolder, write_json
from supportbench.evaluation.planning import PlannedRun
from supportbench.evaluation.results import PluginCard, Results, Summary, summarize
from supportbench.models import Episode, RubricCard
from supportbench.offers import closing
from supportbench.settings import Feedback
from supportbench.watchdog import watch


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
    """What was asked, of what, with which versions: enough to know whether two runs compare, and to run it again.

    What was played on a `server` has a `feedback` of None, since that is the server's own.
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
    player = EpisodePlayer(registry=registry, environments=planned.environments, agent=evaluation.agent)
    with contextlib.closing(folder):
        async with closing((*registry.offers(), evaluation.agent.agent, *planned.environments.offers())):
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
    return summary.results(
        run_id=run_id,
        agent=planned.evaluation.agent.label,
        model=planned.evaluation.agent.model,
        plugins=tuple(map(PluginCard.from_plugin, planned.registry.plugins)),
        seed=planned.evaluation.seed,
        duration_s=duration_s,
    )


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
    )
