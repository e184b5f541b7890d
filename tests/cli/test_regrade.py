"""`supportbench regrade`: a stored run under other graders, without its agent."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from supportbench import Episode, decode
from tests.cli.command import shown_on_a_terminal, supportbench
from tests.installing import BrokenPlugin, write_wheel
from tests.timeless import timeless

MOODY = BrokenPlugin(
    name="moody",
    reason="",
    source='''
import asyncio
import os
from supportbench import ComponentScore, Rubric, RubricComponent, Usage, hookimpl

supportbench_api = 1
under_way = most = 0

class Moody:
    """Takes its time, counts who waits, and fails at the tickets that MOODY_AT names, with the key in its words."""
    name = "moody"
    async def score(self, submission):
        global under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.05)
        under_way -= 1
        if submission.case.ticket.ticket_id in os.environ.get("MOODY_AT", "").split(","):
            raise ValueError(f"it expects {submission.case.answer_key}")
        print("a grader's words")
        return ComponentScore(score=0.5, note=f"most {most}", details={"key": str(submission.case.answer_key)},
                              usage=Usage(calls=1, input_tokens=10, output_tokens=1))

@hookimpl
def supportbench_grading_components():
    yield Moody()

@hookimpl
def supportbench_rubrics():
    yield Rubric(name="moody", components=[RubricComponent(use="moody", weight=0.5),
                                           RubricComponent(use="priority", weight=0.5)])
''',
)
TASKS = ["easy_inbox_cleanup", "medium_sla_defense", "hard_exec_escalations"]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run in which a random agent played every task twice."""
    folder = tmp_path_factory.mktemp("played")
    asked = ("--agent", "random", "--repeats", "2", "--seed", "5", "--concurrency", "1")
    done = supportbench("run", *asked, "--out", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def run(played: Path, tmp_path: Path) -> Path:
    """A copy of that run, to be changed."""
    shutil.copytree(played / "run", tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def moody(tmp_path: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(write_wheel(tmp_path, MOODY))}


def journal(run: Path) -> list[Episode]:
    return [decode(line, Episode) for line in (run / "journal.jsonl").read_bytes().splitlines()]


def change_last(run: Path, **changes: Any) -> None:
    *lines, last = (run / "journal.jsonl").read_text().splitlines()
    (run / "journal.jsonl").write_text("\n".join([*lines, json.dumps({**json.loads(last), **changes})]) + "\n")


def break_off(run: Path) -> str:
    """Make the last episode of the run end in an error at its second ticket; return the ticket's id."""
    steps = json.loads((run / "journal.jsonl").read_text().splitlines()[-1])["steps"]
    steps[1].update(status="error", action=None, grade=None, error="the model was away")
    for step in steps[2:]:
        step.update(status="unreached", action=None, grade=None)
    change_last(run, steps=steps)
    return str(steps[1]["ticket_id"])


class TestTheReport:
    def test_has_what_the_same_actions_earned_and_earn(self, run: Path) -> None:
        done = supportbench("regrade", "run", "--rubric", "exact", "--json", cwd=run.parent)
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        results = json.loads((run / "results.json").read_text())
        assert report["score"]["old"] == pytest.approx(results["average_score"])
        again = json.loads(
            supportbench(
                *("run", "--agent", "random", "--repeats", "2", "--seed", "5", "--rubric", "exact", "--json"),
                cwd=run.parent,
            ).stdout
        )
        assert report["score"]["new"] == pytest.approx(again["average_score"])
        for task, then, now in zip(report["tasks"], results["tasks"], again["tasks"], strict=True):
            assert task["task_id"] == then["task_id"]
            assert (task["score"]["old"], task["score"]["new"]) == pytest.approx((then["score"], now["score"]))
            assert task["old_rubrics"] == [then["rubric"]]
            assert task["new_rubric"] == now["rubric"]
            assert (task["old_unsafe"], task["new_unsafe"]) == (then["unsafe_replies"], 0)
            assert set(task["components"]) == {"priority", "queue", "disposition"}
            for name, both in task["components"].items():
                assert (both["old"], both["new"]) == pytest.approx((then["components"][name],) * 2)

    def test_has_the_tickets_that_changed_most_first(self, run: Path) -> None:
        report = json.loads(supportbench("regrade", "run", "--rubric", "exact", "--json", cwd=run.parent).stdout)
        changes = [abs(ticket["reward"]["new"] - ticket["reward"]["old"]) for ticket in report["tickets"]]
        assert changes == sorted(changes, reverse=True)
        assert len(changes) == 9
        assert {ticket["reward"]["actions"] for ticket in report["tickets"]} == {2}

    def test_fits_a_terminal_of_80_columns(self, run: Path) -> None:
        done = supportbench("regrade", "run", "--rubric", "exact", cwd=run.parent)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert max(map(len, done.stdout.splitlines())) <= 80
        for expected in ("Then: 'default' (sha256:", "Now:  'exact' (sha256:", *TASKS, "unsafe then", "Average score"):
            assert expected in done.stdout

    def test_of_the_same_rubric_says_that_nothing_changed(self, run: Path) -> None:
        done = supportbench("regrade", "run", cwd=run.parent)
        assert done.returncode == 0, done.stderr
        assert "No reward changed." in done.stdout

    def test_takes_the_rubric_of_the_environment(self, run: Path) -> None:
        done = supportbench("regrade", "run", cwd=run.parent, environ={"SUPPORTBENCH_RUBRIC": "exact"})
        assert "Now:  'exact'" in done.stdout

    def test_of_a_recording_is_made_likewise(self, run: Path) -> None:
        recording = run.parent / "episodes"
        recording.mkdir()
        shutil.copy(run / "journal.jsonl", recording / "episodes-20260307T081530Z-7-aa-000001.jsonl")
        of_run, of_recording = (
            json.loads(supportbench("regrade", path, "--rubric", "exact", "--json", cwd=run.parent).stdout)
            for path in ("run", "episodes")
        )
        assert {**of_run, "source": ""} == {**of_recording, "source": ""}


class TestTheNewRun:
    def test_is_a_run_of_the_same_actions_with_its_origin(self, run: Path) -> None:
        done = supportbench("regrade", "run", "--rubric", "exact", "--out", "new", cwd=run.parent)
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith("Results: new\n")
        new = run.parent / "new"
        assert sorted(path.name for path in new.iterdir()) == ["journal.jsonl", "results.json", "run.json"]
        then, now = (json.loads((folder / "run.json").read_text()) for folder in (run, new))
        assert now["origin"] == {"run_id": then["run_id"], "created_at": then["created_at"], "path": "run"}
        assert now["run_id"] != then["run_id"]
        same = ("schema", "agent", "agent_version", "agent_options", "seed", "repeats", "limit", "feedback", "executor")
        assert [now[key] for key in same] == [then[key] for key in same]
        assert {task["rubric"]["name"] for task in now["tasks"]} == {"exact"}
        for before, after in zip(journal(run), journal(new), strict=True):
            assert [step.action for step in before.steps] == [step.action for step in after.steps]
            assert after.rubric.name == "exact"

    def test_has_the_results_of_a_run_with_that_rubric(self, run: Path) -> None:
        supportbench("regrade", "run", "--rubric", "exact", "--out", "new", cwd=run.parent)
        supportbench(
            *("run", "--agent", "random", "--repeats", "2", "--seed", "5", "--rubric", "exact", "--out", "fresh"),
            cwd=run.parent,
        )
        assert timeless(run.parent / "new") == timeless(run.parent / "fresh")

    def test_can_be_graded_and_graded_again(self, run: Path) -> None:
        supportbench("regrade", "run", "--rubric", "exact", "--out", "new", cwd=run.parent)
        graded = supportbench("grade", "new", "--rubric", "exact", cwd=run.parent)
        assert "18 rewards are as recorded" in graded.stdout
        back = supportbench("regrade", "new", "--rubric", "default", "--out", "newer", cwd=run.parent)
        assert back.returncode == 0, back.stderr
        assert journal(run.parent / "newer") == journal(run)

    @pytest.mark.parametrize("out", ["run", "taken"])
    def test_never_takes_the_place_of_anything(self, run: Path, out: str) -> None:
        (run.parent / "taken").mkdir()
        (run.parent / "taken" / "thesis.tex").write_text("years of work")
        before = (run / "journal.jsonl").read_bytes()
        done = supportbench("regrade", "run", "--rubric", "exact", "--out", out, cwd=run.parent)
        assert done.returncode == 2
        assert f"{out} is not empty. Name another folder with --out" in done.stderr
        assert (run / "journal.jsonl").read_bytes() == before

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (None, "has no run.json: it is no run's folder"),
            ("{", "Cannot read run/run.json: no valid JSON"),
            ('{"schema": "supportbench.run/9"}', "Cannot read run/run.json: "),
        ],
    )
    def test_is_made_of_a_run_alone(self, run: Path, content: str | None, message: str) -> None:
        (run / "run.json").unlink()
        if content is not None:
            (run / "run.json").write_text(content)
        done = supportbench("regrade", "run", "--rubric", "exact", "--out", "new", cwd=run.parent)
        assert done.returncode == 2
        assert message in done.stderr
        assert not (run.parent / "new").exists()


class TestWhatHadNoGrade:
    def test_is_kept_as_it_was(self, run: Path) -> None:
        ticket = break_off(run)
        done = supportbench("regrade", "run", "--rubric", "exact", "--out", "new", cwd=run.parent)
        assert done.returncode == 0, done.stderr
        assert "tickets have no recorded grade, after an error: left as they are" in done.stderr
        before, after = (journal(folder)[-1] for folder in (run, run.parent / "new"))
        assert before.steps[1:] == after.steps[1:]
        assert after.steps[1].ticket_id == ticket
        results = json.loads((run.parent / "new/results.json").read_text())
        assert results["error_count"] == 1
        assert results["unreached_count"] == len(after.steps) - 2


class TestAGraderThatFails:
    def test_leaves_its_tickets_unscored_and_counted(self, run: Path, moody: dict[str, str]) -> None:
        environ = {**moody, "MOODY_AT": "EXE-4410,INB-2041"}
        done = supportbench(
            "regrade", "run", "--rubric", "moody", "--out", "new", "--json", cwd=run.parent, environ=environ
        )
        assert done.returncode == 1, done.stderr
        report = json.loads(done.stdout)
        assert [ticket["ticket_id"] for ticket in report["unscored"]].count("EXE-4410") == 2
        assert len(report["unscored"]) == 4
        assert "component 'moody' of plugin 'moody' failed at ticket 'EXE-4410'" in report["unscored"][-1]["error"]
        assert sum(task["score"]["actions"] for task in report["tasks"]) == 14
        assert [task["unscored"] for task in report["tasks"]] == [2, 0, 2]
        assert "4 tickets are unscored" in done.stderr
        assert report["judge_usage"]["calls"] == 14
        results = json.loads((run.parent / "new/results.json").read_text())
        assert (results["error_count"], results["unreached_count"]) == (4, 0)
        assert sum(len(task["rewards"]) for task in results["tasks"]) == 14
        assert min(reward for task in results["tasks"] for reward in task["rewards"]) > 0

    def test_can_be_asked_again_for_what_it_left_unscored(self, run: Path, moody: dict[str, str]) -> None:
        asked = ("regrade", "--rubric", "moody", "--json")
        environ = {**moody, "MOODY_AT": "EXE-4410"}
        first = supportbench(*asked, "run", "--out", "first", cwd=run.parent, environ=environ)
        assert first.returncode == 1, first.stderr
        second = supportbench(*asked, "first", "--out", "second", cwd=run.parent, environ=moody)
        assert second.returncode == 0, second.stderr
        assert "2 tickets have a reward now, whose grading had failed; not compared" in second.stderr
        report = json.loads(second.stdout)
        assert [task["scored_anew"] for task in report["tasks"]] == [0, 0, 2]
        assert sum(task["score"]["actions"] for task in report["tasks"]) == 16
        supportbench(*asked, "run", "--out", "whole", cwd=run.parent, environ=moody)
        whole = [[step.grade and step.grade.reward for step in e.steps] for e in journal(run.parent / "whole")]
        assert [[step.grade and step.grade.reward for step in e.steps] for e in journal(run.parent / "second")] == whole

    def test_is_no_end_where_it_fails_at_all_of_them(self, run: Path, moody: dict[str, str]) -> None:
        tickets = {step.ticket_id for episode in journal(run) for step in episode.steps}
        environ = {**moody, "MOODY_AT": ",".join(tickets)}
        done = supportbench("regrade", "run", "--rubric", "moody", cwd=run.parent, environ=environ)
        assert done.returncode == 1, done.stderr
        assert "18 tickets are unscored" in done.stderr
        assert "… and 8 more" in done.stderr

    @pytest.mark.parametrize("arguments", [["run"], ["--actions", "a.jsonl", "--task", "easy_inbox_cleanup"]])
    def test_costs_grade_no_other_grade(self, run: Path, moody: dict[str, str], arguments: list[str]) -> None:
        lines = []
        for ticket_id in ("INB-2041", "INB-2058"):
            action = {"ticket_id": ticket_id, "priority": "P1", "queue": "billing", "disposition": "respond"}
            lines.append(json.dumps({**action, "summary": "", "response": "", "confidence": 1}))
        (run.parent / "a.jsonl").write_text("\n".join(lines))
        done = supportbench(
            *("grade", *arguments, "--rubric", "moody", "--json"),
            cwd=run.parent,
            environ={**moody, "MOODY_AT": "INB-2041"},
        )
        assert done.returncode == 1
        assert "INB-2041" not in done.stdout
        assert "INB-2058" in done.stdout
        assert "failed at ticket 'INB-2041'" in done.stderr

    def test_tells_nothing_of_the_key(self, run: Path, moody: dict[str, str]) -> None:
        environ = {**moody, "MOODY_AT": "EXE-4410"}
        done = supportbench("regrade", "run", "--rubric", "moody", "--out", "new", cwd=run.parent, environ=environ)
        written = "".join(path.read_text() for path in (run.parent / "new").iterdir())
        assert "AnswerKey" not in done.stdout + done.stderr + written
        assert "details" not in written


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_grader_that_waits_has_so_many_tickets_at_once(run: Path, moody: dict[str, str], concurrency: int) -> None:
    done = supportbench(
        *("regrade", "run", "--rubric", "moody", "--concurrency", str(concurrency), "--out", "new", "--json"),
        cwd=run.parent,
        environ=moody,
    )
    assert done.returncode == 0, done.stderr
    assert "a grader's words" in done.stderr
    notes = {
        step.grade.components["moody"].note
        for episode in journal(run.parent / "new")
        for step in episode.steps
        if step.grade
    }
    assert max(int(note.split()[1]) for note in notes) == concurrency
    assert [episode.episode_id for episode in journal(run.parent / "new")] == [e.episode_id for e in journal(run)]


class TestWhatCannotBeGradedAgain:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            (
                {"task_fingerprint": "sha256:0123"},
                "is not what it was when it was played. Its fingerprint then: sha256:0123",
            ),
            ({"task_fingerprint": "remote"}, "was played on a server, which does not tell what is in its tasks"),
            ({"index": 7}, "has no index 7. Allowed: from 0 to 2"),
            ({"provider": "file"}, "Its tickets came from a file: give it with --tickets."),
            ({"steps": 5}, "steps: expected a list, got a number"),
        ],
    )
    def test_is_refused_with_its_line_before_anything_is_written(
        self, run: Path, changes: dict[str, Any], message: str
    ) -> None:
        change_last(run, **changes)
        done = supportbench("regrade", "run", "--rubric", "exact", "--out", "new", cwd=run.parent)
        assert done.returncode == 2
        assert message in done.stderr
        assert "journal.jsonl, line 6: " in done.stderr
        assert done.stdout == ""
        assert not (run.parent / "new").exists()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["nowhere"], "'nowhere' does not exist"),
            (["run", "--rubric", "exat"], "Did you mean 'exact'?"),
            (["run", "--concurrency", "0"], "not in the range"),
            (["."], "has no graded actions: it is neither a run's folder"),
            (
                ["run", "--tickets", "t.jsonl"],
                "No episode of run was played on a file of tickets: leave --tickets out.",
            ),
        ],
    )
    def test_wrong_usage_is_refused(self, run: Path, arguments: list[str], message: str) -> None:
        ticket = {"ticket_id": "A", "subject": "s", "body": "b", "answer_key": {"priority": "P1"}}
        (run.parent / "t.jsonl").write_text(json.dumps(ticket))
        done = supportbench("regrade", *arguments, cwd=run.parent)
        assert done.returncode == 2
        assert message in done.stderr

    def test_may_be_a_run_on_tickets_of_ones_own_whose_file_is_given(self, tmp_path: Path) -> None:
        ticket = {"ticket_id": "A", "subject": "s", "body": "b", "answer_key": {"priority": "P1", "queue": "billing"}}
        (tmp_path / "t.jsonl").write_text(json.dumps(ticket))
        supportbench("run", "--tickets", "t.jsonl", "--agent", "random", "--out", "run", cwd=tmp_path)
        assert supportbench("regrade", "run", "--rubric", "exact", cwd=tmp_path).returncode == 2
        done = supportbench("regrade", "run", "--rubric", "exact", "--tickets", "t.jsonl", cwd=tmp_path)
        assert done.returncode == 0, done.stderr


def test_a_terminal_gets_a_progress_bar(run: Path) -> None:
    shown = shown_on_a_terminal("regrade", "run", "--rubric", "exact", cwd=run.parent)
    assert b"grading" in shown
    assert b"18/18" in shown
