"""The environment: one session's episodes, one after another, as Gymnasium and OpenEnv have them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import get_args

import attrs

from supportbench import codec
from supportbench.choosing import ChosenTask, TaskChooser
from supportbench.errors import ActionError, EpisodeBusyError, EpisodeNotOpenError, ResetError, SettingsError
from supportbench.frozen import FrozenDict
from supportbench.graders import Graders
from supportbench.grading import Grader, check_taxonomy, feedback_of
from supportbench.models import (
    Grade,
    Submission,
    SupportQueueAction,
    SupportQueueObservation,
    SupportQueueState,
    fields,
)
from supportbench.protocol import ResetRequest
from supportbench.registry import Registry
from supportbench.settings import DEFAULT_PROVIDER, Feedback
from supportbench.turns import Turn
from supportbench.wording import did_you_mean


@attrs.frozen(kw_only=True)
class SavedEpisode:
    """An environment between two calls: where its episode stands, and where its session is in each split.

    `positions` has, by provider and split, how many of its tasks a reset without any choice has taken so far.
    """

    state: SupportQueueState
    positions: Mapping[str, int] = FrozenDict()
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
        self._positions: Mapping[str, int] = FrozenDict()
        self._busy = False
        self._turn: Turn | None = None
        self._last_grade: Grade | None = None

    @property
    def state(self) -> SupportQueueState:
        """Where the episode stands; before the first reset, an empty state."""
        return SupportQueueState() if self._turn is None else self._turn.state

    @property
    def chosen(self) -> ChosenTask | None:
        """The task of the episode, with its answer keys: for evaluators, never for agents."""
        return None if self._turn is None else self._turn.opened.chosen

    @property
    def grader(self) -> Grader | None:
        """The grader of the episode's task."""
        return None if self._turn is None else self._turn.opened.grader

    @property
    def turn(self) -> Turn | None:
        """Where the episode stands, with its task and answer keys: for servers and evaluators, never for agents."""
        return self._turn

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
        return (await self.begin(request)).observation

    async def begin(self, request: ResetRequest) -> Turn:
        """Begin the episode that the request asks for: `reset` for whoever has decoded one and wants no observation."""
        self._refuse_when_busy()
        in_order = request.task_id is None and request.index is None and request.seed is None
        split = self._chooser.split_of(request)
        position = self._positions.get(split, 0)
        opened = self._graders.open(self._chooser.choose(request, position))
        if in_order:
            self._positions = {**self._positions, split: position + 1}
        self._last_grade = None
        self._turn = Turn.first(opened, episode_id=request.episode_id or str(uuid.uuid4()), seed=request.seed)
        return self._turn

    def saved(self) -> SavedEpisode:
        """Return all that `restore` needs to go on from here in another environment, or in another process."""
        return SavedEpisode(
            state=self.state,
            positions=self._positions,
            task_fingerprint=None if self._turn is None else self._turn.opened.fingerprint,
        )

    def restore(self, saved: SavedEpisode) -> None:
        """Go on where the saved episode stands.

        Raises:
            ResetError, ProviderError: its task is not there any more, or is another one by now.
            EpisodeBusyError: a step is under way.
        """
        self._refuse_when_busy()
        turn, card = None, saved.state.task
        if card is not None:
            opened = self._graders.open(self._chooser.at(card.provider, card.split, card.index))
            if opened.fingerprint != saved.task_fingerprint:
                raise ResetError(
                    f"Task {card.task_id!r} is not the one that this episode began with: its pack has changed. "
                    "Call reset to begin another episode."
                )
            turn = Turn.from_state(saved.state, opened)
        self._turn = turn
        self._positions = saved.positions
        self._last_grade = None

    async def step(self, action: SupportQueueAction) -> SupportQueueObservation:
        """Grade the action for the open ticket and return the next observation.

        Raises:
            EpisodeNotOpenError: before a reset, or after the episode is done.
            ActionError: the task's taxonomy does not allow the priority, queue or disposition.
            EpisodeBusyError: another step is under way.
            GradingError: a grader is at fault; the ticket is still open, and the step may be tried again.
        """
        return (await self.advance(action)).observation

    async def advance(self, action: SupportQueueAction) -> Turn:
        """Grade the action and return the next turn: `step` for whoever wants no observation."""
        if not isinstance(action, SupportQueueAction):
            raise ActionError(
                f"step takes a SupportQueueAction, not {type(action).__name__}: structure(data, SupportQueueAction)"
            )
        self._refuse_when_busy()
        turn = self._turn
        if turn is None:
            raise EpisodeNotOpenError("No episode is open: call reset first.")
        if turn.done:
            raise EpisodeNotOpenError("The episode is done: call reset to begin another.")
        opened = turn.opened
        task, case = opened.chosen.task, opened.cases[turn.index]
        check_taxonomy(action, task.taxonomy)
        submission = Submission(task=task, case=case, action=action, previous=turn.actions)
        self._busy = True
        try:
            grade = await opened.grader.grade(submission)
        finally:
            self._busy = False
        feedback = feedback_of(grade, self._feedback)
        if self._feedback == "full":
            feedback = fields.json_object({**feedback, "expected": codec.unstructure(case.answer_key)})
        self._last_grade = grade
        self._turn = turn.after(action, grade, feedback)
        return self._turn

    def _refuse_when_busy(self) -> None:
        if self._busy:
            raise EpisodeBusyError("A step of this episode is still being graded: wait for its answer.")


_RESET_KEYS = [field.name for field in attrs.fields(ResetRequest)]
