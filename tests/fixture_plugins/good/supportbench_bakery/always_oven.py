"""The agent `always_oven`: whatever it is, the oven did it."""

from __future__ import annotations

from supportbench import SupportQueueAction, SupportQueueObservation


class AlwaysOven:
    """Sends everything to the oven at once."""

    name = "always_oven"
    version = "1"

    async def act(self, observation: SupportQueueObservation) -> SupportQueueAction:
        """Return the same decision for every ticket."""
        return SupportQueueAction(
            priority=observation.allowed_priorities[0],
            queue="oven",
            disposition=observation.allowed_dispositions[0],
            summary="Probably the oven.",
            response="Thank you for telling us. A baker looks at the oven now.",
            confidence=0.5,
        )
