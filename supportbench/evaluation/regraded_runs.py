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

from supportbench import codec
from supportbench.errors import DecodeError, RunError
from supportbench.evaluation.journal import RESULTS, RUN, RunFolder, write_json
from supportbench.evaluation.regrading import RegradedEpisode
from supportbench.evaluation.results import PluginCard, Results, summarize
from supportbench.evaluation.run import RunManifest, new_run_id
from supportbench.models import RubricCard
from supportbench.registry import Registry

RubricsNow: TypeAlias = Mapping[tuple[str, str, int], RubricCard]
"""By provider, split and index: the rubric that grades the task now."""


@attrs.frozen(kw_only=True)
class Origin:
    """The run whose actions were graded again: its id, when it was made, and the path that was given for it."""

    run_id: str
    created_at: str
    path: str


@attrs.frozen(kw_only=True)
class RegradedManifest(RunManifest):
    """The `run.json` of a run whose actions come from another one, its `origin`; of a run that was played it is None.

    The agent, its options, the seed and how it was played are those of the origin.
    """

    origin: Origin | None = None


def read_manifest(path: Path) -> RegradedManifest:
    """Return the `run.json` of a run's folder; raises `RunError` where there is none that can be read."""
    file = path / RUN
    if not file.is_file():
        raise RunError(
            f"--out makes a run of a run, and {path} has no {RUN}: it is no run's folder. "
            "What became of a recording is shown without --out, or printed with --json."
        )
    try:
        return codec.decode(file.read_bytes(), RegradedManifest)
    except (OSError, DecodeError) as error:
        told = error.strerror if isinstance(error, OSError) else str(error)
        raise RunError(f"Cannot read {file}: {told}") from error


class RegradedRun:
    """Writes the folder of a regraded run: `run.json` at once, an episode as it comes, `results.json` at the end."""

    def __init__(self, out: Path, source: Path, *, registry: Registry, rubrics: RubricsNow, concurrency: int) -> None:
        origin = read_manifest(source)
        self._registry = registry
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
        results = summarize(self._folder.episodes()).results(
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
