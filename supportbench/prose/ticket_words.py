"""A ticket as its words: what a text may have copied from it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import attrs

from supportbench.models import Ticket
from supportbench.prose.order import content_of, is_english, kinds_of
from supportbench.text import stems


@attrs.frozen(slots=False, eq=False)
class TicketWords:
    """The words of all that a ticket shows, in order, and of what the customer wrote of it."""

    stems: Sequence[str]
    written: Sequence[str]

    @classmethod
    def of(cls, ticket: Ticket) -> TicketWords:
        """Return the words of the ticket's subject, body, events and what else it shows."""
        return cls(stems("\n".join(shown_in(ticket))), stems(f"{ticket.subject}\n{ticket.body}"))

    @cached_property
    def words(self) -> frozenset[str]:
        """The words, each once."""
        return frozenset(self.stems)

    @cached_property
    def neighbours(self) -> frozenset[tuple[str, str]]:
        """The pairs of words that stand next to each other."""
        return frozenset(pairwise(self.stems))

    @cached_property
    def near(self) -> frozenset[tuple[str, str]]:
        """The pairs of words of content with one other at most between them, small words aside, in either order."""
        content = content_of(self.stems, kinds_of(self.stems))
        pairs = {*pairwise(content), *zip(content, content[2:], strict=False)}
        return frozenset(pairs).union((second, first) for first, second in pairs)

    @cached_property
    def english(self) -> bool:
        """Whether the customer wrote English, so that answers may be expected to be: a ticket without words asks so."""
        return not self.written or is_english(self.written)


def shown_in(ticket: Ticket) -> list[str]:
    """Return the texts that the ticket shows: subject, body, events, and the strings of what else it has."""
    return [ticket.subject, ticket.body, *(ticket.recent_events or ()), *_strings(ticket.extra)]


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if hasattr(value, "values") else value if isinstance(value, list | tuple) else ()
    return [text for item in inner for text in _strings(item)]
