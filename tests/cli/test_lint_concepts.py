"""`supportbench lint --concepts`: concepts that a copy of the ticket would meet."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from supportbench import AnswerKey, Case, Registry, Task, Ticket
from supportbench.evaluation.copyable_concepts import copyable_concepts
from tests.cli.command import supportbench
from tests.evaluation.audit.packs import a_task
from tests.installing import BrokenPlugin, write_wheel

TICKETS = "\n".join(
    json.dumps(line)
    for line in (
        {
            "ticket_id": "A-1",
            "subject": "Billed twice",
            "body": "You charged me twice for May. I want a refund.",
            "recent_events": ["second charge recorded"],
            "answer_key": {
                "priority": "P2",
                "summary_concepts": [["charged twice", "billed twice"], ["wants one back", "reimbursement"]],
                "response_concepts": [["our billing team"], ["refund", "second charge", "May", "You", "twice"]],
            },
        },
        {"ticket_id": "A-2", "subject": "Hello", "body": "Nothing.", "answer_key": {"priority": "P4"}},
    )
)

SAYS = "the ticket itself says"
MANY = "'refund', 'second charge', 'May' and 2 more"
MOVE = "whoever copies it is credited; ask for what follows from it"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tickets.jsonl").write_text(TICKETS, encoding="utf-8")
    return tmp_path


def test_each_is_a_line_with_the_next_move_and_the_exit_code_is_0(folder: Path) -> None:
    done = supportbench("lint", "--concepts", "--tickets", "tickets.jsonl", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"warning: ticket 'A-1' of task 'A-1', concept 'charged twice' of the summary: {SAYS} 'billed twice': {MOVE}",
        f"warning: ticket 'A-1' of task 'A-1', concept 'refund' of the reply: {SAYS} {MANY}: {MOVE}",
        "4 concepts of 2 tickets: 2 warnings",
    ]


def test_json_has_all_phrases(folder: Path) -> None:
    done = supportbench("lint", "--concepts", "--tickets", "tickets.jsonl", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    summary, reply = json.loads(done.stdout)
    assert (summary["severity"], summary["task_id"], summary["ticket_id"]) == ("warning", "A-1", "A-1")
    assert (summary["field"], summary["concept"], summary["phrases"]) == ("summary", "charged twice", ["billed twice"])
    assert (reply["field"], reply["phrases"]) == ("response", ["refund", "second charge", "May", "You", "twice"])
    assert "the ticket itself says 'refund'" in reply["message"]


def test_a_packs_tasks_are_looked_at_whatever_split_they_are_in(tmp_path: Path) -> None:
    source = """
from supportbench import AnswerKey, Case, StaticTasks, Task, Ticket, hookimpl
supportbench_api = 1
def made(task_id):
    key = AnswerKey(priority="P1", summary_concepts=[["white page"], ["outage"]])
    case = Case(ticket=Ticket(ticket_id="W-" + task_id, subject="", body="A WHITE, page!"), answer_key=key)
    return Task(task_id=task_id, title="", difficulty="easy", description="", instructions="", cases=[case])
@hookimpl
def supportbench_task_providers():
    print("a provider may print")
    yield StaticTasks(name="odd", splits={"train": (made("one"),), "test": (made("two"),)})
"""
    wheel = write_wheel(tmp_path, BrokenPlugin(name="odd", reason="", source=source))
    environ = {"PYTHONPATH": os.pathsep.join(filter(None, (str(wheel), os.environ.get("PYTHONPATH"))))}
    done = supportbench("lint", "--concepts", "--provider", "odd", "--json", cwd=tmp_path, environ=environ)
    assert done.returncode == 0, done.stderr
    assert [found["task_id"] for found in json.loads(done.stdout)] == ["one", "two"]
    done = supportbench("lint", "--concepts", "--task", "two", cwd=tmp_path, environ=environ)
    assert "task 'two'" in done.stdout
    assert "2 concepts of 1 ticket: 1 warning\n" in done.stdout


def test_the_bundled_tasks_have_none(registry: Registry) -> None:
    tasks = registry.providers["triage"]
    for index in range(tasks.num_tasks("test")):
        assert list(copyable_concepts(tasks.task("test", index))) == []


def _found(concept: str, **ticket: Any) -> list[tuple[str, ...]]:
    shown = Ticket(**{"ticket_id": "T-1", "subject": "A subject", "body": "A body", **ticket})
    key = AnswerKey(priority="P1", summary_concepts=[[concept]])
    task: Task = a_task("task", Case(ticket=shown, answer_key=key))
    return [found.phrases for found in copyable_concepts(task)]


@pytest.mark.parametrize(
    "ticket",
    [
        {"subject": "Locked out"},
        {"body": "It locks\nout everybody."},
        {"recent_events": ["user LOCKED-OUT at nine"]},
        {"extra": {"notes": ["x", {"more": "locked out"}]}},
    ],
)
def test_all_that_the_ticket_shows_is_the_ticket(ticket: dict[str, Any]) -> None:
    assert _found("locked out", **ticket) == [("locked out",)]


@pytest.mark.parametrize(
    "ticket",
    [
        {"subject": "It is locked", "body": "out of hours"},
        {"body": "locked us out"},
        {"body": "unlocked outside"},
        {"customer_tier": "locked out"},
    ],
)
def test_words_that_do_not_stand_together_are_no_phrase(ticket: dict[str, Any]) -> None:
    assert _found("locked out", **ticket) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--concepts", "--safety"], "Give either --safety or --concepts."),
        (["--concepts", "--check", "unsafe_reply"], "--check and --rubric go with --safety."),
        (["--concepts", "--rubric", "default"], "--check and --rubric go with --safety."),
        (["--safety", "--task", "x"], "--provider, --task and --tickets go with --concepts."),
        (["--concepts", "--provider", "triage", "--tickets", "tickets.jsonl"], "Give either --tickets or --provider."),
        (["--concepts", "--provider", "traige"], "Did you mean 'triage'?"),
        (["--concepts", "--task", "esay"], "easy_inbox_cleanup"),
    ],
)
def test_wrong_usage_is_refused_with_the_next_move(folder: Path, arguments: list[str], message: str) -> None:
    done = supportbench("lint", *arguments, cwd=folder)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert done.stdout == ""
