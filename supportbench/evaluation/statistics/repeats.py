"""What repeats tell: how often a ticket is done in one of k tries, and how often in each of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from supportbench.evaluation.statistics.intervals import Places
from supportbench.evaluation.statistics.records import PassRates


def pass_at_k(tries: int, successes: int, k: int) -> float:
    """Return the chance in [0, 1] that any of `k` tries at a ticket succeeds: 1 - C(n-c, k) / C(n, k).

    Unbiased for `c` successes in `n` tries, n >= k (Chen et al., "Evaluating Large Language Models Trained on Code",
    2021, arXiv:2107.03374).
    """
    return 1 - math.comb(tries - successes, k) / math.comb(tries, k)


def pass_hat_k(tries: int, successes: int, k: int) -> float:
    """Return the chance in [0, 1] that all of `k` tries at a ticket succeed, pass^k: C(c, k) / C(n, k).

    Unbiased for `c` successes in `n` tries, n >= k (Yao et al., "τ-bench", 2024, arXiv:2406.12045).
    """
    return math.comb(successes, k) / math.comb(tries, k)


def pass_rates(successes: NDArray[np.bool_], tickets: Places) -> tuple[PassRates, ...]:
    """Return both for every k from 1 to 8, then doubling, up to the most replies that a ticket has.

    Each is the mean over the tickets with k graded replies at least.
    """
    _, whose = np.unique(tickets, return_inverse=True)
    counts, hits = np.bincount(whose), np.bincount(whose, weights=successes).astype(np.int64)
    pairs, how_often = np.unique(np.stack([counts, hits]), axis=1, return_counts=True)
    kinds = [(int(n), int(c), int(times)) for (n, c), times in zip(pairs.T, how_often, strict=True)]
    return tuple(_rates(kinds, k) for k in _tries(int(counts.max())))


def _rates(kinds: Sequence[tuple[int, int, int]], k: int) -> PassRates:
    enough = [(n, c, times) for n, c, times in kinds if n >= k]
    number = sum(times for _, _, times in enough)
    return PassRates(
        k=k,
        tickets=number,
        pass_at_k=math.fsum(times * pass_at_k(n, c, k) for n, c, times in enough) / number,
        pass_hat_k=math.fsum(times * pass_hat_k(n, c, k) for n, c, times in enough) / number,
    )


def _tries(most: int) -> Iterator[int]:
    k = 1
    while k < most:
        yield k
        k = k + 1 if k < 8 else 2 * k
    yield most
