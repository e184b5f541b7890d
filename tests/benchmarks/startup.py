"""How long whole processes take: `import supportbench` and `supportbench run`, beside `python -c pass`.

    python -m tests.benchmarks.startup [--rounds R]

The three take turns, so that a machine that changes its speed changes it for all; medians and their ratios are printed.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="turns, of which the median counts (default %(default)s)")
    rounds = parser.parse_args().rounds
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(rounds + 1):
            commands = {
                "python -c pass": ["-c", "pass"],
                "import supportbench": ["-c", "import supportbench"],
                "supportbench --help": ["-m", "supportbench", "--help"],
                "supportbench run": ["-m", "supportbench", "run", "--out", str(Path(folder) / str(turn))],
            }
            for name, arguments in commands.items():
                begun = time.perf_counter()
                subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
                if turn:  # the first turn warms the disk
                    times.setdefault(name, []).append(time.perf_counter() - begun)
    bare = statistics.median(times["python -c pass"])
    print(f"{'process':<22}{'median ms':>10}{'min':>8}{'max':>8}{'× pass':>9}")
    for name, seconds in times.items():
        median = statistics.median(seconds)
        row = f"{name:<22}{median * 1e3:>10.0f}{min(seconds) * 1e3:>8.0f}{max(seconds) * 1e3:>8.0f}"
        print(f"{row}{median / bare:>9.1f}")


if __name__ == "__main__":
    main()
