"""Recorded actions, graded again: whether a reward still is what it was, or what another rubric makes of them."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from supportbench.choosing import TaskChooser
from supportbench.errors import ActionError, ResetError, RunError
from supportbench.evaluation.environments import REMOTE
from supportbench.evaluation.episode import without_details
from supportbench.graders import Graders, OpenTask
from supportbench.grading import check_taxonomy
from supportbench.models import Episode, Grade, RubricCard, Submission, SupportQueueAction
from supportbench.registry import Registry
from supportbench.task_files import PROVIDER
from supportbench.wording import shown


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
class RecordedAction:
    """An action as it was graded: the reward that it got, and what its graders were given."""

    recorded_reward: float
    submission: Submission


class Regrader:
    """Grades the actions of recorded episodes as the environment would now, each after the same earlier ones."""

    def __init__(self, registry: Registry, graders: Graders) -> None:
        self._chooser = TaskChooser(registry)
        self._graders = graders

    def rubric_of(self, episode: Episode) -> RubricCard:
        """Return the rubric that grades the episode now; raises like `actions_of`."""
        return self._opened(episode).grader.rubric.card

    def actions_of(self, episode: Episode) -> Iterator[RecordedAction]:
        """Yield the actions of the episode that were graded.

        Raises:
            RunError: its task is not there, or is another one by now, or an action is none that it allows.
            RubricError, UnknownNameError: the rubric that is to grade it cannot be bound.
        """
        task = self._opened(episode).chosen.task
        cases = {case.ticket.ticket_id: case for case in task.cases}
        earlier: tuple[SupportQueueAction, ...] = ()
        for step in episode.steps:
            if step.status != "graded":
                continue
            case, action = cases.get(step.ticket_id), step.action
            if case is None or action is None or step.grade is None:
                missing = "there is no such ticket in the task" if case is None else "its action or grade is missing"
                raise RunError(f"the step for ticket {shown(step.ticket_id)} cannot have been graded: {missing}.")
            try:
                check_taxonomy(action, task.taxonomy)
            except ActionError as error:
                raise RunError(f"the step for ticket {shown(step.ticket_id)}: {error}") from error
            submission = Submission(task=task, case=case, action=action, previous=earlier)
            yield RecordedAction(recorded_reward=step.grade.reward, submission=submission)
            earlier = (*earlier, action)

    async def regrade(self, episode: Episode) -> tuple[RegradedStep, ...]:
        """Return the graded steps of the episode with the grades that they get now; raises like `actions_of`."""
        grader = self._opened(episode).grader
        return tuple(
            [
                RegradedStep(
                    episode_id=episode.episode_id,
                    task_id=episode.task_id,
                    recorded_reward=action.recorded_reward,
                    grade=without_details(await grader.grade(action.submission)),
                )
                for action in self.actions_of(episode)
            ]
        )

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
