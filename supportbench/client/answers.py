"""Reading what a server answers: typed values, or the error that its code stands for.

A newer server may say more than this client knows: keys that no field has are dropped. What is missing or has another
type is an error that names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final, TypeVar, get_args, get_type_hints

import attrs

from supportbench import codec
from supportbench.errors import (
    CapacityReachedError,
    DecodeError,
    ExecutionError,
    RefusedMessageError,
    ServerError,
    SessionError,
    UnexpectedAnswerError,
)
from supportbench.models import SupportQueueState
from supportbench.protocol import ErrorCode, StepResult

T = TypeVar("T")

_ERRORS: Final[Mapping[ErrorCode, type[ServerError]]] = {
    "INVALID_JSON": RefusedMessageError,
    "UNKNOWN_TYPE": RefusedMessageError,
    "VALIDATION_ERROR": RefusedMessageError,
    "EXECUTION_ERROR": ExecutionError,
    "CAPACITY_REACHED": CapacityReachedError,
    "FACTORY_ERROR": SessionError,
    "SESSION_ERROR": SessionError,
}
_LONGEST_MESSAGE: Final = 2_000


def read_result(frame: str | bytes, server: str) -> StepResult:
    """Return the result that the frame has; raises `ServerError` for an error, `UnexpectedAnswerError` for the rest."""
    data = dict(_data_of(frame, "observation", server))
    seen = data.get("observation")
    if isinstance(seen, dict):  # reward and done stand beside it on OpenEnv's wire; within it is right as well
        seen |= {name: data[name] for name in ("reward", "done") if name in data}
        data |= {name: seen[name] for name in ("reward", "done") if name in seen}
    data["metadata"] = data.get("metadata") or {}
    return read(data, StepResult, "a result", server)


def read_state(frame: str | bytes, server: str) -> SupportQueueState:
    """Return the state that the frame has; raises like `read_result`."""
    return read(_data_of(frame, "state", server), SupportQueueState, "a state", server)


def read(data: object, kind: type[T], what: str, server: str) -> T:
    """Return the value that the data mean; raises `UnexpectedAnswerError` naming what does not fit."""
    with suppress(DecodeError):  # a server of this version says nothing that is not known
        return codec.structure(data, kind)
    try:
        return codec.structure(known_only(data, kind), kind)
    except DecodeError as error:
        raise unexpected(server, f"{what} that does not fit: {error}") from error


def known_only(data: Any, kind: Any) -> Any:
    """Return the JSON data without the keys that no field of the type has, at any depth."""
    if attrs.has(kind) and isinstance(data, Mapping):
        hints = _hints_of(kind)
        return {key: known_only(value, hints[key]) for key, value in data.items() if key in hints}
    inner = [argument for argument in get_args(kind) if argument not in (type(None), Ellipsis, str)]
    if len(inner) != 1:
        return data
    if isinstance(data, list | tuple):
        return [known_only(item, inner[0]) for item in data]
    if isinstance(data, Mapping) and not attrs.has(inner[0]):
        return data
    if isinstance(data, Mapping) and str in get_args(kind):  # a mapping of names to such values
        return {key: known_only(value, inner[0]) for key, value in data.items()}
    return known_only(data, inner[0])


def error_of(data: object) -> ServerError:
    """Return the error that an error frame's data, or the body of a refused request, stand for."""
    told: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
    code, message = told.get("code"), told.get("message")
    code = code if isinstance(code, str) else "none"
    message = f"{message if isinstance(message, str) else ''}{_first_fault(told)}"
    kind = next((kind for known, kind in _ERRORS.items() if known == code), ServerError)
    return kind(code[:80], message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]}…")


def _first_fault(told: Mapping[str, Any]) -> str:
    """Return what OpenEnv's own server says in `errors` alone, where its message is always "Invalid message"."""
    faults = told.get("errors")
    fault = faults[0] if isinstance(faults, list) and faults else None
    if told.get("message") != "Invalid message" or not isinstance(fault, dict):
        return ""
    places = fault.get("loc")
    path = ".".join(map(str, places)) if isinstance(places, list) else ""
    return f": {path}: {fault.get('msg')}"


def last_error(frame: str | bytes) -> ServerError | None:
    """Return the error if the frame is one after which a server closes the connection, else None."""
    try:
        message = codec.parse_json(frame)
    except DecodeError:
        return None
    if not isinstance(message, dict) or message.get("type") != "error":
        return None
    error = error_of(message.get("data"))
    return error if isinstance(error, CapacityReachedError | SessionError) else None


def unexpected(server: str, what: str) -> UnexpectedAnswerError:
    """Return the error for an answer that is not what a supportbench server of this version says."""
    return UnexpectedAnswerError(
        f"{server} answers with {what}. Is a supportbench server there, and is it of a version that fits this client?"
    )


def _data_of(frame: str | bytes, wanted: str, server: str) -> Mapping[str, Any]:
    try:
        message = codec.parse_json(frame)
    except DecodeError as error:
        raise unexpected(server, f"a message that cannot be read: {error}") from error
    kind, data = (message.get("type"), message.get("data")) if isinstance(message, dict) else (None, None)
    if kind == "error":
        raise error_of(data)
    if kind != wanted or not isinstance(data, dict):
        raise unexpected(server, f"something else than {wanted} data")
    return data


@lru_cache(maxsize=64)
def _hints_of(kind: type[Any]) -> Mapping[str, Any]:
    return get_type_hints(kind)
