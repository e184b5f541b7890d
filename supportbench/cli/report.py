"""`supportbench report`: one run, or several side by side, as a page or in short."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Final

import click

from supportbench.cli import Program
from supportbench.cli.options import block_option, existing_file
from supportbench.cli.printing import printable
from supportbench.cli.progress import progress
from supportbench.errors import RunError
from supportbench.evaluation.journal import JOURNAL, RESULTS, RUN, write_whole
from supportbench.evaluation.manifests import RunManifest, read_manifest
from supportbench.evaluation.report.extra import need_report
from supportbench.registry import Registry
from supportbench.task_files import read_tickets

PAGE: Final = "report.html"
_STDOUT: Final = Path("-")

_run_folder: Final = click.Path(exists=True, file_okay=False, path_type=Path)
_new_file: Final = click.Path(dir_okay=False, allow_dash=True, path_type=Path)


@click.command(name="report", epilog="Example: supportbench report runs/one --output report.html")
@click.argument("runs", nargs=-1, required=True, type=_run_folder, metavar="RUN...")
@click.option(
    "--output",
    type=_new_file,
    metavar="FILE",
    help="The file to write, - for standard output (default: report.html in the run's folder, or here for several).",
)
@click.option(
    "--markdown", is_flag=True, help="The short form, for pull requests and model cards; printed without --output."
)
@click.option("--reveal", is_flag=True, help="Also show answer keys, and which concepts were matched and missed.")
@click.option("--tickets", type=existing_file, help="The tickets, where a run was played on a file that has moved.")
@click.option("--force", is_flag=True, help="Show runs side by side although tasks or rubrics are not the same.")
@block_option
@click.pass_obj
def command(
    program: Program,
    /,
    *,
    runs: tuple[Path, ...],
    output: Path | None,
    markdown: bool,
    reveal: bool,
    tickets: Path | None,
    force: bool,
    block: tuple[str, ...],
) -> None:
    """Write one HTML file that shows a RUN, or several side by side.

    The file needs nothing else: it opens from a disk, without a network. It has the figures with their intervals,
    charts, and every ticket with its mail, the replies, their grades and what was found in them. The first RUN is what
    the others are compared with. A run that has not ended is shown as far as it has come.

    Mails are taken from the installed tasks, or from the file that the run was played on, where they still are what
    they were. Answer keys are in the file with --reveal alone.

    Exits 0 when it was written, 2 when it could not be.
    """
    if not markdown:
        need_report()  # better now than when everything has been read
    from supportbench.evaluation.report.gathering import gather  # not sooner: they take a while

    own = {(run / name).resolve() for run in runs for name in (RUN, JOURNAL, RESULTS)}
    if output is not None and output.resolve() in own:
        raise click.UsageError(f"--output {output} is a file of the run itself. Name another one.")
    registry = program.find_plugins(block)
    for failure in registry.failures:
        told = f"Plugin {failure.plugin!r} did not load, and is left out: {failure.reason}"
        click.echo(printable(told), err=True)
    manifests = [read_manifest(run) for run in runs]
    registries = [_with_tickets(registry, manifest, tickets) for manifest in manifests]
    # What plugins print is no data of ours.
    with (
        redirect_stdout(sys.stderr),
        progress("reading", sum(manifest.planned_episodes for manifest in manifests), "episodes") as advance,
    ):
        report = asyncio.run(gather(runs, registries, reveals=reveal, forced=force, on_episode=advance))
    if markdown:
        from supportbench.evaluation.report.markdown import markdown_of

        parts: Sequence[bytes] = [markdown_of(report).encode()]
        output = output or _STDOUT
    else:
        from supportbench.evaluation.report.rendering import page_of

        output = output or (runs[0] / PAGE if len(runs) == 1 else Path(PAGE))
        parts = list(page_of(report))
    if output == _STDOUT:
        for part in parts:
            click.echo(part, nl=False)
        return
    try:
        write_whole(output, parts)
    except OSError as error:
        raise RunError(f"Cannot write {output}: {error.strerror}. Name another file with --output.") from error
    click.echo(f"Report: {output} ({sum(map(len, parts)) / 1000:,.0f} kB)")


def _with_tickets(registry: Registry, manifest: RunManifest, tickets: Path | None) -> Registry:
    """Return the registry with the run's file of tickets, as far as there is one that can be read."""
    if tickets is not None:
        return registry.with_provider(read_tickets(tickets))
    if manifest.asked is None or manifest.asked.tickets is None:
        return registry
    try:
        return registry.with_provider(read_tickets(manifest.asked.tickets))
    except RunError as error:
        click.echo(
            f"{printable(str(error))}. The report goes on without its mails; give the file with --tickets.", err=True
        )
        return registry
