"""`supportbench compare`: runs beside the first one, ticket by ticket."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from supportbench import codec
from supportbench.cli.options import json_option, print_json, share
from supportbench.cli.printing import printable
from supportbench.evaluation.statistics.comparison import CompareReport, Comparison, Flip
from supportbench.evaluation.statistics.extra import need_statistics
from supportbench.wording import counted

_MOST_FLIPS: Final = 10
_MOST_DIFFERENCES: Final = 5

_run_folder: Final = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command(name="compare", epilog="Example: supportbench compare runs/before runs/after --fail-if-worse-by 0.02")
@click.argument("runs", nargs=-1, required=True, type=_run_folder, metavar="A B [C]...")
@click.option("--force", is_flag=True, help="Compare although tasks or rubrics are not the same; the output says so.")
@click.option(
    "--fail-if-worse-by",
    type=share,
    metavar="DIFFERENCE",
    help="Exit 1 when a run's mean is lower than the first one's by more than this, or it lacks grades.",
)
@json_option
def command(*, runs: tuple[Path, ...], force: bool, fail_if_worse_by: float | None, as_json: bool) -> None:
    """Compare runs with the first one, A, ticket by ticket.

    A, B, … are run folders. Replies are paired by provider, task, ticket and repeat; what only one run has, or has no
    grade in either, is counted and left out. Runs of other tasks, or by another rubric, are refused.

    Exits 0 when they were compared, 1 when one is worse than --fail-if-worse-by allows or has no grade for some of the
    tickets, 2 when they could not be.
    """
    if len(runs) < 2:
        raise click.UsageError("Name two runs at least.")
    need_statistics("compare")
    report = _report(runs, force=force, limit=fail_if_worse_by)
    if as_json:
        print_json(codec.unstructure(report))
    else:
        print_comparison(report)
    for each in report.comparisons:
        if each.run in report.worse:
            told = f"--fail-if-worse-by {fail_if_worse_by:g}: {printable(each.run)} is worse by {-each.difference:.4f}"
            click.echo(told, err=True)
    for run in report.incomplete:
        told = f"--fail-if-worse-by: {printable(run)} has no grade for tickets that {printable(report.runs[0].run)} has"
        click.echo(told, err=True)
    if report.worse or report.incomplete:
        sys.exit(1)


def _report(runs: tuple[Path, ...], *, force: bool, limit: float | None) -> CompareReport:
    # Not sooner: they take a second.
    from supportbench.evaluation.statistics.comparing import compare_runs
    from supportbench.evaluation.statistics.pairing import check_alike, read_replies

    read = [read_replies(folder) for folder in runs]
    return compare_runs(read, differences=check_alike(read, forced=force), forced=force, limit=limit)


# -- printing -----------------------------------------------------------------------------------------------------


def print_comparison(report: CompareReport) -> None:
    """Print what was forced, a row a run, what was left out, and the tickets that flipped."""
    from supportbench.cli.tables import show, stdout, table

    console = stdout()
    for line in (*_forced(report), *_failed(report)):
        console.print(line)
    first, several = report.runs[0], len(report.comparisons) > 1
    headers = ["run", "first", "this", "difference", "95%", "p (Holm)" if several else "p", "win/tie/loss"]
    rows = [_row(each) for each in report.comparisons]
    title = f"first: {first.run} ({first.agent})"
    show(console, table(headers, rows, numbers=headers[1:], folding=["run"], title=title))
    for each in report.comparisons:
        for line in _told(each):
            console.print(f"{printable(each.run)}: {line}" if several else line)
    names = ["task", "ticket", "first", "this", "gained", "lost"]
    for each in report.comparisons:
        if each.flips:
            rows = [_flip_row(flip) for flip in each.flips[:_MOST_FLIPS]]
            more = f"the first {_MOST_FLIPS} of " if len(each.flips) > _MOST_FLIPS else ""
            title = f"{more}{counted(len(each.flips), 'ticket')} that flipped" + (f" in {each.run}" if several else "")
            show(console, table(names, rows, numbers=names[2:], folding=names[:2], title=title))


def _forced(report: CompareReport) -> Iterator[str]:
    if report.differences:
        yield "Compared by --force, though they are not the same:"
        for told in report.differences[:_MOST_DIFFERENCES]:
            yield f"  {printable(told)}"
        if len(report.differences) > _MOST_DIFFERENCES:
            yield f"  … and {len(report.differences) - _MOST_DIFFERENCES} more"


def _failed(report: CompareReport) -> Iterator[str]:
    for run in report.runs:
        if run.unplayed:
            missing = counted(run.unplayed, "episode")
            yield f"{printable(run.run)} has not ended: {missing} of it were not played yet; they are left out."
        if run.errors or run.unreached:
            ended = f"{counted(run.errors, 'ticket')} ended in an error and {run.unreached} were not reached"
            yield f"{printable(run.run)}: {ended}; they are left out."


def _row(each: Comparison) -> list[str]:
    return [
        each.run,
        f"{each.first_mean:.3f}",
        f"{each.mean:.3f}",
        _signed(each.difference),
        "–" if each.low is None or each.high is None else f"{_signed(each.low)} to {_signed(each.high)}",
        "–" if each.p_holm is None else f"{each.p_holm:.3f}" if each.p_holm >= 0.001 else "<0.001",
        f"{each.wins}/{each.ties}/{each.losses}",
    ]


def _told(each: Comparison) -> Iterator[str]:
    """Yield in words what the figures are of, what was left out, and what could have been found."""
    yield f"{counted(each.pairs, 'pair')} of replies to {counted(each.tickets, 'ticket')}."
    left_out = {
        "only in the first": each.only_first,
        "only in this": each.only_this,
        "without a grade in one of them": each.ungraded,
    }
    if number := sum(left_out.values()):
        yield f"{number} left out: {', '.join(f'{some} {where}' for where, some in left_out.items() if some)}."
    if each.detectable is not None:
        yield f"A true difference of {each.detectable:.3f} would be found in 4 of 5 such comparisons."


def _flip_row(flip: Flip) -> list[str]:
    rewards = [f"{flip.first:.2f}", f"{flip.this:.2f}"]
    return [flip.task_id, flip.ticket_id, *rewards, str(flip.gained), str(flip.lost)]


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")
