"""A ticket as its words: what a text may have copied from it."""

from __future__ import annotations

from supportbench.models import Ticket
from supportbench.prose.order import english, is_english
from supportbench.text import stems, words_of
from supportbench.words import TicketWords


def ticket_words(ticket: Ticket) -> TicketWords:
    """Return the words of the ticket's subject, body, events and what else it shows.

    Answers may be expected to be English where what the customer wrote is; a ticket without words asks so.
    """
    written = stems(f"{ticket.subject}\n{ticket.body}")
    return TicketWords(words_of("\n".join(shown_in(ticket))), english(), not written or is_english(written))


def shown_in(ticket: Ticket) -> list[str]:
    """Return the texts that the ticket shows: subject, body, events, and the strings of what else it has."""
    return [ticket.subject, ticket.body, *(ticket.recent_events or ()), *_strings(ticket.extra)]


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if hasattr(value, "values") else value if isinstance(value, list | tuple) else ()
    return [text for item in inner for text in _strings(item)]
