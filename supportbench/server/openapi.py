"""The OpenAPI 3.1 document, made of what the handlers themselves declare, and of what the gate does before them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.metadata import metadata
from typing import Any, Final, Literal

import attrs
from litestar import Request, Response, get
from litestar.app import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from supportbench import codec
from supportbench.protocol import ErrorCode
from supportbench.server.answers import json_answer
from supportbench.server.catalogue import DISTRIBUTION
from supportbench.server.mounting import root_of
from supportbench.server.operations import JSON, PROVIDER_FAILS, Answer, Operation, Tag, declared, operation_of
from supportbench.server.schemas import Schemas
from supportbench.settings import ServerSettings

AnyRequest = Request[Any, Any, Any]

API_VERSION: Final = "1.0.0"
"""The version of the protocol that is spoken over HTTP, which OpenEnv's validator wants to begin with 1."""

_SCHEME: Final = "bearer"


@attrs.frozen(kw_only=True)
class InputFault:
    """One thing wrong with a request: where (`["body", "action", "priority"]`) and what."""

    loc: tuple[str | int, ...]
    msg: str
    type: Literal["value_error"]


@attrs.frozen(kw_only=True)
class Refused:
    """Why a request was refused, with the next move. Other keys have what a program may act on."""

    detail: str | tuple[InputFault, ...]
    code: ErrorCode
    message: str


@attrs.frozen(kw_only=True)
class TurnedAway:
    """Why a request got no further than the gate or the router."""

    detail: str


class ApiDocument:
    """The OpenAPI document of everything that an application answers over HTTP; made when it is first asked for."""

    def __init__(self, settings: ServerSettings, schemas: Schemas) -> None:
        self._settings = settings
        self._schemas = schemas
        self._made: dict[str, Any] | None = None

    def of(self, app: Litestar) -> Mapping[str, Any]:
        """Return the document; raises `ProviderError` as long as it cannot be told what actions may say."""
        if self._made is None:
            self._made = _Writer(self._settings, self._schemas).document(app)
        return self._made


def openapi_routes(document: ApiDocument) -> list[HTTPRouteHandler]:
    """Return the route of the document."""

    @lru_cache(maxsize=8)
    def document_json(app: Litestar, root: str) -> bytes:
        return codec.encode({**document.of(app), "servers": [{"url": root or "/"}]})

    @get("/openapi.json", opt=declared(_OPENAPI))
    async def openapi(request: AnyRequest) -> Response[bytes]:
        return json_answer(document_json(request.app, root_of(request)))

    return [openapi]


def operations_of(app: Litestar) -> Iterator[tuple[str, str, Operation]]:
    """Yield (path, method, operation) of every route; OPTIONS, and HEAD beside GET, go without saying.

    Raises:
        LookupError: a handler declares no operation.
    """
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for handler in route.route_handlers:
            for method in sorted(handler.http_methods - {"OPTIONS"}):
                operation = operation_of(handler.opt)
                if operation is None:
                    raise LookupError(f"{method} {route.path_format} declares no operation")
                yield route.path_format, str(method), operation


class _Writer:
    def __init__(self, settings: ServerSettings, schemas: Schemas) -> None:
        self._settings = settings
        self._schemas = schemas
        self._components: dict[str, Any] = {}

    def document(self, app: Litestar) -> dict[str, Any]:
        paths: dict[str, dict[str, Any]] = {}
        for path, method, operation in sorted(operations_of(app), key=lambda found: found[:2]):
            paths.setdefault(path, {})[method.lower()] = self._operation(path, method, operation)
        told = metadata(DISTRIBUTION)
        secured = bool(self._settings.tokens)
        return {
            "openapi": "3.1.0",
            "info": {
                "title": DISTRIBUTION,
                "version": API_VERSION,
                "summary": told["Summary"],
                "description": _ABOUT.format(version=told["Version"]),
                "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
            },
            "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
            **({"security": [{_SCHEME: []}]} if secured else {}),
            "tags": [{"name": name, "description": described} for name, described in _TAGS.items()],
            "paths": paths,
            "components": {
                "schemas": dict(sorted(self._components.items())),
                **({"securitySchemes": {_SCHEME: {"type": "http", "scheme": "bearer"}}} if secured else {}),
            },
        }

    def _operation(self, path: str, method: str, operation: Operation) -> dict[str, Any]:
        words = [word for word in path.replace("{", "").replace("}", "").split("/") if word]
        parameters = [*self._parameters(operation)]
        written = {
            "operationId": "_".join([method.lower(), *(word.replace(".", "_") for word in words)]),
            "summary": operation.summary,
            "description": operation.description,
            "tags": [operation.tag],
            "parameters": parameters,
            "requestBody": self._body(operation) if operation.body is not None else None,
            "responses": {
                **{str(status): self._answer(answer) for status, answer in operation.answers.items()},
                **dict(sorted(self._refusals(operation))),
            },
        }
        kept = {key: value for key, value in written.items() if value}
        return kept if operation.needs_token or not self._settings.tokens else {**kept, "security": []}

    def _parameters(self, operation: Operation) -> Iterator[dict[str, Any]]:
        for place, named in (("path", operation.path), ("header", operation.headers), ("cookie", operation.cookies)):
            for name, described in named.items():
                yield {
                    "name": name,
                    "in": place,
                    "description": described,
                    "required": place == "path",
                    "schema": {"type": "string", **({"minLength": 1} if place == "path" else {})},
                }
        if operation.query is not None:
            for name, schema in self._schemas.properties(operation.query).items():
                described = schema.get("description", "")
                shape = {key: value for key, value in schema.items() if key not in ("description", "anyOf")}
                for branch in schema.get("anyOf", ()):
                    if branch != {"type": "null"}:  # in a query there is no null: it is left out
                        shape = {**branch}
                yield {"name": name, "in": "query", "description": described, "required": False, "schema": shape}

    def _body(self, operation: Operation) -> dict[str, Any]:
        schema = self._schemas.component(operation.body, self._components)
        return {"required": operation.body_required, "content": {JSON: {"schema": schema}}}

    def _answer(self, answer: Answer) -> dict[str, Any]:
        return self._response(answer.description, answer.content, answer.headers)

    def _response(
        self, description: str, content: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        described = {
            name: {"description": told, "schema": {"type": "string"}} for name, told in (headers or {}).items()
        }
        bodies = {
            media: {"schema": {"type": "string"}} if kind is str else self._schema_of(kind)
            for media, kind in content.items()
        }
        return {
            "description": description,
            **({"headers": described} if described else {}),
            **({"content": bodies} if bodies else {}),
        }

    def _schema_of(self, kind: Any) -> dict[str, Any]:
        return {"schema": self._schemas.component(kind, self._components)}

    def _refusals(self, operation: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield what the operation refuses, and what is refused before it is reached."""
        settings = self._settings
        for status, when in operation.refuses.items():
            yield str(status), self._response(when, {JSON: Refused}, _RETRY if status == 503 else None)
        if settings.tokens and operation.needs_token:
            asked = {"WWW-Authenticate": "How to show a token: `Bearer`."}
            yield "401", self._response("No token was sent, or none that is known.", {JSON: TurnedAway}, asked)
        yield "403", self._response("A page of another origin asks, which is not allowed.", {JSON: TurnedAway})
        if operation.body is not None:
            most = f"The body has more than {settings.max_body:,} bytes."
            yield "413", self._response(most, {JSON: TurnedAway})
        yield "421", self._response("The host that is asked for is no name of this server.", {JSON: TurnedAway})
        if settings.message_limit or settings.connection_limit:
            limited = "Too many requests, or too many connections, of one address; never on loopback."
            yield "429", self._response(limited, {JSON: TurnedAway}, _RETRY)


_RETRY: Final = {"Retry-After": "After how many seconds to try again."}
_ABOUT: Final = """A benchmark of triaging support tickets, served as a reinforcement-learning environment over the \
OpenEnv protocol (supportbench {version}).

Two WebSockets are beside these routes, which OpenAPI has no words for: `/ws` plays episodes (reset, step, state), one \
environment a connection, and `/mcp` speaks JSON-RPC as `POST /mcp` does."""
_TAGS: Final[Mapping[Tag, str]] = {
    "Episodes": "Play: begin an episode, triage its tickets one by one, look where it stands.",
    "Tasks": "What can be played.",
    "Task API": "The same by split and index, as OpenEnv's Task API has it.",
    "MCP": "The environment as tools for language models.",
    "Server": "What this server is, and what it runs with.",
    "Pages": "For people.",
}
_OPENAPI: Final = Operation(
    summary="Give this document",
    tag="Server",
    answers={200: Answer.of_json(dict[str, Any], "OpenAPI 3.1.")},
    refuses={502: PROVIDER_FAILS},
)
