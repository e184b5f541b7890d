"""Runs of words taken out of the ticket, without understanding any, and put into sentences that are always the same.

No word of another ticket or of an answer key is in them: whatever such a text earns, it earns by saying again what the
ticket says itself, in pieces too short to be a copy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import cycle

import attrs

from supportbench import Ticket, fold
from supportbench_gallery.policy import Scene, Texts
from supportbench_gallery.wording import wording

_WORD = re.compile(r"[^\W_]+(?:[.,'’-][^\W_]+)*")
_CLAUSE_END = re.compile(r"[.,;:!?()\"]+(?=\s|$)|\n")
_DATE_OR_TIME = re.compile(r"\d{4}-\d\d-\d\d|\d\d:\d\d|UTC")
_NOTE_WORDS = 12
_MOST_WORDS = {"summary": 78, "response": 130}
_RUN_WORDS = 2  # one says less, three are oftener a copy
_MIDDLE_WORDS = 4  # five on end are a passage
_SUBJECT, _RECORDS, _BODY = range(3)


@attrs.frozen
class _Run:
    """Words that stand on end in the ticket, and how much they are likely to matter."""

    words: tuple[str, ...]
    weight: float


def in_sentences(scene: Scene) -> Texts:
    """Return the ticket's weightiest runs of words, two words each at most, in sentences that are always the same."""
    said = [" ".join(run.words) for run in _runs(scene.ticket, _RUN_WORDS)]
    words = wording()
    return (
        _filled(words.extract_summary_frames, said, _MOST_WORDS["summary"]),
        _filled(words.extract_reply_frames, said, _MOST_WORDS["response"]),
    )


def as_note(scene: Scene) -> Texts:
    """Return as many of the ticket's weightiest runs of words as make a note, set off by commas."""
    said: list[str] = []
    for run in _runs(scene.ticket, _RUN_WORDS):
        if len(fold(" ".join((*said, *run.words))).split()) <= _NOTE_WORDS:
            said.append(" ".join(run.words))
    note = ", ".join(said)
    return note, note


def middles_in_sentences(scene: Scene) -> Texts:
    """Return the middles of the ticket's weightiest records and clauses, in sentences that are always the same."""
    clauses = _clauses(scene.ticket)
    where = _places(clauses)
    middles = {_middle(clause): None for _, clause in clauses}  # each once, in their order
    weighed = [_weighed(middle, where) for middle in middles if len(middle) > 1]
    said = [" ".join(run.words) for run in sorted(weighed, key=lambda run: -run.weight)]
    words = wording()
    return (
        _filled(words.extract_summary_frames, said, _MOST_WORDS["summary"]),
        _filled(words.extract_reply_frames, said, _MOST_WORDS["response"]),
    )


def _clauses(ticket: Ticket) -> list[tuple[int, list[str]]]:
    """Return the words of every clause, with the part of the ticket where it stands."""
    parts = (
        (_SUBJECT, ticket.subject),
        *((_RECORDS, _DATE_OR_TIME.sub(" ", record)) for record in ticket.recent_events),
        (_BODY, ticket.body),
    )
    clauses = [(place, _WORD.findall(clause)) for place, part in parts for clause in _CLAUSE_END.split(part)]
    return [(place, words) for place, words in clauses if words]


def _places(clauses: Iterable[tuple[int, Sequence[str]]]) -> Mapping[str, set[int]]:
    """Return for each word, folded, the parts of the ticket where it stands."""
    where: dict[str, set[int]] = {}
    for place, clause in clauses:
        for word in clause:
            where.setdefault(fold(word), set()).add(place)
    return where


def _middle(clause: Sequence[str]) -> tuple[str, ...]:
    """Return at most four words around the middle, without small words at either end."""
    small = wording().small_words
    begin = max(0, (len(clause) - _MIDDLE_WORDS) // 2)
    middle = list(clause[begin : begin + _MIDDLE_WORDS])
    while middle and middle[0].lower() in small:
        del middle[0]
    while middle and middle[-1].lower() in small:
        del middle[-1]
    return tuple(middle)


def _runs(ticket: Ticket, most_words: int) -> list[_Run]:
    """Return the runs of words of content, the weightiest first; none whose words are all in those before it."""
    clauses = _clauses(ticket)
    where = _places(clauses)
    known: set[str] = set()
    runs: list[_Run] = []
    found = [_weighed(run, where) for _, clause in clauses for run in _cut(clause, most_words)]
    for run in sorted(found, key=lambda run: -run.weight):
        words = {fold(word) for word in run.words}
        if not words <= known:
            known |= words
            runs.append(run)
    return runs


def _cut(clause: Sequence[str], most_words: int) -> Iterator[tuple[str, ...]]:
    """Yield the clause's runs of words that are no small ones, each up to so many words long."""
    small = wording().small_words
    run: list[str] = []
    for word in clause:
        if word.lower() in small:
            if run:
                yield tuple(run)
            run = []
        else:
            run.append(word)
            if len(run) == most_words:
                yield tuple(run)
                run = []
    if run:
        yield tuple(run)


def _weighed(run: tuple[str, ...], where: Mapping[str, set[int]]) -> _Run:
    """Weigh a run: words of the trade, of the subject, that two witnesses use, that are long, matter most."""
    trade = wording().trade
    weight = 0.0
    for word in run:
        places = where[fold(word)]
        weight += 2.0 * (fold(word) in trade)
        weight += 1.0 * (_RECORDS in places and len(places) > 1) + 0.5 * (_SUBJECT in places)
        weight += 0.3 * (_RECORDS in places) + 0.05 * min(len(word), 12)
    return _Run(run, weight / len(run) ** 0.5)


def _filled(frames: Sequence[str], runs: Sequence[str], most_words: int) -> str:
    """Return the frames with two runs in each, as long as there are runs and room."""
    said: list[str] = []
    for frame, one, other in zip(cycle(frames), runs[::2], runs[1::2], strict=False):
        sentence = frame.format(a=one, b=other)
        if len(" ".join((*said, sentence)).split()) > most_words:
            break
        said.append(sentence)
    return " ".join(said)
