"""What `supportbench lint --concepts` does: warn of concepts that a copy of the ticket would meet."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from itertools import islice
from pathlib import Path
from typing import Final

import attrs
import click

from supportbench import codec
from supportbench.choosing import TaskChooser
from supportbench.cli.options import print_json
from supportbench.cli.printing import printable
from supportbench.errors import ProviderError, RunError, boundary
from supportbench.evaluation.copyable_concepts import CopyableConcept, copyable_concepts, number_of_concepts
from supportbench.models import Task
from supportbench.registry import Registry
from supportbench.task_files import read_tickets
from supportbench.wording import counted

MOST_TASKS: Final = 1000
_TEXTS: Final = {"summary": "the summary", "response": "the reply"}


@attrs.frozen(kw_only=True)
class Asked:
    """Whose answer keys to look at: a provider's, one task's, or those of a file of tickets."""

    provider: str | None = None
    task_id: str | None = None
    tickets: Path | None = None


def warn_of_copyable_concepts(registry: Registry, asked: Asked, default_provider: str, *, as_json: bool) -> None:
    """Print a warning for every concept of which the ticket itself says a phrase."""
    provider = asked.provider
    if asked.tickets is not None:
        tasks = read_tickets(asked.tickets)
        registry, provider = registry.with_provider(tasks), tasks.name
    with redirect_stdout(sys.stderr):  # what a provider prints is no data of ours
        chosen = list(_tasks(registry, provider, asked.task_id, default_provider))
    found = [concept for task in chosen for concept in copyable_concepts(task)]
    if as_json:
        print_json(codec.unstructure(found))
    else:
        _print(found, chosen)


def _tasks(registry: Registry, provider: str | None, task_id: str | None, default_provider: str) -> Iterator[Task]:
    name = provider or default_provider
    chooser = TaskChooser(registry, name)
    if task_id is not None:
        yield chooser.find(task_id, provider).task
        return
    source = registry.providers[name]
    with boundary(ProviderError, f"task provider {name!r}"):
        splits = list(source.splits())
    places = ((split, index) for split in splits for index in range(chooser.num_tasks(name, split)))
    taken = list(islice(places, MOST_TASKS + 1))
    if not taken:
        raise RunError(f"Provider {name!r} has no tasks whose concepts could be looked at.")
    if len(taken) > MOST_TASKS:
        click.echo(f"Looking at the first {MOST_TASKS} tasks of {printable(name)}; --task names another.", err=True)
    yield from (chooser.at(name, *place).task for place in taken[:MOST_TASKS])


def _print(found: Sequence[CopyableConcept], tasks: Sequence[Task]) -> None:
    for concept in found:
        place = f"ticket {concept.ticket_id!r} of task {concept.task_id!r}, concept {concept.concept!r}"
        click.echo(printable(f"warning: {place} of {_TEXTS[concept.field]}: {concept.message}"))
    concepts = counted(sum(map(number_of_concepts, tasks)), "concept")
    tickets = counted(sum(len(task.cases) for task in tasks), "ticket")
    click.echo(f"{concepts} of {tickets}: {counted(len(found), 'warning')}")
