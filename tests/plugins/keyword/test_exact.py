"""The three discrete components."""

from __future__ import annotations

from typing import Any

import pytest

from supportbench import AnswerKey, Case, Registry, Submission, Taxonomy, Ticket
from tests.offering import a_task, an_action


def a_submission(key: dict[str, Any], *, taxonomy: Taxonomy | None = None, **changes: Any) -> Submission:
    case = Case(ticket=Ticket(ticket_id="A", subject="", body=""), answer_key=AnswerKey(**key))
    task = a_task(cases=[case], taxonomy=taxonomy or Taxonomy())
    return Submission(task=task, case=case, action=an_action(**changes))


async def score(registry: Registry, component: str, submission: Submission) -> float | None:
    return (await registry.components[component].score(submission)).score


@pytest.mark.parametrize(
    ("expected", "given", "earned"),
    [
        ("P1", "P1", 1.0),
        ("P1", "P2", 0.5),
        ("P2", "P1", 0.5),
        ("P2", "P3", 0.5),
        ("P4", "P3", 0.5),
        ("P1", "P3", 0.0),
        ("P1", "P4", 0.0),
        ("P4", "P2", 0.0),
    ],
)
async def test_priority_earns_half_one_step_off(registry: Registry, expected: str, given: str, earned: float) -> None:
    assert await score(registry, "priority", a_submission({"priority": expected}, priority=given)) == earned


async def test_priority_counts_steps_in_the_tasks_own_order(registry: Registry) -> None:
    taxonomy = Taxonomy(priorities=("now", "today", "whenever"))
    for given, earned in (("now", 0.0), ("today", 0.5), ("whenever", 1.0)):
        submission = a_submission({"priority": "whenever"}, taxonomy=taxonomy, priority=given)
        assert await score(registry, "priority", submission) == earned


@pytest.mark.parametrize(
    ("component", "alternatives"), [("queue", "acceptable_queues"), ("disposition", "acceptable_dispositions")]
)
@pytest.mark.parametrize(("place", "earned"), [(0, 1.0), (1, 0.6), (2, 0.0), (3, 0.0)])
async def test_queue_and_disposition_earn_what_the_key_credits(
    registry: Registry, component: str, alternatives: str, place: int, earned: float
) -> None:
    values = {"queue": Taxonomy().queues, "disposition": Taxonomy().dispositions}[component]
    key = {component: values[0], alternatives: {values[1]: 0.6, values[2]: 0}}
    given: dict[str, Any] = {component: values[place]}
    assert await score(registry, component, a_submission(key, **given)) == earned


@pytest.mark.parametrize("component", ["priority", "queue", "disposition"])
async def test_what_the_key_does_not_expect_does_not_apply(registry: Registry, component: str) -> None:
    answer = await registry.components[component].score(a_submission({"summary_concepts": ["a"]}))
    assert answer.score is None
    assert "does not apply" in answer.note
