"""Repeats: unbiased estimators, by hand and by going through all choices."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supportbench.evaluation.statistics.repeats import pass_at_k, pass_hat_k, pass_rates


def test_two_of_five_by_hand() -> None:
    assert [pass_at_k(5, 2, k) for k in (1, 2, 3, 4, 5)] == pytest.approx([0.4, 0.7, 0.9, 1.0, 1.0])
    assert [pass_hat_k(5, 2, k) for k in (1, 2, 3, 4, 5)] == pytest.approx([0.4, 0.1, 0.0, 0.0, 0.0])


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.data())
def test_they_are_the_shares_of_all_choices_of_k_tries(tries: list[bool], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(tries)))
    choices = list(itertools.combinations(tries, k))
    assert pass_at_k(len(tries), sum(tries), k) == pytest.approx(sum(map(any, choices)) / len(choices))
    assert pass_hat_k(len(tries), sum(tries), k) == pytest.approx(sum(map(all, choices)) / len(choices))


def test_a_ticket_with_fewer_replies_is_left_out_where_they_do_not_suffice() -> None:
    successes = np.array([True, False, True, True, True])
    one, two, three = pass_rates(successes, np.array([0, 0, 0, 1, 1]))
    assert (one.k, one.tickets, one.pass_at_k, one.pass_hat_k) == pytest.approx((1, 2, 5 / 6, 5 / 6))
    assert (two.k, two.tickets, two.pass_at_k, two.pass_hat_k) == pytest.approx((2, 2, 1.0, (1 / 3 + 1) / 2))
    assert (three.k, three.tickets, three.pass_at_k, three.pass_hat_k) == (3, 1, 1.0, 0.0)


def test_beyond_eight_k_doubles() -> None:
    assert [each.k for each in pass_rates(np.ones(40, dtype=bool), np.zeros(40, dtype=int))] == [
        *range(1, 9),
        *(16, 32, 40),
    ]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), min_size=1, max_size=30))
def test_more_tries_help_any_and_hurt_all(replies: list[tuple[bool, int]]) -> None:
    successes, tickets = (np.array(values) for values in zip(*replies, strict=True))
    rates = [each for each in pass_rates(successes, tickets) if each.tickets == len(set(tickets.tolist()))]
    assert all(a.pass_at_k <= b.pass_at_k + 1e-12 for a, b in itertools.pairwise(rates))
    assert all(a.pass_hat_k >= b.pass_hat_k - 1e-12 for a, b in itertools.pairwise(rates))
