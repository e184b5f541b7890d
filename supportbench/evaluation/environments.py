"""Where the episodes of a run are played: in this process, or (`remote`) on a server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Protocol, Self

import attrs

from supportbench.choosing import TaskChooser
from supportbench.environment import SupportQueueEnvironment
from supportbench.graders import Graders, OpenTask
from supportbench.interfaces import EpisodeSpec
from supportbench.models import Grade, RubricCard, SupportQueueAction, SupportQueueObservation
from supportbench.registry import Registry
from supportbench.settings import Feedback

REMOTE: Final = "remote"
"""What stands for the rubric of a server, and for its fingerprint and the task's: no two of them are the same."""


@attrs.frozen(kw_only=True)
class PlannedTask:
    """A task as a run knows it: where it stands, what results name it by, and its tickets' ids, in order."""

    provider: str
    split: str
    index: int
    task_id: str
    title: str
    difficulty: str
    ticket_ids: tuple[str, ...]
    fingerprint: str
    rubric: RubricCard

    @classmethod
    def from_opened(cls, opened: OpenTask) -> Self:
        """Return a task of this process that is ready for grading."""
        card = opened.card
        return cls(
            provider=card.provider,
            split=card.split,
            index=card.index,
            task_id=card.task_id,
            title=card.title,
            difficulty=card.difficulty,
            ticket_ids=tuple(case.ticket.ticket_id for case in opened.cases),
            fingerprint=opened.fingerprint,
            rubric=opened.grader.rubric.card,
        )


class PlayedEnvironment(Protocol):
    """An environment for one episode."""

    @property
    def task(self) -> PlannedTask:
        """The task that is played."""
        ...

    async def reset(self, seed: int) -> SupportQueueObservation:
        """Begin the episode."""
        ...

    async def step(self, action: SupportQueueAction) -> tuple[SupportQueueObservation, Grade]:
        """Have the action graded for the open ticket; return what is seen next, and the grade for the record."""
        ...

    async def aclose(self) -> None:
        """Give back whatever the episode took."""
        ...


class Environments(Protocol):
    """Makes an environment for each episode of a run."""

    @property
    def server(self) -> str | None:
        """The URL of the server that they are on, None in this process."""
        ...

    def open(self, spec: EpisodeSpec) -> PlayedEnvironment:
        """Return an environment for that episode."""
        ...

    def offers(self) -> Iterable[object]:
        """Return the plugins' parts that they use, to be closed at the end."""
        ...


@attrs.frozen(kw_only=True)
class LocalEnvironments:
    """Environments in this process, graded by one set of graders; `feedback` is how much an agent sees of a grade.

    `planned` has by provider, split and index the tasks that are known already; another one is made as it is played.
    """

    registry: Registry
    graders: Graders
    feedback: Feedback = "scores"
    planned: Mapping[tuple[str, str, int], PlannedTask] = attrs.field(factory=dict, repr=False)
    server: None = None

    def open(self, spec: EpisodeSpec) -> PlayedEnvironment:
        """Return an environment for that episode; raises `ResetError`, `ProviderError` where there is no such task."""
        task = self.planned.get((spec.provider, spec.split, spec.index))
        if task is None:
            chosen = TaskChooser(self.registry, spec.provider).at(spec.provider, spec.split, spec.index)
            task = PlannedTask.from_opened(self.graders.open(chosen))
        environment = SupportQueueEnvironment(
            self.registry, graders=self.graders, provider=spec.provider, feedback=self.feedback
        )
        return _LocalEnvironment(task, environment)

    def offers(self) -> Iterable[object]:
        """Return the components and checks that are in use."""
        return self.graders.offers()


@attrs.frozen
class _LocalEnvironment:
    task: PlannedTask
    _environment: SupportQueueEnvironment

    async def reset(self, seed: int) -> SupportQueueObservation:
        task = self.task
        return await self._environment.reset(seed=seed, provider=task.provider, split=task.split, index=task.index)

    async def step(self, action: SupportQueueAction) -> tuple[SupportQueueObservation, Grade]:
        observation = await self._environment.step(action)
        grade = self._environment.last_grade
        assert grade is not None  # noqa: S101 - a step that returned has graded
        return observation, grade

    async def aclose(self) -> None:
        return
