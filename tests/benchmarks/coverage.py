"""How often a 95 % interval of a mean has the truth in it: ours beside plain percentiles, BCa and Student's.

    python -m tests.benchmarks.coverage [--samples N]

Rewards are drawn from distributions whose mean is known. Samples without an interval (all alike) are counted apart.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import numpy as np
from scipy import stats

from supportbench.evaluation.statistics.intervals import Floats, mean_of

Interval: TypeAlias = tuple[float, float]

_TICKETS: Final = (6, 9, 20, 50)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=400, help="of each kind and size (default %(default)s)")
    samples = parser.parse_args().samples
    random = np.random.default_rng(11)
    kinds: Mapping[str, tuple[Callable[[int], Floats], float]] = {
        "Beta(3, 1)": (lambda tickets: random.beta(3, 1, tickets), 0.75),
        "Beta(½, ½)": (lambda tickets: random.beta(0.5, 0.5, tickets), 0.5),
        "0 or 1, 0.8": (lambda tickets: (random.random(tickets) < 0.8).astype(np.float64), 0.8),
    }
    print(f"{'rewards':<12}{'tickets':>8}{''.join(f'{name:>12}' for name in METHODS)}{'none':>8}")
    for name, (draw, truth) in kinds.items():
        for tickets in _TICKETS:
            held, without = dict.fromkeys(METHODS, 0), 0
            for _ in range(samples):
                rewards = draw(tickets)
                if np.ptp(rewards) == 0:
                    without += 1
                    continue
                for method, interval in METHODS.items():
                    low, high = interval(rewards)
                    held[method] += low <= truth <= high
            shares = (f"{count / (samples - without):>12.3f}" for count in held.values())
            print(f"{name:<12}{tickets:>8}{''.join(shares)}{without:>8}")


def _ours(rewards: Floats) -> Interval:
    found = mean_of(rewards, np.arange(len(rewards)))
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def _bootstrap(method: str) -> Callable[[Floats], Interval]:
    def interval(rewards: Floats) -> Interval:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # BCa has nothing to say of some samples
            found = stats.bootstrap((rewards,), np.mean, n_resamples=1_999, method=method, rng=1).confidence_interval
        return float(found.low), float(found.high)

    return interval


def _student(rewards: Floats) -> Interval:
    low, high = stats.t.interval(0.95, len(rewards) - 1, loc=rewards.mean(), scale=stats.sem(rewards))
    return float(low), float(high)


METHODS: Final[Mapping[str, Callable[[Floats], Interval]]] = {
    "ours": _ours,
    "percentile": _bootstrap("percentile"),
    "BCa": _bootstrap("BCa"),
    "Student": _student,
}


if __name__ == "__main__":
    main()
