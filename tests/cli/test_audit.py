"""`supportbench audit`: whether a reward can be trusted, as a table or JSON, with an exit code to match."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from supportbench import Registry, decode, encode, unstructure
from supportbench.cli.progress import stages
from supportbench.evaluation.audit.report import AuditReport
from tests.cli.command import shown_on_a_terminal, supportbench
from tests.evaluation.audit.packs import a_case
from tests.installing import installed_module

CHECKS = [
    *("oracle_max", "floor_gap", "canary_floor", "no_solution_leakage", "verifier_determinism", "replayability"),
    *("reward_reachability", "difficulty_separation", "headroom", "variance_bound"),
    *("adversarial_floor", "gameability_gap"),
]


def _write_tickets(path: Path, number: int, **changes: Any) -> None:
    lines = [
        {**unstructure(case.ticket), **changes, "answer_key": unstructure(case.answer_key)}
        for case in (a_case(place) for place in range(number))
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def tickets(tmp_path: Path) -> Path:
    """A file of four tickets, each a task of its own."""
    _write_tickets(tmp_path / "tickets.jsonl", 4)
    return tmp_path / "tickets.jsonl"


def test_the_bundled_tasks_by_decisions_alone_pass(tmp_path: Path) -> None:
    done = supportbench("audit", "--rubric", "exact", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = decode(done.stdout, AuditReport)
    assert [check.check for check in report.checks] == CHECKS
    assert {check.verdict for check in report.checks} == {"pass", "warn", "not measured"}
    assert [unit.name for unit in report.units] == [
        "easy_inbox_cleanup",
        "medium_sla_defense",
        "hard_exec_escalations",
    ]
    assert report.passed


def test_the_same_audit_prints_the_same_bytes(tmp_path: Path) -> None:
    first, again = [supportbench("audit", "--seed", "3", "--json", cwd=tmp_path).stdout for _ in range(2)]
    assert first == again
    assert decode(first, AuditReport).seed == 3


def test_a_table_fits_a_terminal_and_names_every_policy_and_check(tmp_path: Path, registry: Registry) -> None:
    done = supportbench("audit", "--rubric", "exact", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    for name in (*CHECKS, *(name for name in registry.agents if name.startswith("cheat_"))):
        assert f" {name} " in done.stdout
    for line in ("3 tasks, 9 tickets, rubric exact", "  1  easy_inbox_cleanup (2 tickets)", "No check fails."):
        assert line in done.stdout.splitlines()
    assert "0.73  0.56  0.62  0.64" in done.stdout  # the best constant decision
    assert done.stderr == ""


def test_one_task_is_audited_by_its_id(tmp_path: Path) -> None:
    done = supportbench("audit", "--task", "medium_sla_defense", "--rubric", "exact", "--json", cwd=tmp_path)
    (unit,) = decode(done.stdout, AuditReport).units
    assert (unit.name, unit.tickets) == ("medium_sla_defense", 3)


def test_a_pack_is_audited_with_its_own_rubric(tmp_path: Path, good_site: Path) -> None:
    done = supportbench("audit", "--provider", "bakery", "--json", cwd=tmp_path, environ={"PYTHONPATH": str(good_site)})
    assert done.returncode in (0, 1), done.stderr
    report = decode(done.stdout, AuditReport)
    assert {task.rubric.name for task in report.tasks} == {"bakery"}
    assert {unit.oracle for unit in report.units} == {1.0}
    assert report.text_components == ()
    assert report.errors == ()


def test_tickets_of_a_file_are_one_unit(tickets: Path) -> None:
    done = supportbench("audit", "--tickets", tickets.name, "--rubric", "exact", "--json", cwd=tickets.parent)
    report = decode(done.stdout, AuditReport)
    (unit,) = report.units
    assert (unit.name, unit.tasks, unit.tickets) == ("one-ticket tasks", 4, 4)
    assert {task.provider for task in report.tasks} == {"file"}


def test_of_many_tickets_a_sample_is_audited_and_said_to_be_one(tmp_path: Path) -> None:
    _write_tickets(tmp_path / "many.jsonl", 500)
    arguments = ("audit", "--tickets", "many.jsonl", "--rubric", "exact", "--limit", "30")
    done = supportbench(*arguments, cwd=tmp_path)
    assert "Auditing 30 of 500 tasks, chosen by seed 0" in done.stderr
    assert "30 tasks, 30 tickets (30 of 500 tasks), rubric exact" in done.stdout
    report = decode(supportbench(*arguments, "--json", cwd=tmp_path).stdout, AuditReport)
    assert report.sampled == "30 of 500 tasks"
    assert len(report.tasks) == 30


def test_of_a_task_that_is_named_the_first_tickets_are_audited_and_no_seed_chose_them(tmp_path: Path) -> None:
    arguments = ("audit", "--task", "easy_inbox_cleanup", "--rubric", "exact", "--limit", "1")
    done = supportbench(*arguments, cwd=tmp_path)
    assert done.stderr == "Auditing the first 1 of its 2 tickets; --limit says how many tickets.\n"
    assert "1 task, 1 ticket (the first 1 of its 2 tickets), rubric exact" in done.stdout
    assert "  1  easy_inbox_cleanup (1 ticket)" in done.stdout.splitlines()


def test_on_a_terminal_it_says_how_far_it_is(tmp_path: Path) -> None:
    shown = re.sub(r"\x1b\[[\d;?]*\w", "", shown_on_a_terminal("audit", "--rubric", "exact", cwd=tmp_path).decode())
    assert re.search(r"auditing \S+ +\d+/\d\d \d:\d\d:\d\d cheat_\w+", shown)


def test_elsewhere_a_line_now_and_then_says_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    with stages("auditing", clock=lambda: now, every_s=10.0) as tell:
        for place in range(1, 6):
            tell(f"cheat {place}", place, 5)
            now += 5.0
    assert capsys.readouterr().err == "auditing: 3 of 5, cheat 3\nauditing: 5 of 5, cheat 5\n"


def test_tickets_that_hold_their_answers_fail(tmp_path: Path) -> None:
    _write_tickets(tmp_path / "leaky.jsonl", 4, extra={"priority": "P2", "queue": "billing", "disposition": "respond"})
    done = supportbench("audit", "--tickets", "leaky.jsonl", "--rubric", "exact", cwd=tmp_path)
    assert done.returncode == 1
    assert "Failed: no_solution_leakage" in done.stdout
    assert "What to do about no_solution_leakage: Take the expected decision" in done.stdout
    assert "ticket 'A-0' of task 'A-0': its public fields state the expected priority" in done.stdout


def test_of_small_answer_keys_and_few_tickets_it_is_said_what_to_add(tickets: Path) -> None:
    done = supportbench("audit", "--tickets", tickets.name, "--rubric", "default", cwd=tickets.parent)
    assert done.returncode == 1
    told = " ".join(done.stdout.split())
    assert "The answer keys of 4 of 4 tickets ask a text for fewer than 3 concepts" in told
    assert "Only 4 tickets: one that a policy hits by accident moves a mean by 0.25." in told
    places = [
        told.index(words) for words in ("cheat_list earns", "The answer keys of", "What to do about canary_floor")
    ]
    assert places == sorted(places)


def test_a_policy_that_fails_has_earned_nothing_that_could_be_said(tmp_path: Path) -> None:
    arguments = ("audit", "--task", "easy_inbox_cleanup", "--rubric", "exact")
    environ = installed_module(tmp_path, "clumsy", _CLUMSY)
    done = supportbench(*arguments, cwd=tmp_path, environ=environ)
    assert done.returncode == 1, done.stderr
    (row,) = [line for line in done.stdout.splitlines() if line.startswith(" cheat_clumsy ")]
    assert row.split() == ["cheat_clumsy", "–", "–", "–", "error"]
    report = json.loads(supportbench(*arguments, "--json", cwd=tmp_path, environ=environ).stdout)
    (clumsy,) = [policy for policy in report["policies"] if policy["name"] == "cheat_clumsy"]
    assert (clumsy["rewards"], clumsy["average"]) == ({"easy_inbox_cleanup": None}, None)


_CLUMSY = """
from supportbench import SupportQueueAction, hookimpl

supportbench_api = 1


class Clumsy:
    name = "cheat_clumsy"
    dishonest = True

    async def act(self, observation):
        return SupportQueueAction(
            priority="P1", queue="billing", disposition="close", summary="", response="", confidence=7
        )


@hookimpl
def supportbench_agents():
    yield Clumsy()
"""


def test_a_rubric_that_looks_for_substrings_fails(tmp_path: Path) -> None:
    environ = installed_module(tmp_path, "gameable", _GAMEABLE)
    done = supportbench("audit", "--rubric", "gameable", "--json", cwd=tmp_path, environ=environ)
    assert done.returncode == 1, done.stderr
    report = decode(done.stdout, AuditReport)
    failed = {check.check for check in report.checks if check.verdict == "fail"}
    assert failed >= {"canary_floor", "adversarial_floor", "gameability_gap"}
    assert failed <= {"canary_floor", "adversarial_floor", "gameability_gap", "difficulty_separation"}  # by accident


_GAMEABLE = """
from supportbench import ComponentScore, Rubric, RubricComponent, hookimpl

supportbench_api = 1


class Substrings:
    name = "substrings"

    async def score(self, submission):
        text, key = submission.action.summary + submission.action.response, submission.case.answer_key
        wanted = [*key.summary_concepts, *key.response_concepts]
        found = sum(any(phrase.lower() in text.lower() for phrase in concept.phrases) for concept in wanted)
        return ComponentScore(score=found / len(wanted))


@hookimpl
def supportbench_grading_components():
    yield Substrings()


@hookimpl
def supportbench_rubrics():
    names = {"priority": 0.3, "queue": 0.25, "disposition": 0.2, "substrings": 0.25}
    yield Rubric(name="gameable", components=[RubricComponent(use=name, weight=w) for name, w in names.items()])
"""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--provider", "triage", "--tickets", "tickets.jsonl"), "Give either --tickets or --provider."),
        (("--provider", "triagge"), "Did you mean 'triage'?"),
        (("--task", "nowhere"), "There is no task 'nowhere'."),
        (("--rubric", "defautl"), "Did you mean 'default'?"),
        (("--agent", "nope"), "There is no agent 'nope'."),
        (("--limit", "0"), "0 is not in the range x>=1"),
        (("--tickets", "none.jsonl"), "does not exist"),
    ],
)
def test_wrong_usage_exits_2_and_says_what_to_do(tickets: Path, arguments: tuple[str, ...], told: str) -> None:
    done = supportbench("audit", *arguments, cwd=tickets.parent)
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stdout == ""


def test_an_agent_that_the_environment_names_has_to_be_there(tmp_path: Path) -> None:
    done = supportbench("audit", cwd=tmp_path, environ={"SUPPORTBENCH_AGENT": "nope"})
    assert done.returncode == 2
    assert "There is no agent 'nope'." in done.stderr


def test_the_honest_agent_can_be_another_one(tmp_path: Path) -> None:
    done = supportbench("audit", "--rubric", "exact", "--agent", "random", "--json", cwd=tmp_path)
    report = decode(done.stdout, AuditReport)
    assert report.honest_agent == "random"
    assert all(unit.honest is not None and unit.honest < 0.9 for unit in report.units)


def test_the_report_is_json_of_a_known_schema(tmp_path: Path) -> None:
    done = supportbench("audit", "--task", "easy_inbox_cleanup", "--json", cwd=tmp_path)
    data = json.loads(done.stdout)
    assert data["schema"] == "supportbench.audit/1"
    assert json.loads(encode(decode(done.stdout, AuditReport))) == data
