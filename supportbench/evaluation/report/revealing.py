"""What graders matched and missed, told anew: the journal does not keep it, since it says what answer keys hold."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from supportbench.errors import GradingError, RunError, SupportbenchError, boundary
from supportbench.evaluation.regrading import submissions
from supportbench.evaluation.report.records import Revealed
from supportbench.grading.asking import blocks, may_suspend
from supportbench.models import Episode, Rubric, RubricCard, Submission, Task
from supportbench.registry import Registry
from supportbench.rubrics import BoundComponent, BoundRubric, bind, resolve_rubric

logger: Final = logging.getLogger("supportbench.evaluation")

_NOTHING: Final[Mapping[str, Revealed]] = {}


class Revealer:
    """Asks the components of a run's rubrics once more, but for those that would wait for somebody, at a price maybe.

    `override` is the rubric that took the place of the tasks' own. `problems` has by task why nothing can be told.
    """

    def __init__(self, registry: Registry, override: Rubric | None) -> None:
        self._registry = registry
        self._override = override
        self._bound: dict[tuple[str, RubricCard], BoundRubric | None] = {}
        self.problems: dict[str, str] = {}

    async def reveal(self, episode: Episode, task: Task) -> list[Mapping[str, Revealed]]:
        """Return for each step of the episode what was matched and missed, by component; empty where nobody says."""
        bound = self._rubric_of(episode, task)
        parts = [] if bound is None else [part for part in bound.components if _is_ready(part)]
        if not parts:
            return [_NOTHING] * len(episode.steps)
        try:
            given = list(submissions(episode, task))
        except RunError as error:
            self.problems[episode.task_id] = str(error)
            return [_NOTHING] * len(episode.steps)
        return [
            _NOTHING if submission is None else await self._revealed(parts, submission, episode.task_id)
            for submission in given
        ]

    def offers(self) -> Iterator[object]:
        """Yield the components and checks that are bound by now, to be closed at the end."""
        for bound in self._bound.values():
            if bound is not None:
                yield from (part.component for part in bound.components)
                yield from (part.check for part in bound.checks)

    async def _revealed(
        self, parts: list[BoundComponent], submission: Submission, task_id: str
    ) -> Mapping[str, Revealed]:
        told = {}
        for part in parts:
            try:
                with boundary(GradingError, part.who, f"ticket {submission.case.ticket.ticket_id!r}"):
                    details = (await part.component.score(submission)).details
                    if "matched" in details or "missed" in details:
                        matched, missed = (_texts(details.get(name)) for name in ("matched", "missed"))
                        told[part.name] = Revealed(matched=matched, missed=missed)
            except GradingError as error:
                logger.debug("where it came from:", exc_info=error)
                self.problems[task_id] = str(error)
        return told

    def _rubric_of(self, episode: Episode, task: Task) -> BoundRubric | None:
        place = (task.rubric, episode.rubric)
        if place not in self._bound:
            self._bound[place] = self._found(task, episode.rubric)
        if self._bound[place] is None:
            name = episode.rubric.name
            self.problems[episode.task_id] = f"its rubric {name!r} is not installed here as it was when it graded"
        return self._bound[place]

    def _found(self, task: Task, card: RubricCard) -> BoundRubric | None:
        """Return the first rubric that is the very one: named ones may have become others."""
        for candidate in self._candidates(task, card):
            try:
                bound = bind(candidate(), self._registry)
            except SupportbenchError as error:
                logger.debug("rubric %s: %s", card.name, error)
                continue
            if bound.fingerprint == card.fingerprint:
                return bound
        return None

    def _candidates(self, task: Task, card: RubricCard) -> Iterator[Callable[[], Rubric]]:
        if (override := self._override) is not None:
            yield lambda: override
        yield lambda: self._registry.rubrics[task.rubric]
        if ".toml" not in card.name.lower():  # what a journal calls a rubric is no path to read
            yield lambda: resolve_rubric(self._registry, card.name)


def _is_ready(part: BoundComponent) -> bool:
    return not blocks(part.component, part.who) and not may_suspend(part.component.score)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list | tuple) else ()
