"""OpenEnv's messages, as its package 0.10 speaks them: what a client may ask for, what it is answered, the error codes.

Over a WebSocket a client sends `{"type": "reset" | "step" | "state" | "close" | "mcp", "data": …}`; over HTTP the same
data are the bodies of `POST /reset` and `POST /step`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Literal

import attrs
from attrs import field
from attrs.validators import optional

from supportbench.errors.field import FieldError
from supportbench.models import SupportQueueAction, SupportQueueObservation, fields

ErrorCode = Literal[
    "INVALID_JSON",
    "UNKNOWN_TYPE",
    "VALIDATION_ERROR",
    "EXECUTION_ERROR",
    "CAPACITY_REACHED",
    "FACTORY_ERROR",
    "SESSION_ERROR",
]
"""What an error frame says went wrong. After the first four the connection and its episode go on."""

MESSAGE_TYPES: Final = ("reset", "step", "state", "close", "mcp")
SESSION_HEADER: Final = "X-Session-ID"
"""The HTTP header that names a session, in requests and answers."""


def check_seconds(name: str, value: object) -> float:
    """Return the time to wait, a finite number above 0; raises `FieldError` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FieldError(name, f"must be a number, not {type(value).__name__}")
    if not 0.0 < value < math.inf:
        raise FieldError(name, "must be above 0 and finite")
    return value


def _seconds(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    check_seconds(attribute.name, value)


@attrs.frozen(kw_only=True)
class ResetRequest:
    """What a reset may ask for; everything is optional. `seed` is from 0 to 2^63-1."""

    seed: int | None = field(default=None, validator=optional(fields.count))
    episode_id: str | None = field(default=None, validator=optional(fields.name))
    provider: str | None = field(default=None, validator=optional(fields.name))
    task_id: str | None = field(default=None, validator=optional(fields.name))
    split: str | None = field(default=None, validator=optional(fields.name))
    index: int | None = field(default=None, validator=optional(fields.count))


@attrs.frozen(kw_only=True)
class SessionResetRequest(ResetRequest):
    """The body of `POST /reset`: a reset, and the session to reset where it is not a new one or the default one."""

    session_id: str | None = field(default=None, validator=optional(fields.name))


@attrs.frozen(kw_only=True)
class StepRequest:
    """The body of `POST /step`: the action, how long its grading may take, and whose session it is."""

    action: SupportQueueAction
    timeout_s: float | None = field(default=None, validator=optional(_seconds))
    request_id: str | None = field(default=None, validator=optional(fields.name))
    session_id: str | None = field(default=None, validator=optional(fields.name))


@attrs.frozen(kw_only=True)
class StepResult:
    """The answer to a reset or a step: `reward` is None after a reset; `metadata` has what the transport adds."""

    observation: SupportQueueObservation
    reward: float | None = None
    done: bool = False
    metadata: Mapping[str, Any] = field(default=fields.EMPTY, converter=fields.json_object)
