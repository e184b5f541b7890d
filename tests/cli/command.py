"""Running the real command in a process of its own."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import chdir
from importlib.util import find_spec
from pathlib import Path

from click.testing import CliRunner, Result

from supportbench.cli import cli
from tests.cli.forking import run_forked

_OURS = ("SUPPORTBENCH_", "API_", "OPENAI_", "HF_")


def supportbench(
    *arguments: str | Path,
    cwd: Path,
    environ: Mapping[str, str] | None = None,
    stdin: str = "",
    timeout_s: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run `supportbench …` in the folder `cwd` and return what came out; nothing of our own environment leaks in.

    Its interpreter is a fresh one only where `environ` hides a library from it.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    if not _hides_something(environ or {}):
        own = {**inherited, "COLUMNS": "80", **(environ or {})}
        return run_forked([*map(str, arguments)], cwd=cwd, environ=own, stdin=stdin, timeout_s=timeout_s)
    return subprocess.run(
        [sys.executable, "-m", "supportbench", *map(str, arguments)],
        cwd=cwd,
        env={**inherited, "COLUMNS": "80", "PYTHONWARNINGS": "error", **(environ or {})},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def _hides_something(environ: Mapping[str, str]) -> bool:
    """Return whether a folder on its path has a module of a name that is installed already, or one that Python runs."""
    if any(name.startswith("PYTHON") and name != "PYTHONPATH" for name in environ):
        return True
    folders = [Path(entry) for entry in environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    new = [folder for folder in folders if str(folder) not in sys.path and folder.is_dir()]
    modules = [entry.stem for folder in new for entry in folder.iterdir() if entry.stem.isidentifier()]
    return any(name == "sitecustomize" or find_spec(name) for name in modules)


def in_this_process(*arguments: str, cwd: Path) -> Result:
    """Run `supportbench …` in the folder `cwd` without a process of its own, which saves all imports but the first."""
    with chdir(cwd):
        return CliRunner().invoke(cli, arguments)


def interrupted(
    *arguments: str | Path, cwd: Path, when: threading.Event, environ: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run `supportbench …` in the folder `cwd`, press Ctrl-C when the event is set, and return what came out."""
    command = [sys.executable, "-m", "supportbench", *map(str, arguments)]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    with subprocess.Popen(
        command, cwd=cwd, env={**inherited, **environ}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert when.wait(timeout=60)
            process.send_signal(signal.SIGINT)
            out, told = process.communicate(timeout=60)
        finally:
            process.kill()
    return subprocess.CompletedProcess(command, process.returncode, out, told)


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
