"""`supportbench plugins`: what is installed, what each plugin provides, and which are broken and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from supportbench.cli import Program
from supportbench.cli.options import block_option, json_option, print_json
from supportbench.registry import Registry

_KINDS = ("providers", "components", "checks", "rubrics", "agents", "executors")


@click.command(name="plugins", epilog="Example: supportbench plugins --json")
@json_option
@block_option
@click.pass_obj
def command(program: Program, /, *, as_json: bool, block: tuple[str, ...]) -> None:
    """List the installed plugins, broken and blocked ones included."""
    rows = list(_described(program.find_plugins(block)))
    if as_json:
        print_json(rows)
        return
    from supportbench.cli.tables import show, stdout, table

    show(
        stdout(),
        table(
            ["plugin", "distribution", "version", "status", "provides"],
            [[row["name"], row["distribution"], row["version"], row["status"], _told(row)] for row in rows],
            folding=("provides",),
        ),
    )


def _described(registry: Registry) -> Iterator[dict[str, Any]]:
    reasons: dict[str, list[str]] = {}
    for failure in registry.failures:
        reasons.setdefault(failure.plugin, []).append(failure.reason)
    listening = {plugin.name for plugin, _ in registry.listeners}
    described = {}
    for plugin in registry.plugins:
        provides: dict[str, list[str]] = {
            kind: [entry.name for entry in getattr(registry, kind).entries.values() if entry.plugin.name == plugin.name]
            for kind in _KINDS
        }
        described[plugin.name] = {
            "name": plugin.name,
            "distribution": plugin.distribution,
            "version": plugin.version,
            "status": "broken" if plugin.name in reasons else "ok",
            "provides": {kind: names for kind, names in provides.items() if names},
            "listens": plugin.name in listening,
            "problems": reasons.get(plugin.name, []),
        }
    for failure in registry.failures:
        if failure.plugin not in described:
            distribution, _, version = failure.distribution.rpartition(" ")
            described[failure.plugin] = {
                "name": failure.plugin,
                "distribution": distribution,
                "version": version,
                "status": "broken",
                "provides": {},
                "listens": False,
                "problems": reasons[failure.plugin],
            }
    for name in registry.blocked:
        blank: dict[str, Any] = {"provides": {}, "listens": False, "problems": []}
        described[name] = {"name": name, "distribution": "", "version": "", "status": "blocked", **blank}
    return iter(sorted(described.values(), key=lambda row: str(row["name"])))


def _told(row: dict[str, Any]) -> str:
    lines = [f"{kind}: {', '.join(names)}" for kind, names in row["provides"].items()]
    if row["listens"]:
        lines.append("listens to finished episodes")
    return "\n".join([*row["problems"], *lines])
