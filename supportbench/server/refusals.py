"""What a client is told when a request is refused: OpenEnv's code, the HTTP status, a message with the next move."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from supportbench.errors import (
    ActionError,
    DecodeError,
    EpisodeBusyError,
    EpisodeNotOpenError,
    Fault,
    PluginCallError,
    StoreError,
    SupportbenchError,
)
from supportbench.frozen import FrozenDict
from supportbench.protocol import ErrorCode


@attrs.frozen(kw_only=True)
class Refusal:
    """A refused request: one message, in it the first of the `faults` at least, and what else a client may act on."""

    status: int
    code: ErrorCode
    message: str
    faults: Sequence[Fault] = ()
    extra: Mapping[str, Any] = FrozenDict()

    def frame(self) -> dict[str, Any]:
        """Return the error frame of OpenEnv's WebSocket protocol."""
        errors = {"errors": [_plain(fault) for fault in self.faults]} if self.faults else {}
        return {"type": "error", "data": {"message": self.message, "code": self.code, **self.extra, **errors}}

    def body(self) -> dict[str, Any]:
        """Return the body of an HTTP answer: `detail` is a list where there are faults, as OpenEnv's clients expect."""
        detail: Any = [_plain(fault) for fault in self.faults] if self.faults else self.message
        return {"detail": detail, "code": self.code, "message": self.message, **self.extra}


class RefusedError(SupportbenchError):
    """A request that the server itself refuses, whatever the environment would say."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def unknown_session(session_id: str) -> RefusedError:
    """Return the error for a session that does not exist, any more or for this caller: which one is not told."""
    shown = session_id if len(session_id) <= 80 else f"{session_id[:77]}..."
    return RefusedError(
        Refusal(
            status=404,
            code="SESSION_ERROR",
            message=f"Unknown session_id: {shown}. It has ended or is not yours; a reset without one begins another.",
        )
    )


def no_session() -> RefusedError:
    """Return the error for a request that says nothing of its session where there is no default one."""
    return RefusedError(
        Refusal(
            status=404,
            code="SESSION_ERROR",
            message="No session: POST /reset begins one; then send the X-Session-ID header that it answers with.",
        )
    )


def two_sessions() -> RefusedError:
    """Return the error for a request that names different sessions in different places."""
    return RefusedError(
        Refusal(
            status=422,
            code="VALIDATION_ERROR",
            message="session_id: header, body and query name different sessions. Name one, once.",
        )
    )


def at_capacity(active: int, most: int) -> RefusedError:
    """Return the error for one session too many."""
    return RefusedError(
        Refusal(
            status=503,
            code="CAPACITY_REACHED",
            message=f"Server at capacity: {active}/{most} sessions active. Close one, or try again later.",
            extra={"active_sessions": active, "max_sessions": most},
        )
    )


def busy(session_id: str) -> RefusedError:
    """Return the error for a request that met another one of the same session."""
    return RefusedError(
        Refusal(
            status=409,
            code="EXECUTION_ERROR",
            message=f"Another request of session {session_id} came first. Wait for its answer, then look at the state.",
        )
    )


def attached_already(session_id: str) -> RefusedError:
    """Return the error for a second WebSocket of one session."""
    return RefusedError(
        Refusal(
            status=409,
            code="SESSION_ERROR",
            message=f"Session {session_id} already has an attached WebSocket. Close that one first.",
        )
    )


def factory_failed() -> Refusal:
    """Return what a client is told for whom no environment could be made."""
    return Refusal(
        status=500,
        code="FACTORY_ERROR",
        message="The server could not make an environment for this connection; its log says why. Try again later.",
        extra={"factory_name": "SupportQueueEnvironment"},
    )


def step_timed_out(timeout_s: float) -> RefusedError:
    """Return the error for a step whose grading took too long."""
    return RefusedError(
        Refusal(
            status=504,
            code="EXECUTION_ERROR",
            message=f"Grading took longer than {timeout_s:g} s. The episode stands where it stood; send it again.",
        )
    )


def refusal_of(error: SupportbenchError, *, where: str = "") -> Refusal:
    """Return what a client is told of an error; `where` is the path of the decoded part within the message."""
    if isinstance(error, RefusedError):
        return error.refusal
    if isinstance(error, DecodeError):
        faults = _placed(error.faults, where)
        return Refusal(status=422, code="VALIDATION_ERROR", message=str(DecodeError(faults)), faults=faults)
    if isinstance(error, ActionError):
        faults = _placed(error.faults, where)
        message = str(ActionError(faults=faults)) if faults else str(error)
        return Refusal(status=422, code="VALIDATION_ERROR", message=message, faults=faults)
    if isinstance(error, EpisodeNotOpenError | EpisodeBusyError):
        return Refusal(status=409, code="EXECUTION_ERROR", message=str(error))
    if isinstance(error, StoreError):
        return Refusal(status=503, code="SESSION_ERROR", message=error.told)
    if isinstance(error, PluginCallError):
        return Refusal(status=502, code="EXECUTION_ERROR", message=str(error))
    return Refusal(status=422, code="VALIDATION_ERROR", message=str(error))


def _placed(faults: Iterable[Fault], where: str) -> tuple[Fault, ...]:
    return tuple(Fault(_joined(where, fault.path), fault.message) for fault in faults)


def invalid_json(error: DecodeError, data: str | bytes, *, where: str = "") -> Refusal:
    """Return what a client is told whose message, or body (`where` says so), is no JSON."""
    problem = error.faults[0].message.removeprefix("no valid JSON: ").partition(" - at ")[0]
    if not data:
        problem = "there is nothing"
    elif isinstance(data, bytes):
        try:
            data.decode()
        except UnicodeDecodeError as wrong:
            problem = f"byte {wrong.start} is no UTF-8"
    return Refusal(
        status=422,
        code="INVALID_JSON",
        message=f"Invalid JSON: {problem}",
        faults=(Fault(where, f"no valid JSON: {problem}"),),
    )


_PLACE: Final = re.compile(r"\[([0-9]{1,18})\]|([^.\[\]]+)")


def _plain(fault: Fault) -> dict[str, Any]:
    places = [key or int(index) for index, key in _PLACE.findall(fault.path)]
    return {"loc": places, "msg": fault.message, "type": "value_error"}


def _joined(where: str, path: str) -> str:
    return f"{where}.{path}" if where and path and not path.startswith("[") else f"{where}{path}"


INTERNAL: Final = Refusal(
    status=500,
    code="EXECUTION_ERROR",
    message="The server failed at this request; its log says where.",
)
