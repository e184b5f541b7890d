"""An agent that guesses: the floor under every other agent."""

from __future__ import annotations

import random

from supportbench import SupportQueueAction, SupportQueueObservation


class RandomAgent:
    """Chooses priority, queue and disposition evenly, says nothing, and is as sure as chance allows."""

    name = "random"
    version = "1"

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 - no secret is made of it

    def start_episode(self, seed: int) -> RandomAgent:
        """Return an agent whose guesses follow from the seed."""
        return RandomAgent(seed)

    async def act(self, observation: SupportQueueObservation) -> SupportQueueAction:
        """Return a guess among the allowed values."""
        allowed = (observation.allowed_priorities, observation.allowed_queues, observation.allowed_dispositions)
        priority, queue, disposition = (self._random.choice(values) for values in allowed)
        chance = 1.0
        for values in allowed:
            chance /= len(values)
        return SupportQueueAction(
            priority=priority, queue=queue, disposition=disposition, summary="", response="", confidence=chance
        )
