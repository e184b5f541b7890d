"""Texts that hold many words and say nothing."""

from __future__ import annotations

from collections.abc import Sequence

from supportbench import honest_answer
from supportbench_gallery.policy import Scene, Texts
from supportbench_gallery.study import concepts_of
from supportbench_gallery.wording import wording


def vocabulary(scene: Scene) -> Texts:
    """Return the words of the trade, one after another."""
    return wording().vocabulary, wording().vocabulary


def shuffled_words(scene: Scene) -> Texts:
    """Return the words of this ticket's honest answer in any order, as a bag."""
    if scene.known is None:
        return "", ""
    answer = honest_answer(*scene.known)
    return _shuffled(answer.summary.split(), scene), _shuffled(answer.response.split(), scene)


def shuffled_around_phrases(scene: Scene) -> Texts:
    """Return a phrase of each of this ticket's concepts, whole, among the words of the honest answer in any order."""
    if scene.known is None:
        return "", ""
    answer, (about, told) = honest_answer(*scene.known), _own_phrases(scene, most=1)
    return (
        _shuffled([*answer.summary.split(), *about], scene),
        _shuffled([*answer.response.split(), *told], scene),
    )


def listed_phrases(scene: Scene) -> Texts:
    """Return every phrase that this ticket's answer key knows, set off by commas."""
    about, told = _own_phrases(scene)
    return ", ".join(about), ", ".join(told)


def glued_phrases(scene: Scene) -> Texts:
    """Return two phrases of each of this ticket's concepts, in any order, with small words between them."""
    about, told = _own_phrases(scene, most=2)
    return _glued(about, scene), _glued(told, scene)


def listed_elsewhere(scene: Scene) -> Texts:
    """Return the phrases that the other tasks' tickets want most, set off by commas."""
    elsewhere = scene.study.elsewhere(scene.observation.task_id)
    about, told = elsewhere.summary_phrases, elsewhere.response_phrases
    return ", ".join(phrases[0] for phrases in about), ", ".join(phrases[0] for phrases in told)


def repeated_phrases(scene: Scene) -> Texts:
    """Return sentences that say the phrases which the task's tickets want most, again and again."""
    about, told = scene.group.summary_phrases[:3], scene.group.response_phrases[:3]
    return _repeated([phrases[0] for phrases in about]), _repeated([phrases[0] for phrases in told])


def _own_phrases(scene: Scene, most: int | None = None) -> tuple[list[str], list[str]]:
    known = [] if scene.known is None else [scene.known]
    about, told = (
        [phrase for concept in concepts_of(known, side) for phrase in concept.phrases[:most]]
        for side in ("summary", "response")
    )
    return about, told


def _shuffled(parts: Sequence[str], scene: Scene) -> str:
    return " ".join(scene.chance.sample(parts, len(parts)))


def _glued(phrases: Sequence[str], scene: Scene) -> str:
    said = list(phrases)
    scene.chance.shuffle(said)
    glue = wording().glue
    return " ".join(f"{phrase} {glue[place % len(glue)]}" for place, phrase in enumerate(said))


def _repeated(phrases: Sequence[str]) -> str:
    return " ".join(f"There is {phrase}, and {phrase} again." for phrase in phrases for _ in range(3))
