"""`supportbench compare`: runs beside the first one; what is refused, and what fails."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from supportbench import decode
from supportbench.evaluation.statistics.comparison import CompareReport
from tests.cli.command import supportbench
from tests.installing import without_library


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs of two agents, one of them with two seeds, and one graded by another rubric."""
    folder = tmp_path_factory.mktemp("played")
    for name, arguments in {
        "good": ("--agent", "heuristic"),
        "bad": ("--agent", "random", "--seed", "1"),
        "worse": ("--agent", "random", "--seed", "2"),
    }.items():
        assert supportbench("run", *arguments, "--out", name, cwd=folder).returncode == 0
    assert supportbench("regrade", "good", "--rubric", "exact", "--out", "exact", cwd=folder).returncode == 0
    return folder


@pytest.fixture
def runs(played: Path, tmp_path: Path) -> Path:
    """Copies of them that a test may change."""
    shutil.copytree(played, tmp_path / "runs")
    return tmp_path / "runs"


def report_of(*arguments: str, cwd: Path) -> CompareReport:
    done = supportbench("compare", *arguments, "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return decode(done.stdout, CompareReport)


def change_tasks(run: Path, changes: Mapping[str, Any]) -> None:
    data = json.loads((run / "run.json").read_text())
    data["tasks"] = [{**task, **changes} for task in data["tasks"]]
    (run / "run.json").write_text(json.dumps(data))


class TestTwoRuns:
    def test_stand_beside_each_other_in_eighty_columns(self, played: Path) -> None:
        done = supportbench("compare", "good", "bad", cwd=played)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("first: good (heuristic)")
        assert "9 pairs of replies to 9 tickets.\n" in done.stdout
        assert " 0.004         0/0/9" in done.stdout
        assert "9 tickets that flipped" in done.stdout
        assert all(len(line.rstrip()) <= 80 for line in done.stdout.splitlines())

    def test_are_told_as_json_with_the_means_of_their_results(self, played: Path) -> None:
        report = report_of("good", "bad", cwd=played)
        (found,) = report.comparisons
        good, bad = (json.loads((played / name / "results.json").read_text()) for name in ("good", "bad"))
        assert found.first_mean == pytest.approx(good["average_score"])
        assert found.mean == pytest.approx(bad["average_score"])
        assert found.p_value == found.p_holm == pytest.approx(2 / 2**9)
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.difference < found.high < 0
        assert len(found.flips) == found.losses == 9
        assert [run.run for run in report.runs] == ["good", "bad"]
        assert (report.forced, report.differences, report.worse) == (False, (), ())

    def test_say_which_of_them_has_not_ended(self, runs: Path) -> None:
        first, *others = (runs / "bad/journal.jsonl").read_text().splitlines(keepends=True)
        (runs / "bad/journal.jsonl").write_text(first)
        assert [run.unplayed for run in report_of("good", "bad", cwd=runs).runs] == [0, len(others)]
        told = supportbench("compare", "good", "bad", cwd=runs).stdout
        assert told.startswith("bad has not ended: 2 episodes of it were not played yet; they are left out.\n")

    def test_leave_out_what_one_of_them_lacks(self, runs: Path) -> None:
        lines = [json.loads(line) for line in (runs / "bad/journal.jsonl").read_text().splitlines()]
        gone = lines.pop(0)
        step = lines[0]["steps"][-1]
        step.update(status="error", action=None, grade=None, error="no answer", error_kind="agent")
        (runs / "bad/journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        done = supportbench("compare", "good", "bad", cwd=runs)
        left_out = len(gone["steps"]) + 1
        assert "bad: 1 ticket ended in an error and 0 were not reached; they are left out.\n" in done.stdout
        assert f"{9 - left_out} pairs of replies" in done.stdout
        told = f"{left_out} left out: {len(gone['steps'])} only in the first, 1 without a grade in one of them.\n"
        assert told in done.stdout

    @pytest.mark.parametrize(
        ("pair", "limit", "code"),
        [(("good", "bad"), "0.02", 1), (("good", "bad"), "1", 0), (("bad", "good"), "0", 0), (("bad", "bad"), "0", 0)],
    )
    def test_fail_where_the_second_is_worse_by_more_than_allowed(
        self, played: Path, pair: tuple[str, str], limit: str, code: int
    ) -> None:
        done = supportbench("compare", *pair, "--fail-if-worse-by", limit, cwd=played)
        assert done.returncode == code
        assert ("--fail-if-worse-by 0.02: bad is worse by 0." in done.stderr) is (code == 1)


def test_a_run_that_lacks_tickets_fails_where_being_worse_would(runs: Path) -> None:
    """It might lack just those that it would have failed."""
    journal = runs / "good/journal.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:1]))
    done = supportbench("compare", "bad", "good", cwd=runs)
    assert (done.returncode, done.stderr) == (0, "")
    gate = supportbench("compare", "bad", "good", "--fail-if-worse-by", "0.02", cwd=runs)
    assert (gate.returncode, gate.stderr) == (
        1,
        "--fail-if-worse-by: good has no grade for tickets that bad has\n",
    )


def test_several_runs_are_corrected_for_their_number(played: Path) -> None:
    done = supportbench("compare", "good", "bad", "worse", cwd=played)
    assert "p (Holm)" in done.stdout
    assert done.stdout.count(" 0.008         0/0/9") == 2
    assert "bad: 9 pairs of replies to 9 tickets.\n" in done.stdout
    failing = supportbench("compare", "good", "bad", "good", "worse", "--fail-if-worse-by", "0.1", cwd=played)
    assert failing.returncode == 1
    assert [line.split()[2] for line in failing.stderr.splitlines()] == ["bad", "worse"]


class TestRunsThatDoNotCompare:
    def test_are_refused_by_name_unless_forced(self, played: Path) -> None:
        done = supportbench("compare", "good", "exact", cwd=played)
        assert done.returncode == 2
        assert "Error: exact does not compare with good: " in done.stderr
        assert "task 'easy_inbox_cleanup' is graded by rubric 'default' and by 'exact'" in done.stderr
        assert done.stdout == ""
        forced = supportbench("compare", "good", "exact", "--force", cwd=played)
        assert forced.returncode == 0, forced.stderr
        assert forced.stdout.startswith("Compared by --force, though they are not the same:\n  exact: task 'easy_")
        report = report_of("good", "exact", "--force", cwd=played)
        assert report.forced
        assert len(report.differences) == 3

    def test_are_those_of_another_task(self, runs: Path) -> None:
        change_tasks(runs / "bad", {"fingerprint": "sha256:0123"})
        done = supportbench("compare", "good", "bad", cwd=runs)
        assert done.returncode == 2
        assert "task 'medium_sla_defense' is not the same task" in done.stderr

    def test_are_all_that_were_played_on_a_server(self, runs: Path) -> None:
        remote = {"name": "remote", "fingerprint": "remote"}
        change_tasks(runs / "bad", {"fingerprint": "remote", "rubric": remote})
        done = supportbench("compare", "bad", "bad", cwd=runs)
        assert done.returncode == 2
        assert "was played on a server" in done.stderr

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["good"], "Name two runs at least."),
            (["good", "nowhere"], "'nowhere' does not exist"),
            (["good", "."], "has no run.json: it is no run's folder"),
            (["good", "bad", "--fail-if-worse-by", "-1"], "not in the range"),
            (["good", "bad", "--fail-if-worse-by", "nan"], "nan is no number"),
        ],
    )
    def test_nor_does_what_is_no_run(self, played: Path, arguments: list[str], message: str) -> None:
        done = supportbench("compare", *arguments, cwd=played)
        assert (done.returncode, done.stdout) == (2, "")
        assert message in done.stderr

    def test_nor_do_runs_without_a_ticket_in_common(self, runs: Path) -> None:
        (runs / "bad/journal.jsonl").write_text("")
        done = supportbench("compare", "good", "bad", cwd=runs)
        assert done.returncode == 2
        assert "bad and good have no graded ticket in common" in done.stderr
        (runs / "bad/journal.jsonl").unlink()
        assert "Cannot read bad/journal.jsonl: No such file" in supportbench("compare", "good", "bad", cwd=runs).stderr


def test_without_the_extra_it_says_what_to_install(played: Path, tmp_path: Path) -> None:
    done = supportbench("compare", "good", "bad", cwd=played, environ=without_library(tmp_path / "site", "scipy"))
    assert done.returncode == 2
    assert "compare needs supportbench[stats]: pip install 'supportbench[stats]' (no scipy here)" in done.stderr
