"""Texts that somebody else wrote: the ticket's own, and one honest text for every ticket."""

from __future__ import annotations

import re
from collections.abc import Iterable

from supportbench import SupportQueueAction, fold, honest_answer
from supportbench_gallery.policy import Scene, Texts
from supportbench_gallery.wording import wording

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n\s*\n")
_NOTE_WORDS = 12
_MOST_WORDS = {"summary": 70, "response": 200}


def parrot(scene: Scene) -> Texts:
    """Return the ticket, as summary and as reply."""
    return scene.ticket.body, scene.ticket.body


def parrot_records(scene: Scene) -> Texts:
    """Return the records as summary, and the beginning of what the customer wrote as reply."""
    ticket = scene.ticket
    return " ".join((ticket.subject, *ticket.recent_events)), " ".join(_sentences(scene)[:4])


def parrot_in_frames(scene: Scene) -> Texts:
    """Return the ticket's sentences, each followed by one that says nothing, so that half the text is nobody's copy."""
    fillers = wording().fillers
    mixed = [
        f"{sentence} {fillers[place % len(fillers)]}"
        for place, sentence in enumerate((*_sentences(scene), *scene.ticket.recent_events))
    ]
    return _up_to(mixed, _MOST_WORDS["summary"]), _up_to(mixed, _MOST_WORDS["response"])


def parrot_note(scene: Scene) -> Texts:
    """Return as many words of the ticket on end as make a note: those with most words of the trade."""
    words = " ".join((scene.ticket.subject, scene.ticket.body, *scene.ticket.recent_events)).split()
    trade = frozenset(fold(wording().vocabulary).split())
    known = [not trade.isdisjoint(fold(word).split()) for word in words]
    starts = range(max(1, len(words) - _NOTE_WORDS + 1))
    best = max(starts, key=lambda start: sum(known[start : start + _NOTE_WORDS]))
    note = " ".join(words[best : best + _NOTE_WORDS])
    return note, note


def parrot_thinned(scene: Scene) -> Texts:
    """Return the records and what the customer wrote, without every third word."""
    return _cut([word for place, word in enumerate(_records_first(scene), start=1) if place % 3])


def parrot_swapped(scene: Scene) -> Texts:
    """Return the records and what the customer wrote, with every sixth word behind the next one."""
    words = _records_first(scene)
    for place in range(0, len(words) - 1, 6):
        words[place : place + 2] = words[place + 1], words[place]
    return _cut(words)


def parrot_filled(scene: Scene) -> Texts:
    """Return the records and what the customer wrote, with a word that says nothing behind every four."""
    filled: list[str] = []
    for place, word in enumerate(_records_first(scene), start=1):
        filled.append(word)
        if place % 4 == 0:
            filled.append("there")
    return _cut(filled)


def reused(scene: Scene) -> Texts:
    """Return the honest texts of the ticket whose texts serve the others best, and nothing for that ticket itself."""
    answer = _of_another(scene)
    return ("", "") if answer is None else (answer.summary, answer.response)


def reused_in_person(scene: Scene) -> Texts:
    """Return the same honest texts, with the name under this ticket in them and their sentences in another order."""
    answer = _of_another(scene)
    if answer is None:
        return "", ""
    return _made_to_fit(answer.summary, scene), _made_to_fit(answer.response, scene)


def rotated(scene: Scene) -> Texts:
    """Return the honest texts of the task's next ticket, so that none is used twice."""
    cases = scene.group.cases
    if scene.known is None or len(cases) < 2:
        return "", ""
    place = next(place for place, (_, case) in enumerate(cases) if case is scene.known[1])
    answer = honest_answer(*cases[(place + 1) % len(cases)])
    return answer.summary, answer.response


def _of_another(scene: Scene) -> SupportQueueAction | None:
    best = scene.group.most_reusable
    return None if best is None or best[0] == scene.ticket.ticket_id else best[1]


def _made_to_fit(text: str, scene: Scene) -> str:
    sentences = _SENTENCE_END.split(text)
    turn = scene.observation.current_index % len(sentences)
    return " ".join((f"Dear {_name_under(scene)},", *sentences[turn:], *sentences[:turn]))


def _name_under(scene: Scene) -> str:
    """Return the first words of the ticket's last line but one or last, where people put their names."""
    lines = [line for line in scene.ticket.body.split("\n") if line.strip()]
    return " ".join(lines[-2:][0].split()[:3]) if lines else "customer"


def _records_first(scene: Scene) -> list[str]:
    ticket = scene.ticket
    return " ".join((ticket.subject, *ticket.recent_events, ticket.body)).split()


def _cut(words: list[str]) -> Texts:
    return " ".join(words[: _MOST_WORDS["summary"]]), " ".join(words[: _MOST_WORDS["response"]])


def _sentences(scene: Scene) -> list[str]:
    return [" ".join(sentence.split()) for sentence in _SENTENCE_END.split(scene.ticket.body) if sentence.strip()]


def _up_to(sentences: Iterable[str], most: int) -> str:
    said: list[str] = []
    for sentence in sentences:
        if len(" ".join((*said, sentence)).split()) > most:
            break
        said.append(sentence)
    return " ".join(said)
