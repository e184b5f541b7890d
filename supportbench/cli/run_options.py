"""Options of an executor as options of the command: `--ray-address X` for the option `address` of executor `ray`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

_EXECUTOR = "--executor"


class RunCommand(click.Command):
    """`supportbench run`, which knows no executor's options: whatever is named like the executor is handed to it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments, each `--NAME-KEY` as an `--executor-option` where NAME is the executor's."""
        label = _value_of(_EXECUTOR, args)
        if label is not None:
            args = list(_spelt_out(args, f"--{label.partition(':')[0].replace('_', '-')}-"))
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            name, hyphen, _ = error.option_name.removeprefix("--").partition("-")
            if not hyphen or error.possibilities or label is not None:
                raise
            told = f"There is no option {error.option_name}. Is it an executor's? Name that, too: {_EXECUTOR} {name}"
            raise click.UsageError(told, ctx) from None


def _value_of(option: str, args: Sequence[str]) -> str | None:
    """Return the last value that the option is given."""
    value = None
    for place, argument in enumerate(args):
        if argument == option and place + 1 < len(args):
            value = args[place + 1]
        elif argument.startswith(f"{option}="):
            value = argument.partition("=")[2]
    return value


def _spelt_out(args: Sequence[str], prefix: str) -> Iterator[str]:
    waiting = iter(args)
    for argument in waiting:
        if not argument.startswith(prefix) or argument == prefix:
            yield argument
            continue
        name, equals, value = argument.partition("=")
        if not equals:
            value = next(waiting, "--")
            if value.startswith("--"):
                raise click.UsageError(f"Option {name!r} requires an argument.")
        yield from (f"{_EXECUTOR}-option", f"{name.removeprefix(prefix).replace('-', '_')}={value}")
