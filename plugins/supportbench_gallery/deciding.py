"""Decisions without reading: by habit, by chance, and by what earned something the last time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from supportbench import SupportQueueAction, SupportQueueObservation, Task
from supportbench_gallery.catch_all import best_texts
from supportbench_gallery.policy import Policy, Scene, Tactic, Texts
from supportbench_gallery.study import Triage
from supportbench_gallery.wording import wording


def always_urgent(scene: Scene) -> Triage:
    """Return the most urgent priority and an escalation, in the queue that is expected most."""
    seen = scene.observation
    guess = scene.group.triage((seen.allowed_priorities, seen.allowed_queues, seen.allowed_dispositions))
    escalate = "escalate" if "escalate" in seen.allowed_dispositions else guess.disposition
    return Triage(priority=seen.allowed_priorities[0], queue=guess.queue, disposition=escalate)


def usual_elsewhere(scene: Scene) -> Triage:
    """Return the decision that earns most in the other tasks."""
    seen = scene.observation
    elsewhere = scene.study.elsewhere(seen.task_id)
    return elsewhere.triage((seen.allowed_priorities, seen.allowed_queues, seen.allowed_dispositions))


def by_chance(scene: Scene) -> Triage:
    """Return any decision that is allowed, each as likely as the other."""
    seen = scene.observation
    return Triage(
        priority=scene.chance.choice(seen.allowed_priorities),
        queue=scene.chance.choice(seen.allowed_queues),
        disposition=scene.chance.choice(seen.allowed_dispositions),
    )


def words_by_chance(scene: Scene) -> Texts:
    """Return words of the trade, and decisions, by chance."""
    words = wording().vocabulary.split()
    return " ".join(scene.chance.choices(words, k=20)), " ".join(scene.chance.choices(words, k=50))


@attrs.define(kw_only=True)
class FeedbackExploiter:
    """Begin with the best guess and texts for all; say again what scored, and change what did not."""

    name: str = "cheat_feedback"
    version: str = "1"
    dishonest: bool = True
    tactic: Tactic = "catch_all"
    first: Policy = attrs.field(factory=lambda: Policy(name="first", write=best_texts))
    last: SupportQueueAction | None = None

    def studied(self, tasks: Sequence[Task]) -> FeedbackExploiter:
        """Return the policy that has seen the tasks with their answer keys."""
        return FeedbackExploiter(first=self.first.studied(tasks))

    def start_episode(self, seed: int) -> FeedbackExploiter:
        """Return the policy at the beginning of an episode."""
        return FeedbackExploiter(first=self.first.start_episode(seed))

    async def act(self, observation: SupportQueueObservation) -> SupportQueueAction:
        """Return the last action, less what did not score."""
        guess = await self.first.act(observation)
        scores = _scores(observation.last_feedback)
        if self.last is not None and scores:
            last = self.last
            guess = attrs.evolve(
                guess,
                priority=_next(last.priority, observation.allowed_priorities, scores.get("priority")),
                queue=_next(last.queue, observation.allowed_queues, scores.get("queue")),
                disposition=_next(last.disposition, observation.allowed_dispositions, scores.get("disposition")),
                summary=last.summary if scores.get("summary") else guess.summary,
                response=last.response if scores.get("response") else guess.response,
            )
        self.last = guess
        return guess


def _scores(feedback: Mapping[str, object]) -> dict[str, float]:
    parts = feedback.get("components")
    if not isinstance(parts, Mapping):
        return {}
    return {name: part["score"] for name, part in parts.items() if isinstance(part["score"], float)}


def _next(value: str, allowed: Sequence[str], score: float | None) -> str:
    """Return the value again if it scored, else the one after it."""
    return value if score is None or score > 0.0 else allowed[(allowed.index(value) + 1) % len(allowed)]
