"""`POST /reset`, `POST /step`, `GET /state`: OpenEnv's HTTP simulation, which here keeps its episode."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import attrs
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler

from supportbench import codec
from supportbench.errors import ActionError
from supportbench.models import SupportQueueState
from supportbench.protocol import SESSION_HEADER, ResetRequest, SessionResetRequest, StepRequest, StepResult
from supportbench.server.answers import json_answer, read_body, while_connected
from supportbench.server.callers import COOKIE, Callers, SessionChoice
from supportbench.server.operations import PROVIDER_FAILS, Answer, Operation, declared
from supportbench.server.refusals import RefusedError, refusal_of
from supportbench.server.service import Service
from supportbench.server.wire import turn_body

AnyRequest = Request[Any, Any, Any]

_RESET_FIELDS: Final = ("seed", "episode_id", "provider", "task_id", "split", "index")


def simulation_routes(service: Service) -> list[HTTPRouteHandler]:
    """Return the routes that a server in production mode does not have."""
    sessions, callers = service.sessions, Callers(service)

    @post("/reset", status_code=200, opt=declared(_RESET))
    async def reset(request: AnyRequest) -> Response[bytes]:
        asked = await read_body(request, SessionResetRequest, empty=SessionResetRequest())
        choice = await callers.to_reset(request, asked.session_id)
        wanted = ResetRequest(**{name: getattr(asked, name) for name in _RESET_FIELDS})
        try:
            turn = await sessions.reset(choice.session_id, choice.owner, wanted, by_id=choice.by_id)
            await callers.remember(choice)
        except BaseException:
            await callers.give_up(choice)
            raise
        service.counts["resets"] += 1
        return json_answer(turn_body(turn, {"session_id": choice.session_id}), headers=_headers(choice))

    @post("/step", status_code=200, opt=declared(_STEP))
    async def step(request: AnyRequest) -> Response[bytes]:
        asked = await read_body(request, StepRequest)
        choice = await callers.to_use(request, asked.session_id)
        try:
            turn = await sessions.step(
                choice.session_id,
                choice.owner,
                asked.action,
                asked.timeout_s,
                by_id=choice.by_id,
                watching=partial(while_connected, request),
            )
        except ActionError as error:
            raise RefusedError(refusal_of(error, where="body.action")) from None
        service.stepped(turn)
        metadata = {"session_id": choice.session_id}
        if asked.request_id is not None:
            metadata["request_id"] = asked.request_id
        return json_answer(turn_body(turn, metadata), headers=_headers(choice))

    @get("/state", opt=declared(_STATE))
    async def state(request: AnyRequest) -> Response[bytes]:
        choice = await callers.to_use(request, None)
        seen = await sessions.state(choice.session_id, choice.owner)
        return json_answer(codec.encode(seen), headers=_headers(choice))

    return [reset, step, state]


def _headers(choice: SessionChoice) -> Mapping[str, str]:
    cookie = {"Set-Cookie": choice.cookie} if choice.cookie else {}
    return {SESSION_HEADER: choice.session_id, **cookie}


@attrs.frozen(kw_only=True)
class SessionQuery:
    """Which session is meant."""

    session_id: str | None = None


_SESSION: Final = "The session; the same as that of the body and the query, if they name one too."
_NAMED: Final[Mapping[str, Any]] = {
    "query": SessionQuery,
    "headers": {SESSION_HEADER: _SESSION},
    "cookies": {COOKIE: "The session of who names none; set by a reset where no tokens are asked for."},
}
_ANSWERED: Final = {SESSION_HEADER: "The session that this was."}
_NO_SESSION: Final = "There is no such session, any more or for this caller."
_NO_STORE: Final = "The session store cannot be reached."
_RESET: Final = Operation(
    summary="Begin an episode",
    description="In the session that is named, or in a new one. Without a body the session's next task is played.",
    tag="Episodes",
    **_NAMED,
    body=SessionResetRequest,
    body_required=False,
    answers={200: Answer.of_json(StepResult, "The first observation; `reward` is null.", headers=_ANSWERED)},
    refuses={
        404: _NO_SESSION,
        409: "Another request of the session came first.",
        422: "The body is no JSON, or asks for what does not exist or contradicts itself; the message says what.",
        502: PROVIDER_FAILS,
        503: f"As many sessions are open as there may be. Or: {_NO_STORE}",
    },
)
_STEP: Final = Operation(
    summary="Triage the open ticket",
    description="Whatever is refused changes nothing: the same ticket stays open.",
    tag="Episodes",
    **_NAMED,
    body=StepRequest,
    answers={200: Answer.of_json(StepResult, "The next observation, and the reward.", headers=_ANSWERED)},
    refuses={
        404: f"{_NO_SESSION} Or none is named, and the caller has none.",
        409: "No episode is open, or another request of the session came first.",
        422: "The body is no JSON or no action, or the task does not allow a value; `detail` lists the places.",
        502: "A grader failed; the message names it.",
        503: _NO_STORE,
        504: "Grading took too long.",
    },
)
_STATE: Final = Operation(
    summary="Tell where the episode stands",
    tag="Episodes",
    **_NAMED,
    answers={200: Answer.of_json(SupportQueueState, "The state.", headers=_ANSWERED)},
    refuses={
        404: f"{_NO_SESSION} Or none is named, and the caller has none.",
        422: "The request names two sessions.",
        503: _NO_STORE,
    },
)
