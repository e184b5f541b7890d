"""Runs that survive: killed, interrupted, out of disk, with errors; they go on and come to the same results."""

from __future__ import annotations

import json
import random
import resource
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.cli.command import supportbench
from tests.cli.interrupting import AGENTS, AT_ONCE, EPISODES, PATIENT, Running, killed_and_resumed, lines_of
from tests.installing import installed_module
from tests.timeless import timeless


@pytest.fixture
def environ(tmp_path: Path) -> Mapping[str, str]:
    return installed_module(tmp_path / "site", "patient_agent", AGENTS)


@pytest.fixture
def started(tmp_path: Path, environ: Mapping[str, str]) -> Iterator[Running]:
    slowly = ("--agent-option", "pause_ms=60")
    running = Running(*PATIENT, *slowly, "--out", "r", cwd=tmp_path, environ=environ)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.communicate()


def test_a_run_that_is_killed_at_any_moment_comes_to_the_same_results(
    tmp_path: Path, environ: Mapping[str, str]
) -> None:
    whole = supportbench(*PATIENT, "--out", "whole", cwd=tmp_path, environ=environ)
    assert whole.returncode == 0, whole.stderr
    killed_and_resumed(tmp_path, environ, 5, random.Random(7))  # noqa: S311 - moments, no secrets
    assert timeless(tmp_path / "r") == timeless(tmp_path / "whole")
    places = [(line["task_id"], line["repeat"]) for line in lines_of(tmp_path / "r")]
    assert len(places) == len(set(places)) == EPISODES


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_in_good_order_and_says_how_to_go_on(
    tmp_path: Path, environ: Mapping[str, str], started: Running, number: int, code: int
) -> None:
    started.wait_for(5)
    ended, told = started.end_by(number)
    assert ended == code
    last = told.splitlines()[-1]
    assert last.startswith(f"The run was interrupted by {signal.Signals(number).name}. Finished episodes are kept.")
    assert last.endswith("Go on: supportbench run --resume r")
    kept = len(lines_of(tmp_path / "r"))
    assert 5 <= kept < EPISODES
    resumed = supportbench("run", "--resume", "r", cwd=tmp_path, environ=environ)
    assert resumed.returncode == 0
    assert resumed.stderr.splitlines()[0] == f"{EPISODES - kept} episodes of {EPISODES} left to play."
    assert len(lines_of(tmp_path / "r")) == EPISODES


def test_a_second_process_on_the_same_folder_is_refused_as_long_as_the_first_lives(
    tmp_path: Path, environ: Mapping[str, str], started: Running
) -> None:
    started.wait_for(1)
    refused = supportbench("run", "--resume", "r", cwd=tmp_path, environ=environ)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "r is being written by another process" in refused.stderr
    started.end_by(signal.SIGKILL)
    assert supportbench("run", "--resume", "r", cwd=tmp_path, environ=environ).returncode == 0


def test_nothing_that_is_in_the_journal_is_asked_again(tmp_path: Path, environ: Mapping[str, str]) -> None:
    arguments = ("run", *AT_ONCE, "--repeats", "2", "--out", "r")
    assert supportbench(*arguments, cwd=tmp_path, environ=environ).returncode == 0
    results, asked = timeless(tmp_path / "r"), (tmp_path / "asked.log").read_text()
    again = supportbench("run", "--resume", "r", cwd=tmp_path, environ=environ)
    assert again.stderr.splitlines()[0] == "0 episodes of 6 left to play."
    assert (tmp_path / "asked.log").read_text() == asked
    assert timeless(tmp_path / "r") == results


@pytest.mark.parametrize("torn", [b'{"schema": "supportbench.episode/1", "epis', b"\0" * 4096, b"}"])
def test_a_torn_last_line_is_dropped_and_its_episode_played(
    tmp_path: Path, environ: Mapping[str, str], torn: bytes
) -> None:
    arguments = ("run", *AT_ONCE, "--out", "r", "--concurrency", "1")
    assert supportbench(*arguments, cwd=tmp_path, environ=environ).returncode == 0
    results = timeless(tmp_path / "r")
    journal = tmp_path / "r/journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:2]) + torn)
    resumed = supportbench("run", "--resume", "r", cwd=tmp_path, environ=environ)
    assert resumed.returncode == 0, resumed.stderr
    assert f"The last line of journal.jsonl was torn, and is dropped ({len(torn)} byte" in resumed.stderr
    assert timeless(tmp_path / "r") == results
    assert len(lines_of(tmp_path / "r")) == 3


@pytest.mark.parametrize("left", [b"\n", b"\0" * 512 + b"\n"])
def test_a_blank_line_that_a_machine_has_left_is_passed_over(
    tmp_path: Path, environ: Mapping[str, str], left: bytes
) -> None:
    run = ("run", "--agent", "random", "--repeats", "2", "--out", "r")
    assert supportbench(*run, cwd=tmp_path, environ=environ).returncode == 0
    journal = tmp_path / "r/journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:4]) + left)
    resumed = supportbench("run", "--resume", "r", cwd=tmp_path, environ=environ)
    assert resumed.returncode == 0, resumed.stderr
    assert len([line for line in journal.read_bytes().splitlines() if line.strip(b"\0")]) == len(lines)


def test_a_run_that_ended_before_it_had_begun_is_begun_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r/journal.jsonl").touch()
    done = supportbench("run", "--agent", "random", "--out", "r", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_last_line_that_lacks_its_end_alone_is_kept(tmp_path: Path, environ: Mapping[str, str]) -> None:
    assert supportbench("run", *AT_ONCE, "--out", "r", cwd=tmp_path, environ=environ).returncode == 0
    journal = tmp_path / "r/journal.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-1])
    resumed = supportbench("run", "--resume", "r", cwd=tmp_path, environ=environ)
    assert (resumed.returncode, resumed.stderr.splitlines()[0]) == (0, "0 episodes of 3 left to play.")
    assert journal.read_bytes() == whole


def test_a_line_that_is_damaged_in_the_middle_is_named_and_nothing_is_played(
    tmp_path: Path, environ: Mapping[str, str]
) -> None:
    assert supportbench("run", *AT_ONCE, "--out", "r", cwd=tmp_path, environ=environ).returncode == 0
    journal = tmp_path / "r/journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    damaged = lines[0] + lines[1][:40] + b"\n" + lines[2]
    journal.write_bytes(damaged)
    refused = supportbench("run", "--resume", "r", cwd=tmp_path, environ=environ)
    assert refused.returncode == 2
    assert "journal.jsonl, line 2: " in refused.stderr
    assert journal.read_bytes() == damaged


def test_errors_are_played_again_when_that_is_asked_for(tmp_path: Path, environ: Mapping[str, str]) -> None:
    whole = supportbench("run", *AT_ONCE, "--out", "whole", cwd=tmp_path, environ=environ)
    assert whole.returncode == 0
    (tmp_path / "down").touch()
    failed = supportbench("run", *AT_ONCE, "--out", "r", cwd=tmp_path, environ=environ)
    assert failed.returncode == 1
    assert "supportbench run --resume r --retry-errors" in failed.stderr
    (tmp_path / "down").unlink()
    assert supportbench("run", "--resume", "r", cwd=tmp_path, environ=environ).returncode == 1
    again = supportbench("run", "--resume", "r", "--retry-errors", cwd=tmp_path, environ=environ)
    assert (again.returncode, again.stderr.splitlines()[0]) == (0, "3 episodes of 3 left to play.")
    assert timeless(tmp_path / "r") == timeless(tmp_path / "whole")
    assert len(lines_of(tmp_path / "r")) == 6  # nothing is taken out of a journal
    regraded = supportbench("regrade", "r", "--rubric", "exact", "--json", cwd=tmp_path, environ=environ)
    assert regraded.returncode == 0, regraded.stderr
    assert supportbench("run", "--resume", "r", "--retry-errors", cwd=tmp_path, environ=environ).returncode == 0
    assert len(lines_of(tmp_path / "r")) == 6


def test_a_full_disk_ends_with_a_clear_message_and_a_run_that_goes_on(
    tmp_path: Path, environ: Mapping[str, str]
) -> None:
    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))

    running = Running(*PATIENT, "--out", "r", cwd=tmp_path, environ=environ, preexec_fn=little_room)
    _, told = running.process.communicate(timeout=60)
    assert running.process.returncode == 2
    assert "Finished episodes are kept" in told
    assert "supportbench run --resume r" in told
    kept = len(lines_of(tmp_path / "r"))
    assert 0 < kept < EPISODES
    assert supportbench("run", "--resume", "r", cwd=tmp_path, environ=environ).returncode == 0
    assert len(lines_of(tmp_path / "r")) == EPISODES


TICKET = {
    "ticket_id": "T-1",
    "subject": "Refund",
    "body": "I was charged twice.",
    "answer_key": {"priority": "P2", "queue": "billing", "disposition": "respond"},
}


def test_what_would_be_another_run_is_refused_and_why_is_said(tmp_path: Path, environ: Mapping[str, str]) -> None:
    tickets = tmp_path / "tickets.jsonl"
    tickets.write_text(json.dumps(TICKET) + "\n")
    arguments = ("run", *AT_ONCE, "--tickets", "tickets.jsonl", "--rubric", "exact", "--out", "r")
    assert supportbench(*arguments, cwd=tmp_path, environ=environ).returncode == 0
    assert supportbench("run", "--resume", "r", cwd=tmp_path, environ=environ).returncode == 0
    tickets.write_text(json.dumps({**TICKET, "body": "I was charged three times."}) + "\n")
    refused = supportbench("run", "--resume", "r", cwd=tmp_path, environ=environ)
    assert refused.returncode == 2
    assert "task 'T-1' is another one by now" in refused.stderr
    tickets.unlink()
    assert "tickets.jsonl" in supportbench("run", "--resume", "r", cwd=tmp_path, environ=environ).stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--resume", "r", "--seed", "3"), "--seed does not go with --resume"),
        (("--resume", "r", "--agent", "random"), "--agent does not go with --resume"),
        (("--resume", "r", "--out", "s"), "--out does not go with --resume"),
        (("--retry-errors",), "--retry-errors goes with --resume RUN"),
        (("--resume", "nowhere"), "'nowhere' does not exist"),
        (("--resume", "empty"), "empty has no run.json"),
    ],
)
def test_wrong_usage_is_refused(
    tmp_path: Path, environ: Mapping[str, str], arguments: tuple[str, ...], told: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "r").mkdir()
    refused = supportbench("run", *arguments, cwd=tmp_path, environ=environ)
    assert refused.returncode == 2
    assert told in refused.stderr


def test_a_regraded_run_cannot_be_resumed(tmp_path: Path) -> None:
    assert supportbench("run", "--out", "r", cwd=tmp_path).returncode == 0
    assert supportbench("regrade", "r", "--rubric", "exact", "--out", "s", cwd=tmp_path).returncode == 0
    refused = supportbench("run", "--resume", "s", cwd=tmp_path)
    assert refused.returncode == 2
    assert "its actions are another run's" in refused.stderr
