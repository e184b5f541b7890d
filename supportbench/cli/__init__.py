"""The `supportbench` command: one module a subcommand. Data goes to stdout; logs and progress go to stderr."""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout, suppress
from importlib import import_module
from typing import Any, Final

import attrs
import click

from supportbench.cli.printing import printable
from supportbench.endpoint.kept_answers import AGENT_CACHE, CACHE
from supportbench.errors import GradingError, PluginCallError, ProviderError, SupportbenchError
from supportbench.registry import Registry, load_registry
from supportbench.settings import Settings, split_names

_COMMANDS: Final = (
    "run",
    "grade",
    "regrade",
    "compare",
    "serve",
    "tasks",
    "plugins",
    "rubrics",
    "lint",
    "audit",
    "judge-agreement",
)
INTERRUPTED: Final = 130
"""The exit code after Ctrl-C, as shells have it: 1 means that something was found wrong."""

logger: Final = logging.getLogger("supportbench")


@attrs.frozen(kw_only=True)
class Program:
    """One run of the command: its environment and settings, from which everything else is made."""

    environ: Mapping[str, str]
    settings: Settings

    def find_plugins(self, block: tuple[str, ...] = ()) -> Registry:
        """Return what is installed, broken plugins included; blocked ones are left out."""
        named = tuple(name for text in block for name in split_names(text))
        with redirect_stdout(sys.stderr):  # what a plugin prints is no data of ours
            return load_registry(self.environ, (*self.settings.block, *named))

    def load_plugins(self, block: tuple[str, ...] = ()) -> Registry:
        """Return what is installed; raises `PluginLoadError` when anything did not load."""
        return self.find_plugins(block).check()

    def uncached(self) -> Program:
        """Return the program whose plugins ask for everything anew, for measuring what repeats itself."""
        return attrs.evolve(self, environ={**self.environ, CACHE: "off"})

    def keeping_answers(self) -> Program:
        """Return the program whose agents keep the answers of their models, and ask none twice for the same."""
        return attrs.evolve(self, environ={**self.environ, AGENT_CACHE: "on"})


class _PrintableFormatter(logging.Formatter):
    """What plugins, models and endpoints say reaches the terminal as text, without escapes that steer it."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


class _Commands(click.Group):
    """Loads a subcommand's module when it is asked for; errors become one message and exit code 2, Ctrl-C 130."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"supportbench.cli.{cmd_name.replace('-', '_')}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SupportbenchError as error:
            click.echo(f"Error: {printable(_told(error))}", err=True)
            sys.exit(2)
        except OSError as error:
            if error.errno == errno.EPIPE:  # a reader that has read enough: click ends quietly
                raise
            with suppress(OSError):
                sys.stdout.close()  # what is left in it has no room either, and would fail once more at the end
            click.echo(f"Error: {printable(str(error))}", err=True)
            sys.exit(2)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            sys.exit(INTERRUPTED)


def _told(error: SupportbenchError) -> str:
    """Return the error's message: with the words of a plugin that sees answer keys only where they are asked for."""
    if not isinstance(error, PluginCallError) or error.detail == str(error):
        return str(error)
    if isinstance(error, GradingError | ProviderError) and not logger.isEnabledFor(logging.DEBUG):
        return f"{error}. Its own words, which may have answer keys in them: supportbench -vv …"
    return error.detail


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: supportbench run --agent heuristic",
)
@click.version_option(package_name="supportbench")
@click.option(
    "-v", "--verbose", count=True, help="Log what happens, to stderr; twice, also what may say what answer keys hold."
)
@click.pass_context
def cli(ctx: click.Context, verbose: int) -> None:
    """Measure how well an AI agent triages SaaS support tickets."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_PrintableFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.INFO if verbose else logging.WARNING)
    if verbose > 1:
        logging.getLogger("supportbench").setLevel(logging.DEBUG)
    environ = dict(os.environ) if ctx.obj is None else ctx.obj
    try:
        ctx.obj = Program(environ=environ, settings=Settings.from_environ(environ))
    except SupportbenchError as error:
        raise click.UsageError(str(error)) from error


def main() -> None:
    """Run the command with the process's arguments and environment."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that has no "·" gets a "?"
    cli(prog_name="supportbench")
