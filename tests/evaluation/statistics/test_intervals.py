"""Intervals: published ones of rates; of means, that they hold what they say, and never tell more than is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supportbench.evaluation.statistics.intervals import bootstrapped, mean_of, rate_of, wilson
from supportbench.evaluation.statistics.records import FEWEST_TICKETS

rewards = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("count", "number", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_a_rate_has_the_interval_that_newcombe_printed(count: int, number: int, low: float, high: float) -> None:
    """Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method 3."""
    assert wilson(count, number) == pytest.approx((low, high), abs=5e-5)
    rate = rate_of(np.arange(number) < count, np.arange(number))
    assert (rate.low, rate.high) == pytest.approx((low, high), abs=5e-5)
    assert (rate.count, rate.replies, rate.tickets) == (count, number, number)


def test_a_rate_over_few_tickets_with_most_of_the_replies_is_no_surer_than_those_tickets() -> None:
    """Kish's effective size: two tickets of ten replies and ten of one are 30² / 210 tickets, that is four."""
    tickets = np.array([0] * 10 + [1] * 10 + list(range(2, 12)))
    found = rate_of(tickets == 0, tickets)
    assert (found.count, found.replies, found.tickets) == (10, 30, 12)
    assert (found.low, found.high) == pytest.approx((wilson(1, 4)[0], wilson(2, 4)[1]))


def test_repeats_make_a_rate_no_surer() -> None:
    once = rate_of(np.array([True, False, False, False]), np.arange(4))
    often = rate_of(np.array([True, False, False, False] * 50), np.arange(200) % 4)
    assert (often.rate, often.low, often.high) == (once.rate, once.low, once.high)
    uneven = rate_of(np.array([True, False, False, False] * 50 + [True]), np.arange(201) % 4)
    assert uneven.low == wilson(1, 4)[0]
    assert uneven.high == wilson(2, 4)[1]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=40))
@settings(max_examples=50, deadline=None)
def test_a_rate_lies_in_its_interval(replies: list[tuple[bool, int]]) -> None:
    hits, tickets = (np.array(values) for values in zip(*replies, strict=True))
    rate = rate_of(hits, tickets)
    assert 0 <= rate.low <= rate.rate <= rate.high <= 1
    assert rate.high - rate.low > 0.05  # however often six tickets are repeated


@given(rewards)
@settings(max_examples=40, deadline=None)
def test_a_mean_lies_in_its_interval_and_that_within_what_was_seen(values: list[float]) -> None:
    found = mean_of(np.array(values), np.arange(len(values)))
    assert found.mean == pytest.approx(np.mean(values))
    assert (found.low is None) == (found.high is None)
    if found.low is None or found.high is None:
        assert len(values) < FEWEST_TICKETS or max(values) - min(values) < 1e-9
    else:
        assert min(values) - 1e-9 <= found.low <= found.mean <= found.high <= max(values) + 1e-9
        assert found.low < found.high


def test_a_mean_is_weighted_by_hand() -> None:
    found = mean_of(np.array([1.0, 0.0, 0.5, 0.5]), np.array([0, 1, 2, 2]), np.array([0.5, 0.5, 0.25, 0.25]))
    assert found.mean == pytest.approx((0.5 + 0.25) / 1.5)
    assert (found.tickets, found.replies, found.low) == (3, 4, None)


def test_repeats_make_a_mean_no_surer() -> None:
    values = np.array([0.1, 0.5, 0.9, 0.3, 0.7, 0.2, 0.8])
    once = mean_of(values, np.arange(7))
    often = mean_of(np.tile(values, 20), np.tile(np.arange(7), 20))
    assert (often.low, often.high) == pytest.approx((once.low, once.high))
    assert (often.tickets, often.replies) == (7, 140)


def test_an_interval_of_many_tickets_is_the_normal_one() -> None:
    values = np.random.default_rng(5).uniform(size=5_000)
    found = bootstrapped(values, np.ones_like(values))
    assert found is not None
    low, high, error = found
    assert error == pytest.approx(values.std(ddof=1) / np.sqrt(5_000), rel=0.05)
    assert (low, high) == pytest.approx((values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=0.15 * error)


@pytest.mark.parametrize("tickets", [9, 30])
def test_the_interval_has_the_truth_in_it_about_as_often_as_it_says(tickets: int) -> None:
    """Plain percentiles have it in 88 of 100 samples of nine."""
    random = np.random.default_rng(1)
    truth, samples, held = 0.75, 300, 0
    for _ in range(samples):
        found = mean_of(random.beta(3, 1, size=tickets), np.arange(tickets))
        held += found.low is not None and found.high is not None and found.low <= truth <= found.high
    assert 0.91 <= held / samples <= 0.99


def test_the_same_replies_have_the_same_interval() -> None:
    values, tickets = np.random.default_rng(3).uniform(size=40), np.arange(40)
    assert mean_of(values, tickets) == mean_of(values, tickets)
