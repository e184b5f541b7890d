"""Where an episode stands after a reset or a step: of one turn come the next one, the observation and the state."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import attrs

from supportbench.graders import OpenTask
from supportbench.models import Grade, SupportQueueAction, SupportQueueObservation, SupportQueueState
from supportbench.models.fields import EMPTY, FrozenJson


@attrs.frozen(kw_only=True, eq=False)
class Turn:
    """One turn of an episode: what no task tells. The rest is put together when it is asked for.

    A server that steps thousands of times a second asks for neither observations nor states: it writes the turn itself.
    """

    opened: OpenTask
    episode_id: str
    seed: int | None
    info: Mapping[str, Any]
    actions: tuple[SupportQueueAction, ...] = ()
    feedbacks: tuple[Mapping[str, Any], ...] = ()
    cumulative_reward: float = 0.0
    reward: float | None = None

    @classmethod
    def first(cls, opened: OpenTask, *, episode_id: str, seed: int | None) -> Turn:
        """Return the turn that a reset leads to."""
        return cls(opened=opened, episode_id=episode_id, seed=seed, info=FrozenJson(episode_id=episode_id))

    @classmethod
    def from_state(cls, state: SupportQueueState, opened: OpenTask) -> Turn:
        """Return the turn that has this state; the reward of its last step is in its feedback alone."""
        return cls(
            opened=opened,
            episode_id=state.episode_id or "",
            seed=state.seed,
            info=FrozenJson(episode_id=state.episode_id),
            actions=state.action_history,
            feedbacks=state.grading_history,
            cumulative_reward=state.cumulative_reward,
        )

    def after(self, action: SupportQueueAction, grade: Grade, feedback: Mapping[str, Any]) -> Turn:
        """Return the turn that the graded action leads to."""
        return Turn(
            opened=self.opened,
            episode_id=self.episode_id,
            seed=self.seed,
            info=self.info,
            actions=(*self.actions, action),
            feedbacks=(*self.feedbacks, feedback),
            cumulative_reward=self.cumulative_reward + grade.reward,
            reward=grade.reward,
        )

    @property
    def index(self) -> int:
        """The index of the open ticket, which is the number of steps so far."""
        return len(self.actions)

    @property
    def done(self) -> bool:
        """Whether every ticket has had its action."""
        return len(self.actions) == len(self.opened.cases)

    @property
    def last_feedback(self) -> Mapping[str, Any]:
        """What the agent is told of its last action, nothing after a reset."""
        return self.feedbacks[-1] if self.feedbacks else EMPTY

    @property
    def observation(self) -> SupportQueueObservation:
        """What the agent sees."""
        opened, task = self.opened, self.opened.chosen.task
        return SupportQueueObservation(
            task_id=task.task_id,
            task_title=task.title,
            difficulty=task.difficulty,
            instructions=task.instructions,
            current_index=self.index,
            total_tickets=len(opened.cases),
            ticket=None if self.done else opened.cases[self.index].ticket,
            allowed_priorities=task.taxonomy.priorities,
            allowed_queues=task.taxonomy.queues,
            allowed_dispositions=task.taxonomy.dispositions,
            scoring_weights=opened.scoring_weights,
            last_feedback=self.last_feedback,
            reward=self.reward,
            cumulative_reward=self.cumulative_reward,
            done=self.done,
            info=self.info,
        )

    @cached_property
    def state(self) -> SupportQueueState:
        """Where the episode stands."""
        opened, steps = self.opened, len(self.actions)
        return SupportQueueState(
            episode_id=self.episode_id,
            step_count=steps,
            seed=self.seed,
            task=opened.card,
            current_index=steps,
            total_tickets=len(opened.cases),
            done=self.done,
            cumulative_reward=self.cumulative_reward,
            average_reward=self.cumulative_reward / steps if steps else 0.0,
            processed_ticket_ids=tuple(case.ticket.ticket_id for case in opened.cases[:steps]),
            action_history=self.actions,
            grading_history=self.feedbacks,
            rubric=opened.grader.rubric.rubric.name,
        )
