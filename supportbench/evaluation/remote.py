"""Episodes on a server: which tasks it has, and an environment that is played through a client.

A server tells neither what is in its tasks nor how it grades, and a fingerprint of them would be an oracle for answer
keys. So tasks and rubrics that are played on one are named `remote` in place of a fingerprint, and the tickets that
were never seen have an empty id.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Final, Self, TypeVar

import attrs

from supportbench.choosing import DEFAULT_SPLIT
from supportbench.client import Container, SupportQueueClient, TaskApi
from supportbench.client.answers import read
from supportbench.errors import (
    CapacityReachedError,
    ServerConnectionError,
    SettingsError,
    UnexpectedAnswerError,
    UnknownNameError,
    did_you_mean,
    shown,
)
from supportbench.evaluation.environments import REMOTE, PlannedTask, PlayedEnvironment
from supportbench.evaluation.executors import LocalExecutor
from supportbench.evaluation.planning import Evaluation, PlannedRun
from supportbench.interfaces import EpisodeSpec
from supportbench.models import Grade, RubricCard, SupportQueueAction, SupportQueueObservation, TaskCard
from supportbench.models.tickets import MOST_CASES
from supportbench.protocol import StepResult
from supportbench.registry import Registry
from supportbench.settings import split_names

T = TypeVar("T")

RETRY_DELAYS_S: Final = (0.5, 1.0, 2.0, 4.0)
"""How long is waited before a connection that could not be made, or was lost, is tried again: a server may restart."""

_SERVERS_OWN: Final = ("SUPPORTBENCH_RUBRIC", "SUPPORTBENCH_FEEDBACK")

logger: Final = logging.getLogger("supportbench.evaluation.remote")


@attrs.frozen(kw_only=True)
class Server:
    """A server to play on, and the provider of whose tasks is played where nobody says, if it is not its own one."""

    url: str
    token: str | None = attrs.field(default=None, repr=False)
    provider: str | None = None

    @classmethod
    def from_environ(cls, url: str, environ: Mapping[str, str]) -> Self:
        """Return the server at that URL, with the token in `SUPPORTBENCH_TOKEN` (the first, if there are several).

        Raises:
            SettingsError: a variable sets what only the server itself can be set to.
        """
        for variable in _SERVERS_OWN:
            if environ.get(variable, "").strip():
                raise SettingsError(
                    f"{variable} is set, but it is the server that grades: start it with that, and unset it here."
                )
        tokens = split_names(environ.get("SUPPORTBENCH_TOKEN", ""))
        provider = environ.get("SUPPORTBENCH_PROVIDER", "").strip()
        return cls(url=url, token=tokens[0] if tokens else None, provider=provider or None)


@contextlib.asynccontextmanager
async def started(image: str, server: Server) -> AsyncIterator[Server]:
    """Within the block a container of that image serves as the server does, at a URL of its own, with its token.

    Raises:
        ContainerError: it did not come up.
    """
    env = {} if server.token is None else {"SUPPORTBENCH_TOKEN": server.token}
    async with Container(image, env=env) as url:
        yield attrs.evolve(server, url=url)


async def plan_on_server(
    evaluation: Evaluation, registry: Registry, server: Server, *, retry_delays_s: Sequence[float] = RETRY_DELAYS_S
) -> PlannedRun:
    """Choose the tasks among those of the server: of its own provider, unless another one is asked for.

    Raises:
        ClientError: there is no such server, or it has no such task.
        UnknownNameError: it has no such provider.
    """
    client = SupportQueueClient(server.url, server.token)
    async with TaskApi(server.url, server.token) as api:
        tasks = tuple([_planned(card, server.url) for card in await _cards(evaluation, server.provider, api, client)])
    environments = RemoteEnvironments(
        server=str(client.base_url),
        token=server.token,
        tasks={(task.provider, task.split, task.index): task for task in tasks},
        retry_delays_s=tuple(retry_delays_s),
    )
    return PlannedRun(
        evaluation=evaluation, registry=registry, environments=environments, executor=LocalExecutor(), tasks=tasks
    )


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


# -- planning -------------------------------------------------------------------------------------------------------


async def _cards(
    evaluation: Evaluation, provider: str | None, api: TaskApi, client: SupportQueueClient
) -> Sequence[TaskCard]:
    if evaluation.strict_provider:
        provider = evaluation.provider
    if provider is not None:
        provider = _spelt(provider, await api.environments())
    if evaluation.task_ids:
        return [await api.find(task_id, provider) for task_id in dict.fromkeys(evaluation.task_ids)]
    if provider is None:
        provider = await _default_provider(evaluation, api, client)
    split = evaluation.split or DEFAULT_SPLIT
    if evaluation.index is not None:
        return [await api.task(provider, split, evaluation.index)]
    cards: list[TaskCard] = []
    tickets = 0
    async with contextlib.aclosing(api.tasks(provider, split)) as listed:
        async for card in listed:
            cards.append(card)
            tickets += card.total_tickets
            if evaluation.limit is not None and tickets >= evaluation.limit:
                break  # a provider may have millions more
    return cards


async def _default_provider(evaluation: Evaluation, api: TaskApi, client: SupportQueueClient) -> str:
    """Return the provider that a reset means which names none: the server's own, which only a state tells."""
    async with client:
        await client.reset(split=evaluation.split)
        card = (await client.state()).task
    if card is not None:
        return card.provider
    names = await api.environments()
    if len(names) != 1:
        raise UnknownNameError(
            f"{client.base_url} has several providers. Name one: --provider. {did_you_mean('', names)}"
        )
    return names[0]


def _spelt(provider: str, known: Sequence[str]) -> str:
    """Return the provider's name as the server spells it; raises `UnknownNameError` where it has none."""
    if provider in known:
        return provider
    of_folded = {name.casefold(): name for name in known}
    try:
        return of_folded[provider.casefold()]
    except KeyError:
        told = did_you_mean(provider, known)
        raise UnknownNameError(f"The server has no task provider {shown(provider)}. {told}") from None


def _planned(card: TaskCard, server: str) -> PlannedTask:
    if not 1 <= card.total_tickets <= MOST_CASES:
        raise UnexpectedAnswerError(f"{server} has a task {shown(card.task_id)} of {card.total_tickets} tickets.")
    return PlannedTask(
        provider=card.provider,
        split=card.split,
        index=card.index,
        task_id=card.task_id,
        title=card.title,
        difficulty=card.difficulty,
        ticket_ids=("",) * card.total_tickets,
        fingerprint=REMOTE,
        rubric=RubricCard(name=REMOTE, fingerprint=REMOTE),
    )
