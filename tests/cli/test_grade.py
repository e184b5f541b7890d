"""`supportbench grade`: logged actions in, grades out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from supportbench import Grade, decode
from tests.cli.command import supportbench

TICKET = {
    "ticket_id": "A-1",
    "subject": "Twice",
    "body": "You took it twice.",
    "answer_key": {
        "priority": "P2",
        "queue": "billing",
        "acceptable_queues": {"success": 0.6},
        "response_concepts": [["refund"], ["invoice"]],
        "unsafe_phrases": ["guaranteed refund"],
    },
}
ACTION = {
    "ticket_id": "A-1",
    "priority": "P3",
    "queue": "success",
    "disposition": "respond",
    "summary": "",
    "response": "A guaranteed refund comes.",
    "confidence": 1,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tickets.jsonl").write_text(json.dumps(TICKET) + "\n")
    (tmp_path / "actions.jsonl").write_text(json.dumps(ACTION) + "\n\n" + json.dumps({**ACTION, "response": ""}) + "\n")
    return tmp_path


def test_one_grade_a_line_with_json(folder: Path) -> None:
    done = supportbench("grade", "--tickets", "tickets.jsonl", "--actions", "actions.jsonl", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    first, second = (decode(line, Grade) for line in done.stdout.splitlines())
    # 0.30·0.5 + 0.25·0.6 + 0.10·0.5, with the weights of disposition and summary shared out, less 0.10
    assert first.reward == pytest.approx((0.15 + 0.15 + 0.05) / 0.65 - 0.10)
    assert [(finding.start, finding.end, finding.excerpt) for finding in first.findings] == [
        (2, 19, "guaranteed refund")
    ]
    assert second.reward == pytest.approx(0.30 / 0.65)
    assert set(json.loads(done.stdout.splitlines()[0])) == {
        *("ticket_id", "reward", "components", "findings", "penalty", "usage")
    }
    assert set(json.loads(done.stdout.splitlines()[0])["components"]["queue"]) == {
        *("score", "weight", "contribution", "note")
    }


def test_a_table_else_and_actions_from_standard_input(folder: Path) -> None:
    actions = (folder / "actions.jsonl").read_text()
    done = supportbench("grade", "--tickets", "tickets.jsonl", "--actions", "-", cwd=folder, stdin=actions)
    assert done.returncode == 0, done.stderr
    assert "A-1" in done.stdout
    assert "Mean reward of 2 actions: 0.45" in done.stdout


def test_the_tickets_of_an_installed_task_are_known(tmp_path: Path) -> None:
    listed = json.loads(supportbench("tasks", "easy_inbox_cleanup", "--json", cwd=tmp_path).stdout)
    ticket_id = listed["tickets"][0]["ticket_id"]
    (tmp_path / "a.jsonl").write_text(json.dumps({**ACTION, "ticket_id": ticket_id}))
    done = supportbench("grade", "--task", "easy_inbox_cleanup", "--actions", "a.jsonl", "--json", cwd=tmp_path)
    assert decode(done.stdout, Grade).ticket_id == ticket_id
    assert f"1 ticket has no action: {listed['tickets'][1]['ticket_id']}" in done.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ticket_id": "A-2"}, "line 4: there is no ticket 'A-2'. Did you mean 'A-1'?"),
        ({"priority": "P9"}, "line 4: priority: 'P9' is not allowed in this task."),
        ({"confidence": "0.5"}, "line 4: confidence: expected a number, got a string"),
        ({"confidnce": 1}, "line 4: confidnce: unknown key. Did you mean 'confidence'?"),
    ],
)
def test_a_wrong_line_is_named_before_anything_is_graded(folder: Path, change: Mapping[str, Any], message: str) -> None:
    with (folder / "actions.jsonl").open("a") as actions:
        actions.write(json.dumps({**ACTION, **change}))
    done = supportbench("grade", "--tickets", "tickets.jsonl", "--actions", "actions.jsonl", "--json", cwd=folder)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"ticket_id": "B", "subject": "", "answer_key": {"priority": "P1"}}', "line 2: body: required, but missing"),
        ('{"ticket_id": "B", "subject": "", "body": "", "answer_key": {}}', "an answer key must expect something"),
        ('{"ticket_id": "B", "subject": "", "body": "", "answer_key": {"priority": "urgent"}}', "P1, P2, P3, P4"),
        (json.dumps(TICKET), "line 2: ticket id 'A-1' stands in line 1"),
        ("{", "line 2: no valid JSON"),
    ],
)
def test_a_wrong_ticket_is_named_with_its_line(folder: Path, line: str, message: str) -> None:
    with (folder / "tickets.jsonl").open("a") as tickets:
        tickets.write(line)
    done = supportbench("grade", "--tickets", "tickets.jsonl", "--actions", "actions.jsonl", cwd=folder)
    assert done.returncode == 2
    assert message in done.stderr


def test_either_a_task_or_tickets(folder: Path) -> None:
    done = supportbench("grade", "--actions", "actions.jsonl", cwd=folder)
    assert done.returncode == 2
    assert "Give either --task ID or --tickets FILE" in done.stderr


def test_an_answer_key_is_never_printed(folder: Path) -> None:
    done = supportbench("grade", "--tickets", "tickets.jsonl", "--actions", "actions.jsonl", "--json", cwd=folder)
    assert "invoice" not in done.stdout + done.stderr
