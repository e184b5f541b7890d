"""`POST /reset`, `POST /step`, `GET /state`: OpenEnv's HTTP simulation, which here keeps its episode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler

from supportbench import codec
from supportbench.protocol import SESSION_HEADER, ResetRequest, SessionResetRequest, StepRequest
from supportbench.server.answers import json_answer, read_body
from supportbench.server.callers import Callers, SessionChoice
from supportbench.server.service import Service
from supportbench.server.wire import turn_body

AnyRequest = Request[Any, Any, Any]

_RESET_FIELDS: Final = ("seed", "episode_id", "provider", "task_id", "split", "index")


def simulation_routes(service: Service) -> list[HTTPRouteHandler]:
    """Return the routes that a server in production mode does not have."""
    sessions, callers = service.sessions, Callers(service)

    @post("/reset", status_code=200)
    async def reset(request: AnyRequest) -> Response[bytes]:
        asked = await read_body(request, SessionResetRequest, empty=SessionResetRequest())
        choice = await callers.to_reset(request, asked.session_id)
        wanted = ResetRequest(**{name: getattr(asked, name) for name in _RESET_FIELDS})
        try:
            turn = await sessions.reset(choice.session_id, choice.owner, wanted, by_id=choice.by_id)
        except BaseException:
            await callers.give_up(choice)
            raise
        await callers.remember(choice)
        service.counts["resets"] += 1
        return json_answer(turn_body(turn, {"session_id": choice.session_id}), headers=_headers(choice))

    @post("/step", status_code=200)
    async def step(request: AnyRequest) -> Response[bytes]:
        asked = await read_body(request, StepRequest)
        choice = await callers.to_use(request, asked.session_id)
        turn = await sessions.step(choice.session_id, choice.owner, asked.action, asked.timeout_s, by_id=choice.by_id)
        service.counts["steps"] += 1
        metadata = {"session_id": choice.session_id}
        if asked.request_id is not None:
            metadata["request_id"] = asked.request_id
        return json_answer(turn_body(turn, metadata), headers=_headers(choice))

    @get("/state")
    async def state(request: AnyRequest) -> Response[bytes]:
        choice = await callers.to_use(request, None)
        seen = await sessions.state(choice.session_id, choice.owner)
        return json_answer(codec.encode(seen), headers=_headers(choice))

    return [reset, step, state]


def _headers(choice: SessionChoice) -> Mapping[str, str]:
    cookie = {"Set-Cookie": choice.cookie} if choice.cookie else {}
    return {SESSION_HEADER: choice.session_id, **cookie}
