"""Calibration: hand-computed scores, sklearn's Brier score, and what must hold of any forecast."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss

from supportbench.evaluation.statistics.calibration import calibration_of
from supportbench.evaluation.statistics.records import Calibration

forecasts = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


def calibrated(*replies: tuple[float, bool]) -> Calibration:
    confidence, success = zip(*replies, strict=True)
    found = calibration_of(np.array(confidence), np.array(success))
    assert found is not None
    return found


def test_four_replies_by_hand() -> None:
    found = calibrated((0.9, True), (0.8, True), (0.8, False), (0.1, False))
    assert (found.replies, found.success, found.confidence) == pytest.approx((4, 0.5, 0.65))
    assert found.brier == pytest.approx((0.01 + 0.04 + 0.64 + 0.01) / 4)
    assert found.brier_skill == pytest.approx(1 - 0.175 / 0.25)
    assert found.ece == pytest.approx((1 * 0.1 + 2 * 0.3 + 1 * 0.1) / 4)
    filled = {each.low: (each.replies, each.confidence, each.success) for each in found.bins if each.replies}
    assert filled == {0.1: (1, 0.1, 0.0), 0.8: (2, pytest.approx(0.8), 0.5), 0.9: (1, 0.9, 1.0)}
    # Nobody comes first among the two of 0.8: half a failure each.
    assert [point.risk for point in found.risk_coverage] == pytest.approx([0, 0.5 / 2, 1 / 3, 2 / 4])
    assert [point.coverage for point in found.risk_coverage] == [0.25, 0.5, 0.75, 1.0]
    assert found.aurc == pytest.approx((0 + 1 / 4 + 1 / 3 + 1 / 2) / 4)


def test_a_bin_begins_where_it_says() -> None:
    for tenth in range(11):
        found = calibrated((tenth / 10, True))
        (filled,) = (each for each in found.bins if each.replies)
        assert filled.low == min(tenth, 9) / 10


def test_forecasts_of_one_outcome_have_no_skill_to_measure() -> None:
    assert calibrated((0.9, True), (0.5, True)).brier_skill is None
    assert calibration_of(np.array([]), np.array([], dtype=bool)) is None


def test_perfect_forecasts_are_perfect() -> None:
    found = calibrated(*[(1.0, True)] * 3, *[(0.0, False)] * 2)
    assert (found.brier, found.brier_skill, found.ece) == (0, 1, 0)
    assert found.aurc == pytest.approx((0 + 0 + 0 + 1 / 4 + 2 / 5) / 5)


@given(forecasts)
def test_every_figure_is_in_its_range(replies: list[tuple[float, bool]]) -> None:
    found = calibrated(*replies)
    confidence, success = zip(*replies, strict=True)
    assert found.brier == pytest.approx(brier_score_loss(success, confidence, pos_label=True, labels=[False, True]))
    assert all(0 <= value <= 1 for value in (found.brier, found.ece, found.aurc, found.success))
    assert sum(each.replies for each in found.bins) == found.replies == len(replies)
    assert found.risk_coverage[-1].coverage == 1
    assert found.risk_coverage[-1].risk == pytest.approx(1 - found.success)
    assert found.ece >= abs(found.confidence - found.success) - 1e-9


@given(forecasts, st.randoms(use_true_random=False))
def test_the_order_of_replies_does_not_matter(replies: list[tuple[float, bool]], shuffling: random.Random) -> None:
    before = calibrated(*replies)
    shuffling.shuffle(replies)
    assert calibrated(*replies) == before
