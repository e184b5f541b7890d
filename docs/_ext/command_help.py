"""The directive `command-help`: what `--help` prints, a section for the program and one for each of its commands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from supportbench.cli import cli

PROGRAM = "supportbench"
WIDTH = 88


def helps() -> Iterator[tuple[str, str]]:
    """Yield every command with the text of its `--help`."""
    program = click.Context(cli, info_name=PROGRAM, **{**cli.context_settings, "terminal_width": WIDTH})
    yield PROGRAM, program.get_help()
    for name in cli.list_commands(program):
        command = cli.get_command(program, name)
        if command is not None:
            context = click.Context(command, info_name=name, parent=program)
            yield f"{PROGRAM} {name}", context.get_help()


class CommandHelp(SphinxDirective):
    """Insert the sections."""

    def run(self) -> list[nodes.Node]:
        """Return the sections, as this page's Markdown has them."""
        text = "".join(f"## `{command}`\n\n```text\n{shown}\n```\n\n" for command, shown in helps())
        holder = nodes.Element()
        self.state.nested_parse(StringList(text.splitlines()), self.content_offset, holder, match_titles=True)
        return holder.children


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_directive("command-help", CommandHelp)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
