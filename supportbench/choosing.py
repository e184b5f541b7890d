"""Which task a reset means: by id, by split and index, by seed, or the next one in order."""

from __future__ import annotations

from typing import Final

import attrs

from supportbench.errors import ProviderError, ResetError, UnknownNameError, boundary
from supportbench.interfaces import TaskProvider
from supportbench.models import Task, TaskCard
from supportbench.protocol import ResetRequest
from supportbench.registry import Registry
from supportbench.settings import DEFAULT_PROVIDER
from supportbench.wording import did_you_mean

DEFAULT_SPLIT: Final = "test"


@attrs.frozen(kw_only=True)
class ChosenTask:
    """A task and where it stands: the provider, split and index that would choose it again."""

    provider: str
    split: str
    index: int
    task: Task

    @property
    def card(self) -> TaskCard:
        """What anyone may know of the task."""
        return TaskCard.from_task(self.task, provider=self.provider, split=self.split, index=self.index)


class TaskChooser:
    """Finds tasks among the registry's providers.

    The same request gives the same task, whatever else is installed: what names no provider means `default_provider`.
    """

    def __init__(self, registry: Registry, default_provider: str = DEFAULT_PROVIDER) -> None:
        self._providers = registry.providers
        self._default = default_provider

    def choose(self, request: ResetRequest, position: int = 0) -> ChosenTask:
        """Return the task that the request means.

        A `task_id` is looked up in the provider, then, where none is named, in the others. Otherwise `index` counts in
        the split (`test` unless named), or the seed chooses (seed modulo the number of tasks), or, with neither, the
        session's `position` in the split (modulo the number of tasks).

        Raises:
            ResetError: the provider, split, index or task id is unknown, or they contradict each other.
        """
        if request.task_id is not None:
            if request.split is not None or request.index is not None:
                raise ResetError("Give either task_id, or split and index: they say the same thing twice.")
            return self.find(request.task_id, request.provider)
        name = request.provider or self._default
        split = request.split or DEFAULT_SPLIT
        if request.index is not None:
            return self.at(name, split, request.index)
        count = self.num_tasks(name, split)
        if count == 0:
            raise ResetError(f"Split {split!r} of provider {name!r} has no tasks.")
        return self._taken(name, split, (position if request.seed is None else request.seed) % count)

    def split_of(self, request: ResetRequest) -> str:
        """Return which split of which provider the request is about, unless it names a task by its id."""
        return f"{request.provider or self._default}/{request.split or DEFAULT_SPLIT}"

    def find(self, task_id: str, provider: str | None = None) -> ChosenTask:
        """Return the task of that id, from that provider, or from the default one, or from the only other that has it.

        Raises:
            ResetError: nobody has it, or several providers other than the default one do.
        """
        first = self._provider(provider or self._default)
        place = self._place(first, task_id)
        if place is not None:
            return self.at(first.name, *place)
        others = [other for other in self._providers.values() if provider is None and other is not first]
        places = [(other.name, place) for other in others if (place := self._place(other, task_id)) is not None]
        if len(places) > 1:
            owners = " and ".join(repr(name) for name, _ in places)
            raise ResetError(f"Task {task_id!r} is offered by providers {owners}. Name one: provider=…")
        if not places:
            searched = [first, *others]
            known = [known_id for candidate in searched for known_id in self._some_task_ids(candidate)]
            raise ResetError(f"There is no task {task_id!r}. {did_you_mean(task_id, known)}")
        name, place = places[0]
        return self.at(name, *place)

    def at(self, provider: str, split: str, index: int) -> ChosenTask:
        """Return the task at that place; raises `ResetError` where there is none."""
        count = self.num_tasks(provider, split)
        if not 0 <= index < count:
            allowed = f"from 0 to {count - 1}" if count else "none, since it has no tasks"
            raise ResetError(f"Split {split!r} of provider {provider!r} has no index {index}. Allowed: {allowed}.")
        return self._taken(provider, split, index)

    def num_tasks(self, provider: str, split: str) -> int:
        """Return how many tasks that split has; raises `ResetError` for an unknown provider or split."""
        source = self._provider(provider)
        with boundary(ProviderError, f"task provider {provider!r}", f"split {split!r}"):
            splits = source.splits()
            if split in splits:
                count = source.num_tasks(split)
                if type(count) is not int or count < 0:
                    raise ProviderError(f"Task provider {provider!r} must count its tasks with a whole number")
                return count
        raise ResetError(f"Provider {provider!r} has no split {split!r}. {did_you_mean(split, splits)}")

    def _taken(self, provider: str, split: str, index: int) -> ChosenTask:
        with boundary(ProviderError, f"task provider {provider!r}", f"index {index} of split {split!r}"):
            task = self._provider(provider).task(split, index)
            if not isinstance(task, Task):
                raise ProviderError(f"Task provider {provider!r} must return a Task, it returned {type(task).__name__}")
        return ChosenTask(provider=provider, split=split, index=index, task=task)

    def _provider(self, name: str) -> TaskProvider:
        try:
            return self._providers[name]
        except UnknownNameError as error:
            raise ResetError(str(error)) from None

    def _place(self, provider: TaskProvider, task_id: str) -> tuple[str, int] | None:
        with boundary(ProviderError, f"task provider {provider.name!r}", f"task id {task_id!r}"):
            place = provider.find(task_id)
            if place is None:
                return None
            split, index = place
            if not isinstance(split, str) or type(index) is not int:
                raise ProviderError(f"Task provider {provider.name!r} must find a task as (split, index)")
            return split, index

    def _some_task_ids(self, provider: TaskProvider, most: int = 100) -> list[str]:
        """Return ids to suggest from: the first hundred, since a provider may have millions."""
        with boundary(ProviderError, f"task provider {provider.name!r}"):
            places = ((split, index) for split in provider.splits() for index in range(provider.num_tasks(split)))
            return [provider.task(split, index).task_id for (split, index), _ in zip(places, range(most), strict=False)]
