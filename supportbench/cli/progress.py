"""What is said on standard error while something takes its time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from supportbench.cli.printing import printable

EVERY_S: Final = 10.0
"""Where nobody sees a bar, a line says how far it is, so often at most."""


def line_now_and_then(clock: Callable[[], float], every_s: float) -> Callable[[str], None]:
    """Return what writes a line to standard error, unless it has done so, or begun, less than `every_s` ago."""
    told_at = clock()

    def tell(line: str) -> None:
        nonlocal told_at
        if clock() - told_at >= every_s:
            told_at = clock()
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    return tell


@contextmanager
def progress(doing: str, total: int, noun: str) -> Iterator[Callable[[int], None]]:
    """Within the block a bar says what is being done; call what it yields with how much of it is done since.

    There is none where standard error is no terminal.
    """
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from supportbench.cli.tables import stderr

    columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), TextColumn(noun), TimeRemainingColumn())
    with Progress(*columns, console=stderr(), transient=True) as bar:
        task = bar.add_task(doing, total=total)
        yield lambda done: bar.update(task, advance=done)


@contextmanager
def stages(
    doing: str, *, clock: Callable[[], float] = time.monotonic, every_s: float = EVERY_S
) -> Iterator[Callable[[str, int, int], None]]:
    """Within the block it is told which stage is under way: call what it yields with its name, its place and how many.

    On a terminal that is a bar with the time that it takes; elsewhere a line now and then.
    """
    if not sys.stderr.isatty():
        tell = line_now_and_then(clock, every_s)
        yield lambda stage, place, total: tell(f"{doing}: {place} of {total}, {printable(stage)}")
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from supportbench.cli.tables import stderr

    columns = (
        TextColumn(doing),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[stage]}", markup=False),
    )
    with Progress(*columns, console=stderr(), transient=True) as bar:
        task = bar.add_task(doing, total=None, stage="")

        def show(stage: str, place: int, total: int) -> None:
            bar.update(task, completed=place, total=total, stage=printable(stage))

        yield show
