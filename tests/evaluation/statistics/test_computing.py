"""A run's statistics: what enters a figure, in whatever order, and what does not."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supportbench import Episode, Taxonomy, Usage, decode, encode
from supportbench.evaluation.results import summarize
from supportbench.evaluation.statistics.facts import TaskFacts, TicketFacts
from supportbench.evaluation.statistics.records import Statistics
from tests.evaluation.statistics.making import a_step, an_episode, rewarded, statistics_of

GROWTH = TaskFacts(taxonomy=Taxonomy(), tickets={name: TicketFacts(customer_tier="growth") for name in ("a", "b")})


def episodes_of(seed: int, *, tasks: int = 3, tickets: int = 4, repeats: int = 3) -> list[Episode]:
    choose = random.Random(seed)  # noqa: S311 - a test's
    return [
        an_episode(
            f"t{task}",
            [
                a_step(
                    f"T-{ticket}",
                    choose.choice((None, choose.random(), choose.random(), 1.0)),
                    confidence=choose.choice((0.1, 0.5, choose.random())),
                    unsafe=choose.random() < 0.2,
                    queue=choose.choice(("billing", "security")),
                    latency_s=choose.random(),
                    usage=Usage(input_tokens=3, output_tokens=1, calls=1, cost_usd=choose.choice((None, 0.001))),
                )
                for ticket in range(tickets)
            ],
            repeat=repeat,
            index=task,
        )
        for repeat in range(repeats)
        for task in range(tasks)
    ]


@given(st.integers(0, 1_000), st.randoms(use_true_random=False))
@settings(max_examples=10, deadline=None)
def test_the_order_of_episodes_does_not_matter(seed: int, shuffling: random.Random) -> None:
    episodes = episodes_of(seed)
    before = statistics_of(episodes)
    shuffling.shuffle(episodes)
    assert statistics_of(episodes) == before
    assert decode(encode(before), Statistics) == before


@given(st.integers(0, 1_000))
@settings(max_examples=10, deadline=None)
def test_the_means_are_those_of_the_results(seed: int) -> None:
    episodes = episodes_of(seed)
    found, summary = statistics_of(episodes), summarize(episodes)
    assert found.average_score is not None
    assert found.average_score.mean == pytest.approx(summary.average_score)
    assert [task.reward.mean for task in found.tasks] == pytest.approx([task.score for task in summary.tasks])
    assert [task.unsafe and task.unsafe.rate for task in found.tasks] == pytest.approx(
        [task.unsafe_rate for task in summary.tasks]
    )
    means = [task.components["queue"] for task in summary.tasks]
    assert found.components["queue"].mean == pytest.approx(sum(means) / len(means))
    assert found.replies == sum(len(task.rewards) for task in summary.tasks)
    assert found.errors == sum(len(task.errors) for task in summary.tasks)


def test_errors_enter_no_figure_and_are_counted() -> None:
    spent = Usage(input_tokens=10, output_tokens=5, calls=1, cost_usd=0.5)
    steps = [a_step("a", 1.0, usage=spent), a_step("b", None, usage=spent)]
    found = statistics_of([an_episode("t", steps)])
    assert (found.replies, found.tickets, found.errors) == (1, 1, 1)
    assert found.average_score is not None
    assert (found.average_score.mean, found.average_score.low) == (1.0, None)
    assert found.latency_s is not None
    assert found.latency_s.longest == 1.0
    assert found.agent_spending is not None
    assert (found.agent_spending.input_tokens, found.agent_spending.cost_usd, found.agent_spending.priced) == (
        *(10, 0.5),
        1,
    )
    assert found.calibration is not None
    assert found.calibration.replies == 1


def test_a_run_of_errors_has_no_figures() -> None:
    found = statistics_of([rewarded(None, None)])
    assert (found.average_score, found.success, found.unsafe, found.calibration, found.latency_s) == (None,) * 5
    assert (found.tasks, found.repeats, found.errors) == ((), (), 2)


def test_a_reward_of_four_fifths_is_a_success_and_repeats_of_it_a_pass() -> None:
    found = statistics_of([rewarded(0.8 - 1e-12, 0.79), rewarded(0.9, 0.9, repeat=1)])
    assert found.success is not None
    assert (found.success.count, found.success.replies, found.success.tickets) == (3, 4, 2)
    assert [(each.pass_at_k, each.pass_hat_k) for each in found.repeats] == [(0.75, 0.75), (1.0, 0.5)]


def test_rewards_are_told_by_what_was_chosen_and_whose_ticket_it_was() -> None:
    steps = [a_step("a", 1.0, queue="security"), a_step("b", 0.5), a_step("c", 0.0)]
    found = statistics_of([an_episode("t", steps)], {("house", "test", 0): GROWTH})
    assert {name: each.mean for name, each in found.queues.items()} == {"billing": 0.25, "security": 1.0}
    assert {name: each.mean for name, each in found.priorities.items()} == {"P1": 0.5}
    assert {name: (each.mean, each.tickets) for name, each in found.customer_tiers.items()} == {"growth": (0.75, 2)}


def test_latencies_by_hand() -> None:
    steps = [a_step(str(number), 1.0, latency_s=float(number)) for number in range(101)]
    latency = statistics_of([an_episode("t", steps)]).latency_s
    assert latency is not None
    assert (latency.mean, latency.p50, latency.p90, latency.p95, latency.p99, latency.longest) == pytest.approx(
        (50, 50, 90, 95, 99, 100)
    )
