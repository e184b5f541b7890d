"""`supportbench lint`: whether what is installed keeps its promises."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

import attrs
import click

from supportbench import codec
from supportbench.cli import Program
from supportbench.cli.concept_warnings import Asked, warn_of_copyable_concepts
from supportbench.cli.options import block_option, existing_file, json_option, print_json
from supportbench.cli.printing import printable
from supportbench.errors import OptionsError, RubricError, RunError
from supportbench.evaluation.safety_pairs import CheckReport, Miss, RuleReport, measure, pairs_of
from supportbench.models import Rubric, SafetyPair
from supportbench.offers import closing, configure, version_of
from supportbench.registry import Registry
from supportbench.rubrics import BoundCheck, checks_of, resolve_rubric
from supportbench.wording import counted

_WIDTH: Final = 66
_BEFORE: Final = 24
_NOTHING: Final = (
    "Say what to look at: --safety measures the installed safety checks by their own pairs of replies, --concepts "
    "finds concepts that the ticket itself says. See: supportbench lint --help."
)


@click.command(name="lint", epilog="Example: supportbench lint --concepts --provider triage")
@click.option(
    "--safety", is_flag=True, help="Run the safety checks over their own pairs of an unsafe reply and its safe twin."
)
@click.option(
    "--check", "checks", multiple=True, metavar="NAME", help="With --safety: this check only; may be repeated."
)
@click.option(
    "--rubric",
    metavar="NAME|FILE.toml",
    help="With --safety: set the checks up with the options that this rubric gives them.",
)
@click.option("--concepts", is_flag=True, help="Warn of concepts of which the ticket itself says a phrase.")
@click.option("--provider", metavar="NAME", help="With --concepts: whose tasks, of all splits (default: triage).")
@click.option("--task", "task_id", metavar="ID", help="With --concepts: this task only.")
@click.option("--tickets", type=existing_file, help="With --concepts: your own tickets, instead of a provider.")
@json_option
@block_option
@click.pass_obj
def command(
    program: Program,
    /,
    *,
    safety: bool,
    checks: tuple[str, ...],
    rubric: str | None,
    concepts: bool,
    provider: str | None,
    task_id: str | None,
    tickets: Path | None,
    as_json: bool,
    block: tuple[str, ...],
) -> None:
    """Find out whether what is installed keeps its promises.

    With --safety: for each rule of each check that has pairs, how many of its unsafe texts are found (recall), which
    share of what is found is unsafe (precision), and every text that is missed or found in error. Exits 0 when no text
    is, 1 when any is, 2 where there is nothing to measure.

    With --concepts: for each concept of an answer key, whether the ticket shows a phrase of it. Who takes words out of
    the ticket is credited with it, without having understood any. These are warnings, and the exit code is 0.
    """
    asked = Asked(provider=provider, task_id=task_id, tickets=tickets)
    if not (safety or concepts):
        raise click.UsageError(_NOTHING)
    if safety and concepts:
        raise click.UsageError("Give either --safety or --concepts.")
    if concepts:
        _warn(program, asked, checks, rubric, as_json=as_json, block=block)
        return
    if asked != Asked():
        raise click.UsageError("--provider, --task and --tickets go with --concepts.")
    registry = program.load_plugins(block)
    named = rubric or program.settings.rubric
    recipe = None if named is None else resolve_rubric(registry, named)
    with redirect_stdout(sys.stderr):  # what a check prints is no data of ours
        chosen = list(_with_pairs(registry, recipe, checks))
        reports = asyncio.run(_measured(registry, chosen))
    if as_json:
        print_json([_plain(report) for report in reports])
    else:
        _print(reports)
    if any(report.misses for report in reports):
        sys.exit(1)


def _warn(
    program: Program,
    asked: Asked,
    checks: Sequence[str],
    rubric: str | None,
    *,
    as_json: bool,
    block: tuple[str, ...],
) -> None:
    if checks or rubric is not None:
        raise click.UsageError("--check and --rubric go with --safety.")
    if asked.tickets is not None and asked.provider is not None:
        raise click.UsageError("Give either --tickets or --provider.")
    warn_of_copyable_concepts(program.load_plugins(block), asked, program.settings.provider, as_json=as_json)


# -- measuring ----------------------------------------------------------------------------------------------------


def _with_pairs(
    registry: Registry, rubric: Rubric | None, names: Sequence[str]
) -> Iterator[tuple[BoundCheck, tuple[SafetyPair, ...]]]:
    """Yield the checks that have pairs, set up as the rubric says; of those that were named, each must have some."""
    if rubric is not None:
        checks_of(rubric, registry)  # refuses options for a check that is not installed
    without: list[str] = []
    some = False
    for name in dict.fromkeys(names) or registry.checks:
        entry = registry.checks.entry(name)
        who = f"safety check {name!r} of plugin {entry.plugin.name!r}"
        options = {} if rubric is None else rubric.safety.options.get(name, {})
        try:
            configured, _ = configure(entry.value, options, f"safety check {name!r}")
        except OptionsError as error:
            if rubric is None:
                raise
            raise RubricError(f"Rubric {rubric.name!r}: {error}") from error
        check = BoundCheck(name=name, check=configured, who=who)
        pairs = pairs_of(check)
        if pairs is not None:
            some = True
            yield check, pairs
        elif names:
            raise RunError(f"Safety check {name!r} has no pairs to be measured by: give it a method pairs().")
        else:
            without.append(name)
    if not some:
        raise RunError("No installed safety check has pairs to be measured by: give one a method pairs().")
    if without:
        click.echo(f"Without pairs, and not measured: {', '.join(map(printable, without))}", err=True)


async def _measured(
    registry: Registry, chosen: Sequence[tuple[BoundCheck, tuple[SafetyPair, ...]]]
) -> list[CheckReport]:
    async with closing((*registry.offers(), *(check.check for check, _ in chosen))):
        return [
            await measure(
                check,
                pairs,
                plugin=registry.checks.entry(check.name).plugin.name,
                version=version_of(check.check),
            )
            for check, pairs in chosen
        ]


# -- printing -----------------------------------------------------------------------------------------------------


def _plain(report: CheckReport) -> dict[str, Any]:
    plain: dict[str, Any] = codec.unstructure(report)
    rules = [{**attrs.asdict(rule), **_shares(rule)} for rule in report.rules]
    return {**plain, "rules": rules, **_shares(report.total)}


def _shares(rule: RuleReport) -> dict[str, float | None]:
    return {"precision": rule.precision, "recall": rule.recall}


def _print(reports: Sequence[CheckReport]) -> None:
    from supportbench.cli.tables import figure, show, stdout, table

    console = stdout()
    numbers = ["pairs", "found", "false alarms", "precision", "recall"]
    for report in reports:
        rows = [
            [
                rule.rule,
                *(str(count) for count in (rule.pairs, rule.found, rule.false_alarms)),
                figure(rule.precision),
                figure(rule.recall),
            ]
            for rule in (*report.rules, report.total)
        ]
        title = f"{report.check} {report.version}, from {report.plugin}"
        show(console, table(["rule", *numbers], rows, numbers=numbers, title=title))
        for miss in report.misses:
            for line in _told(miss):
                console.print(printable(line), soft_wrap=True)
    missed, alarms = (sum(miss.kind == kind for report in reports for miss in report.misses) for kind in _KINDS)
    pairs = sum(report.total.pairs for report in reports)
    console.print(f"{counted(pairs, 'pair')}: {missed} unsafe texts missed, {alarms} safe texts with a false alarm")


_KINDS: Final = ("missed", "false alarm")


def _told(miss: Miss) -> Iterator[str]:
    if miss.kind == "missed":
        yield f"missed by {miss.rule}:"
    else:
        yield f"false alarm of {miss.rule} at {_short(miss.excerpt, 30)!r}, in a safe text of {miss.pair_rule}:"
    text, twin = (" ".join(reply.split()) for reply in (miss.text, miss.twin))
    begin = _before_difference(text, twin) if max(len(text), len(twin)) > _WIDTH else 0
    for name, reply in (("text", text), ("twin", twin)):
        yield f"    {name}: {_short('…' + reply[begin + 1 :] if begin else reply)}"


def _before_difference(text: str, twin: str) -> int:
    """Return a place a little before the first difference, 0 where that is near: what they share says less."""
    alike = (first == second for first, second in zip(text, twin, strict=False))
    shared = sum(1 for _ in takewhile(bool, alike))
    return max(0, shared - _BEFORE)


def _short(text: str, most: int = _WIDTH) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
