"""The speed table can still be made: the program runs, and refuses figures that would mean nothing. No time matters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.benchmarks.contenders import ROOT, BenchmarkError, Contender, Cores, ours
from tests.benchmarks.loads import Bench, Play
from tests.benchmarks.measured import Played
from tests.benchmarks.rows import Row
from tests.benchmarks.tables import BEGIN, END, PAGE, Figures, write_to_page
from tests.benchmarks.texts import actions, write_actions
from tests.server.serving import serving


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.benchmarks.serve", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_row_of_the_table_is_measured() -> None:
    ended = run("--rounds", "1", "--seconds", "1", "--only", "default-64", "--without", "stock", "tuned", "--json")
    assert ended.returncode == 0, ended.stderr
    rows = json.loads(ended.stdout)["rows"]
    assert [row["group"] for row in rows] == ["default-64"] * 3
    for row in rows:
        assert set(row["rounds"]) == {"supportbench", "echo"}
        assert all(value > 0 for values in row["rounds"].values() for value in values)
        assert set(row["quotients"]) == {"echo"}


def test_a_part_of_the_table_cannot_take_the_place_of_the_whole() -> None:
    ended = run("--only", "start", "--write")
    assert ended.returncode == 2
    assert "--write needs the whole table" in ended.stderr


def bench(folder: Path, action: dict[str, Any] | None = None) -> Bench:
    path = folder / "actions.jsonl"
    write_actions(path, 100)
    if action is not None:
        path.write_bytes(msgspec.json.encode(action) + b"\n")
    return Bench(folder=folder, actions=path, cores=Cores(), seconds=1.0, warmup=0.1)


def test_an_answer_that_is_an_error_makes_figures_void(tmp_path: Path) -> None:
    action = {**next(actions(1)), "priority": "P9"}
    with pytest.raises(BenchmarkError, match=r"(?s)supportbench: 2 errors; the first: .*P9"):
        Play(sessions=2).measure(bench(tmp_path, action), ours())


def test_a_server_that_does_not_start_is_shown_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"(?s)did not start:.*No such option"):
        Play(sessions=2).measure(bench(tmp_path), ours("--nonsense"))


def test_sessions_over_http_play_whole_episodes(tmp_path: Path) -> None:
    circumstances = bench(tmp_path)
    with serving() as served:
        load = ("tests.benchmarks.load", "http", served.url, "--sessions", "2", "--pid", str(os.getpid()))
        played = circumstances.ran(Played, None, *load, *circumstances.timing)
    assert played.errors == 0
    assert 0 < played.steps_per_s < played.requests_per_s


def test_no_text_is_met_twice() -> None:
    made = list(islice(actions(11), 5_000))
    assert len({action["summary"] for action in made}) == len({action["response"] for action in made}) == len(made)


def test_the_reference_takes_the_same_actions() -> None:
    from tests.benchmarks.reference import SupportAction, SupportEnvironment

    environment = SupportEnvironment()
    for action in islice(actions(3), 6):
        observation = environment.step(SupportAction(**action))
        assert 0.0 <= observation.reward <= 1.0
        if observation.done:
            assert environment.reset(seed=1).reward is None


def test_a_figure_is_a_median_and_a_quotient_one_of_figures_of_the_same_round() -> None:
    mine, theirs = ((Contender(name=name, arguments=(), requirement=""), Play(sessions=1)) for name in ("a", "b"))
    row = Row(
        group="g",
        title="t",
        figure=lambda value: value,
        sources={"supportbench": (mine,), "stock": (theirs,)},
        digits=1,
    )
    figures = Figures.of(row, {mine: [10.0, 40.0, 30.0], theirs: [5.0, 10.0, 30.0]})
    assert figures.cell("supportbench") == "30.0 [10.0 .. 40.0]"
    assert figures.quotient("stock") == 2.0
    assert figures.cell("echo") == "–"


def test_the_page_has_a_place_for_the_table(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    write_to_page("| one |", page)
    write_to_page("| two |", page)
    assert page.read_text(encoding="utf-8").count(f"{BEGIN}\n\n| two |\n\n{END}") == 1
    assert "| one |" not in page.read_text(encoding="utf-8")
