"""Tasks made ready for grading: each with its rubric bound, once for all episodes that play it."""

from __future__ import annotations

from collections.abc import Iterator

from supportbench import codec
from supportbench.choosing import ChosenTask
from supportbench.errors import UnknownNameError
from supportbench.grading import Grader
from supportbench.models import Case, Rubric, Task
from supportbench.registry import Registry
from supportbench.rubrics import bind


def task_fingerprint(task: Task) -> str:
    """Return the hash of all of a task, answer keys included: for results, never for agents, who could test guesses."""
    return codec.fingerprint(task)


class OpenTask:
    """A task with its grader and whatever else never changes in it: any number of episodes share one."""

    __slots__ = ("cached_fingerprint", "card", "cases", "chosen", "grader", "scoring_weights")

    def __init__(self, chosen: ChosenTask, grader: Grader) -> None:
        self.chosen = chosen
        self.card = chosen.card
        self.grader = grader
        self.cases: tuple[Case, ...] = chosen.task.cases
        self.scoring_weights = grader.rubric.scoring_weights
        self.cached_fingerprint: str | None = None

    def stands_at(self, chosen: ChosenTask) -> bool:
        """Return whether a task that is this very one was chosen at the same place."""
        ours = self.chosen
        return ours.index == chosen.index and ours.split == chosen.split and ours.provider == chosen.provider

    @property
    def fingerprint(self) -> str:
        """The hash of all of the task, answer keys included: it is not for agents, who could test guesses with it."""
        if self.cached_fingerprint is None:
            self.cached_fingerprint = codec.fingerprint(self.chosen.task)
        return self.cached_fingerprint


class Graders:
    """The graders of a registry's rubrics, each bound once, when a task first asks for it.

    With an `override`, every task is graded by that rubric instead of its own. Keeps the last `kept` tasks open.
    """

    def __init__(self, registry: Registry, override: Rubric | None = None, *, kept: int = 256) -> None:
        self._registry = registry
        self._override = None if override is None else Grader(bind(override, registry))
        self._bound: dict[str, Grader] = {}
        self._kept = kept
        self._opened: dict[int, OpenTask] = {}

    def open(self, chosen: ChosenTask) -> OpenTask:
        """Return the task ready for episodes; raises like `for_task`."""
        # By identity, since to compare two tasks costs as much as to open one; the value keeps the task's id its own.
        key = id(chosen.task)
        opened = self._opened.get(key)
        if opened is None or not opened.stands_at(chosen):
            opened = OpenTask(chosen, self.for_task(chosen.task))
            while len(self._opened) >= self._kept:
                del self._opened[next(iter(self._opened))]
            self._opened[key] = opened
        return opened

    def offers(self) -> Iterator[object]:
        """Yield the components and checks that are bound by now."""
        for grader in (*self._bound.values(), *([self._override] if self._override else [])):
            yield from (part.component for part in grader.rubric.components)
            yield from (part.check for part in grader.rubric.checks)

    def for_task(self, task: Task) -> Grader:
        """Return the grader of a task; raises `RubricError` or `UnknownNameError` when its rubric cannot be bound."""
        if self._override is not None:
            return self._override
        grader = self._bound.get(task.rubric)
        if grader is None:
            try:
                rubric = self._registry.rubrics[task.rubric]
            except UnknownNameError as error:
                raise UnknownNameError(f"Task {task.task_id!r} asks for rubric {task.rubric!r}. {error}") from None
            grader = self._bound[task.rubric] = Grader(bind(rubric, self._registry))
        return grader
