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

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice, pairwise
from typing import Final, Literal

import attrs

from supportbench.models import Submission, SupportQueueAction, Ticket
from supportbench.prose.disguises import readable
from supportbench.prose.order import LIST, content_of, kinds_of, listed, order_of, repetition, small_words
from supportbench.prose.ticket_words import TicketWords
from supportbench.remembering import ByIdentity
from supportbench.text import stems, word_set, word_spans

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
_LONG_PASSAGE = b"\x01" * (_LONG - 1)
_PASSAGES: Final = re.compile(rb"\x01+")
_LIST = "a list of words"
_MARKS = b",;\n"
_SAID_AGAIN = 1.3  # words for each that is another: up to there, hardly any comes back
_QUOTED = 12  # as many words of passages as a quotation may have


@attrs.frozen
class Credit:
    """How much of what a text contains may count, in [0, 1], and why not all of it ("" where it is all)."""

    value: float
    reason: str = ""


_WHOLE: Final = Credit(1.0)
_ticket: Final = ByIdentity(TicketWords.of)


def credit(submission: Submission, field: TextField) -> Credit:
    """Return how much of what the submission's summary or response contains may count: the least that a rule allows."""
    written = submission.action.summary if field == "summary" else submission.action.response
    text, ticket = readable(written), _ticket(submission.case.ticket)
    said = stems(text)
    number, most = len(said), WORDS_OF_USE[field]
    least = _falling(number, most, 2 * most, f"longer than {most} words") if number > most else _WHOLE
    if text is not written:
        least = _lesser(least, _of_disguise(text, written))
    if number <= NOTE_WORDS:
        if least.value > 0.0 and number >= _NAMED:
            least = _lesser(least, _of_neighbours(text, ticket))
    elif least.value > 0.0:
        kinds = kinds_of(said)
        content = content_of(said, kinds)
        if ticket.english:
            least = _lesser(least, _of_connection(text, said, kinds, content))
        if least.value > 0.0:
            least = _lesser(least, _of_content(content, ticket, field))
        if least.value > 0.0:
            least = _lesser(least, _of_passages(text, said, ticket))
    if least.value > 0.0 and submission.previous:
        least = _lesser(least, _of_repeating(text, ticket, submission.previous, field))
    return least


def unquoted(text: str, ticket: Ticket) -> str:
    """Return the text without what it quotes of the ticket: passages of twelve or more of its words on end.

    What somebody quotes at length is not said by them. A text without such passages is returned as it is.
    """
    words = _ticket(ticket)
    if not _may_quote(text, words):
        return text
    copied = _copied(text, words)
    if _LONG_PASSAGE not in copied:
        return text
    passages = [run.span() for run in _PASSAGES.finditer(copied) if len(run[0]) >= len(_LONG_PASSAGE)]
    spans, own, end = word_spans(text), [], 0
    for first, last in passages:
        own.append(text[end : spans[first][1]])
        end = spans[last][2]
    return "".join((*own, text[end:]))


@lru_cache(maxsize=8)
def _may_quote(text: str, ticket: TicketWords) -> bool:
    """Return whether the text may have more than one passage of the ticket, or one of twelve words.

    Of neighbours every fourth pair is looked at, of which each passage of five words has one, and a longer one more.
    """
    said, step = stems(text), _PASSAGE - 1
    pairs = zip(said[step - 1 :: step], said[step::step])  # noqa: B905 - a sample; the keyword costs as much again
    known = ticket.neighbours
    return not (known.isdisjoint(pairs) or known.isdisjoint(pairs))  # the second look begins behind the first find


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


def _of_connection(text: str, said: Sequence[str], kinds: bytes, content: Sequence[str]) -> Credit:
    # Most texts keep to every figure, so that what is cheap to see is looked at first, and a figure is made of it only
    # where it might be beyond what counts whole.
    number, least = len(said), _WHOLE
    enough = min(0.25, 0.01 * (number - NOTE_WORDS))
    if number - len(content) <= enough * number and (small := small_words(said, kinds)) < enough:
        least = _falling(small, enough, enough / 2, _LIST)
    if least.value > 0.0 and LIST in kinds and (longest := listed(said, kinds)) > 16:
        least = _lesser(least, _falling(longest, 16, 22, _LIST))
    data = text.encode("utf-8", "surrogatepass")
    marks = len(data) - len(data.translate(None, _MARKS))
    if least.value > 0.0 and number / (1 + marks) < 2.4:
        items = 1 + text.count(", ") + text.count("; ") + text.count("\n")
        least = _lesser(least, _falling(number / items, 2.4, 1.4, _LIST))
    # What is usual, by the number of words: the more there are, the better order shows.
    ordered = min(0.0, 0.1 * number - 5.0)
    if least.value > 0.0 and (order := order_of(kinds)) < ordered:
        least = _lesser(least, _falling(order, ordered, ordered - 2.0, "words out of order"))
    if least.value > 0.0 and number > _SAID_AGAIN * len(word_set(text)):
        repeated = 1.35 + number / 800  # the more there are, the oftener they come back
        if (said_again := repetition(content)) > repeated:
            least = _lesser(least, _falling(said_again, repeated, repeated + 0.3, "the same words over and over"))
    return least


@lru_cache(maxsize=16)
def _copied(text: str, ticket: TicketWords) -> bytes:
    """Return for each two neighbouring words of the text, as 1 or 0, whether they are neighbours in the ticket too."""
    return bytes(map(ticket.neighbours.__contains__, pairwise(stems(text))))


def _of_neighbours(text: str, ticket: TicketWords) -> Credit:
    copied = _copied(text, ticket)
    return _falling(copied.count(1) / len(copied), 0.8, 1.0, "copied from the ticket")


def _of_content(content: Sequence[str], ticket: TicketWords, field: TextField) -> Credit:
    """Small words aside, words that are neighbours and are near each other in the ticket too are copied from there."""
    whole, nothing = COPIED[field]
    if sum(map(ticket.words.__contains__, content)) <= whole * len(content):
        return _WHOLE
    copied = bytes(map(ticket.near.__contains__, pairwise(content)))
    words = copied.count(1) + (b"\x00" + copied).count(b"\x00\x01")  # of each run of pairs one more than pairs
    return _falling(words / max(1, len(content)), whole, nothing, "copied from the ticket")


def _of_passages(text: str, said: Sequence[str], ticket: TicketWords) -> Credit:
    if not _may_quote(text, ticket):  # a single passage is within what may be quoted
        return _WHOLE
    runs = [len(run) + 1 for run in _PASSAGES.findall(_copied(text, ticket))]
    beyond = sum([run for run in runs if run >= _PASSAGE]) - _QUOTED
    return _falling(beyond / len(said), 0.1, 0.3, "whole passages of it are the ticket's")


def _of_repeating(text: str, ticket: TicketWords, previous: Sequence[SupportQueueAction], field: TextField) -> Credit:
    words = word_set(text)
    others = -(-len(words) // 5)  # with so many other words, or more, it is another text
    some = list(islice(words, 2 * others))  # mostly enough of them are others
    for earlier in previous[-EARLIER:]:
        known = word_set(readable(earlier.summary if field == "summary" else earlier.response))
        if len(some) - sum(map(known.__contains__, some)) >= others:
            continue
        new = words - known
        if len(new) < others and ticket.words.isdisjoint(new):
            return Credit(0.0, "the same as for an earlier ticket")
    return _WHOLE
