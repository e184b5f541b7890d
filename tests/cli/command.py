"""Running the real command in a process of its own."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

_OURS = ("SUPPORTBENCH_", "API_", "OPENAI_", "HF_")


def supportbench(
    *arguments: str | Path, cwd: Path, environ: Mapping[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run `supportbench …` in the folder `cwd` and return what came out; nothing of our own environment leaks in."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return subprocess.run(
        [sys.executable, "-m", "supportbench", *map(str, arguments)],
        cwd=cwd,
        env={**inherited, "COLUMNS": "80", "PYTHONWARNINGS": "error", **(environ or {})},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def interrupted(
    *arguments: str | Path, cwd: Path, environ: Mapping[str, str], at: threading.Event
) -> tuple[int, str, str]:
    """Run `supportbench …`, press Ctrl-C as soon as `at` is set, and return the exit code, stdout and stderr."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    with subprocess.Popen(
        [sys.executable, "-m", "supportbench", *map(str, arguments)],
        cwd=cwd,
        env={**inherited, "PYTHONWARNINGS": "error", **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert at.wait(timeout=60)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err


def shown_on_a_terminal(*arguments: str, cwd: Path) -> bytes:
    """Run `supportbench …` with a terminal as stderr and return what that showed; it must exit with 0."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "supportbench", *arguments],
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=slave,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            part = os.read(master, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(master)
    assert process.wait(timeout=60) == 0
    return shown
