"""What a server has to offer, to be read: health, metadata, schemas, tasks, plugins, rubrics."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib.metadata import metadata
from typing import Any, Final, Literal
from urllib.parse import quote, unquote_to_bytes

import attrs
from attrs import field
from attrs.validators import optional
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

from supportbench import codec
from supportbench.errors.field import FieldError
from supportbench.inventory import InstalledPlugin, installed_plugins
from supportbench.models import TaskCard, fields
from supportbench.rubrics import resolve_rubric
from supportbench.server.answers import json_answer
from supportbench.server.mounting import root_of
from supportbench.server.operations import PROVIDER_FAILS, Answer, Operation, declared
from supportbench.server.query import read_query
from supportbench.server.rubrics import RubricDescription, Rubrics, describe_rubrics
from supportbench.server.schemas import EnvironmentSchemas, Schemas
from supportbench.server.service import Service
from supportbench.server.task_list import TaskList, TaskPage, not_found
from supportbench.wording import shown

AnyRequest = Request[Any, Any, Any]

DISTRIBUTION: Final = "supportbench"
MOST_A_PAGE: Final = 1000
_HEALTHY: Final = b'{"status":"healthy"}'
_FRONT_MATTER: Final = re.compile(r"\A---\n.*?\n---\n\s*", re.DOTALL)
_CURSOR: Final = re.compile(r"[0-9]{1,18}")


@attrs.frozen(kw_only=True)
class Health:
    """That the server answers; nothing else is looked at."""

    status: Literal["healthy"] = "healthy"


@attrs.frozen(kw_only=True)
class EnvironmentMetadata:
    """What this is, as OpenEnv asks for it."""

    name: str
    description: str
    readme_content: str | None
    version: str
    author: str | None
    documentation_url: str | None


def _page_size(instance: object, attribute: attrs.Attribute[Any], value: int) -> None:
    if not 1 <= value <= MOST_A_PAGE:
        raise FieldError(attribute.name, f"must be from 1 to {MOST_A_PAGE}")


def _cursor(instance: object, attribute: attrs.Attribute[Any], value: str) -> None:
    if not _CURSOR.fullmatch(value):
        raise FieldError(attribute.name, "must be what `next` of a page said; leave it out to begin")


@attrs.frozen(kw_only=True)
class TasksQuery:
    """Which tasks to list."""

    provider: str | None = field(default=None, validator=optional(fields.name))
    split: str | None = field(default=None, validator=optional(fields.name))
    limit: int = field(default=100, validator=_page_size)
    cursor: str | None = field(default=None, validator=optional(_cursor))


@attrs.frozen(kw_only=True)
class TaskQuery:
    """Whose task is meant."""

    provider: str | None = field(default=None, validator=optional(fields.name))


def catalogue_routes(service: Service, schemas: Schemas, task_list: TaskList) -> list[HTTPRouteHandler]:
    """Return the routes that tell what this server has to offer; what does not change is encoded once."""
    registry, settings = service.registry, service.settings
    override = None if settings.rubric is None else resolve_rubric(registry, settings.rubric)
    sound_rubrics: list[bytes] = []
    known_rubrics: dict[str | None, RubricDescription] = {}

    @lru_cache(maxsize=8)
    def metadata_json(root: str) -> bytes:
        return codec.encode(environment_metadata(documentation_url=f"{root}/docs"))

    @cache
    def schemas_json() -> bytes:
        return codec.encode(schemas.of_environment)

    @cache
    def plugins_json() -> bytes:
        return codec.encode(installed_plugins(registry))

    @get("/health", opt=declared(_HEALTH))
    async def health() -> Response[bytes]:
        return json_answer(_HEALTHY)

    @get("/metadata", opt=declared(_METADATA))
    async def tell_metadata(request: AnyRequest) -> Response[bytes]:
        return json_answer(metadata_json(root_of(request)))

    @get("/schema", opt=declared(_SCHEMA))
    async def schema() -> Response[bytes]:
        return json_answer(schemas_json())

    @get("/plugins", opt=declared(_PLUGINS))
    async def plugins() -> Response[bytes]:
        return json_answer(plugins_json())

    @get("/rubrics", opt=declared(_RUBRICS))
    async def rubrics() -> Response[bytes]:
        if not sound_rubrics:
            described = describe_rubrics(registry, override, known_rubrics)
            if not described.sound:  # what a plugin fails at today it may manage tomorrow
                return json_answer(described)
            sound_rubrics.append(codec.encode(described))
        return json_answer(sound_rubrics[0])

    def one_task(request: AnyRequest, task_id: str) -> Response[bytes]:
        asked = read_query(request, TaskQuery)
        if not 1 <= len(task_id) <= 255:
            raise not_found(f"There is no task {shown(task_id)}: an id has 1 to 255 characters.")
        return json_answer(task_list.find(task_id, asked.provider))

    @get("/tasks", opt=declared(_TASKS))
    async def tasks(request: AnyRequest) -> Response[bytes]:
        task_id = _after_first_segment(request)
        if task_id:  # one of slashes alone
            return one_task(request, task_id)
        asked = read_query(request, TasksQuery)
        parts = task_list.parts(asked.provider, asked.split)
        return json_answer(await task_list.page(parts, start=int(asked.cursor or 0), limit=asked.limit))

    @get("/tasks/{task_id:path}", opt=declared(_TASK))
    async def task(request: AnyRequest) -> Response[bytes]:
        return one_task(request, _after_first_segment(request))

    return [health, tell_metadata, schema, plugins, rubrics, tasks, task]


def environment_metadata(*, documentation_url: str) -> EnvironmentMetadata:
    """Return what the installed distribution says of itself; the README is without its front matter."""
    told = metadata(DISTRIBUTION)
    readme = told.json.get("description")
    return EnvironmentMetadata(
        name=DISTRIBUTION,
        description=told["Summary"],
        readme_content=_FRONT_MATTER.sub("", str(readme)) if readme else None,
        version=told["Version"],
        author=None,
        documentation_url=documentation_url,
    )


def _after_first_segment(request: AnyRequest) -> str:
    """Return the path behind its first segment as it was sent: Litestar's own has lost slashes that belong to an id."""
    scope = request.scope
    sent = scope.get("raw_path") or quote(scope["path"]).encode()
    own = sent.removeprefix(root_of(request).encode())
    return unquote_to_bytes(own.lstrip(b"/").partition(b"/")[2]).decode(errors="replace")


_HEALTH: Final = Operation(
    summary="Tell whether the server answers",
    description="Needs no token and looks at nothing else, so that it is quick under any load.",
    tag="Server",
    answers={200: Answer.of_json(Health, "It does.")},
    needs_token=False,
)
_METADATA: Final = Operation(
    summary="Tell what this is",
    tag="Server",
    answers={200: Answer.of_json(EnvironmentMetadata, "Name, description, version and README.")},
)
_SCHEMA: Final = Operation(
    summary="Give the JSON Schemas of actions, observations and states",
    description="The values of an action's `priority`, `queue` and `disposition` are those of all installed tasks "
    "together; what one task allows is in its observations.",
    tag="Server",
    answers={200: Answer.of_json(EnvironmentSchemas, "Each refers to nothing outside itself.")},
    refuses={502: PROVIDER_FAILS},
)
_PLUGINS: Final = Operation(
    summary="List the installed plugins",
    description="The same as `supportbench plugins --json`.",
    tag="Server",
    answers={200: Answer.of_json(tuple[InstalledPlugin, ...], "Sorted by name.")},
)
_RUBRICS: Final = Operation(
    summary="List the rubrics: what counts how much",
    tag="Server",
    answers={200: Answer.of_json(Rubrics, "Sorted by name.")},
)
_TASKS: Final = Operation(
    summary="List the tasks, a page at a time",
    description="Public cards in the order of providers (sorted by name), splits and indices. To go on, send `next` of "
    "the page before as `cursor`; it is null on the last one.",
    tag="Tasks",
    query=TasksQuery,
    answers={200: Answer.of_json(TaskPage, "A page of cards.")},
    refuses={
        404: "There is no such provider or split; the message says which there are.",
        422: "A parameter is unknown, given twice or impossible.",
        502: PROVIDER_FAILS,
    },
)
_TASK: Final = Operation(
    summary="Show the card of one task",
    description="The one that a reset with this `task_id` would choose.",
    tag="Tasks",
    path={"task_id": "The task's id, percent-encoded; slashes may stand as they are."},
    query=TaskQuery,
    answers={200: Answer.of_json(TaskCard, "The card.")},
    refuses={
        404: "There is no such task or provider; the message suggests one.",
        409: "Several providers have such a task; the message names them.",
        422: "A parameter is unknown, given twice or impossible.",
        502: PROVIDER_FAILS,
    },
)
