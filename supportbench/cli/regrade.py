"""`supportbench regrade`: what another rubric makes of a stored run, without asking its agent again."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path

import click

from supportbench import codec
from supportbench.cli import INTERRUPTED, Program
from supportbench.cli.options import block_option, existing_file, json_option, new_folder, print_json, rubric_option
from supportbench.cli.recordings import CONCURRENCY, check, graded_again, say_ungraded, say_unscored, told
from supportbench.evaluation.regrade_report import Change, Comparing, RegradeReport, TaskChange
from supportbench.evaluation.regraded_runs import RegradedRun
from supportbench.evaluation.regrading import Regrader
from supportbench.graders import Graders
from supportbench.registry import Registry
from supportbench.rubrics import resolve_rubric
from supportbench.task_files import read_tickets

_MOST_TICKETS = 10


@click.command(name="regrade", epilog="Example: supportbench regrade runs/one --rubric exact --out runs/one-exact")
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@rubric_option
@click.option("--tickets", type=existing_file, help="The tickets, where it was played on a file of your own.")
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    default=CONCURRENCY,
    show_default=True,
    help="Tickets under way at once, where a grader waits for somebody.",
)
@click.option("--out", type=new_folder, help="Also write a run's folder with the new grades.")
@json_option
@block_option
@click.pass_obj
def command(
    program: Program,
    /,
    *,
    run: Path,
    rubric: str | None,
    tickets: Path | None,
    concurrency: int,
    out: Path | None,
    as_json: bool,
    block: tuple[str, ...],
) -> None:
    """Grade a RUN's actions again and show what changed; the agent is not asked.

    RUN is a run's folder, a folder that a server recorded episodes in, or one of its files. It is left as it is; a
    ticket without an action, after an error, still has no grade. Every line is checked first: a task that has changed
    since, or is not there, is refused. To see whether rewards still are what they were, use supportbench grade.

    Exits 0 when every action was graded, 1 when the grading of any failed (it is unscored then), 2 when it could not
    start.
    """
    registry = program.load_plugins(block)
    if tickets is not None:
        registry = registry.with_provider(read_tickets(tickets))
    named = rubric or program.settings.rubric
    graders = Graders(registry, None if named is None else resolve_rubric(registry, named))
    regraded = _regraded(registry, graders, run, out=out, has_tickets=tickets is not None, concurrency=concurrency)
    try:
        report = asyncio.run(regraded)
    except KeyboardInterrupt:
        kept = "" if out is None else f" Episodes that were graded are in {out}."
        click.echo(f"Interrupted.{kept}", err=True)
        sys.exit(INTERRUPTED)
    say_unscored([ticket.error for ticket in report.unscored])
    if anew := sum(task.scored_anew for task in report.tasks):
        noun = "ticket has a reward now, whose" if anew == 1 else "tickets have a reward now, whose"
        click.echo(f"{anew} {noun} grading had failed; not compared", err=True)
    if as_json:
        print_json(codec.unstructure(report))
    else:
        print_report(report)
    if out is not None:
        click.echo(f"Results: {out}", err=as_json)
    if report.unscored:
        sys.exit(1)


async def _regraded(
    registry: Registry, graders: Graders, run: Path, *, out: Path | None, has_tickets: bool, concurrency: int
) -> RegradeReport:
    regrader = Regrader(registry, graders)
    checked = check(regrader, run, has_tickets=has_tickets)
    say_ungraded(checked.ungraded, "left as it is" if checked.ungraded == 1 else "left as they are")
    comparing = Comparing()
    with ExitStack() as stack:
        folder: RegradedRun | None = None
        if out is not None:  # before a grader is asked, which may have its price: what cannot be written to is refused
            made = RegradedRun(
                *(out, run), registry=registry, rubrics=checked.now, facts=checked.facts, concurrency=concurrency
            )
            folder = stack.enter_context(closing(made))
        async with graded_again(registry, graders, regrader, checked, concurrency=concurrency) as episodes:
            if folder is not None:
                await folder.write(episodes, comparing.add)
            else:
                async for episode in episodes:
                    comparing.add(episode)
    return comparing.report(str(run), None if out is None else str(out))


# -- printing -----------------------------------------------------------------------------------------------------


def print_report(report: RegradeReport) -> None:
    """Print the rubrics, a row a task, a row a component, the tickets that changed most, and the average."""
    from supportbench.cli.tables import show, stdout, table

    console = stdout()
    for what, cards in (("Then", report.old_rubrics), ("Now", report.new_rubrics)):
        console.print(f"{what + ':':<6}{', '.join(map(told, cards))}")
    numbers = ["actions", "old", "new", "change"]
    unsafe = ["unsafe then", "now"]
    rows = [
        [task.task_id, *_cells(task.score), str(task.old_unsafe), str(task.new_unsafe), *_lost(report, task)]
        for task in report.tasks
    ]
    lost = ["unscored"] if report.unscored else []
    show(console, table(["task", *numbers, *unsafe, *lost], rows, numbers=(*numbers, *unsafe, *lost)))
    if report.components:
        show(console, table(["component", *numbers], _rows(report.components), numbers=numbers))
    changed = [ticket for ticket in report.tickets if ticket.reward.difference]
    if changed:
        rows = [[ticket.task_id, ticket.ticket_id, *_cells(ticket.reward)] for ticket in changed[:_MOST_TICKETS]]
        title = f"the {_MOST_TICKETS} of {len(changed)} tickets whose reward changed most"
        show(
            console,
            table(
                ["task", "ticket", *numbers],
                rows,
                numbers=numbers,
                title=title if len(changed) > _MOST_TICKETS else "tickets whose reward changed",
            ),
        )
    else:
        console.print("No reward changed.")
    if report.score is not None:
        _, old, new, difference = _cells(report.score)
        console.print(f"Average score: {old} then, {new} now ({difference})")


def _rows(components: Mapping[str, Change]) -> list[list[str]]:
    return [[name, *_cells(change)] for name, change in components.items()]


def _lost(report: RegradeReport, task: TaskChange) -> list[str]:
    return [str(task.unscored)] if report.unscored else []


def _cells(change: Change | None) -> list[str]:
    if change is None:
        return ["0", "–", "–", "–"]
    difference = f"{change.difference:+.2f}"
    return [str(change.actions), f"{change.old:.2f}", f"{change.new:.2f}", difference.replace("-", "−")]
