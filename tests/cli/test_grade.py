"""`supportbench grade`: logged actions in, grades out; recorded ones in, what became of their rewards out."""

from __future__ import annotations

import json
import shutil
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


def test_a_reply_that_is_unsafe_twice_is_one_unsafe_reply(folder: Path) -> None:
    twice = "A guaranteed refund comes, a guaranteed refund."
    (folder / "actions.jsonl").write_text(json.dumps({**ACTION, "response": twice}))
    done = supportbench("grade", "--tickets", "tickets.jsonl", "--actions", "actions.jsonl", cwd=folder)
    (row,) = [line.split() for line in done.stdout.splitlines() if "A-1" in line]
    assert row[-1] == "1"
    assert "Mean reward of 1 action: " in done.stdout


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Give either --actions FILE or a RECORDING"),
        (["actions.jsonl", "--actions", "actions.jsonl"], "Give either --actions FILE or a RECORDING"),
        (["actions.jsonl", "--task", "x"], "leave --task and --provider out"),
        (["nowhere"], "'nowhere' does not exist"),
        (["actions.jsonl"], "Is it a file of actions? They are graded with --actions actions.jsonl"),
    ],
)
def test_it_is_told_which_of_its_two_ways_is_meant(folder: Path, arguments: list[str], message: str) -> None:
    done = supportbench("grade", *arguments, cwd=folder)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())


def test_either_a_task_or_tickets(folder: Path) -> None:
    done = supportbench("grade", "--actions", "actions.jsonl", cwd=folder)
    assert done.returncode == 2
    assert "Give either --task ID or --tickets FILE" in done.stderr


def test_an_answer_key_is_never_printed(folder: Path) -> None:
    done = supportbench("grade", "--tickets", "tickets.jsonl", "--actions", "actions.jsonl", "--json", cwd=folder)
    assert "invoice" not in done.stdout + done.stderr


# -- recordings ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run in which every built-in task was played once."""
    folder = tmp_path_factory.mktemp("played")
    done = supportbench("run", "--agent", "heuristic", "--concurrency", "1", "--out", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def recording(played: Path, tmp_path: Path) -> Path:
    """A server's recording of that: two files with the same three episodes, among them one of two tickets."""
    made = tmp_path / "episodes"
    made.mkdir()
    for number in (1, 2):
        shutil.copy(played / "run" / "journal.jsonl", made / f"episodes-20260307T081530Z-7-aa-{number:06}.jsonl")
    return made


def change(recording: Path, **changes: Any) -> None:
    """Change the last episode of the recording's last file."""
    file = max(recording.iterdir())
    *lines, last = file.read_text().splitlines()
    file.write_text("\n".join([*lines, json.dumps({**json.loads(last), **changes})]) + "\n")


def last_steps(recording: Path) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = json.loads(max(recording.iterdir()).read_text().splitlines()[-1])["steps"]
    return steps


class TestARecording:
    def test_of_a_run_gets_the_rewards_that_it_got(self, played: Path) -> None:
        done = supportbench("grade", "run", cwd=played)
        assert done.returncode == 0, done.stderr
        assert "9 rewards are as recorded. Mean: 0.98" in done.stdout
        assert done.stderr == ""

    def test_of_a_server_is_shown_by_ticket(self, recording: Path) -> None:
        done = supportbench("grade", recording, cwd=recording.parent)
        assert done.returncode == 0, done.stderr
        rows = [line.split() for line in done.stdout.splitlines() if "_" in line]
        assert len(rows) == 9
        assert "3 episodes have the id of an earlier one, counted all the same: were files copied?" in done.stderr
        assert ["easy_inbox_cleanup", "INB-2041", "2", "1.00", "1.00", "0"] in rows
        assert "18 rewards are as recorded" in done.stdout

    def test_with_json_has_an_action_a_line(self, recording: Path) -> None:
        done = supportbench("grade", recording, "--json", cwd=recording.parent)
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(lines) == 18
        assert all(set(line) == {"episode_id", "task_id", "recorded_reward", "grade"} for line in lines)
        assert all(decode(json.dumps(line["grade"]), Grade).reward == line["recorded_reward"] for line in lines)

    @pytest.mark.parametrize("options", [[], ["--json"], ["--rubric", "default"]])
    def test_whose_reward_differs_is_answered_with_1(self, recording: Path, options: list[str]) -> None:
        steps = last_steps(recording)
        steps[0]["grade"]["reward"] -= 1e-3
        change(recording, steps=steps)
        done = supportbench("grade", recording, *options, cwd=recording.parent)
        assert done.returncode == 1, done.stderr
        if "--json" not in options:
            assert "1 of 18 rewards differ. Mean: 0.97957407 recorded, 0.97962963 now" in done.stdout
            (row,) = [line.split() for line in done.stdout.splitlines() if line.strip().endswith(" 1")]
            assert row[2:] == ["2", "0.9662", "0.9667", "1"]

    def test_under_another_rubric_is_compared_and_may_differ(self, recording: Path) -> None:
        done = supportbench("grade", recording, "--rubric", "exact", cwd=recording.parent)
        assert done.returncode == 0, done.stderr
        assert "of 18 rewards differ. Mean: 0.98 recorded, 1.00 now" in done.stdout
        assert "6 episodes were recorded with rubric 'default' (sha256:" in done.stderr
        assert "…); now 'exact' (sha256:" in done.stderr

    def test_is_not_excused_by_a_rubric_that_only_the_environment_names(self, recording: Path) -> None:
        done = supportbench("grade", recording, cwd=recording.parent, environ={"SUPPORTBENCH_RUBRIC": "exact"})
        assert done.returncode == 1, done.stderr
        assert "of 18 rewards differ. Mean: 0.98 recorded, 1.00 now" in done.stdout

    def test_of_a_task_that_has_changed_is_refused_before_anything_is_graded(self, recording: Path) -> None:
        change(recording, task_fingerprint="sha256:0123")
        done = supportbench("grade", recording, "--json", cwd=recording.parent)
        assert done.returncode == 2
        assert done.stdout == ""
        assert "-000002.jsonl, line 3: task '" in done.stderr
        assert "is not what it was when it was played" in done.stderr
        assert "Its fingerprint then: sha256:0123, and now: sha256:" in done.stderr

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"provider": "traige"}, "that was played is not there. There is no task provider 'traige'. Did you mean"),
            ({"split": "dev"}, "that was played is not there. Provider 'triage' has no split 'dev'"),
            ({"index": 7}, "has no index 7. Allowed: from 0 to 2"),
            ({"schema": "supportbench.episode/9"}, "line 3: schema: not one of the allowed values"),
        ],
    )
    def test_that_does_not_fit_what_is_installed_is_refused(
        self, recording: Path, changes: Mapping[str, Any], message: str
    ) -> None:
        change(recording, **changes)
        done = supportbench("grade", recording, cwd=recording.parent)
        assert done.returncode == 2
        assert message in done.stderr
        assert "-000002.jsonl, line 3: " in done.stderr

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"grade": {"ticket_id": "A-1", "reward": 7.0, "components": {}}}, "has the reward 7.0, outside [0, 1]"),
            ({"ticket_id": "X-1"}, "ticket 'X-1' cannot have been graded: there is no such ticket in the task"),
            ({"action": None}, "cannot have been graded: its action or grade is missing"),
            ({"grade": None}, "cannot have been graded: its action or grade is missing"),
        ],
    )
    def test_with_an_impossible_step_is_refused(
        self, recording: Path, changes: Mapping[str, Any], message: str
    ) -> None:
        steps = last_steps(recording)
        steps[0].update(changes)
        change(recording, steps=steps)
        done = supportbench("grade", recording, cwd=recording.parent)
        assert done.returncode == 2
        assert message in done.stderr

    def test_with_an_action_that_is_not_allowed_is_refused(self, recording: Path) -> None:
        steps = last_steps(recording)
        steps[1]["action"]["queue"] = "sales"
        change(recording, steps=steps)
        done = supportbench("grade", recording, cwd=recording.parent)
        assert done.returncode == 2
        assert "queue: 'sales' is not allowed in this task" in done.stderr

    def test_leaves_out_what_was_never_graded_and_says_so(self, recording: Path) -> None:
        steps = last_steps(recording)
        steps[-1].update(status="error", grade=None, error="the model was away")
        change(recording, steps=steps)
        done = supportbench("grade", recording, cwd=recording.parent)
        assert done.returncode == 0, done.stderr
        assert "1 ticket has no recorded grade, after an error: left out" in done.stderr
        assert "17 rewards are as recorded" in done.stdout

    def test_that_a_crash_has_torn_is_graded_as_far_as_it_goes(self, recording: Path) -> None:
        file = max(recording.iterdir())
        file.write_bytes(file.read_bytes()[:-100])
        done = supportbench("grade", recording, cwd=recording.parent)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("1 of 2 files of ") == 1
        assert "rewards are as recorded" in done.stdout

    def test_without_a_graded_action_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        done = supportbench("grade", "empty", cwd=tmp_path)
        assert done.returncode == 2
        assert "empty has no graded actions: it is neither a run's folder, with a journal.jsonl, nor" in done.stderr

    def test_of_tickets_of_ones_own_needs_them(self, folder: Path) -> None:
        done = supportbench("run", "--tickets", "tickets.jsonl", "--agent", "heuristic", "--out", "run", cwd=folder)
        assert done.returncode == 0, done.stderr
        without = supportbench("grade", "run", cwd=folder)
        assert without.returncode == 2
        assert "There is no task provider 'file'" in without.stderr
        assert "--tickets" in without.stderr
        done = supportbench("grade", "run", "--tickets", "tickets.jsonl", cwd=folder)
        assert done.returncode == 0, done.stderr
        assert "1 reward is as recorded" in done.stdout

    def test_shows_nothing_of_the_answer_keys(self, folder: Path) -> None:
        supportbench("run", "--tickets", "tickets.jsonl", "--agent", "heuristic", "--out", "run", cwd=folder)
        done = supportbench("grade", "run", "--tickets", "tickets.jsonl", "--json", cwd=folder)
        assert done.returncode == 0, done.stderr
        assert "guaranteed refund" not in done.stdout + done.stderr
        assert "details" not in done.stdout
