"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from supportbench.codec import parse_json
from supportbench.errors import DecodeError

block_option: Final = click.option(
    "--block",
    multiple=True,
    metavar="NAME",
    help="Go on without the plugin NAME; may be repeated. For all commands: SUPPORTBENCH_BLOCK=a,b.",
)
json_option: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
rubric_option: Final = click.option(
    "--rubric",
    metavar="NAME|FILE.toml",
    help="Grade every task by this rubric instead of the task's own; :gate, :penalty, :binary or :weighted behind a "
    "name or FILE.toml changes it. See: supportbench rubrics.",
)


class _NewFolder(click.Path):
    """A folder to be made: an empty path, of a variable that is not set say, would be the folder that one is in."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value):
            self.fail("the path is empty. Name a folder, or leave the option out.", param, ctx)
        return super().convert(value, param, ctx)


class _Number(click.FloatRange):
    """A number within bounds; "nan", which is neither above nor below any, is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is no number.", param, ctx)
        return number


positive: Final = _Number(min=0, min_open=True)
share: Final = _Number(min=0, max=1)
new_folder: Final = _NewFolder(file_okay=False, path_type=Path)
existing_file: Final = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


def key_values(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    """Return `KEY=VALUE` pairs as a dict; a value that is JSON (a number, true, …) is read as such, else as text."""
    pairs: dict[str, Any] = {}
    for text in values:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE", ctx=ctx, param=parameter)
        try:
            pairs[key] = parse_json(value)
        except DecodeError:
            pairs[key] = value
    return pairs


def print_json(data: object) -> None:
    """Print indented JSON to stdout."""
    click.echo(msgspec.json.format(msgspec.json.encode(data), indent=2))
