"""Runs that are interrupted: an agent that takes its time, and a process to be ended at any moment."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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


def killed_and_resumed(folder: Path, environ: Mapping[str, str], kills: int, moments: random.Random) -> None:
    """Play `PATIENT` into the folder `r`, kill it so often at moments nobody chose, and resume it, to its end."""
    arguments: tuple[str, ...] = (*PATIENT, "--out", "r")
    for _ in range(kills):
        running = Running(*arguments, cwd=folder, environ=environ)
        before = running.journal.read_bytes().count(b"\n") if running.journal.exists() else 0
        running.wait_for(before + moments.randint(0, max(1, 2 * EPISODES // kills // 3)))
        time.sleep(moments.random() / 50)
        code, told = running.end_by(signal.SIGKILL)
        assert code in (-signal.SIGKILL, 0), told
        arguments = ("run", "--resume", "r") if (folder / "r/run.json").exists() else arguments
    ended = Running(*arguments, cwd=folder, environ=environ)
    _, told = ended.process.communicate(timeout=120)
    assert ended.process.returncode == 0, told


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
