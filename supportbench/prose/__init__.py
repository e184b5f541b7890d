"""Whether a text says something of its ticket, before anyone asks what it contains.

A grader that looks for words can be fed with words. So what stands in a text counts only as far as its author has said
it, of this ticket: `readable` leaves out disguised words, and `credit` says how much the rest may count, for each text
the least of what four rules allow.

- **Length.** A summary of up to 80 words and a reply of up to 250 count whole; from there it falls, and at twice as
  many words nothing counts. Nobody reads them, and room for everything is room for every guess.
- **Copying.** The ticket is known already: a text counts whole while at most half of its neighbouring words stand next
  to each other in the ticket too, and nothing from four fifths on, or when any 25 words on end are the ticket's.
- **Repeating.** A text that was used for an earlier ticket of the episode earns nothing, also with up to a tenth of
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
from itertools import groupby, pairwise
from typing import Final, Literal

import attrs

from supportbench.models import Submission
from supportbench.prose.disguises import readable
from supportbench.prose.order import connection
from supportbench.prose.ticket_words import TicketWords
from supportbench.remembering import ByIdentity
from supportbench.text import stems

__all__ = ["Credit", "TextField", "credit", "readable"]

TextField = Literal["summary", "response"]

NOTE_WORDS: Final = 12
"""Up to so many words a text is a note, which need not be connected."""

WORDS_OF_USE: Final = {"summary": 80, "response": 250}
"""How many words of each text count whole; twice as many count for nothing."""

_MOST_REPEATED = 8
_COPIED_ON_END = 25


@attrs.frozen
class Credit:
    """How much of what a text contains may count, in [0, 1], and why not all of it ("" where it is all)."""

    value: float
    reason: str = ""

    @classmethod
    def falling(cls, figure: float, *, whole: float, nothing: float, reason: str) -> Credit:
        """Return the credit that is 1 up to one figure, 0 from the other on, and falls evenly between them."""
        if (figure <= whole) == (whole < nothing):
            return _WHOLE
        return cls(max(0.0, (nothing - figure) / (nothing - whole)), reason)


_WHOLE: Final = Credit(1.0)
_ticket: Final = ByIdentity(TicketWords.of)


def credit(submission: Submission, field: TextField) -> Credit:
    """Return how much of what the submission's summary or response contains may count: the least of the four."""
    text = readable(getattr(submission.action, field))
    said, words, ticket = stems(text), _words(text), _ticket(submission.case.ticket)
    most = WORDS_OF_USE[field]
    rules = (
        Credit.falling(len(said), whole=most, nothing=2 * most, reason=f"longer than {most} words"),
        _of_copying(said, words, ticket),
        _of_repeating(words, ticket, submission, field),
        _of_connection(said, words, ticket),
    )
    return min(rules, key=_value)


def _value(credit: Credit) -> float:
    return credit.value


@lru_cache(maxsize=1024)  # each text is met again at the tickets that follow
def _words(text: str) -> frozenset[str]:
    return frozenset(stems(text))


def _of_copying(said: Sequence[str], words: frozenset[str], ticket: TicketWords) -> Credit:
    shared = len(words & ticket.words)
    if len(said) <= NOTE_WORDS or (2 * shared < len(words) and shared < _COPIED_ON_END * 2 // 3):
        return _WHOLE  # too few of the ticket's words for much of it to be copied
    copied = [pair in ticket.neighbours for pair in pairwise(said)]
    on_end = max((len(list(run)) + 1 for same, run in groupby(copied) if same), default=0)
    if on_end >= _COPIED_ON_END:
        return Credit(0.0, f"{on_end} words on end stand in the ticket")
    return Credit.falling(sum(copied) / len(copied), whole=0.5, nothing=0.8, reason="copied from the ticket")


def _of_repeating(words: frozenset[str], ticket: TicketWords, submission: Submission, field: TextField) -> Credit:
    for earlier in submission.previous[-_MOST_REPEATED:]:
        new = words - _words(readable(getattr(earlier, field)))
        if 10 * len(new) < len(words) and new.isdisjoint(ticket.words):
            return Credit(0.0, "the same as for an earlier ticket")
    return _WHOLE


def _of_connection(said: Sequence[str], words: frozenset[str], ticket: TicketWords) -> Credit:
    number = len(said)
    if number <= NOTE_WORDS or not ticket.english:
        return _WHOLE
    found = connection(said)
    # What is usual, by the number of words: the more there are, the better order shows, and the oftener they come back.
    ordered = min(0.0, 0.1 * number - 4.2)
    small = min(0.25, 0.01 * (number - NOTE_WORDS))
    repeated = 1.35 + number / 800
    rules = (
        Credit.falling(found.bits, whole=ordered, nothing=ordered - 2.0, reason="words out of order"),
        Credit.falling(found.small_words, whole=small, nothing=small / 2, reason="a list of words"),
        Credit.falling(found.listed, whole=16, nothing=24, reason="a list of words"),
        Credit.falling(found.repetition, whole=repeated, nothing=repeated + 0.3, reason="the same words over and over"),
    )
    return min(rules, key=_value)
