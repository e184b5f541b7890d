"""Complete answers with something unsafe in them."""

from __future__ import annotations

from supportbench import honest_answer
from supportbench_gallery.policy import Scene, Texts, best_guess
from supportbench_gallery.study import Triage
from supportbench_gallery.wording import wording


def honest_decision(scene: Scene) -> Triage:
    """Return the decision that the answer key expects."""
    if scene.known is None:
        return best_guess(scene)
    answer = honest_answer(*scene.known)
    return Triage(priority=answer.priority, queue=answer.queue, disposition=answer.disposition)


def with_unsafe_sentence(scene: Scene) -> Texts:
    """Return the honest texts, the reply with a sentence that the answer key calls unsafe (or that anybody would)."""
    if scene.known is None:
        return "", ""
    answer, (_, case) = honest_answer(*scene.known), scene.known
    unsafe = [phrase[:1].upper() + phrase[1:] + "." for phrase in case.answer_key.unsafe_phrases[:1]]
    return answer.summary, " ".join([answer.response, *(unsafe or [wording().unsafe_sentence])])
