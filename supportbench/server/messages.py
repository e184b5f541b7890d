"""Reading what comes in over OpenEnv's WebSocket: bytes to typed messages, or a refusal that names the place."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, Literal, TypeAlias

import attrs
from attrs import field

from supportbench import codec
from supportbench.errors import DecodeError, Fault
from supportbench.errors.field import FieldError
from supportbench.models import SupportQueueAction, fields
from supportbench.protocol import MESSAGE_TYPES, ResetRequest, check_seconds
from supportbench.server.refusals import Refusal, RefusedError, invalid_json, refusal_of
from supportbench.wording import did_you_mean


@attrs.frozen
class ResetMessage:
    """Begin an episode."""

    request: ResetRequest


@attrs.frozen
class StepMessage:
    """Grade an action, within `timeout_s` if that is given (which OpenEnv's own clients never do)."""

    action: SupportQueueAction
    timeout_s: float | None


@attrs.frozen(kw_only=True)
class ListToolsAction:
    """OpenEnv's action that lists the tools."""

    type: Literal["list_tools"]
    metadata: Mapping[str, Any] = field(default=fields.EMPTY, converter=fields.json_object)


@attrs.frozen(kw_only=True)
class CallToolAction:
    """OpenEnv's action that calls a tool."""

    type: Literal["call_tool"]
    tool_name: str = field(validator=fields.name)
    arguments: Mapping[str, Any] = field(default=fields.EMPTY, converter=fields.json_object)
    metadata: Mapping[str, Any] = field(default=fields.EMPTY, converter=fields.json_object)


@attrs.frozen
class ToolMessage:
    """List the tools, or call one, by a step: OpenEnv's clients for tools may do so instead of sending `mcp` messages.

    `timeout_s` is for the tool that grades.
    """

    action: ListToolsAction | CallToolAction
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


Incoming: TypeAlias = ResetMessage | StepMessage | ToolMessage | StateMessage | CloseMessage | McpMessage

_TOOL_ACTIONS: Final[Mapping[str, type[ListToolsAction | CallToolAction]]] = {
    "list_tools": ListToolsAction,
    "call_tool": CallToolAction,
}
_MOST_FAULTS: Final = 100
_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "reset": frozenset(("type", "data")),
    "step": frozenset(("type", "data", "timeout_s")),
    "state": frozenset(("type",)),
    "close": frozenset(("type",)),
    "mcp": frozenset(("type", "data")),
}


def read_message(text: str | bytes) -> Incoming:
    """Return the message; raises `RefusedError` with OpenEnv's code and all faults, and never repeats large input."""
    try:
        frame = codec.parse_json(text)
    except DecodeError as error:
        raise RefusedError(invalid_json(error, text)) from None
    if type(frame) is not dict:
        raise _refused([Fault("", f"a message is an object with a type, not {_named(frame)}")])
    kind = frame.get("type")
    known = _KEYS.get(kind) if type(kind) is str else None
    if kind is None or known is None:
        raise _unknown_type(frame)
    faults = () if known.issuperset(frame) else _unknown_keys(frame, kind, known)
    if kind == "step":
        timeout_s = frame.get("timeout_s")
        if timeout_s is not None:
            faults = (*_faults_of_timeout(timeout_s), *faults)
        tool_action = _tool_action(frame.get("data"))
        if tool_action is not None:
            return ToolMessage(_data(frame, "the action", tool_action, faults), timeout_s)
        return StepMessage(_data(frame, "the action", SupportQueueAction, faults), timeout_s)
    if kind == "reset":
        asked = frame if "data" in frame else {"data": {}}
        return ResetMessage(_data(asked, "what to reset to", ResetRequest, faults))
    if kind == "mcp":
        return McpMessage(_data(frame, "the JSON-RPC message", None, faults))
    if faults:
        raise _refused(faults)
    return StateMessage() if kind == "state" else CloseMessage()


def _tool_action(data: object) -> type[ListToolsAction | CallToolAction] | None:
    """Return which of OpenEnv's actions for tools this is, if any; an action of ours has no `type`."""
    kind = data.get("type") if type(data) is dict else None
    return _TOOL_ACTIONS.get(kind) if type(kind) is str else None


def _data(frame: Mapping[str, Any], what: str, kind: type[Any] | None, faults: Iterable[Fault]) -> Any:
    """Return the message's data, as a value of that kind if one is given; raises with all faults if there are any."""
    try:
        data = frame["data"] if kind is None else codec.structure(frame["data"], kind)
    except KeyError:
        raise _refused([Fault("data", f"required, but missing: {what}"), *faults]) from None
    except DecodeError as error:
        raise _refused([*refusal_of(error, where="data").faults, *faults]) from None
    if faults:
        raise _refused(faults)
    return data


def _faults_of_timeout(value: object) -> Iterator[Fault]:
    if type(value) is not float and type(value) is not int:
        yield Fault("timeout_s", f"expected a number, got {_named(value)}")
        return
    try:
        check_seconds("timeout_s", value)
    except FieldError as error:
        yield Fault(error.field, error.problem)


def _unknown_keys(frame: Mapping[str, Any], kind: str, known: Collection[str]) -> tuple[Fault, ...]:
    unknown = islice((key for key in frame if key not in known), _MOST_FAULTS)
    told = f"unknown key in a message of type {kind!r}."
    return tuple(Fault(_short(key), f"{told} {did_you_mean(key, known)}") for key in unknown)


def _refused(faults: Iterable[Fault]) -> RefusedError:
    return RefusedError(refusal_of(DecodeError(faults)))


def _unknown_type(frame: Mapping[str, Any]) -> RefusedError:
    kind = frame.get("type")
    said = "The message has no type." if "type" not in frame else "The type is no string."
    if isinstance(kind, str):
        said = f"Unknown message type: {_short(kind)}."
    told = did_you_mean(kind if isinstance(kind, str) else "", MESSAGE_TYPES)
    return RefusedError(Refusal(status=422, code="UNKNOWN_TYPE", message=f"{said} {told}"))


def _named(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."
