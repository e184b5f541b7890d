"""Runs that survive: killed, interrupted, out of disk, with errors; they go on and come to the same results."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import supportbench
from tests.installing import installed_module
from tests.timeless import timeless

AGENTS = """\
import asyncio, random
from pathlib import Path
import attrs
from supportbench import SupportQueueAction, hookimpl

supportbench_api = 1

class Patient:
    name = "patient"
    version = "1"

    @attrs.frozen(kw_only=True)
    class Options:
        pause_ms: float = 5.0

    def __init__(self, pause_ms=5.0, seed=0):
        self.pause_ms, self.choose = pause_ms, random.Random(seed)

    def configured(self, options):
        return Patient(options.pause_ms)

    def start_episode(self, seed):
        return Patient(self.pause_ms, seed)

    async def act(self, observation):
        if Path("down").exists():
            raise OSError("the line is down")
        await asyncio.sleep(self.pause_ms / 1000)
        with open("asked.log", "a") as log:
            log.write(f"{observation.task_id} {observation.ticket.ticket_id}\\n")
        return SupportQueueAction(
            priority=self.choose.choice(observation.allowed_priorities),
            queue=self.choose.choice(observation.allowed_queues),
            disposition=self.choose.choice(observation.allowed_dispositions),
            summary=f"The customer is waiting for {self.choose.randint(1, 9)} answers.",
            response="Thank you for your message, we look into it and report back.",
            confidence=0.5,
        )

@hookimpl
def supportbench_agents():
    yield Patient()
"""
PATIENT = ("run", "--agent", "patient", "--repeats", "20", "--concurrency", "3", "--seed", "5")
AT_ONCE = ("--agent", "patient", "--agent-option", "pause_ms=0")
EPISODES = 60


@pytest.fixture
def environ(tmp_path: Path) -> Mapping[str, str]:
    return installed_module(tmp_path / "site", "patient_agent", AGENTS)


class Running:
    """A run in a process of its own."""

    def __init__(self, *arguments: str, cwd: Path, environ: Mapping[str, str], **options: Any) -> None:
        self.journal = cwd / "r/journal.jsonl"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "supportbench", *arguments],
            cwd=cwd,
            env={**os.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def wait_for(self, episodes: int) -> None:
        """Return once so many episodes are in the journal, or the process has ended."""
        deadline = time.monotonic() + 60
        while self.process.poll() is None and time.monotonic() < deadline:
            if self.journal.exists() and self.journal.read_bytes().count(b"\n") >= episodes:
                return
            time.sleep(0.005)

    def end_by(self, number: int) -> tuple[int, str]:
        """Send the signal; return the exit code and what was told."""
        self.process.send_signal(number)
        _, told = self.process.communicate(timeout=60)
        return self.process.returncode, told


@pytest.fixture
def started(tmp_path: Path, environ: Mapping[str, str]) -> Iterator[Running]:
    slowly = ("--agent-option", "pause_ms=60")
    running = Running(*PATIENT, *slowly, "--out", "r", cwd=tmp_path, environ=environ)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.communicate()


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


def test_a_run_that_is_killed_at_any_moment_comes_to_the_same_results(
    tmp_path: Path, environ: Mapping[str, str]
) -> None:
    whole = supportbench(*PATIENT, "--out", "whole", cwd=tmp_path, environ=environ)
    assert whole.returncode == 0, whole.stderr
    moments = random.Random(7)  # noqa: S311 - moments to be killed at, no secrets
    arguments: tuple[str, ...] = (*PATIENT, "--out", "r")
    for _ in range(5):
        running = Running(*arguments, cwd=tmp_path, environ=environ)
        before = running.journal.read_bytes().count(b"\n") if running.journal.exists() else 0
        running.wait_for(before + moments.randint(1, 8))
        time.sleep(moments.random() / 50)
        code, told = running.end_by(signal.SIGKILL)
        assert code == -signal.SIGKILL, told
        arguments = ("run", "--resume", "r")
    assert not (tmp_path / "r/results.json").exists()
    ended = supportbench("run", "--resume", "r", "--json", cwd=tmp_path, environ=environ)
    assert ended.returncode == 0, ended.stderr
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
