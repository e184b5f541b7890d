"""The component `area`: did the ticket go to the right part of the shop?"""

from __future__ import annotations

import attrs

from supportbench import ComponentScore, Submission


class Area:
    """1 for the expected queue, a share for the one next to it, else 0; queues are listed as they stand in the shop."""

    name = "area"
    version = "1"

    @attrs.frozen(kw_only=True)
    class Options:
        """What a rubric may set: `options = { next_door = 0.25 }`."""

        next_door: float = attrs.field(default=0.5, validator=[attrs.validators.ge(0.0), attrs.validators.le(1.0)])

    def __init__(self, next_door: float = 0.5) -> None:
        self._next_door = next_door

    def configured(self, options: Options) -> Area:
        """Return the component with these options."""
        return Area(options.next_door)

    async def score(self, submission: Submission) -> ComponentScore:
        """Return the score; it does not apply where the answer key expects no queue."""
        expected, given = submission.case.answer_key.queue, submission.action.queue
        if expected is None:
            return ComponentScore(score=None)
        shop = submission.task.taxonomy.queues
        steps = abs(shop.index(given) - shop.index(expected))
        return ComponentScore(score={0: 1.0, 1: self._next_door}.get(steps, 0.0))
