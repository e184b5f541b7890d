"""Observations as OpenEnv's JSON. What never changes in a task is encoded once; a step encodes the rest.

Cost per answer: one join of ready-made bytes and the encoding of the feedback; it does not grow with the task.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import attrs
import msgspec

from supportbench import codec
from supportbench.graders import OpenTask
from supportbench.models import SupportQueueObservation

_encoder: Final = msgspec.json.Encoder(enc_hook=codec.plain)


@attrs.frozen(kw_only=True)
class Turn:
    """The answer to a reset or a step: the observation, and the open task that it shows a ticket of."""

    opened: OpenTask
    observation: SupportQueueObservation

    def frame(self, metadata: Mapping[str, Any] | None = None) -> bytes:
        """Return the frame `{"type": "observation", …}`; as on OpenEnv's server, metadata stands in it only if any."""
        return b'{"type":"observation","data":' + self._json(metadata, always=False) + b"}"

    def body(self, metadata: Mapping[str, Any] | None = None) -> bytes:
        """Return the body of the HTTP answer, where `metadata` is null if there is none."""
        return self._json(metadata, always=True)

    def _json(self, metadata: Mapping[str, Any] | None, *, always: bool) -> bytes:
        seen = self.observation
        head, tickets, tail = _fixed_parts(self.opened)
        index = seen.current_index
        ticket = tickets[index]
        if ticket is None:
            ticket = tickets[index] = _ticket_part(self.opened, index)
        metadata = metadata or seen.metadata
        told = _encoder.encode(metadata) if metadata else b"{}"
        outside = b',"metadata":' + (told if metadata else b"null") if metadata or always else b""
        changing = _encoder.encode(
            {
                "last_feedback": seen.last_feedback,
                "cumulative_reward": seen.cumulative_reward,
                "info": seen.info,
            }
        )
        reward = b"null" if seen.reward is None else _encoder.encode(seen.reward)
        done = b"true" if seen.done else b"false"
        return b"".join(
            (
                *(b'{"observation":', head, ticket, tail, changing[1:-1], b',"metadata":', told),
                *(b'},"reward":', reward, b',"done":', done, outside, b"}"),
            )
        )


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
