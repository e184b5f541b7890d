"""Whether a text says something of its ticket, before anyone asks what it contains.

A grader that looks for words can be fed with words. So what stands in a text counts only as far as its author has said
it, of this ticket: `readable` leaves out disguised words, `unquoted` leaves out what is quoted at length from the
ticket, and `credit` says how much the rest may count, for each text the least of what five rules allow.

- **Disguise.** One disguised word may be an accident; with more than a twentieth of its words disguised a text counts
  less, and from a fifth on for nothing.
- **Length.** A summary of up to 80 words and a reply of up to 250 count whole; from there it falls, and at twice as
  many words nothing counts. Nobody reads them, and room for everything is room for every guess.
- **Copying.** The ticket is known already. Small words aside, neighbours that are near each other in the ticket too,
  with one word between them at most, are copied, however they were thinned, swapped or filled up: a summary counts
  whole while 78 % of its words of content are, and for nothing from 90 % on; a reply, which has to answer, while 58 %
  are, and for nothing from 75 % on. Of passages, five or more words on end that are the ticket's, a text may quote
  twelve words and a tenth of its own length; with three tenths it counts for nothing. A note, from six words on, counts
  whole while at most four fifths of its words are neighbours in the ticket, and for nothing when all are.
- **Repeating.** A text that was used for an earlier ticket of the episode earns nothing, also with up to a fifth of
  other words, unless one of those names something of this ticket.
- **Connection.** More than twelve words have to be connected like sentences: shuffled words (their order is rather
  unlikelier than chance), lists without small words, and the same words again and again count in part or not at all.
  Twelve words are a note, and a note may be as terse as it likes. Only where the ticket itself is English.

Nothing of this looks at an answer key. Cost: a few passes over the text's words; earlier texts are looked at up to
eight back.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal

import attrs

from supportbench.models import Submission, SupportQueueAction, Ticket
from supportbench.prose.disguises import readable
from supportbench.prose.order import english
from supportbench.prose.ticket_words import ticket_words
from supportbench.remembering import ByIdentity
from supportbench.text import word_spans, words_of
from supportbench.words import Measures, TicketWords

__all__ = ["Credit", "TextField", "credit", "readable", "unquoted"]

TextField = Literal["summary", "response"]

NOTE_WORDS: Final = 12
"""Up to so many words a text is a note, which need not be connected."""

WORDS_OF_USE: Final = {"summary": 80, "response": 250}
"""How many words of each text count whole; twice as many count for nothing."""

COPIED: Final = {"summary": (0.78, 0.9), "response": (0.58, 0.75)}
"""Up to which share of its words of content each text counts whole when they are copied, and from which for nothing."""

EARLIER: Final = 8
"""With so many earlier texts a text is compared."""

_NAMED = 6  # with fewer words a text names a thing, and things have the ticket's names
_PASSAGE = 5  # words on end
_LONG = 12  # from so many words on a passage is a quotation, which its writer has not said
_LIST = "a list of words"
_SAID_AGAIN = 1.3  # words for each that is another: up to there, hardly any comes back
_QUOTED = 12  # as many words of passages as a quotation may have


@attrs.frozen
class Credit:
    """How much of what a text contains may count, in [0, 1], and why not all of it ("" where it is all)."""

    value: float
    reason: str = ""


_WHOLE: Final = Credit(1.0)
_ticket: Final = ByIdentity(ticket_words)


def credit(submission: Submission, field: TextField) -> Credit:
    """Return how much of what the submission's summary or response contains may count: the least that a rule allows."""
    written = submission.action.summary if field == "summary" else submission.action.response
    text, ticket = readable(written), _ticket(submission.case.ticket)
    said = _measured(text)
    number, most = said.number, WORDS_OF_USE[field]
    least = _falling(number, most, 2 * most, f"longer than {most} words") if number > most else _WHOLE
    if text is not written:
        least = _lesser(least, _of_disguise(text, written))
    if number <= NOTE_WORDS:
        if least.value > 0.0 and number >= _NAMED:
            least = _lesser(least, _of_neighbours(said, ticket))
    elif least.value > 0.0:
        if ticket.english:
            least = _lesser(least, _of_connection(text, said))
        if least.value > 0.0:
            least = _lesser(least, _of_content(said, ticket, field))
        if least.value > 0.0:
            least = _lesser(least, _of_passages(said, ticket))
    if least.value > 0.0 and submission.previous:
        least = _lesser(least, _of_repeating(said, ticket, submission.previous, field))
    return least


@lru_cache(maxsize=256)  # each text is met again at the tickets that follow
def _measured(text: str) -> Measures:
    return Measures(words_of(text), english())


def unquoted(text: str, ticket: Ticket) -> str:
    """Return the text without what it quotes of the ticket: passages of twelve or more of its words on end.

    What somebody quotes at length is not said by them. A text without such passages is returned as it is.
    """
    passages = _measured(text).passages(_ticket(ticket), _LONG)
    if not passages:
        return text
    spans, own, end = word_spans(text), [], 0
    for first, behind in passages:
        own.append(text[end : spans[first][1]])
        end = spans[behind - 1][2]
    return "".join((*own, text[end:]))


def _lesser(one: Credit, other: Credit) -> Credit:
    return other if other.value < one.value else one


def _falling(figure: float, whole: float, nothing: float, reason: str) -> Credit:
    """Return the credit that is 1 at one figure and before, 0 at the other and beyond, and falls evenly between."""
    if (figure <= whole) == (whole < nothing):
        return _WHOLE
    return Credit(max(0.0, (nothing - figure) / (nothing - whole)), reason)


def _of_disguise(text: str, written: str) -> Credit:
    number = len(written.split())
    hidden = (number - len(text.split()) - 1) / max(1, number)  # one may be an accident
    return _falling(hidden, 0.05, 0.2, "disguised words")


def _of_connection(text: str, said: Measures) -> Credit:
    # Most texts keep to every figure, so that what is cheap to see is looked at first, and a figure is made of it only
    # where it might be beyond what counts whole.
    number, least = said.number, _WHOLE
    enough = min(0.25, 0.01 * (number - NOTE_WORDS))
    if number - said.content <= enough * number and (small := said.small_words()) < enough:
        least = _falling(small, enough, enough / 2, _LIST)
    if least.value > 0.0 and (longest := said.longest_list()) > 16:
        least = _lesser(least, _falling(longest, 16, 22, _LIST))
    marks = text.count(",") + text.count(";") + text.count("\n")
    if least.value > 0.0 and number / (1 + marks) < 2.4:
        items = 1 + text.count(", ") + text.count("; ") + text.count("\n")
        least = _lesser(least, _falling(number / items, 2.4, 1.4, _LIST))
    # What is usual, by the number of words: the more there are, the better order shows.
    ordered = min(0.0, 0.1 * number - 5.0)
    if least.value > 0.0 and (order := said.order()) < ordered:
        least = _lesser(least, _falling(order, ordered, ordered - 2.0, "words out of order"))
    if least.value > 0.0 and number > _SAID_AGAIN * said.distinct():
        repeated = 1.35 + number / 800  # the more there are, the oftener they come back
        if (said_again := said.repetition()) > repeated:
            least = _lesser(least, _falling(said_again, repeated, repeated + 0.3, "the same words over and over"))
    return least


def _of_neighbours(said: Measures, ticket: TicketWords) -> Credit:
    return _falling(said.neighbours(ticket) / (said.number - 1), 0.8, 1.0, "copied from the ticket")


def _of_content(said: Measures, ticket: TicketWords, field: TextField) -> Credit:
    """Small words aside, words that are neighbours and are near each other in the ticket too are copied from there."""
    whole, nothing = COPIED[field]
    if said.known(ticket) <= whole * said.content:
        return _WHOLE
    return _falling(said.copied(ticket) / max(1, said.content), whole, nothing, "copied from the ticket")


def _of_passages(said: Measures, ticket: TicketWords) -> Credit:
    words = sum([behind - first for first, behind in said.passages(ticket, _PASSAGE)])
    return _falling((words - _QUOTED) / said.number, 0.1, 0.3, "whole passages of it are the ticket's")


def _of_repeating(
    said: Measures, ticket: TicketWords, previous: Sequence[SupportQueueAction], field: TextField
) -> Credit:
    for action in previous[-EARLIER:]:
        earlier = _measured(readable(action.summary if field == "summary" else action.response))
        if said.repeats(earlier, ticket):
            return Credit(0.0, "the same as for an earlier ticket")
    return _WHOLE
