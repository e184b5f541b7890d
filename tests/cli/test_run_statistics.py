"""What `supportbench run` says of its figures: intervals where the extra is there, what to install where it is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from supportbench import decode
from supportbench.evaluation.results import Results
from tests.cli.command import supportbench
from tests.installing import without_library


def tickets(folder: Path, number: int) -> Path:
    lines = [
        {
            "ticket_id": f"A-{n}",
            "subject": "s",
            "body": "b",
            "task_id": "mine",
            "answer_key": {"priority": f"P{n % 4 + 1}"},
        }
        for n in range(number)
    ]
    path = folder / "t.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_a_run_has_intervals_in_its_table_and_its_results(tmp_path: Path) -> None:
    path = tickets(tmp_path, 12)
    done = supportbench("run", "--agent", "random", "--tickets", path, "--out", "r", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    results = decode((tmp_path / "r/results.json").read_bytes(), Results)
    assert results.statistics is not None
    average, (task,) = results.statistics.average_score, results.statistics.tasks
    assert average is not None
    assert average.mean == pytest.approx(results.average_score)
    assert average == task.reward
    assert f"95% interval: {average.low:.2f}–{average.high:.2f} (12 tickets)" in done.stdout
    headers, row = (line for line in done.stdout.splitlines() if line.startswith((" task ", " mine")))
    assert headers.split()[:5] == ["task", "difficulty", "tickets", "score", "95%"]
    assert row.split()[4] == f"{average.low:.2f}–{average.high:.2f}"


def test_few_tickets_have_none_and_the_table_says_why(tmp_path: Path) -> None:
    done = supportbench("run", "--agent", "random", "--task", "easy_inbox_cleanup", cwd=tmp_path)
    assert "95% interval: none (fewer than 6 tickets)\n" in done.stdout
    assert "95% " not in done.stdout.partition("Average")[0]


@pytest.mark.parametrize("library", ["numpy", "scipy"])
def test_without_the_extra_a_run_says_what_to_install(tmp_path: Path, library: str) -> None:
    environ = without_library(tmp_path / "site", library)
    done = supportbench("run", "--out", "r", cwd=tmp_path, environ=environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Average score: 0.98\nIntervals, calibration and more: pip install 'supportbench[stats]'\n" in done.stdout
    written = json.loads((tmp_path / "r/results.json").read_text())
    assert written.pop("statistics") is None
    assert decode(json.dumps(written), Results).statistics is None  # as it was before there were any
