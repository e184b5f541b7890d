"""How far an action's `confidence` can be relied upon, as a forecast that its ticket is a success."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from supportbench.evaluation.statistics.intervals import Floats
from supportbench.evaluation.statistics.records import Calibration, ReliabilityBin, RiskPoint

BINS: Final = 10
"""Of equal width; k/10 rather than k·0.1, so that a confidence of 0.3 is where 0.3 begins."""

_COVERAGES: Final = 20


def calibration_of(confidence: Floats, success: NDArray[np.bool_]) -> Calibration | None:
    """Return the calibration of forecasts in [0, 1], None where there are none."""
    if not len(confidence):
        return None
    order = np.lexsort((success, confidence))
    confidence, outcome = confidence[order], success[order].astype(np.float64)
    bins = reliability(confidence, outcome)
    base, brier = float(outcome.mean()), brier_score(confidence, outcome)
    of_base = base * (1 - base)
    risks = selective_risks(confidence, outcome)
    return Calibration(
        replies=len(confidence),
        confidence=float(confidence.mean()),
        success=base,
        brier=brier,
        brier_skill=1 - brier / of_base if of_base else None,
        ece=expected_calibration_error(bins),
        bins=bins,
        risk_coverage=tuple(_points(confidence, risks)),
        aurc=float(risks.mean()),
    )


def brier_score(confidence: Floats, outcome: Floats) -> float:
    """Return the mean squared difference of forecast and outcome (0 or 1), in [0, 1], 0 is best (Brier 1950).

    The score of a forecaster who always says the base rate b is b·(1-b); the skill is 1 - score / that (Murphy 1973).
    """
    return float(np.mean(np.square(confidence - outcome)))


def reliability(confidence: Floats, outcome: Floats) -> tuple[ReliabilityBin, ...]:
    """Return the reliability table: ten bins [0, 0.1), … [0.9, 1], each with mean confidence and share of successes."""
    edges = np.arange(BINS + 1) / BINS
    places = np.minimum(np.digitize(confidence, edges), BINS) - 1
    counts, confidences, successes = (
        np.bincount(places, weights=weights, minlength=BINS) for weights in (None, confidence, outcome)
    )
    return tuple(
        ReliabilityBin(
            low=float(low),
            high=float(high),
            replies=int(count),
            confidence=float(total / count) if count else None,
            success=float(hits / count) if count else None,
        )
        for low, high, count, total, hits in zip(edges, edges[1:], counts, confidences, successes, strict=False)
    )


def expected_calibration_error(bins: tuple[ReliabilityBin, ...]) -> float:
    """Return the mean distance of confidence and success over bins, weighted by their replies, in [0, 1], 0 is best.

    (Naeini, Cooper and Hauskrecht 2015; Guo et al., "On Calibration of Modern Neural Networks", 2017,
    arXiv:1706.04599.)
    """
    replies = sum(each.replies for each in bins)
    gaps = (
        each.replies * abs(each.confidence - each.success)
        for each in bins
        if each.confidence is not None and each.success is not None
    )
    return math.fsum(gaps) / replies


def selective_risks(confidence: Floats, outcome: Floats) -> Floats:
    """Return for every k the share of failures among the k most confident replies: the risk at coverage k/n.

    The forecasts come in ascending order. Among equal confidences nobody comes first: each counts as their mean. The
    mean of all risks is the area under the risk-coverage curve, AURC, in [0, 1], 0 is best (Geifman and El-Yaniv 2017,
    arXiv:1705.08500; Geifman, Uziel and El-Yaniv 2019, arXiv:1805.08206). Without any order it would be the share of
    failures.
    """
    falling, number = confidence[::-1], len(confidence)
    begins = np.flatnonzero(np.concatenate(([True], falling[1:] != falling[:-1])))
    sizes = np.diff(begins, append=number)
    failures = np.add.reduceat(1 - outcome[::-1], begins) / sizes
    risks: Floats = np.cumsum(np.repeat(failures, sizes))
    risks /= np.arange(1, number + 1)
    return np.clip(risks, 0.0, 1.0, out=risks)


def _points(confidence: Floats, risks: Floats) -> list[RiskPoint]:
    """Return at most twenty points of the curve, from the most confident replies to all of them."""
    replies, falling = len(risks), confidence[::-1]
    places = sorted({-(-replies * part // _COVERAGES) for part in range(1, _COVERAGES + 1)})
    return [
        RiskPoint(coverage=place / replies, confidence=float(falling[place - 1]), risk=float(risks[place - 1]))
        for place in places
    ]
