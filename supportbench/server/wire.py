"""Observations as OpenEnv's JSON. What never changes in a task is encoded once; a step encodes the rest.

Cost per answer: one join of ready-made bytes and the encoding of the feedback; it does not grow with the task.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from supportbench import codec
from supportbench.graders import OpenTask
from supportbench.models.fields import EMPTY
from supportbench.turns import Turn

_encoder: Final = msgspec.json.Encoder(enc_hook=codec.plain)


def turn_frame(turn: Turn, metadata: Mapping[str, Any] = EMPTY) -> bytes:
    """Return the frame `{"type": "observation", …}`; as on OpenEnv's server, metadata stands in it only if any."""
    outside = b',"metadata":' + _encoder.encode(metadata) if metadata else b""
    return b'{"type":"observation","data":' + _answer(turn, metadata, outside) + b"}"


def turn_body(turn: Turn, metadata: Mapping[str, Any] = EMPTY) -> bytes:
    """Return the body of the HTTP answer, where `metadata` is null if there is none."""
    return _answer(turn, metadata, b',"metadata":' + (_encoder.encode(metadata) if metadata else b"null"))


def _answer(turn: Turn, metadata: Mapping[str, Any], outside: bytes) -> bytes:
    head, tickets, tail = _fixed_parts(turn.opened)
    index = turn.index
    ticket = tickets[index]
    if ticket is None:
        ticket = tickets[index] = _ticket_part(turn.opened, index)
    changing = _encoder.encode(
        {
            "last_feedback": turn.last_feedback,
            "cumulative_reward": turn.cumulative_reward,
            "info": turn.info,
            "metadata": metadata,
        }
    )
    reward = b"null" if turn.reward is None else _encoder.encode(turn.reward)
    done = b',"done":true' if turn.done else b',"done":false'
    return b"".join((b'{"observation":', head, ticket, tail, changing[1:], b',"reward":', reward, done, outside, b"}"))


@lru_cache(maxsize=256)
def _fixed_parts(opened: OpenTask) -> tuple[bytes, list[bytes | None], bytes]:
    """Return what stands before the ticket, room for each ticket's part and for the end's, and what stands after it."""
    task = opened.chosen.task
    head = _encoder.encode(
        {
            "task_id": task.task_id,
            "task_title": task.title,
            "difficulty": task.difficulty,
            "instructions": task.instructions,
        }
    )
    tail = _encoder.encode(
        {
            "allowed_priorities": task.taxonomy.priorities,
            "allowed_queues": task.taxonomy.queues,
            "allowed_dispositions": task.taxonomy.dispositions,
            "scoring_weights": opened.scoring_weights,
        }
    )
    return head[:-1] + b",", [None] * (len(opened.cases) + 1), b"," + tail[1:-1] + b","


def _ticket_part(opened: OpenTask, index: int) -> bytes:
    total = len(opened.cases)
    ticket = codec.unstructure(opened.cases[index].ticket) if index < total else None
    return _encoder.encode({"current_index": index, "total_tickets": total, "ticket": ticket})[1:-1]
