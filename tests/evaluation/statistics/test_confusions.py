"""What was chosen beside what answer keys expect: matrices, and rates of too much and too little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from supportbench import AnswerKey, Case, Task, Taxonomy, Ticket
from supportbench.evaluation.statistics.facts import Facts, facts_of
from supportbench.evaluation.statistics.records import Statistics
from tests.evaluation.statistics.making import a_step, an_episode, statistics_of

PLACE = ("house", "test", 0)
# Six tickets by hand: what is expected, and what was chosen (priority, queue, disposition).
TICKETS: Mapping[str, tuple[dict[str, Any], tuple[str, str, str]]] = {
    "a": ({"priority": "P1", "queue": "billing", "disposition": "escalate"}, ("P1", "billing", "escalate")),
    "b": ({"priority": "P1", "queue": "billing", "disposition": "escalate"}, ("P3", "security", "respond")),
    "c": ({"priority": "P2", "queue": "security", "disposition": "respond"}, ("P1", "security", "escalate")),
    "d": ({"priority": "P3", "queue": "billing", "disposition": "close"}, ("P2", "billing", "respond")),
    "e": (
        {"priority": "P3", "queue": "billing", "disposition": "respond", "acceptable_dispositions": {"escalate": 0.5}},
        ("P3", "billing", "escalate"),
    ),
    "f": (
        {"priority": "P4", "queue": "billing", "disposition": "escalate", "acceptable_dispositions": {"close": 0.5}},
        ("P4", "billing", "close"),
    ),
}


def a_task(keys: Mapping[str, dict[str, Any]], taxonomy: Taxonomy | None = None) -> Task:
    cases = [
        Case(ticket=Ticket(ticket_id=name, subject="s", body="b"), answer_key=AnswerKey(**key))
        for name, key in keys.items()
    ]
    return Task(
        task_id="t",
        title="t",
        difficulty="easy",
        description="d",
        instructions="i",
        cases=cases,
        taxonomy=taxonomy or Taxonomy(),
    )


def facts(keys: Mapping[str, dict[str, Any]], taxonomy: Taxonomy | None = None) -> Facts:
    return {PLACE: facts_of(a_task(keys, taxonomy))}


def answered(names: Sequence[str] = tuple(TICKETS)) -> Statistics:
    """The figures of the tickets with those names, answered as they stand above."""
    steps = []
    for name in names:
        priority, queue, disposition = TICKETS[name][1]
        steps.append(a_step(name, 1.0, priority=priority, queue=queue, disposition=disposition))
    return statistics_of([an_episode("t", steps)], facts({name: TICKETS[name][0] for name in names}))


def test_rows_are_what_is_expected_and_columns_what_was_chosen() -> None:
    found = answered().confusions
    assert list(found) == ["priority", "queue", "disposition"]
    assert found["priority"].labels == ("P1", "P2", "P3", "P4")
    assert found["priority"].counts == ((1, 0, 1, 0), (1, 0, 0, 0), (0, 1, 1, 0), (0, 0, 0, 1))
    assert found["queue"].labels[:2] == ("billing", "security")
    assert found["queue"].counts[:2] == ((4, 1, 0, 0, 0), (0, 1, 0, 0, 0))
    assert found["disposition"].labels == ("respond", "request_info", "escalate", "close")
    assert found["disposition"].counts == ((0, 0, 2, 0), (0, 0, 0, 0), (1, 0, 1, 1), (1, 0, 0, 0))
    assert {(each.tickets, each.replies) for each in found.values()} == {(6, 6)}


def test_over_and_under_triage_go_by_the_taxonomys_order() -> None:
    found = answered().triage
    assert found is not None
    assert found.over_triage is not None
    assert found.under_triage is not None
    assert (found.over_triage.count, found.over_triage.replies) == (2, 6)  # c and d
    assert (found.under_triage.count, found.under_triage.replies) == (1, 6)  # b


def test_a_ticket_whose_key_gives_credit_to_either_says_nothing_of_escalation() -> None:
    keys: dict[str, dict[str, Any]] = {
        **{f"must {number}": {"disposition": "escalate"} for number in range(3)},
        **{f"must not {number}": {"disposition": "respond"} for number in range(4)},
        "may": {"disposition": "respond", "acceptable_dispositions": {"escalate": 0.5}},
        "may too": {"disposition": "escalate", "acceptable_dispositions": {"respond": 0.5}},
    }
    escalated = {"must 1", "must 2", "must not 0", "may"}
    steps = [a_step(name, 1.0, disposition="escalate" if name in escalated else "respond") for name in keys]
    found = statistics_of([an_episode("t", steps)], facts(keys)).triage
    assert found is not None
    assert found.over_escalation is not None
    assert found.under_escalation is not None
    assert (found.over_escalation.count, found.over_escalation.replies) == (1, 4)
    assert (found.under_escalation.count, found.under_escalation.replies) == (1, 3)
    assert (found.over_triage, found.under_triage) == (None, None)


def test_each_pair_of_rates_needs_six_tickets_of_its_own() -> None:
    keys: dict[str, dict[str, Any]] = {str(number): {"priority": "P1"} for number in range(6)}
    keys["0"]["disposition"] = "escalate"
    found = statistics_of([an_episode("t", [a_step(name, 1.0) for name in keys])], facts(keys)).triage
    assert found is not None
    assert found.over_triage is not None
    assert (found.over_escalation, found.under_escalation) == (None, None)


def test_fewer_than_six_tickets_would_tell_the_key_of_each() -> None:
    found = answered("abcde")
    assert (found.confusions, found.triage) == ({}, None)


def test_repeats_are_no_further_tickets() -> None:
    keys = {name: TICKETS[name][0] for name in "ab"}
    steps = [a_step(name, 1.0) for name in keys]
    found = statistics_of([an_episode("t", steps, repeat=repeat) for repeat in range(5)], facts(keys))
    assert (found.confusions, found.triage) == ({}, None)


def test_a_run_whose_tasks_are_elsewhere_has_none() -> None:
    found = statistics_of([an_episode("t", [a_step(name, 1.0) for name in TICKETS])])
    assert (found.confusions, found.triage) == ({}, None)


def test_what_a_key_does_not_expect_is_in_no_matrix() -> None:
    keys: dict[str, dict[str, Any]] = {str(number): {"queue": "billing"} for number in range(6)}
    steps = [a_step(name, 1.0, queue="technical") for name in keys]
    found = statistics_of([an_episode("t", steps)], facts(keys))
    assert list(found.confusions) == ["queue"]
    assert found.confusions["queue"].counts[0] == (0, 0, 6, 0, 0)
    assert found.triage is None


def test_an_error_is_in_no_matrix() -> None:
    keys: dict[str, dict[str, Any]] = {str(number): {"priority": "P1"} for number in range(7)}
    steps = [a_step(name, None if name == "6" else 1.0) for name in keys]
    matrix = statistics_of([an_episode("t", steps)], facts(keys)).confusions["priority"]
    assert (matrix.tickets, matrix.replies, matrix.counts[0]) == (6, 6, (6, 0, 0, 0))


@pytest.mark.parametrize("dispositions", [("fix", "ask"), ("ask", "fix")])
def test_a_taxonomy_of_ones_own_has_its_own_labels_and_no_escalation_to_measure(dispositions: tuple[str, str]) -> None:
    taxonomy = Taxonomy(priorities=("now", "later"), queues=("oven", "till"), dispositions=dispositions)
    keys: dict[str, dict[str, Any]] = {str(number): {"priority": "later", "disposition": "fix"} for number in range(6)}
    steps = [a_step(name, 1.0, priority="now", queue="oven", disposition="ask") for name in keys]
    found = statistics_of([an_episode("t", steps)], facts(keys, taxonomy))
    assert found.confusions["priority"].counts == ((0, 0), (6, 0))
    assert found.confusions["disposition"].labels == dispositions
    assert found.triage is not None
    assert found.triage.over_triage is not None
    assert found.triage.over_triage.rate == 1.0
    assert (found.triage.over_escalation, found.triage.under_escalation) == (None, None)
