"""The tasks of every provider as public cards, in order, a page at a time.

A provider may have millions of tasks: whatever is asked here costs O(splits) and the cards that are answered, and a
provider that takes its time over each task does not hold the event loop meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from typing import Final

import attrs

from supportbench.choosing import TaskChooser
from supportbench.errors import ProviderError, ResetError, UnknownNameError, boundary
from supportbench.models import TaskCard
from supportbench.registry import Registry
from supportbench.server.refusals import Refusal, RefusedError
from supportbench.wording import did_you_mean

_SLICE_S: Final = 0.01
"""How long providers may be asked for tasks before others have their turn."""


@attrs.frozen(kw_only=True)
class Split:
    """A split of a provider, and how many tasks it has."""

    provider: str
    name: str
    num_tasks: int


@attrs.frozen(kw_only=True)
class TaskPage:
    """Some of the tasks; `next` is the cursor of those that follow, null when there are none."""

    tasks: tuple[TaskCard, ...]
    next: str | None
    total: int


class TaskList:
    """The tasks of a registry's providers.

    What does not exist is refused with 404 and what there is instead; a provider that fails is a `ProviderError`.
    """

    def __init__(self, registry: Registry, default_provider: str) -> None:
        self._providers = registry.providers
        self._chooser = TaskChooser(registry, default_provider)

    def providers(self) -> tuple[str, ...]:
        """Return the names of the providers, sorted."""
        return tuple(self._providers)

    def splits(self, provider: str) -> tuple[str, ...]:
        """Return the names of a provider's splits, in its own order."""
        try:
            source = self._providers[provider]
        except UnknownNameError as error:
            raise not_found(str(error)) from None
        with boundary(ProviderError, f"task provider {provider!r}", "its splits"):
            splits = tuple(source.splits())
            if not all(isinstance(split, str) for split in splits):
                raise ProviderError(f"Task provider {provider!r} must name its splits with strings")
        return splits

    def num_tasks(self, provider: str, split: str) -> int:
        """Return how many tasks that split has."""
        try:
            return self._chooser.num_tasks(provider, split)
        except ResetError as error:
            raise not_found(str(error)) from None

    def parts(self, provider: str | None = None, split: str | None = None) -> tuple[Split, ...]:
        """Return the splits of that provider, or of all, in order; with a `split`, those of that name."""
        names = self.providers() if provider is None else (provider,)
        found = [(name, offered) for name in names for offered in self.splits(name)]
        wanted = [(name, offered) for name, offered in found if split in (None, offered)]
        if split is not None and not wanted:
            who = "No provider has a" if provider is None else f"Provider {provider!r} has no"
            raise not_found(f"{who} split {split!r}. {did_you_mean(split, {offered for _, offered in found})}")
        return tuple(
            Split(provider=name, name=offered, num_tasks=self.num_tasks(name, offered)) for name, offered in wanted
        )

    async def page(self, parts: Iterable[Split], *, start: int, limit: int) -> TaskPage:
        """Return at most `limit` tasks of the parts, from the one at `start`, counted through all of them."""
        parts = tuple(parts)
        total = sum(part.num_tasks for part in parts)
        tasks = await self._cards(_places(parts, start, start + limit))
        end = start + len(tasks)
        return TaskPage(tasks=tasks, next=str(end) if end < total else None, total=total)

    async def cards(self, provider: str, split: str, start: int, stop: int) -> tuple[TaskCard, ...]:
        """Return the cards of the tasks at these indices, which the split must have."""
        return await self._cards((provider, split, index) for index in range(start, stop))

    def find(self, task_id: str, provider: str | None = None) -> TaskCard:
        """Return the card of the task that a reset with this `task_id` would choose.

        Raises:
            RefusedError: 404 when nobody has it, 409 when it is ambiguous.
        """
        try:
            return self._chooser.find(task_id, provider).card
        except ResetError as error:
            ambiguous = provider is None and self._holders(task_id) > 1
            status = 409 if ambiguous else 404
            raise RefusedError(Refusal(status=status, code="VALIDATION_ERROR", message=str(error))) from None

    def _holders(self, task_id: str) -> int:
        count = 0
        for source in self._providers.values():
            with boundary(ProviderError, f"task provider {source.name!r}", "a task id"):
                count += source.find(task_id) is not None
        return count

    async def _cards(self, places: Iterable[tuple[str, str, int]]) -> tuple[TaskCard, ...]:
        cards = []
        until = time.monotonic() + _SLICE_S
        for place in places:
            cards.append(self._chooser.at(*place).card)
            if time.monotonic() >= until:
                await asyncio.sleep(0)
                until = time.monotonic() + _SLICE_S
        return tuple(cards)


def not_found(message: str) -> RefusedError:
    """Return the error for a name that nothing has; the message says what there is instead."""
    return RefusedError(Refusal(status=404, code="VALIDATION_ERROR", message=message))


def _places(parts: Iterable[Split], start: int, stop: int) -> Iterator[tuple[str, str, int]]:
    """Yield (provider, split, index) of what stands at [start, stop) when the parts are put one behind the other."""
    for part in parts:
        for index in range(max(0, start), min(stop, part.num_tasks)):
            yield part.provider, part.name, index
        start, stop = start - part.num_tasks, stop - part.num_tasks
