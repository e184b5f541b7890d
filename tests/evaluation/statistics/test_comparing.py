"""Runs beside each other: published tests, what is paired, and that neither side is favoured."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supportbench import RubricCard
from supportbench.errors import RunError
from supportbench.evaluation.manifests import RunManifest, TaskManifest
from supportbench.evaluation.statistics.comparing import (
    compare_pair,
    compare_runs,
    detectable_difference,
    sign_flip_p,
)
from supportbench.evaluation.statistics.comparison import ComparedRun, Flip
from supportbench.evaluation.statistics.pairing import ReplyKey, RunReplies, differences

DARWIN = (49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48)


def a_task(task_id: str = "t", fingerprint: str = "sha256:t", rubric: str = "sha256:r") -> TaskManifest:
    card = RubricCard(name="default", fingerprint=rubric)
    return TaskManifest(
        provider="house", split="test", index=0, task_id=task_id, tickets=1, fingerprint=fingerprint, rubric=card
    )


def a_manifest(*tasks: TaskManifest) -> RunManifest:
    return RunManifest(
        run_id="r",
        created_at="",
        supportbench="0",
        python="3",
        agent="acts",
        agent_version="0",
        agent_options={},
        agent_data=None,
        model=None,
        tasks=tasks,
        repeats=1,
        seed=0,
        concurrency=1,
        limit=None,
        executor="local",
        feedback="scores",
        plugins=(),
        blocked=(),
    )


def a_run(rewards: Mapping[ReplyKey, float | None], name: str = "run") -> RunReplies:
    card = ComparedRun(
        run=name, run_id="r", agent="acts", model=None, graded=len(rewards), errors=0, unreached=0, unplayed=0
    )
    return RunReplies(card=card, manifest=a_manifest(a_task()), rewards=rewards)


def rewards_of(*rewards: float | None, task_id: str = "t", repeat: int = 0) -> dict[ReplyKey, float | None]:
    return {("house", task_id, f"T-{number}", repeat): reward for number, reward in enumerate(rewards)}


class TestTheSignFlipTest:
    def test_has_the_p_value_that_fisher_found_for_darwins_maize(self) -> None:
        """The Design of Experiments, section 21: 863 of 32,768 sign flips come to 314 or more on one side."""
        assert sum(DARWIN) == 314
        assert sign_flip_p(np.array(DARWIN, dtype=float)) == pytest.approx(2 * 863 / 32_768)

    def test_by_hand(self) -> None:
        assert sign_flip_p(np.array([1.0, 1.0, 1.0])) == pytest.approx(2 / 8)
        assert sign_flip_p(np.array([1.0, -1.0])) == 1
        assert sign_flip_p(np.zeros(5)) == 1
        assert sign_flip_p(np.array([1.0])) is None

    def test_rejects_what_is_not_there_as_often_as_it_says(self) -> None:
        random = np.random.default_rng(2)
        found = [sign_flip_p(random.normal(size=8)) for _ in range(400)]
        assert 0.02 <= sum(p is not None and p <= 0.05 for p in found) / 400 <= 0.08


def test_the_detectable_difference_is_some_three_errors() -> None:
    """1.959964 + 0.841621, as in every table of the normal distribution."""
    assert detectable_difference(0.1) == pytest.approx(0.2801585)


class TestAPair:
    def test_by_hand(self) -> None:
        first = a_run({**rewards_of(1.0, 0.5), **rewards_of(0.2, task_id="u")})
        this = a_run({**rewards_of(0.5, 0.9), **rewards_of(0.2, task_id="u")}, "this")
        found = compare_pair(first, this)
        assert (found.run, found.tickets, found.pairs) == ("this", 3, 3)
        assert found.first_mean == pytest.approx((0.75 + 0.2) / 2)
        assert found.mean == pytest.approx((0.7 + 0.2) / 2)
        assert found.difference == pytest.approx(-0.025)
        assert (found.wins, found.ties, found.losses) == (1, 1, 1)
        assert [(flip.ticket_id, flip.gained, flip.lost) for flip in found.flips] == [("T-0", 0, 1), ("T-1", 1, 0)]
        assert (found.low, found.high, found.detectable) == (None, None, None)

    def test_leaves_out_what_has_no_pair_and_counts_it(self) -> None:
        first = a_run({**rewards_of(1.0, 0.5, None, 0.1), **rewards_of(0.3, task_id="gone")})
        this = a_run({**rewards_of(1.0, None, 0.5), **rewards_of(1.0, repeat=1)})
        found = compare_pair(first, this)
        assert (found.pairs, found.only_first, found.only_this, found.ungraded) == (1, 2, 1, 2)
        assert (found.first_mean, found.mean) == (1.0, 1.0)

    def test_of_nothing_is_refused(self) -> None:
        with pytest.raises(RunError, match="have no graded ticket in common"):
            compare_pair(a_run(rewards_of(1.0, None)), a_run(rewards_of(None, 1.0)))

    def test_flips_by_repeat(self) -> None:
        first = a_run({**rewards_of(1.0), **rewards_of(0.0, repeat=1), **rewards_of(0.0, repeat=2)})
        this = a_run({**rewards_of(0.0), **rewards_of(0.8, repeat=1), **rewards_of(0.7, repeat=2)})
        flip = Flip(provider="house", task_id="t", ticket_id="T-0", gained=1, lost=1, first=1 / 3, this=0.5)
        assert compare_pair(first, this).flips == (flip,)

    def test_of_a_run_with_itself_finds_nothing(self) -> None:
        run = a_run(rewards_of(*(0.1 * number for number in range(10))))
        found = compare_pair(run, run)
        assert (found.difference, found.p_value, found.ties, found.flips) == (0, 1, 10, ())
        assert (found.low, found.high) == (None, None)

    @given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=25), st.data())
    @settings(max_examples=30, deadline=None)
    def test_favours_neither_side(self, rewards: list[tuple[float, float]], data: st.DataObject) -> None:
        first, this = (rewards_of(*side) for side in zip(*rewards, strict=True))
        found, swapped = (compare_pair(a_run(a), a_run(b)) for a, b in ((first, this), (this, first)))
        assert swapped.difference == pytest.approx(-found.difference)
        assert (swapped.wins, swapped.ties, swapped.losses) == (found.losses, found.ties, found.wins)
        assert [(flip.gained, flip.lost) for flip in swapped.flips] == [(f.lost, f.gained) for f in found.flips]
        assert found.wins + found.ties + found.losses == found.tickets == len(rewards)
        if found.p_value is not None and len(rewards) <= 16:
            assert swapped.p_value == pytest.approx(found.p_value)
        if found.low is not None and found.high is not None:
            assert -1 - 1e-9 <= found.low <= found.difference <= found.high <= 1 + 1e-9
            assert swapped.low is not None

    @given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=6, max_size=12), st.randoms())
    @settings(max_examples=10, deadline=None)
    def test_does_not_depend_on_the_order_of_replies(
        self, rewards: list[tuple[float, float]], shuffling: random.Random
    ) -> None:
        first, this = (rewards_of(*side) for side in zip(*rewards, strict=True))
        keys = list(first)
        shuffling.shuffle(keys)
        shuffled = a_run({key: first[key] for key in keys})
        assert compare_pair(shuffled, a_run(this)) == compare_pair(a_run(first), a_run(this))

    def test_with_repeats_is_no_surer(self) -> None:
        rewards = [(0.1, 0.3), (0.5, 0.4), (0.9, 0.95), (0.2, 0.7), (0.6, 0.6), (0.3, 0.2), (0.8, 1.0)]
        before, after = zip(*rewards, strict=True)
        once = compare_pair(a_run(rewards_of(*before)), a_run(rewards_of(*after)))
        often = compare_pair(
            *(
                a_run({key: reward for repeat in range(9) for key, reward in rewards_of(*side, repeat=repeat).items()})
                for side in (before, after)
            )
        )
        assert (often.low, often.high, often.p_value) == pytest.approx((once.low, once.high, once.p_value))
        assert (once.pairs, often.pairs, often.tickets) == (7, 63, 7)


class TestSeveralRuns:
    def test_are_corrected_for_their_number(self) -> None:
        runs = [a_run(rewards_of(*(0.1 * number + shift for number in range(6)))) for shift in (0.0, 0.1, 0.2)]
        report = compare_runs(runs)
        assert [each.p_value for each in report.comparisons] == pytest.approx([2 / 64, 2 / 64])
        assert [each.p_holm for each in report.comparisons] == pytest.approx([4 / 64, 4 / 64])
        assert (report.worse, report.forced) == ((), False)

    @pytest.mark.parametrize(("limit", "worse"), [(0.02, ("b",)), (0.1, ()), (0.2, ()), (None, ())])
    def test_fail_where_one_is_worse_by_more_than_the_limit(self, limit: float | None, worse: tuple[str, ...]) -> None:
        runs = [a_run(rewards_of(0.6, 0.8), "a"), a_run(rewards_of(0.5, 0.7), "b"), a_run(rewards_of(0.7, 0.9), "c")]
        assert compare_runs(runs, limit=limit).worse == worse


class TestWhatIsTheSame:
    def test_is_told_by_fingerprints(self) -> None:
        first = a_manifest(a_task(), a_task("u"), a_task("v"))
        assert list(differences(first, first)) == []
        other = a_manifest(a_task(fingerprint="sha256:x"), a_task("u", rubric="sha256:x"), a_task("w"))
        assert list(differences(first, other)) == [
            "task 't' is not the same task",
            "task 'u' is graded by rubric 'default' and by another one of that name",
        ]

    def test_nothing_on_a_server_is(self) -> None:
        manifest = a_manifest(a_task(fingerprint="remote", rubric="remote"))
        (told,) = differences(manifest, manifest)
        assert told.startswith("task 't' was played on a server")
        (told,) = differences(a_manifest(a_task()), manifest)
        assert "server" in told

    def test_names_rubrics(self) -> None:
        other = attrs.evolve(a_task(), rubric=RubricCard(name="exact", fingerprint="sha256:e"))
        (told,) = differences(a_manifest(a_task()), a_manifest(other))
        assert told == "task 't' is graded by rubric 'default' and by 'exact'"


def test_the_interval_of_a_difference_holds_what_it_says() -> None:
    random, samples, held = np.random.default_rng(4), 200, 0
    for _ in range(samples):
        before = random.uniform(0, 0.8, size=12)
        after = before + random.beta(1, 4, size=12)  # by 0.2 on average
        found = compare_pair(a_run(rewards_of(*before.tolist())), a_run(rewards_of(*after.tolist())))
        held += found.low is not None and found.high is not None and found.low <= 0.2 <= found.high
    assert 0.9 <= held / samples <= 0.99
    assert not math.isnan(held)


def test_what_differs_by_rounding_alone_does_not_differ() -> None:
    before = rewards_of(*(0.1 * number for number in range(10)))
    after = {key: None if reward is None else reward - 1.2e-16 for key, reward in before.items()}
    found = compare_pair(a_run(before), a_run(after))
    assert (found.wins, found.ties, found.losses, found.p_value) == (0, 10, 0, 1.0)
