"""What the language model is told: the task, the ticket inside a fence, and what was wrong with an answer.

The texts are in `prompts/`. The customer's words stand between two lines with a marker which their author cannot write:
it is a hash of everything between them, so a ticket that closes its own fence would have to contain its own hash.
A random marker would do that too, but nothing else in the prompt is random: equal observations of a ticket make equal
prompts, for runs that can be repeated and endpoints that cache. The ticket is JSON, so that no line of a body can pass
for one of our own records.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.resources import files
from string import Template
from typing import Any, Final

import msgspec

from supportbench import Messages, SupportQueueObservation, Ticket, encode, fingerprint

_TEXTS: Final = ("system", "ticket", "repair")


def first_messages(observation: SupportQueueObservation, ticket: Ticket) -> Messages:
    """Return the system message and the ticket's; earlier feedback, rewards and the episode's id are not in them."""
    fenced = msgspec.json.format(encode(ticket), indent=2).decode()
    marker = marker_of(fenced)
    around_marker = _system_around_marker(
        observation.instructions,
        observation.allowed_priorities,
        observation.allowed_queues,
        observation.allowed_dispositions,
    )
    return (
        {"role": "system", "content": marker.join(around_marker)},
        {"role": "user", "content": _text("ticket").substitute(marker=marker, ticket=fenced)},
    )


def repair_text() -> str:
    """Return what the model is told of an answer that cannot be used, with `$faults` for what is wrong with it."""
    return _text("repair").template


def answer_schema(observation: SupportQueueObservation) -> dict[str, Any]:
    """Return the JSON Schema of an answer, within what strict structured output knows.

    The summary comes first, so that a model reads before it decides.
    """
    properties = {
        "summary": {"type": "string"},
        "priority": {"type": "string", "enum": list(observation.allowed_priorities)},
        "queue": {"type": "string", "enum": list(observation.allowed_queues)},
        "disposition": {"type": "string", "enum": list(observation.allowed_dispositions)},
        "response": {"type": "string"},
        "confidence": {"type": "number", "description": "from 0 to 1"},
    }
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def marker_of(text: str) -> str:
    """Return 32 hexadecimal digits that follow from the text and do not occur in it."""
    digest = hashlib.sha256(text.encode())
    while (marker := digest.hexdigest()[:32]) in text:
        digest.update(b"again")
    return marker


@cache
def prompt_fingerprint() -> str:
    """Return a string that changes with the prompt's texts."""
    return fingerprint({name: _text(name).template for name in _TEXTS})


@cache
def _text(name: str) -> Template:
    return Template((files(__package__) / "prompts" / f"{name}.md").read_text(encoding="utf-8").strip())


@lru_cache(maxsize=256)  # all of a task's tickets have the same
def _system_around_marker(
    instructions: str, priorities: tuple[str, ...], queues: tuple[str, ...], dispositions: tuple[str, ...]
) -> Sequence[str]:
    """Return the system message's parts before, between and after its markers."""
    return [
        Template(part).substitute(
            instructions=instructions.strip(),
            priorities=_listed(priorities),
            queues=_listed(queues),
            dispositions=_listed(dispositions),
        )
        for part in _text("system").template.split("$marker")
    ]


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join(json.dumps(value, ensure_ascii=False) for value in values)
