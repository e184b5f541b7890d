"""Whether a run that is killed again and again comes to the results of one that never was.

    python -m tests.benchmarks.survival [--kills N] [--rounds R]

In each round `supportbench run` is ended by SIGKILL at moments that a seed chooses, resumed each time, and its
`results.json` compared with that of an uninterrupted run: equal but for the run's id and times, or the program fails.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path

from tests.cli.command import supportbench
from tests.cli.interrupting import AGENTS, PATIENT, killed_and_resumed, lines_of
from tests.installing import installed_module
from tests.timeless import timeless


def main() -> None:
    """Play, kill, resume and compare; print a line a round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=25, help="in a round (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=1, help="each with other moments (default %(default)s)")
    asked = parser.parse_args()
    for seed in range(asked.rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            environ = installed_module(folder / "site", "patient_agent", AGENTS)
            whole = supportbench(*PATIENT, "--out", "whole", cwd=folder, environ=environ)
            assert whole.returncode == 0, whole.stderr
            killed_and_resumed(folder, environ, asked.kills, random.Random(seed))  # noqa: S311 - moments, no secrets
            same = timeless(folder / "r") == timeless(folder / "whole")
            episodes = len(lines_of(folder / "r"))
        print(f"round {seed + 1}: {asked.kills} kills, {episodes} episodes, results {'equal' if same else 'DIFFER'}")
        if not same:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
