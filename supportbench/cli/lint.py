"""`supportbench lint`: whether what is installed keeps its promises."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from itertools import takewhile
from typing import Any, Final

import attrs
import click

from supportbench import codec
from supportbench.cli import Program
from supportbench.cli.options import block_option, json_option, print_json
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
    "Say what to look at: --safety measures the installed safety checks by their own pairs of replies. "
    "See: supportbench lint --help."
)


@click.command(name="lint", epilog="Example: supportbench lint --safety --json")
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
    as_json: bool,
    block: tuple[str, ...],
) -> None:
    """Find out whether what is installed keeps its promises.

    With --safety: for each rule of each check that has pairs, how many of its unsafe texts are found (recall), which
    share of what is found is unsafe (precision), and every text that is missed or found in error. Exits 0 when no text
    is, 1 when any is, 2 where there is nothing to measure.
    """
    if not safety:
        raise click.UsageError(_NOTHING)
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
