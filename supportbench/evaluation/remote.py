"""Episodes on a server, each played through a client of its own.

A server tells neither what is in its tasks nor how it grades, and a fingerprint of them would be an oracle for answer
keys. So tasks and rubrics that are played on one are named `remote` in place of a fingerprint, and the tickets that
were never seen have an empty id.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeVar

import attrs

from supportbench.client import SupportQueueClient
from supportbench.client.answers import read
from supportbench.errors import CapacityReachedError, ServerConnectionError, UnexpectedAnswerError
from supportbench.evaluation.environments import PlannedTask, PlayedEnvironment
from supportbench.interfaces import EpisodeSpec
from supportbench.models import Grade, SupportQueueAction, SupportQueueObservation
from supportbench.protocol import StepResult
from supportbench.wording import shown

T = TypeVar("T")

RETRY_DELAYS_S: Final = (0.5, 1.0, 2.0, 4.0)
"""How long is waited before a connection that could not be made, or was lost, is tried again: a server may restart."""

logger: Final = logging.getLogger("supportbench.evaluation.remote")


@attrs.frozen(kw_only=True)
class RemoteEnvironments:
    """Environments on a server, each with a connection of its own."""

    server: str
    token: str | None = attrs.field(default=None, repr=False)
    tasks: Mapping[tuple[str, str, int], PlannedTask] = attrs.field(repr=False)
    retry_delays_s: tuple[float, ...] = RETRY_DELAYS_S

    def open(self, spec: EpisodeSpec) -> PlayedEnvironment:
        """Return an environment for that episode; nothing is connected before it is reset."""
        task = self.tasks[spec.provider, spec.split, spec.index]
        return _RemoteEnvironment(task, self.server, self.token, self.retry_delays_s)

    def offers(self) -> Sequence[object]:
        """Return nothing: what grades is the server's."""
        return ()


class _RemoteEnvironment:
    """An episode on a server. A lost connection takes the episode along: it is begun again, with the same actions."""

    def __init__(self, task: PlannedTask, server: str, token: str | None, retry_delays_s: Sequence[float]) -> None:
        self.task = task
        self._server = server
        self._token = token
        self._retry_delays_s = retry_delays_s
        self._client = SupportQueueClient(server, token)
        self._seed = 0
        self._ticket_id = ""
        self._actions: list[SupportQueueAction] = []

    async def reset(self, seed: int) -> SupportQueueObservation:
        self._seed = seed
        return await self._retrying(self._begun)

    async def step(self, action: SupportQueueAction) -> tuple[SupportQueueObservation, Grade]:
        async def again() -> StepResult:
            await self._begun()
            for earlier in self._actions:
                await self._client.step(earlier)
            return await self._client.step(action)

        ticket_id = self._ticket_id
        try:
            result = await self._client.step(action)
        except ServerConnectionError as error:
            logger.warning("%s The episode is begun again, with the same actions.", error)
            result = await self._retrying(again)
        self._actions.append(action)
        return self._checked(result.observation, len(self._actions)), _grade_of(result, ticket_id, self._server)

    async def aclose(self) -> None:
        await self._client.close()

    async def _begun(self) -> SupportQueueObservation:
        await self._client.close()
        await self._client.connect()
        task = self.task
        result = await self._client.reset(seed=self._seed, provider=task.provider, split=task.split, index=task.index)
        return self._checked(result.observation, 0)

    async def _retrying(self, work: Callable[[], Awaitable[T]]) -> T:
        for delay_s in self._retry_delays_s:
            try:
                return await work()
            except (ServerConnectionError, CapacityReachedError) as error:
                logger.warning("%s Trying again in %g s.", error, delay_s)
                await asyncio.sleep(delay_s)
        return await work()

    def _checked(self, seen: SupportQueueObservation, place: int) -> SupportQueueObservation:
        """Return the observation, if it is of the planned task and of the ticket at that place."""
        task_id, total = self.task.task_id, len(self.task.ticket_ids)
        expected = (task_id, total, place, place == total)
        if (seen.task_id, seen.total_tickets, seen.current_index, seen.ticket is None) != expected:
            raise UnexpectedAnswerError(
                f"{self._server} is at ticket {seen.current_index} of {seen.total_tickets} of task "
                f"{shown(seen.task_id)}, and not at {place} of {total} of task {shown(task_id)}. Did its tasks change?"
            )
        self._ticket_id = "" if seen.ticket is None else seen.ticket.ticket_id
        return seen


def _grade_of(result: StepResult, ticket_id: str, server: str) -> Grade:
    """Return the grade as far as the server tells it: without components where it tells the reward alone."""
    reward = result.reward
    if reward is None or not 0.0 <= reward <= 1.0:
        raise UnexpectedAnswerError(f"{server} answers a step with the reward {reward}, which is none in [0, 1].")
    feedback = result.observation.last_feedback
    if not feedback.get("components"):
        return Grade(ticket_id=ticket_id, reward=reward, components={})
    return attrs.evolve(read(feedback, Grade, "feedback", server), ticket_id=ticket_id, reward=reward)
