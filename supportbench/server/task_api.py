"""OpenEnv's Task API: which tasks there are, by split and index; here every provider is an environment.

Names of environments are compared without case. Unlike the reference, a split that does not exist is 404, an index that
does not exist is 400 (it is never counted from the end), and one answer has a bounded number of tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import attrs
from attrs import field
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler

from supportbench.errors import Fault
from supportbench.models import TaskCard, fields
from supportbench.server.answers import json_answer, read_body
from supportbench.server.operations import PROVIDER_FAILS, Answer, Operation, declared
from supportbench.server.refusals import Refusal, RefusedError
from supportbench.server.task_list import TaskList
from supportbench.wording import shown

AnyRequest = Request[Any, Any, Any]
SplitType = Literal["train", "validation", "test"]

MOST_TASKS: Final = 10_000
"""How many tasks one answer may have: some 3 MB."""

_TYPED: Final[Sequence[SplitType]] = ("train", "validation", "test")


@attrs.frozen(kw_only=True)
class EnvironmentSplit:
    """A split; any name of a provider's own is of type `validation`, as on OpenEnv's server."""

    name: str
    type: SplitType


@attrs.frozen(kw_only=True)
class EnvironmentTask:
    """A task; `id` and `task_id` are the same, and a reset with it, or with `split` and `index`, chooses it."""

    id: str
    index: int
    title: str
    difficulty: str
    num_tickets: int
    split: str
    provider: str
    task_id: str

    @classmethod
    def from_card(cls, card: TaskCard) -> EnvironmentTask:
        """Return the task of that card."""
        return cls(
            id=card.task_id,
            index=card.index,
            title=card.title,
            difficulty=card.difficulty,
            num_tickets=card.total_tickets,
            split=card.split,
            provider=card.provider,
            task_id=card.task_id,
        )


@attrs.frozen(kw_only=True)
class SplitRequest:
    """A split of the environment."""

    split: str = field(validator=fields.name)


@attrs.frozen(kw_only=True)
class TaskRequest:
    """One task of a split."""

    split: str = field(validator=fields.name)
    index: int


@attrs.frozen(kw_only=True)
class TaskRangeRequest:
    """The tasks of a split from `start` (null: the first) up to, but without, `stop` (null: all that follow)."""

    split: str = field(validator=fields.name)
    start: int | None = None
    stop: int | None = None


@attrs.frozen(kw_only=True)
class EnvironmentTasks:
    """All tasks of a split."""

    tasks: tuple[EnvironmentTask, ...]
    env_name: str


@attrs.frozen(kw_only=True)
class TaskCount:
    """How many tasks a split has."""

    num_tasks: int


@attrs.frozen(kw_only=True)
class OneTask:
    """One task."""

    task: EnvironmentTask


@attrs.frozen(kw_only=True)
class TaskRange:
    """Some tasks of a split."""

    tasks: tuple[EnvironmentTask, ...]


def task_api_routes(task_list: TaskList) -> list[HTTPRouteHandler]:
    """Return the routes of the Task API."""
    names = task_list.providers()
    # Two names may differ in nothing but their case: then each is found as it is written.
    environments = {name.casefold(): name for name in names} | {name: name for name in names}

    def environment_of(request: AnyRequest) -> str:
        asked = str(request.path_params["env_name"])
        name = environments.get(asked) or environments.get(asked.casefold())
        if name is None:
            message = f"unknown environment {shown(asked)}"
            raise RefusedError(
                Refusal(status=404, code="VALIDATION_ERROR", message=message, extra={"environments": names})
            )
        return name

    async def some(environment: str, split: str, start: int, stop: int) -> tuple[EnvironmentTask, ...]:
        cards = await task_list.cards(environment, split, start, stop)
        return tuple(EnvironmentTask.from_card(card) for card in cards)

    @get("/list_environments", opt=declared(_ENVIRONMENTS))
    async def list_environments() -> Response[bytes]:
        return json_answer(names)

    @get("/{env_name:str}/splits", opt=declared(_SPLITS))
    async def list_splits(request: AnyRequest) -> Response[bytes]:
        splits = task_list.splits(environment_of(request))
        return json_answer(tuple(EnvironmentSplit(name=split, type=_type_of(split)) for split in splits))

    @post("/{env_name:str}/tasks", status_code=200, opt=declared(_TASKS))
    async def list_tasks(request: AnyRequest) -> Response[bytes]:
        environment = environment_of(request)
        asked = await read_body(request, SplitRequest)
        count = task_list.num_tasks(environment, asked.split)
        if count > MOST_TASKS:
            problem = f"this split has {count:,} tasks, more than one answer may have ({MOST_TASKS:,})"
            raise _too_many("body.split", f"{problem}. Ask POST /{environment}/task_range for a part of them.")
        return json_answer(EnvironmentTasks(tasks=await some(environment, asked.split, 0, count), env_name=environment))

    @post("/{env_name:str}/num_tasks", status_code=200, opt=declared(_NUM_TASKS))
    async def num_tasks(request: AnyRequest) -> Response[bytes]:
        environment = environment_of(request)
        asked = await read_body(request, SplitRequest)
        return json_answer(TaskCount(num_tasks=task_list.num_tasks(environment, asked.split)))

    @post("/{env_name:str}/task", status_code=200, opt=declared(_TASK))
    async def get_task(request: AnyRequest) -> Response[bytes]:
        environment = environment_of(request)
        asked = await read_body(request, TaskRequest)
        count = task_list.num_tasks(environment, asked.split)
        if not 0 <= asked.index < count:
            raise _no_index(f"index {asked.index}" if abs(asked.index) <= fields.LARGEST else "the index", count)
        (task,) = await some(environment, asked.split, asked.index, asked.index + 1)
        return json_answer(OneTask(task=task))

    @post("/{env_name:str}/task_range", status_code=200, opt=declared(_TASK_RANGE))
    async def get_task_range(request: AnyRequest) -> Response[bytes]:
        environment = environment_of(request)
        asked = await read_body(request, TaskRangeRequest)
        count = task_list.num_tasks(environment, asked.split)
        start = 0 if asked.start is None else asked.start
        stop = count if asked.stop is None else asked.stop
        if start < 0 or stop < 0:
            raise _no_index("a negative bound", count)
        if asked.stop is not None and stop < start:
            raise _no_index("a stop before the start", count)
        stop = min(stop, count)
        if stop - start > MOST_TASKS:
            problem = f"these are {stop - start:,} tasks, more than one answer may have ({MOST_TASKS:,})"
            raise _too_many("body.stop", f"{problem}. Ask for them in parts.")
        return json_answer(TaskRange(tasks=await some(environment, asked.split, start, stop)))

    return [list_environments, list_splits, list_tasks, num_tasks, get_task, get_task_range]


def _type_of(split: str) -> SplitType:
    return next((kind for kind in _TYPED if kind == split), "validation")


def _no_index(what: str, count: int) -> RefusedError:
    allowed = f"from 0 to {count - 1}" if count else "none, since the split has no tasks"
    message = f"Invalid task index: {what}. Allowed: {allowed}."
    return RefusedError(Refusal(status=400, code="VALIDATION_ERROR", message=message))


def _too_many(path: str, problem: str) -> RefusedError:
    message = problem[0].upper() + problem[1:]
    return RefusedError(Refusal(status=422, code="VALIDATION_ERROR", message=message, faults=(Fault(path, problem),)))


_UNKNOWN: Final = "There is no such environment, or it has no such split."
_BAD_BODY: Final = "The body is no JSON, or is wrong at the places that `detail` lists."
_ENV: Final = {"env_name": "The environment's name, which is a provider's; the case does not matter."}
_ENVIRONMENTS: Final = Operation(
    summary="List the environments",
    description="They are the providers of tasks.",
    tag="Task API",
    answers={200: Answer.of_json(tuple[str, ...], "Their names, sorted.")},
)
_SPLITS: Final = Operation(
    summary="List an environment's splits",
    tag="Task API",
    path=_ENV,
    answers={200: Answer.of_json(tuple[EnvironmentSplit, ...], "In the environment's own order.")},
    refuses={404: "There is no such environment.", 502: PROVIDER_FAILS},
)
_TASKS: Final = Operation(
    summary="List the tasks of a split",
    tag="Task API",
    path=_ENV,
    body=SplitRequest,
    answers={200: Answer.of_json(EnvironmentTasks, "In the order of their indices.")},
    refuses={
        404: _UNKNOWN,
        422: f"{_BAD_BODY} Or the split has more than {MOST_TASKS:,} tasks: ask for a range of them.",
        502: PROVIDER_FAILS,
    },
)
_NUM_TASKS: Final = Operation(
    summary="Count the tasks of a split",
    tag="Task API",
    path=_ENV,
    body=SplitRequest,
    answers={200: Answer.of_json(TaskCount, "Their number.")},
    refuses={404: _UNKNOWN, 422: _BAD_BODY, 502: PROVIDER_FAILS},
)
_TASK: Final = Operation(
    summary="Show one task",
    tag="Task API",
    path=_ENV,
    body=TaskRequest,
    answers={200: Answer.of_json(OneTask, "The task.")},
    refuses={400: "The split has no task of that index.", 404: _UNKNOWN, 422: _BAD_BODY, 502: PROVIDER_FAILS},
)
_TASK_RANGE: Final = Operation(
    summary="List a range of the tasks of a split",
    description="A range that goes beyond the last task ends there.",
    tag="Task API",
    path=_ENV,
    body=TaskRangeRequest,
    answers={200: Answer.of_json(TaskRange, "In the order of their indices.")},
    refuses={
        400: "A bound is negative, or the stop is before the start.",
        404: _UNKNOWN,
        422: f"{_BAD_BODY} Or the range has more than {MOST_TASKS:,} tasks.",
        502: PROVIDER_FAILS,
    },
)
