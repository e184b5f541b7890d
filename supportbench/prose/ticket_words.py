"""A ticket as its words: what a text may have copied from it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import attrs

from supportbench.models import Ticket
from supportbench.prose.order import connection, kinds_of
from supportbench.text import fold

_ENGLISH = 0.2  # the share of small words from which on a text is taken for English; half of it is usual


@attrs.frozen(slots=False, eq=False)
class TicketWords:
    """The words of all that a ticket shows, in order."""

    stems: Sequence[str]

    @classmethod
    def of(cls, ticket: Ticket) -> TicketWords:
        """Return the words of the ticket's subject, body, events and what else it shows."""
        shown = [ticket.subject, ticket.body, *(ticket.recent_events or ()), *_strings(ticket.extra)]
        return cls(fold("\n".join(shown)).split())

    @cached_property
    def words(self) -> frozenset[str]:
        """The words, each once."""
        return frozenset(self.stems)

    @cached_property
    def neighbours(self) -> frozenset[tuple[str, str]]:
        """The pairs of words that stand next to each other."""
        return frozenset(pairwise(self.stems))

    @cached_property
    def english(self) -> bool:
        """Whether it is written in English, so that answers may be expected to be."""
        return connection(self.stems, kinds_of(self.stems), self.words).small_words >= _ENGLISH


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if hasattr(value, "values") else value if isinstance(value, list | tuple) else ()
    return [text for item in inner for text in _strings(item)]
