"""From a language model's words to an action, or to what is wrong with them: nothing is guessed and nothing mended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from supportbench import DecodeError, SupportQueueAction, SupportQueueObservation, UnusableAnswerError, structure

_DECODER: Final = json.JSONDecoder()
_MOST_FAULTS: Final = 10
_MOST_BEGINNINGS: Final = 1000


def read_action(text: str, observation: SupportQueueObservation) -> SupportQueueAction:
    """Return the one action that stands in the text, with prose or Markdown around it or without.

    Raises:
        UnusableAnswerError: no JSON object in the text is an action that the observation allows, or several different
            ones are.
    """
    objects = _json_objects(_without_thoughts(text))
    actions: list[SupportQueueAction] = []
    faults: tuple[str, ...] = ("there is no complete JSON object in it",)
    for found in objects:
        try:
            action = _action(found, observation)
        except UnusableAnswerError as error:
            faults = error.faults
        else:
            if action not in actions:
                actions.append(action)
    if len(actions) > 1:
        raise UnusableAnswerError((f"{len(actions)} different answers stand in it; which one counts is not clear",))
    if not actions:
        raise UnusableAnswerError(faults)
    return actions[0]


def shortened(text: str, length: int = 200) -> str:
    """Return the text on one line, with at most that many characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 3]}..."


def _action(found: Mapping[str, Any], observation: SupportQueueObservation) -> SupportQueueAction:
    try:
        action = structure(found, SupportQueueAction)
    except DecodeError as error:
        faults = tuple(str(fault) for fault in error.faults)
        rest = len(faults) - _MOST_FAULTS
        raise UnusableAnswerError(
            (*faults[:_MOST_FAULTS], f"and {rest} more faults") if rest > 0 else faults
        ) from error
    wrong = tuple(
        f"{key}: {json.dumps(shortened(value, 60), ensure_ascii=False)} is not allowed; choose one of "
        + ", ".join(json.dumps(choice, ensure_ascii=False) for choice in allowed)
        for key, value, allowed in (
            ("priority", action.priority, observation.allowed_priorities),
            ("queue", action.queue, observation.allowed_queues),
            ("disposition", action.disposition, observation.allowed_dispositions),
        )
        if value not in allowed
    )
    if wrong:
        raise UnusableAnswerError(wrong)
    return action


def _json_objects(text: str) -> list[dict[str, Any]]:
    """Return the outermost JSON objects in the text; what breaks off is searched on from where it broke.

    After a thousand beginnings it stops: such a text is no answer, and to read on would hold everybody up.
    """
    found: list[dict[str, Any]] = []
    start = text.find("{")
    for _ in range(_MOST_BEGINNINGS):
        if start < 0:
            break
        try:
            value, end = _DECODER.raw_decode(text, start)
        except json.JSONDecodeError as error:
            end = max(error.pos, start + 1)
        except (ValueError, RecursionError):  # a number of thousands of digits, thousands of brackets
            break
        else:
            found.append(value)
        start = text.find("{", end)
    return found


def _without_thoughts(text: str) -> str:
    """Return what comes after the `<think>` block that some models begin with; drafts in it are no answers."""
    stripped = text.lstrip()
    return stripped.partition("</think>")[2] if stripped.startswith("<think>") else text
