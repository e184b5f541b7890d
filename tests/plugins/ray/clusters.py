"""A Ray cluster for tests, and an agent whose tickets say what happens to the process that reads them."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

AGENT = """\
import asyncio, hashlib, os, random, signal
from pathlib import Path
import attrs
from supportbench import SupportQueueAction, hookimpl

supportbench_api = 1

class Reader:
    name = "reader"
    version = "1"
    variables = ("READER_KEY",)

    @attrs.frozen(kw_only=True)
    class Options:
        log: str
        pause_ms: float = 0.0

    def __init__(self, key, options=None, seed=0):
        self.key, self.in_force, self.choose = key, options, random.Random(seed)

    def configured(self, options):
        return Reader(self.key, options)

    def start_episode(self, seed):
        return Reader(self.key, self.in_force, seed)

    async def act(self, observation):
        with open(self.in_force.log, "a") as log:
            log.write(f"{os.getpid()}\\n")
        await asyncio.sleep(self.in_force.pause_ms / 1000)
        if observation.ticket.subject == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        if observation.ticket.subject == "odd":
            raise ValueError("what is this?")
        return SupportQueueAction(
            priority=self.choose.choice(observation.allowed_priorities),
            queue=self.choose.choice(observation.allowed_queues),
            disposition=self.choose.choice(observation.allowed_dispositions),
            summary=hashlib.sha256(self.key.encode()).hexdigest(),
            response="Thank you for your message, we look into it and report back.",
            confidence=0.5,
        )

@hookimpl
def supportbench_agents(environ):
    yield Reader(environ.get("READER_KEY", ""))

@hookimpl
async def supportbench_episode_finished(episode):
    if Path("heard.log").exists():
        with open("heard.log", "a") as log:
            log.write(f"{os.getpid()} {episode.episode_id}\\n")
"""


@contextmanager
def cluster(environ: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Within the block a Ray of two workers runs in that environment; gives the variables with which it is reached."""
    ours = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(24)}
    options = ["--num-cpus=2", "--port=0", "--include-dashboard=false", "--disable-usage-stats"]
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", *options]
    process = subprocess.Popen(
        [*command, f"--object-store-memory={100 << 20}"],
        env={**os.environ, **environ, **ours},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    told = ""
    try:
        for line in process.stdout:
            told += line
            if found := re.search(r"--address='([^']+)'", line):
                yield {**environ, **ours, "RAY_ADDRESS": found[1]}
                break
        else:
            raise AssertionError(told)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=40)
        finally:
            process.kill()
            process.wait()
