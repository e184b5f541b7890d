"""How fast the server is, beside OpenEnv's own with the same tickets and beside a raw echo, all in turn in one run.

    python -m tests.benchmarks.serve [--rounds R] [--seconds S] [--only GROUP …] [--json | --markdown] [--write]

Every round measures every contender once under every load, each time with a fresh server, and begins with another
contender than the round before. What counts is the median of the rounds, with the range beside it; quotients are
medians of quotients within a round, since a machine that changes its speed changes it for all. `stock` and `tuned` are
the reference (tests/benchmarks/reference.py), as pip installs it and with an asynchronous environment, uvloop and
httptools. The whole table takes about a quarter of an hour, on a machine that does nothing else.

The run fails when a contender answers with an error or with nothing.
"""

from __future__ import annotations

import argparse
import itertools
import platform
import resource
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec

from tests.benchmarks.contenders import BenchmarkError, Cores
from tests.benchmarks.loads import Bench, Install
from tests.benchmarks.measured import Played
from tests.benchmarks.rows import HELD, ON_REQUEST, PEERS, Row, Source, cost_rows, groups, speed_rows
from tests.benchmarks.tables import FULL, Figures, cost_table, figures_of, speed_table, told, write_to_page
from tests.benchmarks.texts import write_actions

_MOST_WARMUP_S: Final = 2.0
_WARMUP_SHARE: Final = 0.4
_TEXTS_A_SECOND: Final = 50_000
_MOST_TEXTS: Final = 200_000
_IDLE: Final = 0.7
_FILES: Final = 2 * HELD
_VERSIONS: Final = ("openenv", "uvicorn", "uvloop", "httptools", "websockets")


def main() -> None:
    """Measure and print; exits 1 when a contender did not do what is measured."""
    asked = _parsed()
    rows = [row for row in (*speed_rows(), *cost_rows()) if row.group in asked.only]
    cores = Cores.of_this_machine()
    try:
        _allow_files()
        with tempfile.TemporaryDirectory() as folder:
            warmup = min(_MOST_WARMUP_S, _WARMUP_SHARE * asked.seconds)
            actions = Path(folder) / "actions.jsonl"
            count = min(_MOST_TEXTS, int(_TEXTS_A_SECOND * (asked.seconds + warmup)))
            _say(f"{count:,} texts; {cores.told}")
            write_actions(actions, count)
            bench = Bench(folder=Path(folder), actions=actions, cores=cores, seconds=asked.seconds, warmup=warmup)
            measured = _measure(bench, _sources(rows, asked.without), asked.rounds)
        speed = figures_of([row for row in rows if row.group != "parts"], measured)
        cost = figures_of([row for row in rows if row.group == "parts"], measured)
        page = _page(asked, cores, speed, cost)
        if asked.write:
            write_to_page(page)
    except BenchmarkError as error:
        _say(f"Error: {error}")
        sys.exit(1)
    if asked.json:
        print(_as_json(asked, cores, [*speed, *cost]))
    else:
        print(page if asked.markdown else told([*speed, *cost]))


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often to measure everything (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each time (default %(default)s)")
    usual = [group for group in groups() if group not in ON_REQUEST]
    parser.add_argument(
        "--only", nargs="+", choices=groups(), default=usual, metavar="GROUP", help=f"of {', '.join(groups())}"
    )
    parser.add_argument("--without", nargs="+", choices=PEERS, default=[], help="leave contenders out")
    parser.add_argument("--installed", action="store_true", help="measure what pip installs as well, which downloads")
    printing = parser.add_mutually_exclusive_group()
    printing.add_argument("--json", action="store_true", help="print every round's figures as JSON")
    printing.add_argument("--markdown", action="store_true", help="print what stands in the documentation")
    parser.add_argument("--write", action="store_true", help="put it into docs/explanation/performance.md")
    asked = parser.parse_args()
    if asked.rounds < 1 or asked.seconds <= 0:
        parser.error("--rounds and --seconds must be above 0")
    if asked.write and (asked.without or not set(usual) <= set(asked.only)):
        parser.error("--write needs the whole table: leave --only and --without away")
    if asked.installed:
        asked.only = [*asked.only, *ON_REQUEST]
    return asked


def _allow_files() -> None:
    """Let this process and those it starts hold as many connections as the largest load has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < _FILES:
        raise BenchmarkError(f"processes may open {hard:,} files here, {_FILES:,} are needed: raise `ulimit -Hn`")
    if soft != resource.RLIM_INFINITY and soft < _FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, hard))


def _sources(rows: Sequence[Row], without: Sequence[str]) -> list[Source]:
    """Return what is to be measured for the rows, each once, in their order."""
    return list(
        dict.fromkeys(
            source
            for row in rows
            for column, sources in row.sources.items()
            if column not in without
            for source in sources
            if source[0].name not in without
        )
    )


def _measure(bench: Bench, sources: Sequence[Source], rounds: int) -> dict[Source, list[Any]]:
    """Return what every source measured, round by round."""
    measured: dict[Source, list[Any]] = {source: [] for source in sources}
    for turn in range(rounds):
        for place, (contender, load) in enumerate(_in_turn(sources, turn), start=1):
            if isinstance(load, Install) and turn:
                continue  # it comes out the same
            _say(f"round {turn + 1}/{rounds}, {place}/{len(sources)}: {load}: {contender.name}: ", end="")
            found = load.measure(bench, contender)
            measured[contender, load].append(found)
            _say(f"{found}{_remark(found)}")
    return measured


def _in_turn(sources: Sequence[Source], turn: int) -> list[Source]:
    """Return the sources; of those that are measured under one load in a row, each time another one comes first."""
    ordered: list[Source] = []
    for _, group in itertools.groupby(sources, key=lambda source: source[1]):
        contenders = list(group)
        first = turn % len(contenders)
        ordered += [*contenders[first:], *contenders[:first]]
    return ordered


def _remark(found: object) -> str:
    if not isinstance(found, Played):
        return ""
    if found.load_cpu >= FULL:
        return f"; the load was the limit, at {found.load_cpu:.0%} of its core"
    if max(found.load_cpu, found.server_cpu) < _IDLE:
        return f"; the server had {found.server_cpu:.0%} of its core and the load {found.load_cpu:.0%}: is it shared?"
    return ""


def _page(asked: argparse.Namespace, cores: Cores, speed: Sequence[Figures], cost: Sequence[Figures]) -> str:
    """Return the tables and how they came about, in Markdown."""
    machine = ", ".join(f"{name} {said}" for name, said in _machine().items())
    rounds = (
        f"{asked.rounds} rounds of {asked.seconds:g} s" if asked.rounds > 1 else f"one round of {asked.seconds:g} s"
    )
    pieces = [f"Measured in {rounds}, {cores.told}: {machine}."]
    if speed:
        pieces.append(speed_table(speed))
    if any(figures.load_bound for figures in speed):
        pieces.append(f"† The load had {FULL:.0%} of its core or more: the server could have done more.")
    if cost:
        pieces.append(cost_table(cost))
    return "\n\n".join(pieces)


def _as_json(asked: argparse.Namespace, cores: Cores, every: Sequence[Figures]) -> str:
    rows = [
        {
            "group": figures.row.group,
            "figure": figures.row.title,
            "aim": figures.row.aim,
            "rounds": figures.columns,
            "quotients": {peer: quotient for peer in PEERS if (quotient := figures.quotient(peer)) is not None},
            "load_was_the_limit": sorted(figures.load_bound),
        }
        for figures in every
    ]
    whole = {
        "machine": _machine(),
        "cores": cores.told,
        "rounds": asked.rounds,
        "seconds": asked.seconds,
        "rows": rows,
    }
    return msgspec.json.format(msgspec.json.encode(whole)).decode()


def _machine() -> dict[str, str]:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "CPU": models[0] if models else platform.processor() or platform.machine(),
        platform.system(): platform.machine(),
        "Python": platform.python_version(),
        **{name: version(name) for name in _VERSIONS},
    }


def _say(text: str, end: str = "\n") -> None:
    print(text, end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
