"""Fluent texts that would do for any ticket."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from supportbench_gallery.policy import Scene, Texts
from supportbench_gallery.wording import wording

_MOST_WORDS = {"summary": 78, "response": 240}
_NOTE_WORDS = 12


def template(scene: Scene) -> Texts:
    """Return the template that has a sentence for every queue."""
    return wording().template_summary, wording().template_reply


def learned_template(scene: Scene) -> Texts:
    """Return sentences with what the other tasks' answer keys want most."""
    elsewhere = scene.study.elsewhere(scene.observation.task_id)
    return _texts(_firsts(elsewhere.summary_phrases), _firsts(elsewhere.response_phrases))


def best_texts(scene: Scene) -> Texts:
    """Return sentences with what all tickets of the task want most, the same for each."""
    return _texts(_firsts(scene.group.summary_phrases), _firsts(scene.group.response_phrases))


def best_texts_reworded(scene: Scene) -> Texts:
    """Return what all tickets of the task want most in other words for each, with its subject before them."""
    turn = scene.observation.current_index
    about, told = (
        _turned([phrases[turn % len(phrases)] for phrases in wanted], turn)
        for wanted in (scene.group.summary_phrases, scene.group.response_phrases)
    )
    summary, reply = _texts(about, told)
    return f"{scene.ticket.subject}: {summary}", f"Re: {scene.ticket.subject}. {reply}"


def denials(scene: Scene) -> Texts:
    """Return sentences that deny what all tickets of the task want most."""
    about, told = (
        " ".join(f"We do not think that it is about {phrase}." for phrase in _firsts(wanted)[:most])
        for wanted, most in ((scene.group.summary_phrases, 7), (scene.group.response_phrases, 22))
    )
    return about, told


def best_note(scene: Scene) -> Texts:
    """Return a note of twelve words with what all tickets of the task want most, in another order each time."""
    turn = scene.observation.current_index
    about, told = (
        ", ".join(_turned(_within(_firsts(wanted), _NOTE_WORDS), turn))
        for wanted in (scene.group.summary_phrases, scene.group.response_phrases)
    )
    return about, told


def template_and_list(scene: Scene) -> Texts:
    """Return sentences that say nothing, with the phrases that all tickets of the task want most between them."""
    fillers = wording().fillers
    about, told = (
        " ".join(f"{fillers[place % len(fillers)]} {phrase}." for place, phrase in enumerate(_firsts(wanted)[:most]))
        for wanted, most in ((scene.group.summary_phrases, 6), (scene.group.response_phrases, 16))
    )
    return about, told


def _texts(about: Sequence[str], told: Sequence[str]) -> Texts:
    words = wording()
    return (
        _fluent(words.summary_opening, words.summary_frames, about, _MOST_WORDS["summary"]),
        _fluent(words.reply_opening, words.reply_frames, told, _MOST_WORDS["response"]),
    )


def _fluent(opening: str, frames: Sequence[str], phrases: Sequence[str], most_words: int) -> str:
    said = [opening]
    pairs = [*zip(phrases[::2], phrases[1::2], strict=False)]
    if len(phrases) % 2:
        pairs.append((phrases[-1], "what follows from it"))
    for place, (one, other) in enumerate(pairs):
        sentence = frames[place % len(frames)].format(a=one, b=other)
        if len(" ".join((*said, sentence)).split()) > most_words:
            break
        said.append(sentence)
    return " ".join(said)


def _firsts(wanted: Iterable[Sequence[str]]) -> list[str]:
    return [phrases[0] for phrases in wanted]


def _within(phrases: Iterable[str], most_words: int) -> list[str]:
    said: list[str] = []
    for phrase in phrases:
        if len(" ".join((*said, phrase)).split()) <= most_words:
            said.append(phrase)
    return said


def _turned(phrases: Sequence[str], turn: int) -> list[str]:
    place = turn % max(1, len(phrases))
    return [*phrases[place:], *phrases[:place]]
