"""Which tasks a server has, as a client asks for them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from supportbench import Registry, Rubric, RubricComponent, StaticTasks, TaskCard
from supportbench.client import TaskApi
from supportbench.client.task_api import PAGE
from supportbench.errors import RefusedMessageError, ServerConnectionError, ServerError, UnexpectedAnswerError
from tests.client.scripted import answering
from tests.offering import Told, a_task, registry_of
from tests.server.serving import Served, serving

KEY = "a-key-that-nobody-may-see"
MANY = 2 * PAGE + 1


def shop() -> Registry:
    rubric = Rubric(name="told", components=[RubricComponent(use="told", weight=1.0)])
    tasks = [a_task(f"t{number}", tickets=1, rubric="told") for number in range(MANY)]
    provider = StaticTasks(name="house", splits={"train": tasks, "test": [a_task("t", tickets=3, rubric="told")]})
    odd = StaticTasks(name="odd & even", splits={"a/b": [a_task("x/y ?", tickets=2, rubric="told")]})
    return registry_of(components=[Told("told")], rubrics=[rubric], providers=[provider, odd])


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(shop(), provider="house", tokens=(KEY,)) as running:
        yield running


def card(task_id: str, index: int, tickets: int, **changes: Any) -> TaskCard:
    usual = {"provider": "house", "split": "test", "title": task_id.title(), "difficulty": "easy", "description": ""}
    return TaskCard(task_id=task_id, index=index, total_tickets=tickets, **{**usual, **changes})


async def test_providers_splits_and_tasks_can_be_asked_for(served: Served) -> None:
    async with TaskApi(served.url, KEY) as api:
        assert await api.environments() == ("house", "odd & even")
        assert await api.num_tasks("house", "train") == MANY
        assert await api.task("house", "test", 0) == card("t", 0, 3)
        assert [task async for task in api.tasks("house", "train")] == [
            card(f"t{number}", number, 1, split="train") for number in range(MANY)
        ]


async def test_names_may_be_odd(served: Served) -> None:
    async with TaskApi(served.url, KEY) as api:
        (listed,) = [task async for task in api.tasks("odd & even", "a/b")]
        assert listed == card("x/y ?", 0, 2, provider="odd & even", split="a/b")
        found = await api.find("x/y ?")
        assert (found.task_id, found.provider, found.description) == ("x/y ?", "odd & even", "A task.")


async def test_what_does_not_exist_is_refused_in_the_servers_words(served: Served) -> None:
    async with TaskApi(served.url, KEY) as api:
        with pytest.raises(RefusedMessageError, match=r"no split 'tset'\. Did you mean 'test'"):
            await api.num_tasks("house", "tset")
        with pytest.raises(RefusedMessageError, match="Invalid task index"):
            await api.task("house", "test", 7)
        with pytest.raises(RefusedMessageError, match="There is no task 'tt'"):
            await api.find("tt", "house")


async def test_a_token_is_asked_for_and_never_seen(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for token, told in ((None, "It wants a token, and none was given"), ("another", "The token is not one of its own")):
        async with TaskApi(served.url, token) as api:
            with pytest.raises(ServerConnectionError, match=rf"status 401\. {told}"):
                await api.environments()
    async with TaskApi(served.url, KEY) as api:
        await api.environments()
    assert KEY not in str([record.getMessage() for record in caplog.records if not record.name.startswith("uvicorn")])


async def test_where_nobody_is_the_error_says_so() -> None:
    async with TaskApi("http://127.0.0.1:9") as api:
        with pytest.raises(ServerConnectionError, match=r"Cannot reach http://127\.0\.0\.1:9"):
            await api.environments()
    async with answering(None) as url, TaskApi(url, timeout_s=0.2) as api:
        with pytest.raises(ServerConnectionError, match="ReadTimeout"):
            await api.environments()


def http(body: str, status: str = "200 OK", kind: str = "application/json") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    ("said", "kind", "told"),
    [
        (http("<h1>Hello</h1>"), UnexpectedAnswerError, "something else than JSON to GET /list_environments"),
        (http('{"a": 1}'), UnexpectedAnswerError, "does not fit: expected a list, got an object"),
        (http("[1]"), UnexpectedAnswerError, r"does not fit: \[0\]: expected a string, got a number"),
        (http("<h1>No</h1>", "404 Not Found"), ServerConnectionError, r"with status 404\. Is the URL right"),
        (http('{"detail": "Gone."}', "410 Gone"), ServerConnectionError, r"status 410\. It says: Gone\. Is the URL"),
        (http('{"detail": [], "code": "EXECUTION_ERROR"}', "502 Bad Gateway"), ServerError, "EXECUTION_ERROR"),
        (http("", "204 No Content"), UnexpectedAnswerError, "status 204 where GET /list_environments was asked for"),
    ],
)
async def test_somebody_else_at_the_url_is_told_apart(said: bytes, kind: type[Exception], told: str) -> None:
    async with answering(said) as url, TaskApi(url) as api:
        with pytest.raises(kind, match=told):
            await api.environments()


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (
            {"id": "easy", "index": 1, "title": "Easy", "difficulty": "easy", "num_tickets": 2, "more": 1},
            card("easy", 1, 2),
        ),
        ({"id": "easy", "num_tickets": 2}, card("easy", 4, 2, title="", difficulty="")),
    ],
)
async def test_a_task_of_another_openenv_server_is_read_too(listed: Mapping[str, Any], expected: TaskCard) -> None:
    async with answering(http(json.dumps({"task": listed}))) as url, TaskApi(url) as api:
        assert await api.task("house", "test", 4) == expected
