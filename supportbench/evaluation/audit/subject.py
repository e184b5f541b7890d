"""What is audited: which tasks, all of them or a sample, and in which units a constant decision is measured."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

import attrs

from supportbench.choosing import ChosenTask, TaskChooser
from supportbench.errors import ProviderError, RunError, boundary
from supportbench.graders import Graders, OpenTask
from supportbench.interfaces import EpisodeSpec
from supportbench.models import Case, Rubric, Taxonomy
from supportbench.registry import Registry

POOL = "one-ticket tasks"
"""The name of the unit that all tasks with one ticket are, where there are several."""


@attrs.frozen(kw_only=True)
class Unit:
    """Tasks over which one constant decision is measured.

    A task is a unit of its own. Tasks with one ticket and the same taxonomy are one together: the best constant
    decision of a single ticket is its answer key, which would measure nothing.
    """

    name: str
    tasks: tuple[OpenTask, ...]
    most_tickets: int

    def cases(self, task: OpenTask) -> tuple[Case, ...]:
        """Return the cases of one of its tasks that are played: of a very long one, the first."""
        return task.cases[: self.most_tickets]

    @property
    def is_measurable(self) -> bool:
        """Whether a constant decision says something: it does not of one ticket alone."""
        return self.tickets > 1

    @property
    def tickets(self) -> int:
        """How many tickets of its tasks are played."""
        return sum(len(self.cases(task)) for task in self.tasks)


@attrs.frozen(kw_only=True)
class Subject:
    """The audited tasks; `sampled` says out of how many, or is empty when they are all that there are.

    `remeasuring` are the graders of whatever is measured again: made anew, of components that repeat no kept answer.
    """

    registry: Registry
    rubric: Rubric | None
    graders: Graders
    remeasuring: Graders
    provider: str
    units: tuple[Unit, ...]
    most_tickets: int
    seed: int
    sampled: str = ""

    @property
    def tasks(self) -> tuple[OpenTask, ...]:
        """The tasks of all units, in order."""
        return tuple(task for unit in self.units for task in unit.tasks)

    @property
    def is_judged(self) -> bool:
        """Whether a component of any task's rubric says of itself that it judges."""
        return any(task.grader.rubric.scales for task in self.tasks)

    def cases(self, task: OpenTask) -> tuple[Case, ...]:
        """Return the cases of a task that are played: of a very long one, the first."""
        return task.cases[: self.most_tickets]

    def spec(self, task: OpenTask, seed: int | None = None) -> EpisodeSpec:
        """Return the episode that plays the task."""
        card = task.card
        return EpisodeSpec(
            provider=card.provider,
            split=card.split,
            index=card.index,
            task_id=card.task_id,
            repeat=0,
            seed=self.seed if seed is None else seed,
            max_tickets=self.most_tickets if len(task.cases) > self.most_tickets else None,
        )


@attrs.frozen(kw_only=True)
class Audit:
    """What to audit: one task, or a provider's tasks in all splits; at most so many tickets.

    Tasks are taken in an order that the seed says, whole, as long as they fit; of the first one, the first tickets.
    """

    provider: str
    task_id: str | None = None
    strict_provider: bool = False
    most_tickets: int = 200
    seed: int = 0


def choose(
    audit: Audit,
    registry: Registry,
    rubric: Rubric | None = None,
    *,
    uncached: Callable[[], Registry] | None = None,
) -> Subject:
    """Return the tasks to audit, ready for grading by their own rubrics, or by the one given.

    Where one of them judges, `uncached` is called for the same plugins, loaded so that they repeat no kept answer: what
    is measured again is graded by these, or else it would be the cache that is found to be steady.

    Raises:
        ResetError, UnknownNameError, RubricError, ProviderError: something does not exist or does not fit.
        RunError: the provider has no tasks.
    """
    chooser = TaskChooser(registry, audit.provider)
    graders = Graders(registry, rubric)
    if audit.task_id is not None:
        chosen: Sequence[ChosenTask] = [chooser.find(audit.task_id, audit.provider if audit.strict_provider else None)]
        sampled = ""
    else:
        chosen, sampled = _sample(audit, registry, chooser)
    opened = [graders.open(task) for task in chosen]
    units = tuple(_units(opened, audit.most_tickets))
    longest = max(len(task.cases) for task in opened)
    if longest > audit.most_tickets:  # it is the only one then, since behind it nothing fits
        sampled = ", ".join(filter(None, (sampled, f"the first {audit.most_tickets} of its {longest} tickets")))
    judged = any(task.grader.rubric.scales for task in opened)
    remeasuring = Graders(uncached() if judged and uncached is not None else registry, rubric)
    for task in opened:
        remeasuring.for_task(task.chosen.task)
    return Subject(
        registry=attrs.evolve(registry, listeners=()),  # an audit's episodes are nobody's evaluation
        rubric=rubric,
        graders=graders,
        remeasuring=remeasuring,
        provider=audit.provider,
        units=units,
        most_tickets=audit.most_tickets,
        seed=audit.seed,
        sampled=sampled,
    )


def _sample(audit: Audit, registry: Registry, chooser: TaskChooser) -> tuple[list[ChosenTask], str]:
    """Return the provider's tasks, or, where they have too many tickets, as many of them by chance as fit."""
    source = registry.providers[audit.provider]
    with boundary(ProviderError, f"task provider {audit.provider!r}"):
        splits = list(source.splits())
    counts = {split: chooser.num_tasks(audit.provider, split) for split in splits}
    total = sum(counts.values())
    if not total:
        raise RunError(f"Provider {audit.provider!r} has no tasks to audit.")
    chance = random.Random(audit.seed)  # noqa: S311 - no secret is made of it
    places = chance.sample(range(total), min(total, audit.most_tickets))
    taken: list[tuple[int, ChosenTask]] = []
    left = audit.most_tickets
    for place in places:
        task = chooser.at(audit.provider, *_place(place, counts))
        if taken and len(task.task.cases) > left:
            break
        taken.append((place, task))
        left -= len(task.task.cases)
    told = "" if len(taken) == total else f"{len(taken)} of {total} tasks"
    return [task for _, task in sorted(taken, key=lambda each: each[0])], told


def _place(place: int, counts: dict[str, int]) -> tuple[str, int]:
    for split, count in counts.items():
        if place < count:
            return split, place
        place -= count
    raise AssertionError("a place lies within the splits")


def _units(opened: Sequence[OpenTask], most: int) -> Iterator[Unit]:
    pools: dict[Taxonomy, list[OpenTask]] = {}
    for task in opened:
        if len(task.cases) > 1:
            yield Unit(name=task.card.task_id, tasks=(task,), most_tickets=most)
        else:
            pools.setdefault(task.chosen.task.taxonomy, []).append(task)
    for number, pool in enumerate(pools.values(), start=1):
        name = pool[0].card.task_id if len(pool) == 1 else POOL if len(pools) == 1 else f"{POOL} ({number})"
        yield Unit(name=name, tasks=tuple(pool), most_tickets=most)
