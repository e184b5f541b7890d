"""`supportbench tasks`: which tasks there are, and what one of them looks like to an agent."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import click

from supportbench import codec
from supportbench.choosing import ChosenTask, TaskChooser
from supportbench.cli import Program
from supportbench.cli.options import block_option, json_option, print_json
from supportbench.cli.printing import printable
from supportbench.errors import ProviderError, ResetError, boundary
from supportbench.registry import Registry
from supportbench.wording import did_you_mean


@click.command(name="tasks", epilog="Example: supportbench tasks hard_exec_escalations")
@click.argument("task_id", required=False)
@click.option("--provider", metavar="NAME", help="Only this provider's tasks.")
@click.option("--split", metavar="NAME", help="Only the tasks of this split.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="List so many at most.")
@json_option
@block_option
@click.pass_obj
def command(
    program: Program,
    /,
    *,
    task_id: str | None,
    provider: str | None,
    split: str | None,
    limit: int,
    as_json: bool,
    block: tuple[str, ...],
) -> None:
    """List the installed tasks, or show the TASK_ID's instructions and tickets, as an agent gets them.

    The column "no." is what --index takes.
    """
    registry = program.load_plugins(block)
    chooser = TaskChooser(registry, program.settings.provider)
    if task_id is not None:
        _show(chooser.find(task_id, provider), as_json)
        return
    places = list(itertools.islice(_places(registry, chooser, provider, split), limit + 1))
    if not places:
        splits = {name for source in registry.providers.values() for name in source.splits()}
        told = f"No provider has a split {split!r}. {did_you_mean(split, splits)}" if split else "There are no tasks."
        raise ResetError(told)
    cards = [chooser.at(*place).card for place in places[:limit]]
    if as_json:
        print_json(codec.unstructure(cards))
    else:
        from supportbench.cli.tables import show, stdout, table

        rows = [
            [
                card.provider,
                card.split,
                str(card.index),
                card.task_id,
                card.title,
                card.difficulty,
                str(card.total_tickets),
            ]
            for card in cards
        ]
        headers = ["provider", "split", "no.", "task", "title", "difficulty", "tickets"]
        show(stdout(), table(headers, rows, numbers=("no.", "tickets"), folding=("title", "provider", "difficulty")))
    if len(places) > limit:
        click.echo(f"There are more than these {limit}: raise --limit, or name --provider and --split.", err=True)


def _places(
    registry: Registry, chooser: TaskChooser, provider: str | None, split: str | None
) -> Iterator[tuple[str, str, int]]:
    sources = [registry.providers[provider]] if provider is not None else list(registry.providers.values())
    for source in sources:
        with boundary(ProviderError, f"task provider {source.name!r}"):
            splits = list(source.splits())
        if split is not None and provider is not None:
            chooser.num_tasks(source.name, split)  # refuses an unknown split
        for name in splits:
            if split in (None, name):
                yield from ((source.name, name, index) for index in range(chooser.num_tasks(source.name, name)))


def _show(chosen: ChosenTask, as_json: bool) -> None:
    task = chosen.task
    tickets = [codec.unstructure(case.ticket) for case in task.cases]
    if as_json:
        card: dict[str, Any] = codec.unstructure(chosen.card)
        taxonomy = codec.unstructure(task.taxonomy)
        print_json({**card, "instructions": task.instructions, "taxonomy": taxonomy, "tickets": tickets})
        return
    click.echo(printable(f"{task.title} ({task.task_id}, {task.difficulty}, from {chosen.provider})\n"))
    click.echo(f"{printable(task.description)}\n\n{printable(task.instructions)}")
    for case in task.cases:
        ticket = case.ticket
        click.echo(f"\n── {printable(ticket.ticket_id)} · {printable(ticket.subject)}")
        facts = (
            ("tier", ticket.customer_tier),
            ("area", ticket.product_area),
            ("SLA", None if ticket.sla_hours is None else f"{ticket.sla_hours:g} h"),
        )
        told = " · ".join(f"{name} {printable(value)}" for name, value in facts if value is not None)
        if told:
            click.echo(f"   {told}")
        click.echo(f"\n{printable(ticket.body)}")
        for event in ticket.recent_events:
            click.echo(f"  • {printable(event)}")
