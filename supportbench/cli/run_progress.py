"""How far a run is: on a terminal a bar, elsewhere a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs

from supportbench.cli.progress import EVERY_S, line_now_and_then
from supportbench.models import Episode, Usage


@attrs.define
class _SoFar:
    """What the episodes that were played in this process came to."""

    rewards: float = 0.0
    graded: int = 0
    errors: int = 0
    used: Usage = attrs.field(factory=Usage)

    def add(self, episode: Episode) -> None:
        self.rewards += sum(episode.rewards)
        self.graded += len(episode.rewards)
        self.errors += len(episode.errors)
        for step in episode.steps:
            for usage in (step.usage, step.grading_usage):
                if usage is not None:
                    self.used += usage

    def __str__(self) -> str:
        told = [f"mean {self.rewards / self.graded:.2f}"] if self.graded else []
        if self.errors:
            told.append(f"{self.errors} errors")
        if tokens := self.used.input_tokens + self.used.output_tokens:
            told.append(f"{tokens:,} tokens")
        if self.used.cost_usd is not None:
            told.append(f"${self.used.cost_usd:.4f}")
        return ", ".join(told)


@contextmanager
def progress_of_run(
    total: int, behind: int, *, clock: Callable[[], float] = time.monotonic, every_s: float = EVERY_S
) -> Iterator[Callable[[Episode], None]]:
    """Within the block it is told how far the run is: call what it yields with every episode that has ended.

    `behind` of the `total` episodes were played before.
    """
    so_far, done = _SoFar(), behind
    if not sys.stderr.isatty():
        tell = line_now_and_then(clock, every_s)

        def count(episode: Episode) -> None:
            nonlocal done
            so_far.add(episode)
            done += 1
            tell(f"playing: {done} of {total} episodes, {so_far}")

        yield count
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from supportbench.cli.tables import stderr

    columns = (
        TextColumn("playing"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("episodes, {task.fields[so_far]}", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=stderr(), transient=True) as bar:
        task = bar.add_task("playing", total=total, completed=behind, so_far="")

        def show(episode: Episode) -> None:
            so_far.add(episode)
            bar.update(task, advance=1, so_far=str(so_far))

        yield show
