"""The composition root: settings and a registry in, an ASGI application out."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, cast

from litestar import Litestar, Request, Response
from litestar.config.cors import CORSConfig
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.types import ControllerRouterHandler

from supportbench.errors import SupportbenchError
from supportbench.protocol import SESSION_HEADER
from supportbench.registry import Registry
from supportbench.server.answers import JsonAnswer, json_answer, refused_answer
from supportbench.server.channel import ASGIApp, GoneError, Receive, Scope, Send
from supportbench.server.gate import Gate, origins_of
from supportbench.server.http import simulation_routes
from supportbench.server.mcp_routes import mcp_routes, serve_mcp_socket
from supportbench.server.methods import UsualMethods
from supportbench.server.reading import reading_routes
from supportbench.server.refusals import refusal_of
from supportbench.server.service import Service
from supportbench.server.websocket import serve_websocket
from supportbench.settings import ServerSettings
from supportbench.wording import shown

logger: Final = logging.getLogger("supportbench.server.app")
_SIMULATION: Final = frozenset(("reset", "step", "state"))


class ServerApp:
    """The ASGI application of one worker; two of them live happily in one process."""

    def __init__(self, service: Service, gate: Gate) -> None:
        self.service = service
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        await self._gate(scope, receive, send)


class _Routes:
    """Litestar's routes, and a short way beside it to what is played: the WebSockets `/ws` and `/mcp`, and `played`.

    A WebSocket keeps on its stack whatever it came through, for as long as it is open, and each message passes it:
    Litestar's layers cost 3 KiB a session and a fifth of the time that 5,000 sessions take to open. Of a step over HTTP
    they would be a quarter; its handlers are Litestar's all the same, which has them for every other way to them (below
    another application, with another method, from a page of an allowed origin).
    """

    def __init__(self, litestar: Litestar, service: Service, played: Iterable[HTTPRouteHandler]) -> None:
        self._litestar = litestar
        self._http = UsualMethods(cast(ASGIApp, litestar))
        self._service = service
        self._played: dict[tuple[str, str], Callable[[Any], Awaitable[JsonAnswer]]] = {
            (method, path): handler.fn
            for handler in played
            for method in handler.http_methods
            for path in handler.paths
        }
        self._answer_to: Mapping[Any, Any] = litestar.exception_handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (handle := self._played.get((scope["method"], scope["path"]))):
            await self._play(handle, scope, receive, send)
        elif scope["type"] == "websocket" and scope["path"] == "/ws":
            await serve_websocket(self._service, scope, receive, send)
        elif scope["type"] == "websocket" and scope["path"] == "/mcp":
            await serve_mcp_socket(self._service, scope, receive, send)
        else:
            await self._http(scope, receive, send)

    async def _play(
        self, handle: Callable[[Any], Awaitable[JsonAnswer]], scope: Scope, receive: Receive, send: Send
    ) -> None:
        scope["litestar_app"] = self._litestar
        request: Request[Any, Any, Any] = Request(cast(Any, scope), cast(Any, receive), cast(Any, send))
        try:
            answer = await handle(request)
        except Exception as error:
            answer_to = next(self._answer_to[kind] for kind in type(error).__mro__ if kind in self._answer_to)
            answer = answer_to(request, error)
        await answer.to_asgi_response()(scope, receive, send)


def create_app(settings: ServerSettings, registry: Registry) -> ServerApp:
    """Return the application that serves everything in the registry.

    Raises:
        UnknownNameError, RubricError, SettingsError: the settings name something that does not exist or fit.
    """
    service = Service(settings, registry)
    routes: list[ControllerRouterHandler] = [*reading_routes(service, lambda: gate.refused), *mcp_routes(service)]
    played = simulation_routes(service) if settings.mode == "simulation" else []
    routes += played
    litestar = Litestar(
        routes,
        lifespan=[lambda _: service.running()],
        openapi_config=None,
        logging_config=None,
        cors_config=_cors(settings),
        request_max_body_size=settings.max_body,
        exception_handlers={
            SupportbenchError: _refused(service),
            HTTPException: _http_error(settings),
            GoneError: _gone,
            Exception: _failed(service),
        },
    )
    # What a page of another origin may read, Litestar's middleware says.
    gate = Gate(_Routes(litestar, service, () if settings.allowed_origins else played), settings)
    return ServerApp(service, gate)


def _cors(settings: ServerSettings) -> CORSConfig | None:
    """Return what tells browsers that pages of the allowed origins may read our answers."""
    origins = origins_of(settings)
    if not origins:
        return None
    told = [SESSION_HEADER, "Mcp-Session-Id"]
    return CORSConfig(
        allow_origins=list(origins),
        allow_methods=["GET", "HEAD", "POST", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Mcp-Protocol-Version", *told],
        expose_headers=told,
    )


def _refused(service: Service) -> Any:
    def answer(request: Request[Any, Any, Any], error: SupportbenchError) -> Response[bytes]:
        refusal = refusal_of(error)
        service.refused(refusal, error, "")
        return refused_answer(refusal)

    return answer


def _http_error(settings: ServerSettings) -> Any:
    def answer(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
        told, path = error.detail, shown(request.scope["path"])
        if isinstance(error, MethodNotAllowedException):
            methods = {method.strip() for method in (error.headers or {}).get("allow", "").split(",")}
            told = f"{path} takes {', '.join(sorted(methods - {'', 'OPTIONS'})) or 'other methods'}."
        elif isinstance(error, NotFoundException):
            told = f"There is nothing at {path}. GET /openapi.json lists what there is."
            if settings.mode == "production" and request.scope["path"].strip("/") in _SIMULATION:
                told = f"{path} is hidden: this server is in production mode (OPENENV_MODE). Play over /ws or /mcp."
        return json_answer({"detail": told}, status=error.status_code, headers=error.headers)

    return answer


def _gone(request: Request[Any, Any, Any], error: GoneError) -> Response[bytes]:
    return json_answer({"detail": "The client went away while it was sending."}, status=400)  # nobody reads it


def _failed(service: Service) -> Any:
    def answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        return refused_answer(service.failed(error, ""))

    return answer
