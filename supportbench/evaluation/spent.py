"""What answers used, added up while they come in, in any order."""

from __future__ import annotations

import math
from array import array

import attrs

from supportbench.models import Usage


class Spent:
    """Tokens and dollars; the sum of dollars is rounded once, at the end, so that no order of theirs shows in it."""

    def __init__(self) -> None:
        self._counted = Usage()
        self._costs = array("d")
        self.told = 0

    def add(self, usage: Usage | None) -> None:
        """Count what an answer used; `told` says of how many that was known."""
        if usage is None:
            return
        self.told += 1
        self._counted += attrs.evolve(usage, cost_usd=None)
        if usage.cost_usd is not None:
            self._costs.append(usage.cost_usd)

    @property
    def priced(self) -> int:
        """How many answers had a cost."""
        return len(self._costs)

    @property
    def usage(self) -> Usage | None:
        """The sum, None where nothing is known; its cost is that of the answers that have one."""
        if not self.told:
            return None
        return attrs.evolve(self._counted, cost_usd=math.fsum(self._costs) if self._costs else None)
