"""The tools that language models are offered: what each takes and answers, and how clients are told of it.

A tool's arguments are those of the same request over OpenEnv's protocol, as far as `mcp_tools.toml` names them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import Any, Final

import attrs

from supportbench import codec
from supportbench.errors import DecodeError, Fault
from supportbench.models import SupportQueueAction, SupportQueueObservation, SupportQueueState
from supportbench.protocol import ResetRequest
from supportbench.registry import Registry
from supportbench.server.catalogue import TasksQuery
from supportbench.server.schemas import Schemas
from supportbench.server.task_list import TaskPage
from supportbench.wording import did_you_mean

_MOST_FAULTS: Final = 100


@attrs.frozen(kw_only=True)
class Nothing:
    """The arguments of a tool that takes none."""


@attrs.frozen(kw_only=True)
class Tool:
    """A tool: its arguments are read as the attrs class `takes`, its structured answer is an `answers`."""

    name: str
    takes: type[Any]
    answers: type[Any]

    @property
    def told(self) -> Mapping[str, Any]:
        """What `mcp_tools.toml` says of it."""
        told: Mapping[str, Any] = _told()[self.name]
        return told

    @property
    def arguments(self) -> Mapping[str, Mapping[str, Any]]:
        """What it says of each argument: JSON Schema keywords."""
        told = self.told.get("arguments", {})
        return {name: {"description": more} if isinstance(more, str) else more for name, more in told.items()}

    def read(self, arguments: Mapping[str, Any]) -> Any:
        """Return the arguments as a value; raises `DecodeError` with the path of everything that is wrong with them."""
        known = self.arguments
        strange = islice((key for key in arguments if key not in known), _MOST_FAULTS)
        unknown = [Fault(_short(key), f"unknown argument. {_known(key, known)}") for key in strange]
        given = {name: more["default"] for name, more in known.items() if "default" in more}
        given.update((name, value) for name, value in arguments.items() if name in known)
        try:
            value = codec.structure(given, self.takes)
        except DecodeError as error:
            raise DecodeError((*error.faults, *unknown)[:_MOST_FAULTS]) from None
        if unknown:
            raise DecodeError(unknown)
        return value


TOOLS: Final[Mapping[str, Tool]] = {
    tool.name: tool
    for tool in (
        Tool(name="list_tasks", takes=TasksQuery, answers=TaskPage),
        Tool(name="start_episode", takes=ResetRequest, answers=SupportQueueObservation),
        Tool(name="read_ticket", takes=Nothing, answers=SupportQueueObservation),
        Tool(name="submit_triage", takes=SupportQueueAction, answers=SupportQueueObservation),
        Tool(name="get_state", takes=Nothing, answers=SupportQueueState),
    )
}


def instructions() -> str:
    """Return what a language model is told of the tools together."""
    told: str = _told()["instructions"]
    return told


def descriptors(registry: Registry) -> list[dict[str, Any]]:
    """Return the tools as `tools/list` answers them.

    A priority, queue or disposition is one that any installed taxonomy has.

    Raises:
        ProviderError: a provider fails to say what its tasks allow.
    """
    schemas = Schemas(registry)
    return [_descriptor(tool, schemas, registry) for tool in TOOLS.values()]


def _descriptor(tool: Tool, schemas: Schemas, registry: Registry) -> dict[str, Any]:
    told = tool.told
    return {
        "name": tool.name,
        "title": told["title"],
        "description": told["description"],
        "inputSchema": _input_schema(tool, schemas, registry),
        "outputSchema": schemas.alone(tool.answers),
        "annotations": {"title": told["title"], **told["hints"]},
    }


def _input_schema(tool: Tool, schemas: Schemas, registry: Registry) -> dict[str, Any]:
    accepted = schemas.properties(tool.takes)
    properties = {name: {**_without_null(accepted[name]), **more} for name, more in tool.arguments.items()}
    if "provider" in properties:
        told = properties["provider"]["description"]
        properties["provider"] = {"type": "string", "enum": list(registry.providers), "description": told}
    fields = attrs.fields_dict(tool.takes)
    required = [name for name in properties if fields[name].default is attrs.NOTHING]
    return {
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an optional argument as that of one which is left out: null, which may stand there, is not
    something to tell a language model of.
    """
    for branch in schema.get("anyOf", ()):
        if branch != {"type": "null"}:
            return {**branch}
    return {**schema}


def _known(key: str, known: Mapping[str, Any]) -> str:
    return did_you_mean(key, known) if known else "There are none."


def _short(key: str) -> str:
    return key if len(key) <= 80 else f"{key[:77]}..."


@cache
def _told() -> Mapping[str, Any]:
    return tomllib.loads((files("supportbench.server") / "mcp_tools.toml").read_text(encoding="utf-8"))
