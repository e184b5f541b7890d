"""What was chosen beside what was expected, as matrices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from supportbench.evaluation.statistics.facts import UNKNOWN, TicketFacts, merged
from supportbench.evaluation.statistics.observations import Observations
from supportbench.evaluation.statistics.records import FEWEST_TICKETS, Confusion
from supportbench.models import Taxonomy

_KINDS: Final[Mapping[str, tuple[Callable[[Taxonomy], tuple[str, ...]], Callable[[TicketFacts], str | None]]]] = {
    "priority": (lambda taxonomy: taxonomy.priorities, lambda facts: facts.priority),
    "queue": (lambda taxonomy: taxonomy.queues, lambda facts: facts.queue),
    "disposition": (lambda taxonomy: taxonomy.dispositions, lambda facts: facts.disposition),
}


def confusions_of(observed: Observations) -> dict[str, Confusion]:
    """Return the confusion matrix of each kind of choice for which enough graded tickets have an expected value.

    The labels are those of the tasks' taxonomies, in their order.
    """
    seen = {(provider, split, index) for provider, split, index, _, _ in observed.tickets}
    tasks = {place: observed.facts[place] for place in sorted(seen & observed.facts.keys())}
    found = {}
    for kind, (vocabulary, expected) in _KINDS.items():
        tickets = sum(
            (provider, split, index) in tasks
            and expected(tasks[provider, split, index].tickets.get(ticket_id, UNKNOWN)) is not None
            for provider, split, index, _, ticket_id in observed.tickets
        )
        if tickets >= FEWEST_TICKETS:
            labels = merged(vocabulary(task.taxonomy) for task in tasks.values())
            counts = tuple(tuple(observed.answered[kind, row, column] for column in labels) for row in labels)
            found[kind] = Confusion(labels=labels, counts=counts, tickets=tickets, replies=sum(map(sum, counts)))
    return found
