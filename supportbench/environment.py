"""The environment: one session's episodes, one after another, as Gymnasium and OpenEnv have them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, get_args

import attrs

from supportbench import codec
from supportbench.choosing import ChosenTask, TaskChooser
from supportbench.errors import (
    ActionError,
    EpisodeBusyError,
    EpisodeNotOpenError,
    ResetError,
    SettingsError,
    did_you_mean,
)
from supportbench.graders import Graders, OpenTask
from supportbench.grading import Grader, check_taxonomy, feedback_of
from supportbench.models import (
    Grade,
    Submission,
    SupportQueueAction,
    SupportQueueObservation,
    SupportQueueState,
    fields,
)
from supportbench.models.fields import EMPTY, FrozenJson
from supportbench.protocol import ResetRequest
from supportbench.registry import Registry
from supportbench.settings import DEFAULT_PROVIDER, Feedback


@attrs.frozen(kw_only=True)
class SavedEpisode:
    """An environment between two calls: where its episode stands, and where its session is in the split."""

    state: SupportQueueState
    position: int = 0
    task_fingerprint: str | None = None


class SupportQueueEnvironment:
    """Works through one task an episode, ticket by ticket.

    `reset` and `step` either do all that they promise or raise and leave the state as it was. The same inputs give the
    same episode, bit for bit (but for an `episode_id` that was not given, and for the order in which a session without
    any choice walks through a split).
    """

    def __init__(
        self,
        registry: Registry,
        *,
        graders: Graders | None = None,
        provider: str = DEFAULT_PROVIDER,
        feedback: Feedback = "scores",
    ) -> None:
        self._chooser = TaskChooser(registry, provider)
        self._graders = graders or Graders(registry)
        if feedback not in get_args(Feedback):
            told = did_you_mean(feedback, get_args(Feedback))
            raise SettingsError(f"There is no feedback level {feedback!r}. {told}")
        self._feedback = feedback
        self._position = 0
        self._busy = False
        self._state = SupportQueueState()
        self._open: OpenTask | None = None
        self._last_grade: Grade | None = None
        self._info = EMPTY

    @property
    def state(self) -> SupportQueueState:
        """Where the episode stands; before the first reset, an empty state."""
        return self._state

    @property
    def chosen(self) -> ChosenTask | None:
        """The task of the episode, with its answer keys: for evaluators, never for agents."""
        return None if self._open is None else self._open.chosen

    @property
    def grader(self) -> Grader | None:
        """The grader of the episode's task."""
        return None if self._open is None else self._open.grader

    @property
    def opened(self) -> OpenTask | None:
        """The task of the episode, ready for grading: for servers and evaluators, never for agents."""
        return self._open

    @property
    def last_grade(self) -> Grade | None:
        """The whole grade of the last step, whatever the feedback level: for evaluators, never for agents."""
        return self._last_grade

    async def reset(
        self,
        *,
        seed: int | None = None,
        episode_id: str | None = None,
        provider: str | None = None,
        task_id: str | None = None,
        split: str | None = None,
        index: int | None = None,
        **unknown: object,
    ) -> SupportQueueObservation:
        """Begin an episode and return its first observation.

        Which task: the one with `task_id`, looked up in `provider` or, where none is named, in the default one and then
        in the others; else the one at `index` of `split` (`test` unless named); else the seed chooses in the split
        (seed modulo its number of tasks) and decides nothing else; else the split's next one, in order. `task_id`
        beside `split` or `index` is refused.

        Raises:
            ResetError: an argument is unknown, impossible or contradicts another.
            EpisodeBusyError: a step is under way.
        """
        for key in unknown:
            raise ResetError(f"There is no reset argument {key!r}. {did_you_mean(key, _RESET_KEYS)}")
        try:
            request = ResetRequest(
                seed=seed, episode_id=episode_id, provider=provider, task_id=task_id, split=split, index=index
            )
        except ValueError as error:
            raise ResetError(f"The reset argument {error}.") from error
        return await self.begin(request)

    async def begin(self, request: ResetRequest) -> SupportQueueObservation:
        """Begin the episode that the request asks for: `reset` for whoever has decoded one already."""
        self._refuse_when_busy()
        opened = self._graders.open(self._chooser.choose(request, self._position))
        if request.task_id is None and request.index is None and request.seed is None:
            self._position += 1
        self._open = opened
        self._last_grade = None
        self._state = SupportQueueState(
            episode_id=request.episode_id or str(uuid.uuid4()),
            seed=request.seed,
            task=opened.card,
            total_tickets=len(opened.cases),
            rubric=opened.grader.rubric.rubric.name,
        )
        self._info = FrozenJson(episode_id=self._state.episode_id)
        return self._observation(opened, reward=None, feedback=EMPTY)

    def saved(self) -> SavedEpisode:
        """Return all that `restore` needs to go on from here in another environment, or in another process."""
        return SavedEpisode(
            state=self._state,
            position=self._position,
            task_fingerprint=None if self._open is None else self._open.fingerprint,
        )

    def restore(self, saved: SavedEpisode) -> None:
        """Go on where the saved episode stands.

        Raises:
            ResetError, ProviderError: its task is not there any more, or is another one by now.
            EpisodeBusyError: a step is under way.
        """
        self._refuse_when_busy()
        opened, card = None, saved.state.task
        if card is not None:
            opened = self._graders.open(self._chooser.at(card.provider, card.split, card.index))
            if opened.fingerprint != saved.task_fingerprint:
                raise ResetError(
                    f"Task {card.task_id!r} is not the one that this episode began with: its pack has changed. "
                    "Call reset to begin another episode."
                )
        self._open = opened
        self._state = saved.state
        self._info = FrozenJson(episode_id=saved.state.episode_id)
        self._position = saved.position
        self._last_grade = None

    async def step(self, action: SupportQueueAction) -> SupportQueueObservation:
        """Grade the action for the open ticket and return the next observation.

        Raises:
            EpisodeNotOpenError: before a reset, or after the episode is done.
            ActionError: the task's taxonomy does not allow the priority, queue or disposition.
            EpisodeBusyError: another step is under way.
            GradingError: a grader is at fault; the ticket is still open, and the step may be tried again.
        """
        if not isinstance(action, SupportQueueAction):
            raise ActionError(
                f"step takes a SupportQueueAction, not {type(action).__name__}: structure(data, SupportQueueAction)"
            )
        self._refuse_when_busy()
        opened, state = self._open, self._state
        if opened is None:
            raise EpisodeNotOpenError("No episode is open: call reset first.")
        if state.done:
            raise EpisodeNotOpenError("The episode is done: call reset to begin another.")
        check_taxonomy(action, opened.chosen.task.taxonomy)
        case = opened.cases[state.current_index]
        submission = Submission(task=opened.chosen.task, case=case, action=action, previous=state.action_history)
        self._busy = True
        try:
            grade = await opened.grader.grade(submission)
        finally:
            self._busy = False
        feedback = feedback_of(grade, self._feedback)
        if self._feedback == "full":
            feedback = fields.json_object({**feedback, "expected": codec.unstructure(case.answer_key)})
        self._last_grade = grade
        self._state = _advanced(state, action, grade, feedback)
        return self._observation(opened, reward=grade.reward, feedback=feedback)

    def _refuse_when_busy(self) -> None:
        if self._busy:
            raise EpisodeBusyError("A step of this episode is still being graded: wait for its answer.")

    def _observation(
        self, opened: OpenTask, *, reward: float | None, feedback: Mapping[str, Any]
    ) -> SupportQueueObservation:
        state, task = self._state, opened.chosen.task
        return SupportQueueObservation(
            task_id=task.task_id,
            task_title=task.title,
            difficulty=task.difficulty,
            instructions=task.instructions,
            current_index=state.current_index,
            total_tickets=state.total_tickets,
            ticket=None if state.done else opened.cases[state.current_index].ticket,
            allowed_priorities=task.taxonomy.priorities,
            allowed_queues=task.taxonomy.queues,
            allowed_dispositions=task.taxonomy.dispositions,
            scoring_weights=opened.scoring_weights,
            last_feedback=feedback,
            reward=reward,
            cumulative_reward=state.cumulative_reward,
            done=state.done,
            info=self._info,
        )


def _advanced(
    state: SupportQueueState, action: SupportQueueAction, grade: Grade, feedback: Mapping[str, Any]
) -> SupportQueueState:
    steps = state.step_count + 1
    cumulative = state.cumulative_reward + grade.reward
    # Written out, since attrs.evolve looks at every field and took three times as long.
    return SupportQueueState(
        episode_id=state.episode_id,
        seed=state.seed,
        task=state.task,
        total_tickets=state.total_tickets,
        rubric=state.rubric,
        step_count=steps,
        current_index=state.current_index + 1,
        done=state.current_index + 1 == state.total_tickets,
        cumulative_reward=cumulative,
        average_reward=cumulative / steps,
        processed_ticket_ids=(*state.processed_ticket_ids, grade.ticket_id),
        action_history=(*state.action_history, action),
        grading_history=(*state.grading_history, feedback),
    )


_RESET_KEYS = [field.name for field in attrs.fields(ResetRequest)]
