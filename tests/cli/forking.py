"""The command in a process of its own that need not import it: forked from one that has, which saves two seconds."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired

import attrs

_PRELOADED = "tests.cli.preloaded"


@attrs.frozen(kw_only=True)
class Command:
    """What is run: its arguments, its folder, all of its environment, and files for its three streams."""

    arguments: Sequence[str]
    cwd: Path
    environ: Mapping[str, str]
    streams: Sequence[Path]


def run_forked(
    arguments: Sequence[str], *, cwd: Path, environ: Mapping[str, str], stdin: str, timeout_s: float
) -> CompletedProcess[str]:
    """Run `supportbench …` and return what came out, as `subprocess.run` does."""
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder, name) for name in ("stdin", "stdout", "stderr")]
        streams[0].write_text(stdin, encoding="utf-8")
        command = Command(arguments=arguments, cwd=cwd, environ=environ, streams=streams)
        process = _context().Process(target=_child, args=(command,), daemon=False)
        process.start()
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutExpired(["supportbench", *arguments], timeout_s)
        code = process.exitcode
        process.close()
        out, told = (stream.read_text(encoding="utf-8") for stream in streams[1:])
    return CompletedProcess(["supportbench", *arguments], code, out, told)


@cache
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_PRELOADED])
    return context


def _child(command: Command) -> None:
    """Be the command: in its folder and environment, on its streams, with warnings as errors."""
    stdin, stdout, stderr = command.streams
    for number, (path, flags) in enumerate(
        [(stdin, os.O_RDONLY), (stdout, os.O_WRONLY | os.O_CREAT), (stderr, os.O_WRONLY | os.O_CREAT | os.O_APPEND)]
    ):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for as long as the process lives
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(command.environ)
    os.chdir(command.cwd)
    sys.argv = ["supportbench", *command.arguments]
    # As `python -m` has it.
    sys.path[:0] = [str(command.cwd), *filter(None, command.environ.get("PYTHONPATH", "").split(os.pathsep))]
    importlib.invalidate_caches()
    warnings.simplefilter("error")

    from supportbench.cli import main

    main()
