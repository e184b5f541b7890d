"""Servers to play on: where one is, how one is started, and which of its tasks a run plays."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final, Self

import attrs

from supportbench.choosing import DEFAULT_SPLIT
from supportbench.client import Container, SupportQueueClient, TaskApi
from supportbench.errors import SettingsError, UnexpectedAnswerError, UnknownNameError
from supportbench.evaluation.environments import REMOTE, PlannedTask
from supportbench.evaluation.executors import LocalExecutor
from supportbench.evaluation.planning import Evaluation, PlannedRun
from supportbench.evaluation.remote import RETRY_DELAYS_S, RemoteEnvironments
from supportbench.models import RubricCard, TaskCard
from supportbench.models.tickets import MOST_CASES
from supportbench.registry import Registry
from supportbench.settings import split_names
from supportbench.wording import did_you_mean, shown

_SERVERS_OWN: Final = ("SUPPORTBENCH_RUBRIC", "SUPPORTBENCH_FEEDBACK")
_HANDED_ON: Final = ("SUPPORTBENCH_TOKEN", "SUPPORTBENCH_PROVIDER", *_SERVERS_OWN)


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
        provider = environ.get("SUPPORTBENCH_PROVIDER", "").strip()
        return cls(url=url, token=_token_of(environ), provider=provider or None)


@contextlib.asynccontextmanager
async def started(image: str, environ: Mapping[str, str]) -> AsyncIterator[Server]:
    """Within the block a container of that image serves, with token, provider, rubric and feedback as set.

    Raises:
        ContainerError: it did not come up.
    """
    env = {variable: value for variable in _HANDED_ON if (value := environ.get(variable, "").strip())}
    async with Container(image, env=env) as url:
        yield Server(url=url, token=_token_of(environ))


def _token_of(environ: Mapping[str, str]) -> str | None:
    """Return the first of the tokens: a server may know several, each as good as any."""
    return next(iter(split_names(environ.get("SUPPORTBENCH_TOKEN", ""))), None)


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
