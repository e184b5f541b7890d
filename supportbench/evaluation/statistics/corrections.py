"""Several questions at once: p-values that stay honest."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return the p-values, each in [0, 1], adjusted for their number, in the same order.

    Step-down Bonferroni: the smallest of m is multiplied by m, the next by m - 1, …, and none is smaller than one
    before it (Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6,
    1979). Whoever takes those below 0.05 errs anywhere at all in 5 of 100 cases at most.
    """
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return tuple(adjusted)
