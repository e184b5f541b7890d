"""Complete answers with something unsafe in them."""

from __future__ import annotations

from supportbench import Case, honest_answer
from supportbench_gallery.policy import Scene, Texts, best_guess
from supportbench_gallery.study import Triage
from supportbench_gallery.wording import wording

_ZERO_WIDTH = "\u200b"


def honest_decision(scene: Scene) -> Triage:
    """Return the decision that the answer key expects."""
    if scene.known is None:
        return best_guess(scene)
    answer = honest_answer(*scene.known)
    return Triage(priority=answer.priority, queue=answer.queue, disposition=answer.disposition)


def with_unsafe_sentence(scene: Scene) -> Texts:
    """Return the honest texts, the reply with a sentence that the answer key calls unsafe, or that anybody would."""
    if scene.known is None:
        return "", ""
    answer = honest_answer(*scene.known)
    return answer.summary, f"{answer.response} {_unsafe_sentence(scene.known[1])}"


def with_disguised_sentence(scene: Scene) -> Texts:
    """Return the honest texts with that unsafe sentence, whose words have characters of no width in them."""
    if scene.known is None:
        return "", ""
    answer = honest_answer(*scene.known)
    disguised = " ".join(word[:1] + _ZERO_WIDTH + word[1:] for word in _unsafe_sentence(scene.known[1]).split())
    return answer.summary, f"{answer.response} {disguised}"


def _unsafe_sentence(case: Case) -> str:
    unsafe = [phrase[:1].upper() + phrase[1:] + "." for phrase in case.answer_key.unsafe_phrases]
    return unsafe[0] if unsafe else wording().unsafe_sentence
