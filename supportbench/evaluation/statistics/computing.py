"""All figures of a run, of what was observed. Imports scipy: whoever imports this asks `extra` first."""

from __future__ import annotations

from array import array
from collections.abc import Mapping

import numpy as np

from supportbench.evaluation.spent import Spent
from supportbench.evaluation.statistics.calibration import calibration_of
from supportbench.evaluation.statistics.confusions import confusions_of
from supportbench.evaluation.statistics.intervals import CONFIDENCE_LEVEL, Floats, Places, mean_of, rate_of
from supportbench.evaluation.statistics.observations import UNTOLD, Labels, Observations
from supportbench.evaluation.statistics.records import (
    FEWEST_TICKETS,
    SUCCESS,
    Latencies,
    Mean,
    Rate,
    Spending,
    Statistics,
    TaskStatistics,
    Triage,
)
from supportbench.evaluation.statistics.repeats import pass_rates


def compute(observed: Observations) -> Statistics:
    """Return the figures; they are the same in whatever order the episodes came."""
    replies = _Replies(observed)
    some, everything = replies.number > 0, np.arange(replies.number, dtype=np.int32)
    forecast = ~np.isnan(replies.confidence)
    return Statistics(
        confidence_level=CONFIDENCE_LEVEL,
        tickets=len(observed.tickets),
        replies=replies.number,
        errors=observed.errors,
        unreached=observed.unreached,
        average_score=mean_of(replies.reward, replies.ticket, replies.task_weights(everything)) if some else None,
        success=rate_of(replies.success, replies.ticket) if some else None,
        unsafe=replies.unsafe_rate(everything),
        tasks=tuple(replies.tasks()),
        components=replies.components(),
        queues=replies.means_by(observed.queue),
        priorities=replies.means_by(observed.priority),
        customer_tiers=replies.means_by(observed.tier),
        confusions=confusions_of(observed),
        triage=replies.triage(),
        repeats=pass_rates(replies.success, replies.ticket) if some else (),
        calibration=calibration_of(replies.confidence[forecast], replies.success[forecast]),
        latency_s=latencies_of(replies.latency_s),
        agent_spending=_spending(observed.agent),
        judge_spending=_spending(observed.judge),
    )


def latencies_of(seconds: Floats) -> Latencies | None:
    """Return mean, longest and percentiles (with linear interpolation, numpy's default) of seconds; None for none."""
    if not len(seconds):
        return None
    p50, p90, p95, p99 = (float(value) for value in np.percentile(seconds, (50, 90, 95, 99)))
    return Latencies(
        replies=len(seconds),
        mean=float(np.mean(seconds)),
        p50=p50,
        p90=p90,
        p95=p95,
        p99=p99,
        longest=float(np.max(seconds)),
    )


class _Replies:
    """The rows in an order of their own (by ticket, then repeat): sums come out the same to the last bit."""

    def __init__(self, observed: Observations) -> None:
        self._observed = observed
        self._keys = sorted(observed.tickets)
        rank = np.empty(len(self._keys), dtype=np.int32)
        for place, key in enumerate(self._keys):
            rank[observed.tickets[key]] = place
        ticket = rank[_whole(observed.ticket)]
        self._order: Places = np.lexsort((_whole(observed.repeat), ticket)).astype(np.int32)
        self.ticket: Places = ticket[self._order]
        self.number = len(self.ticket)
        self.reward = _real(observed.reward)[self._order]
        self.success = np.round(self.reward, 9) >= SUCCESS
        self.confidence = _real(observed.confidence)[self._order]
        self.latency_s = _real(observed.latency_s)[self._order]
        self._unsafe = _whole(observed.unsafe)[self._order]
        places = [key[:4] for key in self._keys]
        self._tasks = {place: number for number, place in enumerate(dict.fromkeys(places))}
        self._task_of_ticket = np.array([self._tasks[place] for place in places], dtype=np.int32)

    def task_weights(self, rows: Places) -> Floats:
        """Return a weight for each row with which a mean is the mean of the tasks' means."""
        tasks = self._task_of_ticket[self.ticket[rows]]
        weights: Floats = 1 / np.bincount(tasks)[tasks]
        return weights

    def tasks(self) -> list[TaskStatistics]:
        """Return the figures of each task."""
        of_rows = self._task_of_ticket[self.ticket]  # ascends, as the keys do
        begins = np.searchsorted(of_rows, np.arange(len(self._tasks) + 1))
        told = []
        for (provider, split, index, task_id), number in self._tasks.items():
            rows = np.arange(begins[number], begins[number + 1])
            told.append(
                TaskStatistics(
                    provider=provider,
                    split=split,
                    index=index,
                    task_id=task_id,
                    reward=mean_of(self.reward[rows], self.ticket[rows]),
                    success=rate_of(self.success[rows], self.ticket[rows]),
                    unsafe=self.unsafe_rate(rows),
                )
            )
        return told

    def unsafe_rate(self, rows: Places) -> Rate | None:
        """Return the share of unsafe replies among those rows, None where it was not told of each."""
        unsafe = self._unsafe[rows]
        if not len(rows) or (unsafe == UNTOLD).any():
            return None
        return rate_of(unsafe == 1, self.ticket[rows])

    def triage(self) -> Triage | None:
        """Return how often too much or too little was made of a ticket, None where too few tickets can tell."""
        observed = self._observed
        over_triage, under_triage = self._told_rates(observed.too_urgent, observed.not_urgent_enough)
        over_escalation, under_escalation = self._told_rates(observed.over_escalated, observed.under_escalated)
        triage = Triage(
            over_triage=over_triage,
            under_triage=under_triage,
            over_escalation=over_escalation,
            under_escalation=under_escalation,
        )
        return None if triage == Triage() else triage

    def _told_rates(self, *kinds: array[int]) -> list[Rate | None]:
        """Return of each kind the share of hits among its rows; none where the tickets of all of them are too few."""
        of_rows = [_whole(hits)[self._order] for hits in kinds]
        told = [rows != UNTOLD for rows in of_rows]
        if len(np.unique(self.ticket[np.logical_or.reduce(told)])) < FEWEST_TICKETS:
            return [None for _ in kinds]
        return [
            rate_of(rows[known] == 1, self.ticket[known]) if known.any() else None
            for rows, known in zip(of_rows, told, strict=True)
        ]

    def components(self) -> Mapping[str, Mean]:
        """Return the mean of each component, over the replies to which it applies."""
        where = np.empty(self.number, dtype=np.int32)
        where[self._order] = np.arange(self.number, dtype=np.int32)
        means = {}
        for name, scores in sorted(self._observed.scores.items()):
            rows = where[_whole(scores.rows)]
            order = np.argsort(rows)
            rows = rows[order]
            means[name] = mean_of(_real(scores.scores)[order], self.ticket[rows], self.task_weights(rows))
        return means

    def means_by(self, labels: Labels) -> Mapping[str, Mean]:
        """Return the mean reward of the replies with each label."""
        of_rows = _whole(labels.rows)[self._order]
        return {
            name: mean_of(self.reward[of_rows == number], self.ticket[of_rows == number])
            for name, number in sorted(labels.names.items())
        }


def _whole(numbers: array[int]) -> Places:
    return np.frombuffer(numbers, dtype=numbers.typecode) if numbers else np.empty(0, dtype=np.int64)


def _real(numbers: array[float]) -> Floats:
    return np.frombuffer(numbers, dtype=np.float64) if numbers else np.empty(0, dtype=np.float64)


def _spending(spent: Spent) -> Spending | None:
    usage = spent.usage
    if usage is None:
        return None
    return Spending(
        replies=spent.told,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        calls=usage.calls,
        priced=spent.priced,
        cost_usd=usage.cost_usd,
    )
