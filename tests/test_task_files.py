"""Task and ticket files: what they mean, and errors that name the line and the field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from supportbench import Concept, RunError, StaticTasks, encode, read_task, read_tickets

# The line of DESIGN.md.
DESIGN: dict[str, Any] = {
    "ticket_id": "A-1",
    "subject": "…",
    "body": "…",
    "customer_tier": "growth",
    "product_area": "billing",
    "sla_hours": 8,
    "recent_events": [],
    "answer_key": {
        "priority": "P2",
        "queue": "billing",
        "disposition": "respond",
        "acceptable_queues": {"success": 0.6},
        "acceptable_dispositions": {},
        "summary_concepts": [["duplicate", "charged twice"], "invoice"],
        "response_concepts": ["refund"],
        "unsafe_phrases": ["ignore"],
    },
}
LEAST: dict[str, Any] = {"ticket_id": "A-1", "subject": "", "body": "", "answer_key": {"priority": "P1"}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tickets.jsonl"


def read(path: Path, *lines: dict[str, Any] | str) -> StaticTasks:
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text("\n".join(texts), encoding="utf-8")
    return read_tickets(path)


class TestTickets:
    def test_a_line_is_a_task_of_its_own(self, path: Path) -> None:
        tasks = read(path, DESIGN, {**LEAST, "ticket_id": "A-2"})
        assert tasks.splits() == ("test",)
        assert [tasks.task("test", index).task_id for index in range(tasks.num_tasks("test"))] == ["A-1", "A-2"]
        key = tasks.task("test", 0).cases[0].answer_key
        assert key.summary_concepts == (Concept(phrases=("duplicate", "charged twice")), Concept(phrases=("invoice",)))
        assert key.acceptable_queues == {"success": 0.6}

    def test_lines_that_share_a_task_id_are_one_task_in_the_order_of_the_file(self, path: Path) -> None:
        tasks = read(
            path,
            {**LEAST, "ticket_id": "B", "task_id": "shared"},
            {**LEAST, "ticket_id": "alone"},
            {**LEAST, "ticket_id": "A", "task_id": "shared"},
        )
        assert tasks.num_tasks("test") == 2
        assert [case.ticket.ticket_id for case in tasks.task("test", 0).cases] == ["B", "A"]

    def test_blank_lines_and_a_last_line_end_do_not_matter(self, path: Path) -> None:
        assert read(path, "", LEAST, "  ", "").num_tasks("test") == 1

    def test_a_line_separator_inside_a_string_ends_no_line(self, path: Path) -> None:
        body = "one\u2028two\u0085three"
        tasks = read(path, json.dumps({**LEAST, "body": body}, ensure_ascii=False))
        assert [case.ticket.body for case in tasks.task("test", 0).cases] == [body]

    def test_a_byte_order_mark_does_no_harm(self, path: Path) -> None:
        path.write_text(json.dumps(LEAST), encoding="utf-8-sig")
        assert read_tickets(path).num_tasks("test") == 1

    def test_null_where_nothing_is_known(self, path: Path) -> None:
        nulls = {"recent_events": None, "sla_hours": None, "customer_tier": None, "product_area": None}
        ticket = read(path, {**LEAST, **nulls}).task("test", 0).cases[0].ticket
        assert (ticket.recent_events, ticket.sla_hours, ticket.customer_tier) == ((), None, None)

    def test_one_expected_value_is_enough(self, path: Path) -> None:
        for key in ({"queue": "billing"}, {"disposition": "close"}, {"summary_concepts": ["a"]}, {"extra": {"a": 1}}):
            assert read(path, {**LEAST, "answer_key": key}).num_tasks("test") == 1

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("{", "no valid JSON"),
            ("[]", "expected an object, got a list"),
            ({**LEAST, "subjet": ""}, r"subjet: unknown key\. Did you mean 'subject'\?"),
            ({key: value for key, value in LEAST.items() if key != "body"}, "body: required, but missing"),
            ({key: value for key, value in LEAST.items() if key != "answer_key"}, "answer_key: required, but missing"),
            ({**LEAST, "answer_key": {}}, "answer_key: an answer key must expect something"),
            ({**LEAST, "answer_key": {"priority": "P9"}}, "priority 'P9', which the task's taxonomy does not know"),
            ({**LEAST, "answer_key": {"queue": "x"}}, "queue 'x', which the task's taxonomy does not know"),
            ({**LEAST, "answer_key": {"priority": 2}}, "answer_key.priority: expected a string, got a number"),
            (
                {**LEAST, "answer_key": {"queue": "billing", "acceptable_queues": {"success": 1.6}}},
                r"answer_key\.acceptable_queues: must be in \[0, 1\]",
            ),
            ({**LEAST, "answer_key": {"summary_concepts": [[]]}}, r"answer_key\.summary_concepts\[0\]"),
            ({**LEAST, "sla_hours": "8"}, "sla_hours: expected a number, got a string"),
            ({**LEAST, "recent_events": "none"}, "recent_events: expected a list, got a string"),
            ({**LEAST, "ticket_id": " "}, "ticket_id: must not be empty"),
            ({**LEAST, "body": None}, "body: expected a string, got null"),
        ],
    )
    def test_a_wrong_line_is_named(self, path: Path, line: Any, message: str) -> None:
        with pytest.raises(RunError, match=message) as caught:
            read(path, {**LEAST, "ticket_id": "first"}, "", line)
        assert str(caught.value).startswith(f"{path}, line 3: ")

    def test_a_ticket_id_that_stands_twice_names_both_lines(self, path: Path) -> None:
        with pytest.raises(RunError, match=r"line 2: ticket id 'A-1' stands in line 1"):
            read(path, LEAST, LEAST)

    @pytest.mark.parametrize("order", [1, -1], ids=["its id first", "the task_id first"])
    def test_a_ticket_id_that_is_also_a_task_id_does_not_join_two_tasks(self, path: Path, order: int) -> None:
        lines = [{**LEAST, "ticket_id": "X"}, {**LEAST, "ticket_id": "Y", "task_id": "X"}]
        with pytest.raises(RunError, match="line 2: 'X' is both a task_id and the id of a ticket without one"):
            read(path, *lines[::order])

    def test_a_file_without_tickets_says_so(self, path: Path) -> None:
        with pytest.raises(RunError, match="has no tickets"):
            read(path, "", " ")

    def test_a_file_that_cannot_be_read_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(RunError, match=r"Cannot read .*none\.jsonl: No such file or directory$"):
            read_tickets(tmp_path / "none.jsonl")
        (tmp_path / "latin1.jsonl").write_bytes(b'{"subject": "\xe9"}')
        with pytest.raises(RunError, match=r"Cannot read .*latin1\.jsonl: it is no UTF-8 text \("):
            read_tickets(tmp_path / "latin1.jsonl")

    def test_a_concept_without_a_phrase_says_so(self, path: Path) -> None:
        key = {"priority": "P1", "response_concepts": [["refund"], []]}
        with pytest.raises(RunError, match=r"line 1: .*response_concepts.*: must have at least one phrase"):
            read(path, {**LEAST, "answer_key": key})


class TestTaskFiles:
    def test_a_bundled_task_survives_the_way_through_a_file(self, tmp_path: Path) -> None:
        text = (
            'task_id = "t"\ntitle = "T"\ndifficulty = "easy"\ndescription = ""\ninstructions = "Go."\n'
            '[taxonomy]\nqueues = ["oven"]\n'
            '[[cases]]\nticket = { ticket_id = "A", subject = "s", body = "b" }\nanswer_key = { queue = "oven" }\n'
        )
        (tmp_path / "t.toml").write_text(text, encoding="utf-8")
        task = read_task(tmp_path / "t.toml")
        assert (task.taxonomy.queues, task.taxonomy.priorities) == (("oven",), ("P1", "P2", "P3", "P4"))
        assert b"oven" in encode(task)

    def test_a_wrong_one_names_file_and_place(self, tmp_path: Path) -> None:
        (tmp_path / "t.toml").write_text('task_id = "t"\ncases = [{}]\n', encoding="utf-8")
        with pytest.raises(RunError, match=r"^Task file t\.toml: .*cases\[0\]\.ticket: required, but missing"):
            read_task(tmp_path / "t.toml")
