"""Recorded actions, graded again: whether a reward still is what it was, or what another rubric makes of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Iterable, Iterator

import attrs

from supportbench.choosing import TaskChooser
from supportbench.errors import ActionError, GradingError, ResetError, RunError, UnscoredError
from supportbench.evaluation.environments import REMOTE
from supportbench.evaluation.episode import without_details
from supportbench.evaluation.ordering import in_order
from supportbench.evaluation.statistics.facts import TaskFacts, facts_of
from supportbench.graders import Graders, OpenTask
from supportbench.grading import Grader, check_taxonomy
from supportbench.models import Episode, EpisodeStep, Grade, RubricCard, Submission, SupportQueueAction, Task
from supportbench.registry import Registry
from supportbench.task_files import PROVIDER
from supportbench.wording import shown

logger = logging.getLogger("supportbench.evaluation")


@attrs.frozen(kw_only=True)
class RegradedStep:
    """An action of an episode: the reward that it got then, and the grade that it gets now."""

    episode_id: str
    task_id: str
    recorded_reward: float
    grade: Grade

    @property
    def differs(self) -> bool:
        """Whether the reward is another one now, be it in the last bit: graders that measure are exact."""
        return self.recorded_reward != self.grade.reward


@attrs.frozen(kw_only=True)
class RegradedEpisode:
    """An episode as it was recorded (`then`), and with the grades that its actions get `now`.

    Tickets without an action to grade are the same in both. One whose grading fails now is `unscored`: its status is
    `error` in `now`, with the action that it had. One that was unscored then is graded like the others.
    """

    then: Episode
    now: Episode

    @property
    def steps(self) -> tuple[RegradedStep, ...]:
        """The steps that were graded then and are now."""
        return tuple(
            RegradedStep(
                episode_id=self.then.episode_id,
                task_id=self.then.task_id,
                recorded_reward=before.grade.reward,
                grade=after.grade,
            )
            for before, after in self.graded
            if before.grade is not None and after.grade is not None
        )

    @property
    def graded(self) -> tuple[tuple[EpisodeStep, EpisodeStep], ...]:
        """The steps that were graded then: as they were, and as they are now."""
        return tuple(pair for pair in zip(self.then.steps, self.now.steps, strict=True) if pair[0].status == "graded")

    @property
    def unscored(self) -> tuple[EpisodeStep, ...]:
        """The steps that have an action which could not be graded now; `error` says why."""
        return tuple(step for step in self.now.steps if step.error_kind == "grader")

    @property
    def scored_anew(self) -> tuple[EpisodeStep, ...]:
        """The steps that were unscored then, as they are now with a grade."""
        pairs = zip(self.then.steps, self.now.steps, strict=True)
        return tuple(after for before, after in pairs if before.status != "graded" and after.status == "graded")


class Regrader:
    """Grades the actions of recorded episodes as the environment would now, each after the same earlier ones."""

    def __init__(self, registry: Registry, graders: Graders) -> None:
        self._chooser = TaskChooser(registry)
        self._graders = graders

    def rubric_of(self, episode: Episode) -> RubricCard:
        """Return the rubric that grades the episode now; raises like `check`."""
        return self._opened(episode).grader.rubric.card

    def facts_of(self, episode: Episode) -> TaskFacts:
        """Return what is known of the episode's task beside what it says itself; raises like `check`."""
        return facts_of(self._opened(episode).chosen.task)

    def check(self, episode: Episode) -> int:
        """Return how many actions of the episode were graded, when all that have to be graded now can be.

        Raises:
            RunError: its task is not there, or is another one by now, or an action is none that it allows.
            RubricError, UnknownNameError: the rubric that is to grade it cannot be bound.
        """
        for _ in _submissions(episode, self._opened(episode).chosen.task):
            pass
        return sum(step.status == "graded" for step in episode.steps)

    async def regrade(self, episode: Episode) -> tuple[RegradedStep, ...]:
        """Return the steps that were graded and are again, with the grades that they get now; raises like `check`."""
        return (await self.regrade_episode(episode)).steps

    async def regrade_episode(self, episode: Episode, places: asyncio.Semaphore | None = None) -> RegradedEpisode:
        """Return the episode with the grades that it gets now; raises like `check`.

        Where grading may wait, the tickets are graded at once, as far as there are `places`.
        """
        opened = self._opened(episode)
        given = zip(episode.steps, _submissions(episode, opened.chosen.task), strict=True)
        if opened.grader.suspends and places is not None:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_graded(opened.grader, *pair, places)) for pair in given]
            steps = [task.result() for task in tasks]
        else:
            steps = [await _graded(opened.grader, *pair) for pair in given]
        return RegradedEpisode(
            then=episode, now=attrs.evolve(episode, steps=tuple(steps), rubric=opened.grader.rubric.card)
        )

    def regrade_all(self, episodes: Iterable[Episode], *, concurrency: int) -> AsyncGenerator[RegradedEpisode, None]:
        """Yield the episodes in their order with the grades that they get now; raises like `check`.

        At most `concurrency` episodes are in memory, and as many tickets under way at graders that may wait.
        """
        places = asyncio.Semaphore(concurrency)

        async def regrade(episode: Episode) -> RegradedEpisode:
            return await self.regrade_episode(episode, places)

        return in_order(regrade, episodes, concurrency=concurrency)

    def _opened(self, episode: Episode) -> OpenTask:
        if episode.task_fingerprint == REMOTE:
            raise RunError(
                f"task {shown(episode.task_id)} was played on a server, which does not tell what is in its tasks: "
                "whether one here is the same cannot be known. What the server records (serve --record) can be graded."
            )
        try:
            chosen = self._chooser.at(episode.provider, episode.split, episode.index)
        except ResetError as error:
            hint = " Its tickets came from a file: give it with --tickets." if episode.provider == PROVIDER else ""
            raise RunError(f"the task {shown(episode.task_id)} that was played is not there. {error}{hint}") from error
        opened = self._graders.open(chosen)
        if opened.fingerprint != episode.task_fingerprint:
            stands = f"index {episode.index} of split {shown(episode.split)} of provider {shown(episode.provider)}"
            raise RunError(
                f"task {shown(episode.task_id)} is not what it was when it was played. Its fingerprint then: "
                f"{episode.task_fingerprint[:80]}, and now: {opened.fingerprint} (task {shown(chosen.task.task_id)} at "
                f"{stands}). Grade it with the tasks that it was played with."
            )
        return opened


def _submissions(episode: Episode, task: Task) -> Iterator[Submission | None]:
    """Yield for each step what its graders were given, None for one without an action that came to them."""
    cases = {case.ticket.ticket_id: case for case in task.cases}
    earlier: tuple[SupportQueueAction, ...] = ()
    for step in episode.steps:
        case, action = cases.get(step.ticket_id), step.action
        if step.status != "graded" and (step.error_kind != "grader" or action is None):
            yield None
        else:
            if case is None or action is None or (step.status == "graded" and step.grade is None):
                missing = "there is no such ticket in the task" if case is None else "its action or grade is missing"
                raise RunError(f"the step for ticket {shown(step.ticket_id)} cannot have been graded: {missing}.")
            if step.grade is not None and not 0.0 <= step.grade.reward <= 1.0:
                told = shown(step.grade.reward)
                raise RunError(f"the step for ticket {shown(step.ticket_id)} has the reward {told}, outside [0, 1].")
            try:
                check_taxonomy(action, task.taxonomy)
            except ActionError as error:
                raise RunError(f"the step for ticket {shown(step.ticket_id)}: {error}") from error
            yield Submission(task=task, case=case, action=action, previous=earlier)
        if step.action is not None:  # of one that was unscored, too: it came before those that were graded after it
            earlier = (*earlier, step.action)


async def _graded(
    grader: Grader, step: EpisodeStep, submission: Submission | None, places: asyncio.Semaphore | None = None
) -> EpisodeStep:
    """Return the step with the grade that it gets now: without one, and with an error, where a grader is at fault."""
    if submission is None:
        return step
    try:
        async with places or contextlib.nullcontext():
            grade = await grader.grade(submission)
    except GradingError as error:
        logger.debug("where it came from:", exc_info=error)  # its words may have an answer key in them
        judge_usage = error.usage if isinstance(error, UnscoredError) else None
        return attrs.evolve(
            step, status="error", grade=None, error=str(error), error_kind="grader", judge_usage=judge_usage
        )
    scored = attrs.evolve(step, status="graded", error=None, error_kind=None, judge_usage=None)
    return attrs.evolve(scored, grade=without_details(grade))
