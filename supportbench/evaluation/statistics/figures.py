"""The one door to a run's statistics, for whoever may have the libraries or not."""

from __future__ import annotations

from supportbench.evaluation.statistics.extra import why_missing
from supportbench.evaluation.statistics.observations import Observations
from supportbench.evaluation.statistics.records import Statistics


def statistics_of(observed: Observations) -> Statistics | None:
    """Return the figures of what was observed, None where the libraries are not installed."""
    if why_missing() is not None:
        return None
    from supportbench.evaluation.statistics.computing import compute  # noqa: PLC0415 - takes a second, as scipy does

    return compute(observed)
