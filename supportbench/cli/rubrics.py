"""`supportbench rubrics`: which rubrics there are, and what one of them counts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

import click

from supportbench import codec
from supportbench.cli import Program
from supportbench.cli.options import block_option, json_option, print_json
from supportbench.cli.printing import printable
from supportbench.rubrics import resolve_rubric
from supportbench.server.rubrics import CheckCard, ComponentCard, RubricDescription, describe_rubric, describe_rubrics

_SHORT: Final = 12


@click.command(name="rubrics", epilog="Example: supportbench rubrics default:gate")
@click.argument("rubric", metavar="[NAME|FILE.toml]", required=False)
@json_option
@block_option
@click.pass_obj
def command(program: Program, /, *, rubric: str | None, as_json: bool, block: tuple[str, ...]) -> None:
    """List the installed rubrics with their fingerprints, or show one in full: an installed one or a file's.

    Words behind a colon change one, here and wherever a rubric is named: NAME:gate makes an unsafe reply earn 0,
    NAME:binary makes the reward 1 for full marks and a safe reply, else 0; NAME:penalty and NAME:weighted undo that.

    A rubric that cannot be used here, since something that it needs is not installed or not set, is listed with the
    reason; asked for by name, it is shown as far as it goes, and the exit code is 2.
    """
    registry = program.find_plugins(block)
    for failure in registry.failures:
        click.echo(f"Without a broken plugin: {printable(str(failure))}", err=True)
    if rubric is not None:
        description = describe_rubric(registry, resolve_rubric(registry, rubric))
        if as_json:
            print_json(codec.unstructure(description))
        else:
            _show(description)
        if description.problem is not None:
            sys.exit(2)
        return
    rubrics = describe_rubrics(registry, None).rubrics
    if as_json:
        print_json(codec.unstructure(rubrics))
    else:
        _list(rubrics)


def _list(rubrics: Iterable[RubricDescription]) -> None:
    from supportbench.cli.tables import show, stdout, table

    headers = ["rubric", "fingerprint", "components", "unsafe reply", "reward", "from"]
    rows = [
        [
            rubric.name,
            "–" if rubric.fingerprint is None else rubric.fingerprint.partition(":")[2][:_SHORT],
            "\n".join(f"{part.name} {part.weight:.2f}" for part in rubric.components),
            _safety(rubric),
            rubric.reward,
            rubric.plugin or "",
        ]
        for rubric in rubrics
    ]
    console = stdout()
    show(console, table(headers, rows, folding=("rubric", "unsafe reply", "from")))
    for rubric in rubrics:
        if rubric.problem is not None:
            console.print(f"{printable(rubric.name)} cannot be used here: {printable(rubric.problem)}")


def _safety(rubric: RubricDescription) -> str:
    """Return what an unsafe reply costs, and which checks look for it."""
    return "\n".join([_cost(rubric), *(check.name for check in rubric.checks)])


def _cost(rubric: RubricDescription) -> str:
    if not rubric.checks:
        return "not looked for"
    if rubric.mode == "gate" or rubric.reward == "binary":
        return "earns nothing"
    return f"costs {rubric.penalty:.2f}"


def _show(rubric: RubricDescription) -> None:
    from supportbench.cli.tables import show, stdout, table

    console = stdout()
    console.print(f"{printable(rubric.name)}\n{rubric.fingerprint or 'no fingerprint'}\n", soft_wrap=True)
    facts = {
        "from": f"plugin {rubric.plugin}" if rubric.plugin is not None else "no plugin: a file, or changed",
        "reward": rubric.reward,
        "safety mode": rubric.mode,
        "unsafe reply": _cost(rubric),
    }
    for name, told in facts.items():
        console.print(f"{name:<14}{printable(told)}", soft_wrap=True)
    headers = ["component", "weight", "use", "version", "plugin", "options"]
    rows = [
        [part.name, f"{part.weight:g}", part.use, *_origin(part), _told(part.options)] for part in rubric.components
    ]
    show(console, table(headers, rows, numbers=("weight",), folding=("component", "use", "plugin", "options")))
    if rubric.checks:
        headers = ["check", "version", "plugin", "options"]
        rows = [[check.name, *_origin(check), _told(check.options)] for check in rubric.checks]
        show(console, table(headers, rows, folding=("check", "plugin", "options")))
    if rubric.problem is not None:
        console.print(f"It cannot be used here: {printable(rubric.problem)}")


def _origin(part: ComponentCard | CheckCard) -> tuple[str, str]:
    return part.version or "–", part.plugin or "not installed"


def _told(options: Mapping[str, Any]) -> str:
    return "\n".join(
        f"{name} = {json.dumps(codec.unstructure(value), ensure_ascii=False)}" for name, value in options.items()
    )
