"""`supportbench judge-agreement`: measure a judge against what people said."""

from __future__ import annotations

import asyncio
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Final

import click

from supportbench import codec
from supportbench.choosing import TaskChooser
from supportbench.cli import Program
from supportbench.cli.options import block_option, existing_file, json_option, print_json
from supportbench.cli.printing import printable
from supportbench.cli.progress import progress
from supportbench.evaluation.agreement.figures import CriterionAgreement, need_figures
from supportbench.evaluation.agreement.labels import Labelled, read_labels
from supportbench.evaluation.agreement.measuring import AgreementReport, Scales, judges_of, measure
from supportbench.offers import closing
from supportbench.registry import Registry
from supportbench.rubrics import BoundRubric, bind, resolve_rubric
from supportbench.watchdog import watch
from supportbench.wording import counted

_MOST_TOLD: Final = 10


@click.command(name="judge-agreement", epilog="Example: supportbench judge-agreement labels.jsonl --min-kappa 0.6")
@click.argument("labels", type=existing_file)
@click.option(
    "--rubric", metavar="NAME|FILE.toml", default="judge", show_default=True, help="The rubric whose judge is measured."
)
@click.option(
    "--retest/--no-retest", default=True, show_default=True, help="Ask everything twice, to see what the judge repeats."
)
@click.option("--min-kappa", type=click.FloatRange(-1, 1), help="Exit 1 where a weighted kappa is lower, or undefined.")
@click.option(
    "--concurrency", type=click.IntRange(min=1), default=8, show_default=True, help="Answers under way at once."
)
@json_option
@block_option
@click.pass_obj
def command(
    program: Program,
    /,
    *,
    labels: Path,
    rubric: str,
    retest: bool,
    min_kappa: float | None,
    concurrency: int,
    as_json: bool,
    block: tuple[str, ...],
) -> None:
    """Measure a judge against people: have it judge the texts in LABELS and compare.

    LABELS has one JSON object a line: the ticket with its answer key, or the task_id and ticket_id of an installed one;
    the action; and by component and criterion the verdict that a person gave. Answers that the judge has kept are not
    used. Exits 1 when any answer is left without verdicts.
    """
    registry = program.uncached().load_plugins(block)
    bound, scales = judges_of(bind(resolve_rubric(registry, rubric), registry))
    labelled = read_labels(labels, TaskChooser(registry, program.settings.provider), scales)
    need_figures()
    with redirect_stdout(sys.stderr):  # what a grader prints is no data of ours
        report = asyncio.run(
            _measured(registry, bound, scales, labelled, rounds=2 if retest else 1, concurrency=concurrency)
        )
    if as_json:
        print_json(codec.unstructure(report))
    else:
        _print(report)
    _say_unscored(report)
    reached = min_kappa is None or _reached(report, min_kappa)
    if report.unscored or not reached:
        sys.exit(1)


async def _measured(
    registry: Registry,
    bound: BoundRubric,
    scales: Scales,
    labels: tuple[Labelled, ...],
    *,
    rounds: int,
    concurrency: int,
) -> AgreementReport:
    judges = [part.component for part in bound.components]
    async with closing((*registry.offers(), *judges)), watch(registry):
        with progress("judging", len(labels) * rounds, "answers") as advance:
            return await measure(
                bound, scales, labels, rounds=rounds, concurrency=concurrency, advance=lambda: advance(1)
            )


def _print(report: AgreementReport) -> None:
    from supportbench.cli.tables import figure, show, stdout, table

    def row(each: CriterionAgreement) -> list[str]:
        agreement, retest = each.agreement, each.retest
        return [
            f"{each.component}.{each.criterion}",
            str(agreement.pairs),
            figure(agreement.same),
            figure(agreement.kappa),
            figure(agreement.weighted_kappa),
            figure(None if retest is None else retest.same),
            figure(None if retest is None else retest.weighted_kappa),
        ]

    console = stdout()
    headers = ["criterion", "labels", "same", "kappa", "weighted", "retest", "retest kappa"]
    title = f"rubric {report.rubric.name} · {counted(report.labelled, 'labelled answer')}"
    show(console, table(headers, map(row, report.criteria), numbers=headers[1:], title=title))
    for each in report.criteria:
        if each.agreement.pairs:
            rows = [[verdict, *map(str, counts)] for verdict, counts in zip(each.scale, each.confusion, strict=True)]
            console.print(printable(f"{each.component}.{each.criterion}: people's verdicts down, the judge's across"))
            show(console, table(["", *each.scale], rows, numbers=each.scale))
    if report.not_judged:
        noun = "label is of a text" if report.not_judged == 1 else "labels are of texts"
        console.print(f"{report.not_judged} {noun} that no judge was asked about, and in no figure.")
    console.print(_cost(report))


def _cost(report: AgreementReport) -> str:
    mean = report.per_hundred
    if mean is None:
        return "The judge was never asked."
    cost = f", ${mean.cost_usd:.4f}" if mean.cost_usd is not None else ""
    return (
        f"A hundred answers take {mean.calls:,.0f} calls with {mean.input_tokens:,.0f} tokens in and "
        f"{mean.output_tokens:,.0f} out{cost}."
    )


def _reached(report: AgreementReport, min_kappa: float) -> bool:
    """Return whether every criterion that has labels reaches the bound; else say on standard error which does not."""
    if not report.measured:
        click.echo(f"--min-kappa {min_kappa:g}: no criterion has a label that was judged.", err=True)
    for each in report.below(min_kappa):
        kappa = each.agreement.weighted_kappa
        found = "undefined: everybody gave one verdict throughout" if kappa is None else f"{kappa:.4f}, which is lower"
        name = printable(f"{each.component}.{each.criterion}")
        click.echo(f"--min-kappa {min_kappa:g}: the weighted kappa of {name} is {found}.", err=True)
    return bool(report.measured) and not report.below(min_kappa)


def _say_unscored(report: AgreementReport) -> None:
    number = len(report.unscored)
    if number:
        noun = "answer is" if number == 1 else "answers are"
        click.echo(f"{number} {noun} without verdicts, and in no figure:", err=True)
    for each in report.unscored[:_MOST_TOLD]:
        click.echo(f"  {printable(each.where)}: {printable(each.error)}", err=True)
    if number > _MOST_TOLD:
        click.echo(f"  … and {number - _MOST_TOLD} more", err=True)
