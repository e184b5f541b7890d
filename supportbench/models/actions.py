"""What agents say and see: actions, observations, and what language models used."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs
from attrs import field
from attrs.validators import instance_of, optional

from supportbench.models import fields
from supportbench.models.tickets import Ticket


@attrs.frozen(kw_only=True)
class Usage:
    """What language-model calls used: tokens, calls, and the cost in US dollars where the price is known."""

    input_tokens: int = field(default=0, validator=fields.count)
    output_tokens: int = field(default=0, validator=fields.count)
    calls: int = field(default=0, validator=fields.count)
    cost_usd: float | None = field(default=None, validator=optional(fields.amount))

    def __add__(self, other: Usage) -> Usage:
        costs = [usage.cost_usd for usage in (self, other) if usage.cost_usd is not None]
        return Usage(
            input_tokens=min(self.input_tokens + other.input_tokens, fields.LARGEST),
            output_tokens=min(self.output_tokens + other.output_tokens, fields.LARGEST),
            calls=min(self.calls + other.calls, fields.LARGEST),
            cost_usd=math.fsum(costs) if costs else None,
        )


# Not slotted: OpenEnv's generic client sends any object that has a __dict__.
@attrs.frozen(kw_only=True, slots=False)
class SupportQueueAction:
    """An agent's triage of one ticket; `priority`, `queue` and `disposition` come from the task's taxonomy."""

    priority: str = field(converter=fields.plain_text, validator=fields.text)
    queue: str = field(converter=fields.plain_text, validator=fields.text)
    disposition: str = field(converter=fields.plain_text, validator=fields.text)
    summary: str = field(converter=fields.plain_text, validator=fields.text)
    response: str = field(converter=fields.plain_text, validator=fields.text)
    confidence: float = field(converter=fields.plain_number, validator=fields.unit)
    metadata: Mapping[str, Any] = field(default=fields.EMPTY, converter=fields.metadata)


@attrs.frozen(kw_only=True)
class AgentReply:
    """An action with what it took to get it; an agent may return this instead of the bare action."""

    action: SupportQueueAction
    usage: Usage | None = field(default=None, validator=optional(instance_of(Usage)))


@attrs.frozen(kw_only=True)
class SupportQueueObservation:
    """What the agent sees: the open ticket (None when done), what is allowed, and how the last action fared.

    `current_index` counts from 0 and equals `total_tickets` when done; `reward` is None after a reset.
    """

    task_id: str
    task_title: str
    difficulty: str
    instructions: str
    current_index: int
    total_tickets: int
    ticket: Ticket | None
    allowed_priorities: tuple[str, ...]
    allowed_queues: tuple[str, ...]
    allowed_dispositions: tuple[str, ...]
    scoring_weights: Mapping[str, float]
    last_feedback: Mapping[str, Any] = field(default=fields.EMPTY, converter=fields.json_object)
    reward: float | None = None
    cumulative_reward: float = 0.0
    done: bool = False
    info: Mapping[str, Any] = field(default=fields.EMPTY, converter=fields.json_object)
    metadata: Mapping[str, Any] = field(default=fields.EMPTY, converter=fields.json_object)
