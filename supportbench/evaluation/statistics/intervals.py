"""Means and rates with 95 % intervals. The unit is the ticket: what an agent does with it again is no new ticket."""

from __future__ import annotations

import functools
import math
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from supportbench.evaluation.statistics.records import FEWEST_TICKETS, Mean, Rate

Floats: TypeAlias = NDArray[np.float64]
Places: TypeAlias = NDArray[np.integer[Any]]

CONFIDENCE_LEVEL: Final = 0.95
_SEED: Final = 20_240_229
"""One for all: the same replies have the same interval."""

_MOST_RESAMPLES: Final = 9_999
_ALIKE: Final = 1e-9
_FEWEST_RESAMPLES: Final = 999
_MOST_DRAWS: Final = 20_000_000
_DRAWS_AT_ONCE: Final = 200_000


def random_numbers() -> np.random.Generator:
    """Return the random numbers of one figure, always the same."""
    return np.random.default_rng(_SEED)


def resamples(tickets: int, most: int = _MOST_RESAMPLES) -> int:
    """Return how many resamples to draw: the more tickets, the fewer, since a figure has to be had in a second."""
    return max(_FEWEST_RESAMPLES, min(most, _MOST_DRAWS // tickets))


def batch(tickets: int) -> int:
    """Return how many resamples to draw at once, so that memory stays small."""
    return max(1, _DRAWS_AT_ONCE // tickets)


def ratio_of_sums(numerators: Floats, denominators: Floats, axis: int = -1) -> Any:
    """Return the sum of the numerators by that of the denominators, along an axis."""
    return numerators.sum(axis=axis) / denominators.sum(axis=axis)


def bootstrapped(numerators: Floats, denominators: Floats) -> tuple[float, float, float] | None:
    """Return the low end, the high end and the standard error of a ratio of sums over tickets.

    None for fewer than six tickets, and where all are alike: a bootstrap would say that nothing is uncertain then.

    Tickets are drawn with replacement, each with all its replies (a bootstrap clustered by ticket: Cameron, Gelbach and
    Miller 2008). The interval is Hesterberg's expanded percentile interval: percentiles at Φ(-√(n/(n-1))·t) of n
    tickets, with Student's t of n-1 degrees of freedom, in place of 0.025, and mirrored; the standard error is that of
    the resamples times √(n/(n-1)). Plain percentiles are too narrow for few tickets (Hesterberg, "What Teachers Should
    Know About the Bootstrap", The American Statistician 69, 2015).
    """
    tickets = len(numerators)
    if tickets < FEWEST_TICKETS or np.ptp(numerators / denominators) < _ALIKE:
        return None
    widening = math.sqrt(tickets / (tickets - 1))
    tail = stats.norm.cdf(-widening * stats.t.ppf((1 + CONFIDENCE_LEVEL) / 2, tickets - 1))
    drawn = stats.bootstrap(
        (numerators, denominators),
        ratio_of_sums,
        paired=True,
        vectorized=True,
        n_resamples=resamples(tickets),
        batch=batch(tickets),
        confidence_level=1 - 2 * tail,
        method="percentile",
        rng=random_numbers(),
    )
    here = float(ratio_of_sums(numerators, denominators))
    interval = drawn.confidence_interval
    return min(float(interval.low), here), max(float(interval.high), here), float(drawn.standard_error) * widening


def sums_by(whose: Places, values: Floats) -> Floats:
    """Return the sum of the values that belong to each of 0, 1, 2, …"""
    sums: Floats = np.bincount(whose, weights=values).astype(np.float64)
    return sums


def mean_of(values: Floats, tickets: Places, weights: Floats | None = None) -> Mean:
    """Return the (weighted) mean of values in [0, 1], one a reply, with its interval; `tickets` says whose they are."""
    weighing = np.ones_like(values) if weights is None else weights
    _, whose = np.unique(tickets, return_inverse=True)
    numerators, denominators = sums_by(whose, values * weighing), sums_by(whose, weighing)
    mean = float(ratio_of_sums(numerators, denominators))
    found = bootstrapped(numerators, denominators)
    return Mean(
        mean=_unit(mean),
        low=None if found is None else _unit(found[0]),
        high=None if found is None else _unit(found[1]),
        tickets=len(numerators),
        replies=len(values),
    )


def rate_of(hits: NDArray[np.bool_], tickets: Places) -> Rate:
    """Return the share of replies that are hits, with Wilson's score interval (Wilson 1927, Newcombe 1998).

    Its size is the effective number of tickets, (Σ replies)² / Σ replies² (Kish, Survey Sampling, 1965), rounded:
    replies to one ticket are no further tickets, and may all be the same. That is their number where each has as many
    replies. Where the hits among so many are no whole number, both neighbours are taken, and the outer ends.
    """
    count, replies = int(hits.sum()), len(hits)
    _, each = np.unique(tickets, return_counts=True)
    effective = round(replies * replies / int((each.astype(np.int64) ** 2).sum()))
    fewer, more = count * effective // replies, -(-count * effective // replies)
    rate = count / replies
    return Rate(
        rate=rate,
        low=min(rate, wilson(fewer, effective)[0]),
        high=max(rate, wilson(more, effective)[1]),
        count=count,
        tickets=len(each),
        replies=replies,
    )


@functools.cache
def wilson(count: int, number: int) -> tuple[float, float]:
    """Return Wilson's 95 % score interval of `count` hits in `number` tries, without continuity correction."""
    interval = stats.binomtest(count, number).proportion_ci(CONFIDENCE_LEVEL, method="wilson")
    return float(interval.low), float(interval.high)


def _unit(value: float) -> float:
    return min(1.0, max(0.0, value))
