"""What evaluating costs beside what is evaluated: the harness' own time, its memory, and what comes after a run.

    python -m tests.benchmarks.harness [overhead] [memory] [after] [--tickets N] [--concurrency C] [--delay SECONDS]

`overhead` plays tickets against an endpoint, in a process of its own, that answers after a delay. Ideal is what the
delays alone take, so many at once. `memory` has the greatest resident memory of `supportbench run` by the number of
episodes. `after` times `supportbench compare` and `supportbench report` on runs of 10,000 episodes.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.tickets import write_tickets
from tests.stubs.rough_endpoint import polite_endpoint

_PARTS: Final = ("overhead", "memory", "after")
_EPISODES: Final = (1_000, 10_000, 100_000)
_AFTER: Final = 10_000
_MIB: Final = 1 << 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=(*_PARTS, []), help=f"of {', '.join(_PARTS)} (default: all)")
    parser.add_argument("--tickets", type=int, default=1_000, help="to play (default %(default)s)")
    parser.add_argument("--concurrency", type=int, default=64, help="episodes at once (default %(default)s)")
    parser.add_argument("--delay", type=float, default=0.05, help="of the endpoint, seconds (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of overhead; the median counts (default %(default)s)")
    asked = parser.parse_args()
    parts = asked.parts or _PARTS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "overhead" in parts:
            _overhead(folder, asked.tickets, asked.concurrency, asked.delay, asked.rounds)
        if "memory" in parts:
            _memory(folder)
        if "after" in parts:
            _after(folder)


def _overhead(folder: Path, tickets: int, concurrency: int, delay_s: float, rounds: int) -> None:
    source = write_tickets(folder / "tickets.jsonl", tickets)
    ideal = math.ceil(tickets / concurrency) * delay_s
    measured = []
    with polite_endpoint(delay_s) as url:
        for number in range(rounds):
            out = folder / f"overhead-{number}"
            whole_s, _ = _timed(
                *("run", "--agent", "openai:stub", "--tickets", str(source), "--concurrency", str(concurrency)),
                *("--out", str(out)),
                environ={"API_BASE_URL": url},
            )
            measured.append((_playing_s(out), whole_s))
    playing_s, whole_s = sorted(measured)[len(measured) // 2]
    print(f"{tickets} tickets, {concurrency} at once, {delay_s * 1000:g} ms each: ideal {ideal:.2f} s")
    print(f"  playing {playing_s:.2f} s = {playing_s / ideal:.2f} x ideal")
    print(f"  the whole command {whole_s:.2f} s")


def _memory(folder: Path) -> None:
    print("memory of `supportbench run`, by episodes:")
    for episodes in _EPISODES:
        seconds, peak = _timed(
            *("run", "--agent", "random", "--task", "easy_inbox_cleanup", "--repeats", str(episodes)),
            *("--concurrency", "64", "--out", str(folder / f"memory-{episodes}")),
        )
        print(f"  {episodes:>7}: {peak / _MIB:.0f} MiB, {seconds:.1f} s, {seconds / episodes * 1000:.2f} ms an episode")


def _after(folder: Path) -> None:
    source = write_tickets(folder / "after.jsonl", _AFTER)
    runs = []
    for agent in ("heuristic", "random"):
        runs.append(folder / f"after-{agent}")
        _timed("run", "--agent", agent, "--tickets", str(source), "--concurrency", "64", "--out", str(runs[-1]))
    print(f"after runs of {_AFTER} episodes:")
    for name, *arguments in (
        ("compare", *map(str, runs)),
        ("report", str(runs[0]), "--output", str(folder / "report.html")),
    ):
        seconds, peak = _timed(name, *arguments)
        print(f"  {name}: {seconds:.1f} s, {peak / _MIB:.0f} MiB")


def _playing_s(run: Path) -> float:
    """Return the seconds from the first episode's beginning to the last one's end."""
    begun: list[float] = []
    ended: list[float] = []
    for line in (run / "journal.jsonl").read_text().splitlines():
        episode: Mapping[str, Any] = json.loads(line)
        begun.append(datetime.fromisoformat(episode["started_at"]).timestamp())
        ended.append(begun[-1] + episode["duration_s"])
    return max(ended) - min(begun)


def _timed(*arguments: str, environ: Mapping[str, str] | None = None) -> tuple[float, int]:
    """Run a command of ours; return its seconds and its greatest resident memory, in bytes."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "supportbench", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, **(environ or {})},
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode:
        raise SystemExit(f"supportbench {' '.join(arguments)} failed:\n{said.decode()}")
    return time.perf_counter() - begun, _bytes(used)


def _bytes(used: resource.struct_rusage) -> int:
    return used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
