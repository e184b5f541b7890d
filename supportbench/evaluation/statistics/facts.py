"""What is known of a run's tickets that its episodes do not say: whose they are, and what their answer keys expect.

It is for figures over many tickets, and stays in the process that computes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

import attrs

from supportbench.models import AnswerKey, Case, Task, Taxonomy

ESCALATE: Final = "escalate"
"""The disposition that hands a ticket on. A taxonomy without it has no escalation to measure."""


@attrs.frozen(kw_only=True)
class TicketFacts:
    """One ticket: the customer's tier and the expected values, as far as they are given.

    `must_escalate` says whether nothing but to escalate it is right, or nothing but not to; None where either has
    credit, or it cannot be told.
    """

    customer_tier: str | None = None
    priority: str | None = None
    queue: str | None = None
    disposition: str | None = None
    must_escalate: bool | None = None


UNKNOWN: Final = TicketFacts()


@attrs.frozen(kw_only=True)
class TaskFacts:
    """One task: its taxonomy, and its tickets by id."""

    taxonomy: Taxonomy
    tickets: Mapping[str, TicketFacts]


Facts: TypeAlias = Mapping[tuple[str, str, int], TaskFacts]
"""By provider, split and index: what is known of the tasks. A server tells nothing of its own."""

NOTHING: Final[Facts] = {}


def facts_of(task: Task) -> TaskFacts:
    """Return what figures may use of a task; tickets of which the same is known share it."""
    alike: dict[TicketFacts, TicketFacts] = {}
    found = ((case.ticket.ticket_id, _facts_of(case, task.taxonomy)) for case in task.cases)
    return TaskFacts(
        taxonomy=task.taxonomy, tickets={ticket_id: alike.setdefault(facts, facts) for ticket_id, facts in found}
    )


def _facts_of(case: Case, taxonomy: Taxonomy) -> TicketFacts:
    key = case.answer_key
    return TicketFacts(
        customer_tier=case.ticket.customer_tier,
        priority=key.priority,
        queue=key.queue,
        disposition=key.disposition,
        must_escalate=_must_escalate(key, taxonomy),
    )


def _must_escalate(key: AnswerKey, taxonomy: Taxonomy) -> bool | None:
    if key.disposition is None or ESCALATE not in taxonomy.dispositions:
        return None
    right = {key.disposition, *(name for name, credit in key.acceptable_dispositions.items() if credit)}
    if right == {ESCALATE}:
        return True
    return None if ESCALATE in right else False


def merged(vocabularies: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the names of several vocabularies, each once, in the order in which they first stand there."""
    return tuple(dict.fromkeys(name for names in vocabularies for name in names))
