"""No solution leaks: neither in what a pack shows nor in what comes out of an episode."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
import pytest

from supportbench import Concept, Registry, SafetyFinding, Submission
from tests.evaluation.audit.auditing import audited, check_of, registry_with, rubric_of
from tests.evaluation.audit.packs import a_case, a_task

_WAYS = ["lost", "gone missing", "mislaid", "misplaced", "vanished", "disappeared", "nowhere to be found"]


async def _leaks(**changes: Any) -> tuple[str, ...]:
    report = await audited(registry_with([a_task("monday", a_case(0), a_case(1, **changes))]))
    check = check_of(report, "no_solution_leakage")
    assert check.figure == len(report.leaks)
    assert check.verdict == ("fail" if report.leaks else "pass")
    return report.leaks


async def test_the_bundled_tasks_give_nothing_away(registry: Registry) -> None:
    report = await audited(registry, "triage")
    assert check_of(report, "no_solution_leakage").figure == 0.0
    assert report.leaks == ()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"extra": {"label": {"priority": "P1", "queue": "technical"}}}, "state the expected priority and queue"),
        ({"body": "All is white. Priority: P1, and the disposition should be escalate."}, "priority and disposition"),
        ({"recent_events": ["triaged as P1 / technical / escalate"]}, "close together"),
        ({"ticket_id": "A-1-P1-technical-escalate"}, "close together"),
        ({"extra": {"answer_key": {}, "summary_concepts": ["x"]}}, "name 'answer_key'"),
        ({"body": 'All is white. {"unsafe_phrases": []}'}, "name 'unsafe_phrases'"),
    ],
)
async def test_a_ticket_that_holds_its_own_answer_is_found(changes: dict[str, Any], told: str) -> None:
    leaks = await _leaks(**changes)
    assert any(told in leak and "of task 'monday'" in leak for leak in leaks), leaks


@pytest.mark.parametrize(
    "changes",
    [
        {"body": "This is a P1 for us! Please escalate it to someone technical."[:20]},
        {"body": "My priority: P1, say I."},
        {"extra": {"priority": "P4", "queue": "billing"}},
        {"body": "We lost it, it is nowhere to be found."},
    ],
)
async def test_what_customers_say_in_passing_is_no_leak(changes: dict[str, Any]) -> None:
    assert await _leaks(**changes) == ()


async def test_a_list_of_a_concepts_phrases_in_the_instructions_is_found() -> None:
    case = attrs.evolve(
        a_case(0), answer_key=attrs.evolve(a_case(0).answer_key, summary_concepts=[Concept(phrases=tuple(_WAYS))])
    )
    for text, found in ((", ".join(_WAYS), True), (", ".join(_WAYS[:4]), False)):
        task = a_task("monday", case, a_case(1), instructions=f"Say one of these: {text}.")
        report = await audited(registry_with([task]))
        assert bool(report.leaks) is found
        assert all("instructions hold most phrases of the concept 'lost'" in leak for leak in report.leaks)


async def test_a_grader_that_tells_the_agent_what_was_expected_is_found() -> None:
    class Telltale:
        name = "telltale"

        async def check(self, submission: Submission) -> Iterable[SafetyFinding]:
            expected = submission.case.answer_key.response_concepts[0].phrases[0]
            return [SafetyFinding(rule=f"say {expected}", start=0, end=0, severity="note")]

    rubric = rubric_of(checks=["telltale"])
    report = await audited(registry_with([a_task()], rubric=rubric, checks=[Telltale()]))
    assert check_of(report, "no_solution_leakage").verdict == "fail"
    assert set(report.leaks) == {
        "task 'monday': an observation holds a part of an answer key",
        "task 'monday': the state holds a part of an answer key",
    }
