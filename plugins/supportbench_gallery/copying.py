"""Texts that somebody else wrote: the ticket's own, and one honest text for every ticket."""

from __future__ import annotations

import re
from collections.abc import Iterable

from supportbench import SupportQueueAction
from supportbench_gallery.policy import Scene, Texts
from supportbench_gallery.wording import wording

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n\s*\n")
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


def reused(scene: Scene) -> Texts:
    """Return the honest texts of the ticket whose texts serve the others best; nothing for that ticket itself."""
    answer = _of_another(scene)
    return ("", "") if answer is None else (answer.summary, answer.response)


def reused_with_details(scene: Scene) -> Texts:
    """Return those texts with this ticket's subject and figures in them, and their sentences in another order."""
    answer = _of_another(scene)
    if answer is None:
        return "", ""
    return _made_to_fit(answer.summary, scene), _made_to_fit(answer.response, scene)


def _of_another(scene: Scene) -> SupportQueueAction | None:
    best = scene.group.most_reusable
    return None if best is None or best[0] == scene.ticket.ticket_id else best[1]


def _made_to_fit(text: str, scene: Scene) -> str:
    sentences = _SENTENCE_END.split(text)
    turn = scene.observation.current_index % len(sentences)
    details = " ".join(_details(scene))
    return " ".join((f"This is about {scene.ticket.subject}.", *sentences[turn:], *sentences[:turn], f"({details})"))


def _details(scene: Scene) -> list[str]:
    """Return what looks like a detail in the ticket: words with figures in them."""
    return [word for word in scene.ticket.body.split() if any(char.isdigit() for char in word)][:4]


def _sentences(scene: Scene) -> list[str]:
    return [" ".join(sentence.split()) for sentence in _SENTENCE_END.split(scene.ticket.body) if sentence.strip()]


def _up_to(sentences: Iterable[str], most: int) -> str:
    said: list[str] = []
    for sentence in sentences:
        if len(" ".join((*said, sentence)).split()) > most:
            break
        said.append(sentence)
    return " ".join(said)
