"""Runs compared pair by pair: the same ticket, in the same repeat. Imports scipy: whoever imports this asks `extra`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import attrs
import numpy as np
from scipy import stats

from supportbench.errors import RunError
from supportbench.evaluation.statistics.comparison import CompareReport, Comparison, Flip
from supportbench.evaluation.statistics.corrections import holm
from supportbench.evaluation.statistics.intervals import (
    CONFIDENCE_LEVEL,
    Floats,
    Places,
    batch,
    bootstrapped,
    random_numbers,
    ratio_of_sums,
    resamples,
    sums_by,
)
from supportbench.evaluation.statistics.pairing import ReplyKey, RunReplies
from supportbench.evaluation.statistics.records import succeeded

_POWER: Final = 0.80
_MOST_FLIPPINGS: Final = 2**16
"""As many as there are for sixteen tickets: up to there, the test goes through all of them."""

_TIE: Final = 1e-9


def compare_runs(
    runs: Sequence[RunReplies], *, differences: Sequence[str] = (), forced: bool = False, limit: float | None = None
) -> CompareReport:
    """Return each run but the first beside the first; `limit` is how much worse a run may be.

    Raises:
        RunError: a run has no graded reply in common with the first.
    """
    first, *others = runs
    compared = [compare_pair(first, other) for other in others]
    tested = [place for place, each in enumerate(compared) if each.p_value is not None]
    corrected = holm([p for each in compared if (p := each.p_value) is not None])
    for place, p_value in zip(tested, corrected, strict=True):
        compared[place] = attrs.evolve(compared[place], p_holm=p_value)
    return CompareReport(
        runs=tuple(run.card for run in runs),
        forced=forced,
        differences=tuple(differences),
        comparisons=tuple(compared),
        fail_if_worse_by=limit,
        worse=tuple(each.run for each in compared if limit is not None and each.difference < -limit - _TIE),
        incomplete=tuple(other.card.run for other in others if limit is not None and _lacks(first, other)),
    )


def _lacks(first: RunReplies, other: RunReplies) -> bool:
    """Return whether a run has no grade at all for a ticket that the first one has, of the tasks that it plays."""
    tasks = {(task.provider, task.task_id) for task in other.manifest.tasks}
    graded = {key[:3] for key, reward in other.rewards.items() if reward is not None}
    return any(
        reward is not None and key[:2] in tasks and key[:3] not in graded for key, reward in first.rewards.items()
    )


def compare_pair(first: RunReplies, other: RunReplies) -> Comparison:
    """Return one run beside the first; `p_holm` is left to whoever knows how many are compared.

    Raises:
        RunError: they have no graded reply in common.
    """
    common = first.rewards.keys() & other.rewards.keys()
    pairs = sorted(
        (key, old, new)
        for key in common
        if (old := first.rewards[key]) is not None and (new := other.rewards[key]) is not None
    )
    if not pairs:
        raise RunError(f"{other.card.run} and {first.card.run} have no graded ticket in common: nothing to compare.")
    keys = [key for key, _, _ in pairs]
    before: Floats = np.array([reward for _, reward, _ in pairs], dtype=np.float64)
    after: Floats = np.array([reward for _, _, reward in pairs], dtype=np.float64)
    ticket, weights = _tickets(keys), _task_weights(keys)
    sizes, counts = sums_by(ticket, weights), np.bincount(ticket)
    by_ticket = sums_by(ticket, after - before) / counts
    # What differs by rounding alone does not differ.
    gains = np.where(np.abs(by_ticket) <= _TIE, 0.0, sums_by(ticket, weights * (after - before)))
    found = bootstrapped(gains, sizes)
    return Comparison(
        run=other.card.run,
        tickets=len(counts),
        pairs=len(pairs),
        only_first=len(first.rewards.keys() - common),
        only_this=len(other.rewards.keys() - common),
        ungraded=len(common) - len(pairs),
        first_mean=_mean(before, weights),
        mean=_mean(after, weights),
        difference=float(ratio_of_sums(gains, sizes)),
        low=None if found is None else found[0],
        high=None if found is None else found[1],
        p_value=sign_flip_p(gains),
        p_holm=None,
        wins=int((by_ticket > _TIE).sum()),
        ties=int((np.abs(by_ticket) <= _TIE).sum()),
        losses=int((by_ticket < -_TIE).sum()),
        flips=tuple(_flips(keys, before, after)),
        detectable=None if found is None else detectable_difference(found[2]),
    )


def sign_flip_p(gains: Floats) -> float | None:
    """Return the two-sided p-value in (0, 1] of no difference, given what each ticket gains; None for a single ticket.

    If it did not matter which run the replies to a ticket came from, its gain might as well have the other sign
    (Fisher, The Design of Experiments, 1935; Good, Permutation, Parametric and Bootstrap Tests of Hypotheses, 2005).
    All replies to a ticket change sides together. Up to sixteen tickets all possibilities are gone through, else as
    many are drawn, or fewer where tickets are many.
    """
    tickets = len(gains)
    if tickets < 2:
        return None
    if not gains.any():
        return 1.0
    found = stats.permutation_test(
        (gains,),
        _sum,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples(tickets, _MOST_FLIPPINGS),
        batch=batch(tickets),
        rng=random_numbers(),
    )
    return float(found.pvalue)


def detectable_difference(standard_error: float) -> float:
    """Return the least true difference that a two-sided test at 0.05 finds with a power of 0.80, by the normal
    approximation: (z(0.975) + z(0.80)) · error, some 2.8 errors.

    (Cohen, Statistical Power Analysis for the Behavioral Sciences, 1988; for evaluations: Miller, "Adding Error Bars to
    Evals", 2024, arXiv:2411.00640.)
    """
    return float(stats.norm.ppf((1 + CONFIDENCE_LEVEL) / 2) + stats.norm.ppf(_POWER)) * standard_error


def _sum(gains: Floats, axis: int = -1) -> Any:
    return gains.sum(axis=axis)


def _mean(rewards: Floats, weights: Floats) -> float:
    return float(ratio_of_sums(rewards * weights, weights))


def _tickets(keys: Sequence[ReplyKey]) -> Places:
    """Return for each reply the number of its ticket."""
    numbers: dict[tuple[str, str, str], int] = {}
    return np.array([numbers.setdefault(key[:3], len(numbers)) for key in keys], dtype=np.int64)


def _task_weights(keys: Sequence[ReplyKey]) -> Floats:
    """Return weights with which a mean is the mean of the tasks' means."""
    numbers: dict[tuple[str, str], int] = {}
    tasks = np.array([numbers.setdefault(key[:2], len(numbers)) for key in keys], dtype=np.int64)
    weights: Floats = 1 / np.bincount(tasks)[tasks]
    return weights


def _flips(keys: Sequence[ReplyKey], before: Floats, after: Floats) -> list[Flip]:
    """Return the tickets that flipped, in the order of their names."""
    by_ticket: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    for key, old, new in zip(keys, before.tolist(), after.tolist(), strict=True):
        by_ticket.setdefault(key[:3], []).append((old, new))
    flips = []
    for (provider, task_id, ticket_id), rewards in by_ticket.items():
        passed = [(succeeded(old), succeeded(new)) for old, new in rewards]
        gained, lost = passed.count((False, True)), passed.count((True, False))
        if gained or lost:
            flips.append(
                Flip(
                    provider=provider,
                    task_id=task_id,
                    ticket_id=ticket_id,
                    gained=gained,
                    lost=lost,
                    first=sum(old for old, _ in rewards) / len(rewards),
                    this=sum(new for _, new in rewards) / len(rewards),
                )
            )
    return flips
