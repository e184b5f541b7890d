"""A run from beginning to end: play the planned episodes, keep a journal, write results."""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Final, Self

import attrs

from supportbench.errors import HookError, RunError, SupportbenchError
from supportbench.evaluation.journal import RESULTS, Place, RunFolder, place_of, played, write_json
from supportbench.evaluation.limits import Budget, RunStoppedError
from supportbench.evaluation.manifests import RunManifest, manifest_of
from supportbench.evaluation.orders import RunPlay
from supportbench.evaluation.planning import PlannedRun
from supportbench.evaluation.results import PluginCard, Results, Summary, summarize
from supportbench.evaluation.statistics.observations import Observations
from supportbench.evaluation.syncing import syncing
from supportbench.models import Episode
from supportbench.offers import closing
from supportbench.watchdog import watch
from supportbench.wording import shown

_PATIENCE: Final = 8

logger: Final = logging.getLogger("supportbench.evaluation")


def new_run_id() -> str:
    """Return an id that sorts by time and that nobody else has."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


@attrs.frozen
class Resumption:
    """What a run that is resumed has behind it: its id, and which of its episodes are not to be played again."""

    run_id: str
    played: frozenset[Place]

    @classmethod
    def of(cls, planned: PlannedRun, folder: Path, manifest: RunManifest, *, retry_errors: bool) -> Self:
        """Return what is left of the run in the folder, which has to be the planned one.

        With `retry_errors` an episode counts as played only where no ticket ended in an error.

        Raises:
            RunError: it is another run, or its journal cannot be read.
        """
        if different := list(manifest.differences(manifest_of(planned, manifest.run_id))):
            raise RunError(
                f"{folder} cannot be resumed, since what would be played now is another run: {'; '.join(different)}. "
                "Begin a new one."
            )
        states = dict(played(folder))  # of an episode that was played again, the last counts
        return cls(
            manifest.run_id, frozenset(place for place, failed in states.items() if not (failed and retry_errors))
        )


async def evaluate(
    planned: PlannedRun,
    out: Path,
    *,
    run_id: str,
    resumed: Resumption | None = None,
    on_episode: Callable[[Episode], None] = lambda episode: None,
) -> Results:
    """Play the planned episodes, append each to the journal in the folder `out` as it ends, write and return results.

    An episode that has ended outlives this process at once, and the machine some milliseconds later. A run that is
    resumed plays what it has not behind it. The agent and the graders are closed afterwards.

    Raises:
        RunError: the folder cannot be used; what was played before stays in it.
        RunStoppedError: a limit was reached, or the server was gone, before all was played.
    """
    begun = time.perf_counter()
    evaluation, registry = planned.evaluation, planned.registry
    folder = RunFolder.create(out, manifest_of(planned, run_id)) if resumed is None else RunFolder.resume(out)
    behind = frozenset() if resumed is None else resumed.played
    play = RunPlay(planned, timeout_s=evaluation.limits.timeout_s)
    budget = Budget(evaluation.limits, patience=max(_PATIENCE, 2 * evaluation.concurrency))
    with contextlib.closing(folder):
        async with closing((*registry.offers(), *planned.offers())):
            for episode in folder.episodes() if budget.is_limited else ():
                budget.add(episode)
            playing = _played(planned, play, behind, budget)
            async with watch(registry), syncing(folder) as to_disk, contextlib.aclosing(playing) as episodes:
                async for episode in episodes:
                    folder.append(episode)
                    to_disk()
                    budget.add(episode)
                    on_episode(episode)
            if budget.has_unknown_cost:
                logger.warning("--max-cost could not be kept: no price is known of a model that was asked.")
            # Before anything is closed: what a plugin does at its end must not cost the results.
            summary = summarize(folder.episodes(), Observations(planned.facts))
            results = results_of(planned, summary, run_id=run_id, duration_s=time.perf_counter() - begun)
            try:
                write_json(out / RESULTS, results)
            except OSError as error:
                raise RunError(
                    f"Cannot write {out / RESULTS}: {error}. Finished episodes are kept. When that is mended: "
                    f"supportbench run --resume {out}"
                ) from error
    return results


async def _played(
    planned: PlannedRun, play: RunPlay, behind: frozenset[Place], budget: Budget
) -> AsyncGenerator[Episode, None]:
    """Yield the episodes that the executor plays; an executor that loses one, or invents one, is at fault."""
    who = f"executor {planned.executor.name!r}"
    missing = _Missing(place_of(spec) for spec in planned.specs() if place_of(spec) not in behind)
    left = (spec for spec in planned.specs() if place_of(spec) not in behind)
    affordable = takewhile(lambda spec: budget.reason_to_stop is None, left)
    try:
        run = planned.executor.run(play, affordable, concurrency=planned.evaluation.concurrency)
        async with contextlib.aclosing(run) as episodes:
            async for episode in episodes:
                missing.remove(episode, who)
                await play.arrived(episode)
                yield episode
    except SupportbenchError:
        raise
    except Exception as error:
        raise HookError(f"{who} failed: {type(error).__name__}") from error
    if missing.number and budget.reason_to_stop is not None:
        raise RunStoppedError(f"stopped {budget.reason_to_stop}", wider=budget.limit_reached)
    if missing.number:
        raise HookError(f"{who} ended with {missing.number} episodes unplayed")


class _Missing:
    """Which episodes have not come yet: a number each, since there may be millions."""

    def __init__(self, places: Iterable[Place]) -> None:
        self.number = 0
        self._repeats: dict[tuple[str, str, int], set[int]] = {}
        for place in places:
            self._repeats.setdefault(place[:3], set()).add(place[3])
            self.number += 1

    def remove(self, episode: Episode, who: str) -> None:
        """Take out one that has come; raises `HookError` where it came before, or was never asked for."""
        place = place_of(episode)
        repeats = self._repeats.get(place[:3], set())
        if place[3] not in repeats:
            raise HookError(
                f"{who} gave repeat {place[3]} of task {shown(episode.task_id)} twice, or though nobody asked for it"
            )
        repeats.remove(place[3])
        self.number -= 1


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
