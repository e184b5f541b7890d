"""Holm's correction: published numbers, and what must hold of any."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supportbench.evaluation.statistics.corrections import holm

p_values = st.lists(st.floats(0, 1), max_size=12)


@pytest.mark.parametrize(
    ("given_p", "adjusted"),
    [
        # R's p.adjust(p, "holm").
        ((0.01, 0.02, 0.03, 0.04, 0.05), (0.05, 0.08, 0.09, 0.09, 0.09)),
        # Wikipedia's example for the Holm-Bonferroni method: H1 and H4 are rejected at 0.05, H2 and H3 are not.
        ((0.01, 0.04, 0.03, 0.005), (0.03, 0.06, 0.06, 0.02)),
        ((0.5, 0.9), (1.0, 1.0)),
        ((0.2,), (0.2,)),
        ((), ()),
    ],
)
def test_published_numbers(given_p: tuple[float, ...], adjusted: tuple[float, ...]) -> None:
    assert holm(given_p) == pytest.approx(adjusted)


@given(p_values)
def test_it_is_between_no_correction_and_bonferronis_and_keeps_the_order(values: list[float]) -> None:
    adjusted = holm(values)
    for p, corrected in zip(values, adjusted, strict=True):
        assert p <= corrected <= min(1, p * len(values))
    by_p = [corrected for _, corrected in sorted(zip(values, adjusted, strict=True))]
    assert by_p == sorted(by_p)


@given(p_values, st.randoms(use_true_random=False))
def test_whose_p_value_is_first_does_not_matter(values: list[float], shuffling: random.Random) -> None:
    before = sorted(zip(values, holm(values), strict=True))
    shuffling.shuffle(values)
    assert sorted(zip(values, holm(values), strict=True)) == before
