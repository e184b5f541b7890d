"""One session: an environment, and what the server notes of the episode that is played in it.

A session lives either with a WebSocket, in memory, or in the session store, from where every request loads it, and to
where it is put back only if nobody else was faster.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import attrs

from supportbench.environment import SavedEpisode, SupportQueueEnvironment
from supportbench.errors import EpisodeNotOpenError, ResetError, RubricError, UnknownNameError
from supportbench.evaluation.episode import without_details
from supportbench.models import Episode, EpisodeStep, SupportQueueAction, SupportQueueState
from supportbench.protocol import ResetRequest
from supportbench.server.refusals import step_timed_out
from supportbench.turns import Turn

AGENT = "client"
"""The agent's name in the record of an episode: who stands behind a connection is not known."""

Watching: TypeAlias = Callable[[Coroutine[Any, Any, Turn]], Awaitable[Turn]]
"""Returns what grading returns, and ends it when the client goes away."""

logger: Final = logging.getLogger("supportbench.server.session")


def unwatched(work: Coroutine[Any, Any, Turn]) -> Awaitable[Turn]:
    """Grade to the end, whatever becomes of the client."""
    return work


@attrs.frozen(kw_only=True)
class SavedSession:
    """A session between two requests.

    `owner` identifies the token that it belongs to, `rubric_fingerprint` what its episode is graded by. `addressed` is
    whether a request ever named it by its id, and `stepped` whether any action was graded in it: a default session that
    was only ever the default one, and has been played, has nobody left who could want it after the next reset.
    """

    owner: str = ""
    episode: SavedEpisode = attrs.field(factory=lambda: SavedEpisode(state=SupportQueueState()))
    rubric_fingerprint: str | None = None
    steps: tuple[EpisodeStep, ...] = ()
    started_at: str | None = None
    asked_at: float = 0.0
    addressed: bool = False
    stepped: bool = False


class Session:
    """An environment and, with `takes_notes`, what the record of its episode needs; `publish` gets each that ends."""

    __slots__ = (
        *("_asked_at", "_publish", "_started_at", "_step_timeout_s", "_steps", "_takes_notes"),
        *("environment", "may_wait", "session_id"),
    )

    def __init__(
        self,
        environment: SupportQueueEnvironment,
        *,
        step_timeout_s: float,
        takes_notes: bool,
        publish: Callable[[Episode], None] | None = None,
        session_id: str,
    ) -> None:
        self.session_id = session_id
        self.may_wait = False
        """Whether grading a step of the open task can take time without using it: a judge's, for instance."""
        self.environment = environment
        self._step_timeout_s = step_timeout_s
        self._takes_notes = takes_notes
        self._publish = publish
        self._steps: tuple[EpisodeStep, ...] = ()
        self._started_at: str | None = None
        self._asked_at = 0.0

    async def state(self) -> SupportQueueState:
        """Tell where the episode stands."""
        return self.environment.state

    async def reset(self, request: ResetRequest) -> Turn:
        """Begin an episode; raises like the environment."""
        turn = await self.environment.begin(request)
        self.may_wait = turn.opened.grader.suspends
        if self._takes_notes:
            self._steps = ()
            self._started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
            self._asked_at = time.time()
        return turn

    async def step(self, action: SupportQueueAction, timeout_s: float | None = None) -> Turn:
        """Grade the action; raises like the environment, or `RefusedError` when grading takes too long."""
        answered_at = time.time() if self._takes_notes else 0.0
        if self.may_wait:
            turn = await self._within(self.environment.advance(action), timeout_s)
        else:
            turn = await self.environment.advance(action)
        if self._takes_notes:
            self._note(action, answered_at)
            if self._publish is not None and (episode := self.finished_episode()) is not None:
                self._publish(episode)
        return turn

    def saved(self, saved: SavedSession, *, by_id: bool) -> SavedSession:
        """Return the saved session as it is now; `by_id` says that a request has named it."""
        turn = self.environment.turn
        return SavedSession(
            owner=saved.owner,
            episode=self.environment.saved(),
            rubric_fingerprint=self._rubric_fingerprint(),
            steps=self._steps,
            started_at=self._started_at,
            asked_at=self._asked_at,
            addressed=saved.addressed or by_id,
            stepped=saved.stepped or (turn is not None and turn.index > 0),
        )

    def restore(self, saved: SavedSession) -> None:
        """Go on where the saved session stands.

        Raises:
            EpisodeNotOpenError: its task, or what it is graded by, is another one by now; a reset goes on.
            ProviderError: the provider of its task failed.
        """
        try:
            self.environment.restore(saved.episode)
        except (ResetError, UnknownNameError, RubricError) as error:
            raise EpisodeNotOpenError(f"The episode cannot go on; a reset begins another. {error}") from error
        if self._rubric_fingerprint() != saved.rubric_fingerprint:
            raise EpisodeNotOpenError(
                "The episode cannot go on; a reset begins another. Its rubric is not the one that it began with."
            )
        turn = self.environment.turn
        self.may_wait = turn is not None and turn.opened.grader.suspends
        self._steps = saved.steps
        self._started_at = saved.started_at
        self._asked_at = saved.asked_at

    def forget_episode(self, saved: SavedSession) -> None:
        """Go on in the saved session without its episode, whose task may not even exist any more: for a reset."""
        self.environment.restore(SavedEpisode(state=SupportQueueState(), positions=saved.episode.positions))

    def finished_episode(self) -> Episode | None:
        """Return the record of the episode if it is done and notes were taken of all of it."""
        turn = self.environment.turn
        if not self._takes_notes or turn is None or not turn.done:
            return None
        if len(self._steps) != turn.index:
            logger.warning(
                "Nobody took notes when the episode began: it is not recorded", extra={"session_id": self.session_id}
            )
            return None
        opened, chosen, now = turn.opened, turn.opened.chosen, time.time()
        started_at = self._started_at or datetime.now(UTC).isoformat(timespec="milliseconds")
        return Episode(
            episode_id=turn.episode_id,
            provider=chosen.provider,
            split=chosen.split,
            index=chosen.index,
            task_id=chosen.task.task_id,
            task_title=chosen.task.title,
            difficulty=chosen.task.difficulty,
            task_fingerprint=opened.fingerprint,
            rubric=opened.grader.rubric.card,
            agent=AGENT,
            seed=turn.seed,
            steps=self._steps,
            started_at=started_at,
            duration_s=round(max(0.0, now - datetime.fromisoformat(started_at).timestamp()), 6),
        )

    async def _within(self, step: Awaitable[Turn], timeout_s: float | None) -> Turn:
        limit_s = self._step_timeout_s if timeout_s is None else min(timeout_s, self._step_timeout_s)
        try:
            async with asyncio.timeout(limit_s):
                return await step
        except TimeoutError:
            raise step_timed_out(limit_s) from None

    def _rubric_fingerprint(self) -> str | None:
        grader = self.environment.grader
        return None if grader is None else grader.rubric.fingerprint

    def _note(self, action: SupportQueueAction, answered_at: float) -> None:
        grade = self.environment.last_grade
        assert grade is not None  # noqa: S101 - a step that returned has graded
        step = EpisodeStep(
            ticket_id=grade.ticket_id,
            status="graded",
            action=action,
            grade=without_details(grade),
            latency_s=round(max(0.0, answered_at - self._asked_at), 6),
        )
        self._steps = (*self._steps, step)
        self._asked_at = time.time()
