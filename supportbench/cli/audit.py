"""`supportbench audit`: whether a reward can be trusted."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path

import click

from supportbench import codec
from supportbench.cli import Program
from supportbench.cli.options import block_option, existing_file, json_option, print_json, rubric_option
from supportbench.cli.printing import printable
from supportbench.cli.progress import stages
from supportbench.evaluation.agents import ChosenAgent
from supportbench.evaluation.audit.advice import NEXT_MOVES
from supportbench.evaluation.audit.auditing import audit
from supportbench.evaluation.audit.playing import honest_agent, mean
from supportbench.evaluation.audit.report import AuditReport, CheckReport, PolicyReport
from supportbench.evaluation.audit.subject import Audit, Subject, choose
from supportbench.rubrics import resolve_rubric
from supportbench.task_files import read_tickets
from supportbench.wording import counted

_MOST_COLUMNS = 4
_MOST_LINES = 10


@click.command(name="audit", epilog="Example: supportbench audit --provider triage --rubric default")
@click.option("--provider", metavar="NAME", help="Whose tasks, of all splits (default: triage).")
@click.option("--task", "task_id", metavar="ID", help="Audit this task only.")
@click.option("--tickets", type=existing_file, help="Your own tickets with answer keys, instead of a provider.")
@rubric_option
@click.option(
    "--agent",
    metavar="NAME[:ARGUMENT]",
    help="The honest agent that cheats are compared with (default: heuristic).",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    metavar="TICKETS",
    help="Audit so many tickets at most: whole tasks in an order that the seed says, while they fit; where the first, "
    "or the one that --task names, has more by itself, its first tickets.",
)
@click.option("--seed", type=click.IntRange(min=0, max=2**63 - 8), default=0, show_default=True, help="Seed of chance.")
@json_option
@block_option
@click.pass_obj
def command(
    program: Program,
    /,
    *,
    provider: str | None,
    task_id: str | None,
    tickets: Path | None,
    rubric: str | None,
    agent: str | None,
    limit: int,
    seed: int,
    as_json: bool,
    block: tuple[str, ...],
) -> None:
    """Find out whether a reward can be trusted: let dishonest policies and an oracle play for it.

    Exits 0 when every check that could be measured passes (or only warns), 1 when one fails or an episode ended in an
    error, 2 when it could not start.
    """
    if tickets is not None and provider is not None:
        raise click.UsageError("Give either --tickets or --provider.")
    registry = program.load_plugins(block)
    if tickets is not None:
        tasks = read_tickets(tickets)
        registry, provider = registry.with_provider(tasks), tasks.name
    named = rubric or program.settings.rubric
    asked = Audit(
        provider=provider or program.settings.provider,
        task_id=task_id,
        strict_provider=provider is not None,
        most_tickets=limit,
        seed=seed,
    )
    honest = honest_agent(registry, agent or program.settings.agent)
    subject = choose(
        asked,
        registry,
        None if named is None else resolve_rubric(registry, named),
        uncached=lambda: program.uncached().load_plugins(block),
    )
    if subject.sampled:
        chosen = f", chosen by seed {seed}" if task_id is None else ""
        click.echo(f"Auditing {subject.sampled}{chosen}; --limit says how many tickets.", err=True)
    with redirect_stdout(sys.stderr):  # what plugins print is no data of ours
        report = asyncio.run(_audited(subject, honest))
    if as_json:
        print_json(codec.unstructure(report))
    else:
        print_report(report)
    if not report.passed:
        sys.exit(1)


async def _audited(subject: Subject, honest: ChosenAgent | None) -> AuditReport:
    with stages("auditing") as on_stage:
        return await audit(subject, honest, on_stage)


# -- the report ---------------------------------------------------------------------------------------------------


def print_report(report: AuditReport) -> None:
    """Print what was audited, a row a policy, a row a check, and what is wrong in words."""
    from supportbench.cli.tables import show, stdout, table

    console = stdout()
    rubrics = ", ".join(dict.fromkeys(task.rubric.name for task in report.tasks))
    tickets = sum(task.tickets for task in report.tasks)
    sample = f" ({report.sampled})" if report.sampled else ""
    audited = f"{counted(len(report.tasks), 'task')}, {counted(tickets, 'ticket')}{sample}"
    console.print(f"{audited}, rubric {printable(rubrics)}")
    headers = ["", *_columns(report), "mean", "text", "verdict"]
    rows = [[name, *figures, "", ""] for name, figures in _reference_rows(report)]
    rows += [
        _policy_row(report, policy) for policy in sorted(report.policies, key=lambda policy: -(policy.average or 0.0))
    ]
    show(console, table(headers, rows, numbers=headers[1:-1]))
    for number, unit in enumerate(report.units[:_MOST_COLUMNS], start=1):
        console.print(f"  {number}  {printable(unit.name)} ({counted(unit.tickets, 'ticket')})")
    if len(report.units) > _MOST_COLUMNS:
        console.print(f"  and {len(report.units) - _MOST_COLUMNS} more in the mean; --json has them all")
    rows = [[check.check, _told(check.figure), _bound(check), check.verdict, check.detail] for check in report.checks]
    show(
        console,
        table(["check", "figure", "bound", "verdict", "detail"], rows, numbers=("figure",), folding=("detail",)),
    )
    for line in _faults(report):
        console.print(printable(line))
    failed = [check.check for check in report.checks if check.verdict == "fail"]
    for name in failed:
        console.print(f"What to do about {name}: {NEXT_MOVES[name]}")
    console.print(f"Failed: {', '.join(failed)}" if failed else "No check fails." if report.passed else "Not passed.")


def _columns(report: AuditReport) -> list[str]:
    return [str(number) for number, _ in enumerate(report.units[:_MOST_COLUMNS], start=1)]


def _reference_rows(report: AuditReport) -> Iterator[tuple[str, list[str]]]:
    """Yield the rows to compare with, each with its mean: oracle, honest agent, best constant decision."""
    shown = report.units[:_MOST_COLUMNS]
    named: dict[str, list[float | None]] = {"the oracle": [unit.oracle for unit in report.units]}
    if report.honest_agent is not None:
        named[report.honest_agent] = [unit.honest for unit in report.units]
    named["best constant, no text"] = [unit.floor for unit in report.units]
    for name, figures in named.items():
        yield name, [*map(_told, figures[: len(shown)]), _told(mean(figures))]


def _policy_row(report: AuditReport, policy: PolicyReport) -> list[str]:
    rewards = [_told(policy.rewards[unit.name]) for unit in report.units[:_MOST_COLUMNS]]
    text = _told(max(policy.text.values())) if policy.text else "–"
    verdict = "error" if policy.errors else "too much" if policy.faults else "ok"
    return [policy.name, *rewards, _told(policy.average), text, verdict]


def _told(figure: float | None) -> str:
    """Return a figure with two decimals, with three where two would show a small one as nothing."""
    if figure is None:
        return "–"
    return f"{figure + 0.0:.2f}" if abs(figure) >= 0.005 or figure == 0.0 else f"{figure:.3f}"


def _bound(check: CheckReport) -> str:
    return f"{'≥' if check.sense == 'at least' else '≤'} {check.bound:.3g}"


def _faults(report: AuditReport) -> Iterator[str]:
    """Yield what is wrong, causes first: what the oracle misses, what leaks, then the policies that earn most."""
    yield from _some([f"error: {error}" for error in report.errors])
    yield from _some(
        [
            f"the oracle misses {missed.component} of ticket {missed.ticket_id}: {missed.note or _told(missed.score)}"
            for missed in report.shortfalls
        ]
    )
    yield from _some(report.leaks)
    worst_first = sorted(report.policies, key=lambda policy: -(policy.excess or 0.0))
    yield from _some([f"{policy.name} {fault}" for policy in worst_first for fault in policy.faults])
    yield from report.notes


def _some(lines: Sequence[str]) -> Iterator[str]:
    yield from lines[:_MOST_LINES]
    if len(lines) > _MOST_LINES:
        yield f"… and {len(lines) - _MOST_LINES} more like these: --json has them all"
