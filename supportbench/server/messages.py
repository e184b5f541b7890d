"""Reading what comes in over OpenEnv's WebSocket: bytes to typed messages, or a refusal that names the place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import attrs

from supportbench import codec
from supportbench.errors import DecodeError, Fault, did_you_mean
from supportbench.models import SupportQueueAction
from supportbench.models.fields import FieldError
from supportbench.protocol import MESSAGE_TYPES, ResetRequest, check_seconds
from supportbench.server.refusals import Refusal, RefusedError, invalid_json, refusal_of


@attrs.frozen
class ResetMessage:
    """Begin an episode."""

    request: ResetRequest


@attrs.frozen
class StepMessage:
    """Grade an action, within `timeout_s` if that is given (which OpenEnv's own clients never do)."""

    action: SupportQueueAction
    timeout_s: float | None


@attrs.frozen
class StateMessage:
    """Tell where the episode stands."""


@attrs.frozen
class CloseMessage:
    """Close the connection."""


@attrs.frozen
class McpMessage:
    """A JSON-RPC message in OpenEnv's envelope; whether it is a valid one is JSON-RPC's business."""

    data: Any


Incoming: TypeAlias = ResetMessage | StepMessage | StateMessage | CloseMessage | McpMessage

_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "reset": frozenset(("type", "data")),
    "step": frozenset(("type", "data", "timeout_s")),
    "state": frozenset(("type",)),
    "close": frozenset(("type",)),
    "mcp": frozenset(("type", "data")),
}


def read_message(text: str | bytes) -> Incoming:
    """Return the message; raises `RefusedError` with OpenEnv's code, and never repeats large input."""
    try:
        frame = codec.parse_json(text)
    except DecodeError as error:
        raise RefusedError(invalid_json(error)) from None
    if type(frame) is not dict:
        raise _invalid("", f"a message is an object with a type, not {_named(frame)}")
    kind = frame.get("type")
    known = _KEYS.get(kind) if type(kind) is str else None
    if known is None:
        raise _unknown_type(frame)
    if not known.issuperset(frame):
        key = next(key for key in frame if key not in known)
        raise _invalid(_short(key), f"unknown key in a message of type {kind!r}. {did_you_mean(key, known)}")
    if kind == "step":
        if "data" not in frame:
            raise _invalid("data", "required, but missing: the action")
        return StepMessage(_structured(frame["data"], SupportQueueAction), _timeout(frame.get("timeout_s")))
    if kind == "reset":
        return ResetMessage(_structured(frame.get("data", {}), ResetRequest))
    if kind == "mcp":
        if "data" not in frame:
            raise _invalid("data", "required, but missing: the JSON-RPC message")
        return McpMessage(frame["data"])
    return StateMessage() if kind == "state" else CloseMessage()


def _structured(data: object, kind: type[Any]) -> Any:
    try:
        return codec.structure(data, kind)
    except DecodeError as error:
        raise RefusedError(refusal_of(error, where="data")) from None


def _timeout(value: object) -> float | None:
    if value is None:
        return None
    try:
        return check_seconds("timeout_s", value)
    except FieldError as error:
        raise _invalid(error.field, error.problem) from None


def _invalid(path: str, problem: str) -> RefusedError:
    return RefusedError(refusal_of(DecodeError([Fault(path, problem)])))


def _unknown_type(frame: Mapping[str, Any]) -> RefusedError:
    kind = frame.get("type")
    said = "The message has no type." if "type" not in frame else "The type is no string."
    if isinstance(kind, str):
        said = f"Unknown message type: {_short(kind)}."
    told = did_you_mean(kind if isinstance(kind, str) else "", MESSAGE_TYPES)
    return RefusedError(Refusal(status=422, code="UNKNOWN_TYPE", message=f"{said} {told}"))


def _named(value: object) -> str:
    names = {list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."
