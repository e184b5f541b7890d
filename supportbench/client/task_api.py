"""Which tasks a server has: OpenEnv's Task API, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import attrs
import httpx

from supportbench.client.address import ServerAddress, check_token, headers_of
from supportbench.client.answers import read, unexpected
from supportbench.client.refusals import status_error
from supportbench.errors import ServerConnectionError
from supportbench.models import TaskCard

T = TypeVar("T")

PAGE: Final = 500
"""How many tasks are asked for at once."""


@attrs.frozen(kw_only=True)
class _Listed:
    """A task as OpenEnv's Task API lists it; its place stands in the question, too."""

    id: str
    num_tickets: int
    index: int | None = None
    title: str = ""
    difficulty: str = ""

    def card(self, environment: str, split: str, index: int) -> TaskCard:
        return TaskCard(
            provider=environment,
            split=split,
            index=index if self.index is None else self.index,
            task_id=self.id,
            title=self.title,
            difficulty=self.difficulty,
            description="",
            total_tickets=self.num_tickets,
        )


@attrs.frozen(kw_only=True)
class _Tasks:
    tasks: tuple[_Listed, ...]


@attrs.frozen(kw_only=True)
class _Task:
    task: _Listed


@attrs.frozen(kw_only=True)
class _Count:
    num_tasks: int


class TaskApi:
    """The tasks of a server; every method raises `ClientError` when the server does not answer, or refuses.

    The cards have no description where OpenEnv's Task API has none.
    """

    def __init__(self, base_url: str, token: str | None = None, *, timeout_s: float = 30.0) -> None:
        self._address = ServerAddress.from_url(base_url)
        self._token = check_token(token)
        self._http = httpx.AsyncClient(
            headers=headers_of(self._token), timeout=timeout_s, trust_env=not self._address.is_loopback
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def environments(self) -> tuple[str, ...]:
        """Return the names of the environments, which are the providers of tasks."""
        return await self._ask("GET", "/list_environments", tuple[str, ...])

    async def num_tasks(self, environment: str, split: str) -> int:
        """Return how many tasks the split has."""
        path = f"/{_quoted(environment)}/num_tasks"
        return (await self._ask("POST", path, _Count, {"split": split})).num_tasks

    async def task(self, environment: str, split: str, index: int) -> TaskCard:
        """Return the card of the task at `index` of the split."""
        path = f"/{_quoted(environment)}/task"
        listed = (await self._ask("POST", path, _Task, {"split": split, "index": index})).task
        return listed.card(environment, split, index)

    async def tasks(self, environment: str, split: str) -> AsyncGenerator[TaskCard, None]:
        """Yield the cards of the tasks of the split in order; they are asked for a page at a time."""
        count = await self.num_tasks(environment, split)
        path = f"/{_quoted(environment)}/task_range"
        for start in range(0, count, PAGE):
            wanted = {"split": split, "start": start, "stop": min(start + PAGE, count)}
            page = await self._ask("POST", path, _Tasks, wanted)
            for index, listed in enumerate(page.tasks, start):
                yield listed.card(environment, split, index)

    async def find(self, task_id: str, provider: str | None = None) -> TaskCard:
        """Return the card of the task that a reset with that id would choose; OpenEnv itself has no such question."""
        asked = {} if provider is None else {"provider": provider}
        return await self._ask("GET", f"/tasks/{_quoted(task_id)}", TaskCard, params=asked)

    async def _ask(
        self, method: str, path: str, kind: type[T], body: Any = None, params: dict[str, str] | None = None
    ) -> T:
        try:
            response = await self._http.request(method, f"{self._address.http}{path}", json=body, params=params)
        except httpx.HTTPError as error:
            told = str(error) or type(error).__name__
            raise ServerConnectionError(f"Cannot reach {self._address}: {told}. Is a server running there?") from error
        what = f"{method} {path}"
        if response.status_code != httpx.codes.OK:
            raise status_error(
                str(self._address), response.status_code, response.content, has_token=self._token is not None, what=what
            )
        try:
            data = response.json()
        except ValueError as error:
            raise unexpected(str(self._address), f"something else than JSON to {what}") from error
        return read(data, kind, f"something to {what}", str(self._address))


def _quoted(name: str) -> str:
    return quote(name, safe="")
