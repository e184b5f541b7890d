"""A run's folder made of another's actions and new grades, so that the two compare."""

from __future__ import annotations

import platform
import time
from collections.abc import AsyncIterable, Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

import attrs

from supportbench.errors import RunError
from supportbench.evaluation.journal import RESULTS, RUN, RunFolder, write_json
from supportbench.evaluation.manifests import Origin, read_manifest
from supportbench.evaluation.regrading import RegradedEpisode
from supportbench.evaluation.results import PluginCard, Results, summarize
from supportbench.evaluation.run import new_run_id
from supportbench.evaluation.statistics.facts import Facts
from supportbench.evaluation.statistics.observations import Observations
from supportbench.models import RubricCard
from supportbench.registry import Registry

RubricsNow: TypeAlias = Mapping[tuple[str, str, int], RubricCard]
"""By provider, split and index: the rubric that grades the task now."""


class RegradedRun:
    """Writes the folder of a regraded run: `run.json` at once, an episode as it comes, `results.json` at the end."""

    def __init__(
        self,
        out: Path,
        source: Path,
        *,
        registry: Registry,
        rubrics: RubricsNow,
        facts: Facts,
        concurrency: int,
    ) -> None:
        if not (source / RUN).is_file():
            raise RunError(
                f"--out makes a run of a run, and {source} has no {RUN}: it is no run's folder. "
                "What became of a recording is shown without --out, or printed with --json."
            )
        origin = read_manifest(source)
        self._registry = registry
        self._facts = facts
        self._manifest = attrs.evolve(
            origin,
            run_id=new_run_id(),
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            supportbench=version("supportbench"),
            python=platform.python_version(),
            tasks=tuple(
                attrs.evolve(task, rubric=rubrics[place])
                for task in origin.tasks
                if (place := (task.provider, task.split, task.index)) in rubrics
            ),
            concurrency=concurrency,
            plugins=tuple(map(PluginCard.from_plugin, registry.plugins)),
            blocked=registry.blocked,
            asked=None,
            origin=Origin(run_id=origin.run_id, created_at=origin.created_at, path=str(source)),
        )
        self._out = out
        self._folder = RunFolder.create(out, self._manifest)

    async def write(
        self, episodes: AsyncIterable[RegradedEpisode], on_episode: Callable[[RegradedEpisode], None]
    ) -> Results:
        """Append each episode as it comes, and tell of it; write and return the results."""
        begun = time.perf_counter()
        manifest = self._manifest
        async for episode in episodes:
            self._folder.append(episode.now)
            on_episode(episode)
        self._folder.sync()
        results = summarize(self._folder.episodes(), Observations(self._facts)).results(
            run_id=manifest.run_id,
            agent=manifest.agent,
            model=manifest.model,
            plugins=manifest.plugins,
            seed=manifest.seed,
            duration_s=time.perf_counter() - begun,
        )
        try:
            write_json(self._out / RESULTS, results)
        except OSError as error:
            raise RunError(
                f"Cannot write {self._out / RESULTS}: {error.strerror}. Graded episodes are kept."
            ) from error
        return results

    def close(self) -> None:
        """Close the journal; what was written stays."""
        self._folder.close()
