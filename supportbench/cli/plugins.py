"""`supportbench plugins`: what is installed, what each plugin provides, and which are broken and why."""

from __future__ import annotations

import click

from supportbench import codec
from supportbench.cli import Program
from supportbench.cli.options import block_option, json_option, print_json
from supportbench.inventory import InstalledPlugin, installed_plugins


@click.command(name="plugins", epilog="Example: supportbench plugins --json")
@json_option
@block_option
@click.pass_obj
def command(program: Program, /, *, as_json: bool, block: tuple[str, ...]) -> None:
    """List the installed plugins, broken and blocked ones included."""
    plugins = installed_plugins(program.find_plugins(block))
    if as_json:
        print_json(codec.unstructure(plugins))
        return
    from supportbench.cli.tables import show, stdout, table

    show(
        stdout(),
        table(
            ["plugin", "distribution", "version", "status", "provides"],
            [[plugin.name, plugin.distribution, plugin.version, _status(plugin), _told(plugin)] for plugin in plugins],
            folding=("provides",),
        ),
    )


def _status(plugin: InstalledPlugin) -> str:
    return f"needs {', '.join(plugin.needs)}" if plugin.needs and plugin.status == "ok" else plugin.status


def _told(plugin: InstalledPlugin) -> str:
    lines = [f"{kind}: {', '.join(names)}" for kind, names in plugin.provides.items()]
    if plugin.listens:
        lines.append("listens to finished episodes")
    return "\n".join([*plugin.problems, *lines])
