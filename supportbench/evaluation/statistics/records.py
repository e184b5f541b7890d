"""The figures as `results.json` holds them, under `statistics`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

SUCCESS: Final = 0.80
"""A ticket's reward from which on it is a success."""

FEWEST_TICKETS: Final = 6
"""The fewest with an interval. Of fewer, even the whole range of what was seen has the median in it less often than in
95 of 100 samples: its chance is 1 - 2^(1-n), for five tickets 0.94."""


def succeeded(reward: float) -> bool:
    """Return whether a reward is a success; 0.8 that adding up has made 0.7999999999 is one."""
    return round(reward, 9) >= SUCCESS


@attrs.frozen(kw_only=True)
class Mean:
    """A mean in [0, 1] over `replies` to `tickets`, with a 95 % interval.

    It is None where the tickets are fewer than six, or came out all alike.
    """

    mean: float
    low: float | None
    high: float | None
    tickets: int
    replies: int


@attrs.frozen(kw_only=True)
class Rate:
    """Which share of `replies` to `tickets` it is, with a 95 % interval."""

    rate: float
    low: float
    high: float
    count: int
    tickets: int
    replies: int


@attrs.frozen(kw_only=True)
class TaskStatistics:
    """One task's mean reward and rates; `unsafe` is None where a server tells its rewards alone."""

    provider: str
    split: str
    index: int
    task_id: str
    reward: Mean
    success: Rate
    unsafe: Rate | None


@attrs.frozen(kw_only=True)
class PassRates:
    """What happens in `k` tries at a ticket, over the `tickets` that have so many graded replies at least.

    `pass_at_k` is the chance that any of them succeeds, `pass_hat_k` (pass^k) that all do.
    """

    k: int
    tickets: int
    pass_at_k: float
    pass_hat_k: float


@attrs.frozen(kw_only=True)
class ReliabilityBin:
    """The replies whose confidence is in [low, high): how many, and which share were successes.

    The last bin has its high end, too. `confidence` is the mean; it and `success` are None in an empty bin.
    """

    low: float
    high: float
    replies: int
    confidence: float | None
    success: float | None


@attrs.frozen(kw_only=True)
class RiskPoint:
    """Which share of the `coverage` most confident replies are no successes, and the least confidence among them."""

    coverage: float
    confidence: float
    risk: float


@attrs.frozen(kw_only=True)
class Calibration:
    """How far the actions' `confidence` can be relied upon, as a forecast of success.

    `brier` is the mean squared error of the forecast, `brier_skill` how much smaller it is than that of the base rate
    as everybody's forecast (1 is perfect, 0 no better, None where all replies succeeded or none did). `ece` is the
    expected calibration error over `bins`. `risk_coverage` says what could be had by acting on confident replies
    alone, and `aurc` is the area below it.
    """

    replies: int
    confidence: float
    success: float
    brier: float
    brier_skill: float | None
    ece: float
    bins: tuple[ReliabilityBin, ...]
    risk_coverage: tuple[RiskPoint, ...]
    aurc: float


@attrs.frozen(kw_only=True)
class Confusion:
    """What replies chose beside what their answer keys expect.

    `counts` has a row for each of the `labels` as the expected one, and in it a column for each as the chosen one. A
    choice that a key accepts besides has its credit in the reward, and stands in its own column here.
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    tickets: int
    replies: int


@attrs.frozen(kw_only=True)
class Triage:
    """How often replies make too much of a ticket, or too little; each None where there is no ticket to tell by.

    `over_triage` is the share with a priority more urgent than the expected one, `under_triage` with a less urgent one.
    `over_escalation` is the share that escalates among the tickets whose key gives that no credit, `under_escalation`
    the share that does not among those whose key gives credit to nothing else.
    """

    over_triage: Rate | None = None
    under_triage: Rate | None = None
    over_escalation: Rate | None = None
    under_escalation: Rate | None = None


@attrs.frozen(kw_only=True)
class Latencies:
    """Seconds that the agent took for a graded reply: the mean, percentiles and the longest."""

    replies: int
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    longest: float


@attrs.frozen(kw_only=True)
class Spending:
    """What graded replies used, where it is known: `replies` of them tell their tokens, `priced` of those their cost.

    `cost_usd` is what the priced ones cost together, None where there is none.
    """

    replies: int
    input_tokens: int
    output_tokens: int
    calls: int
    priced: int
    cost_usd: float | None


@attrs.frozen(kw_only=True)
class Statistics:
    """What the graded replies of a run come to; `errors` and `unreached` tickets are counted and in no figure.

    `average_score` is that of the results with its interval; `components` are likewise means of the tasks' means. The
    others are over replies: `queues` and `priorities` by what the action chose, `customer_tiers` by the ticket's, as
    far as it is known. `confusions` (of priority, queue and disposition) and `triage` are made of answer keys: they are
    empty and None where a server has those, and for fewer than six tickets, of which they would tell each one's.
    """

    confidence_level: float
    tickets: int
    replies: int
    errors: int
    unreached: int
    average_score: Mean | None
    success: Rate | None
    unsafe: Rate | None
    tasks: tuple[TaskStatistics, ...]
    components: Mapping[str, Mean]
    queues: Mapping[str, Mean]
    priorities: Mapping[str, Mean]
    customer_tiers: Mapping[str, Mean]
    confusions: Mapping[str, Confusion] = attrs.field(factory=dict)
    triage: Triage | None = None
    repeats: tuple[PassRates, ...]
    calibration: Calibration | None
    latency_s: Latencies | None
    agent_spending: Spending | None
    judge_spending: Spending | None
