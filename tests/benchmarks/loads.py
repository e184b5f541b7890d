"""What contenders are measured under; each kind runs a program of its own and checks that nothing went wrong."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import attrs
import msgspec

from tests.benchmarks.contenders import ROOT, BenchmarkError, Contender, Cores, running
from tests.benchmarks.measured import Installed, Opened, Parts, Played, Started

T = TypeVar("T")

_PATIENCE_S: Final = 300.0
_MIB: Final = 1024 * 1024


@attrs.frozen(kw_only=True)
class Bench:
    """The circumstances of a run: where its files are, how long it measures, and on which cores."""

    folder: Path
    actions: Path
    cores: Cores
    seconds: float
    warmup: float

    def ran(self, kind: type[T], core: int | None, *arguments: str) -> T:
        """Return what a program of this package printed; raises `BenchmarkError` if it failed."""
        command = [sys.executable, "-m", *arguments]
        patience_s = _PATIENCE_S + self.seconds
        try:
            with self.cores.on(core):
                ended = subprocess.run(
                    command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=patience_s
                )
        except subprocess.TimeoutExpired:
            raise BenchmarkError(f"{' '.join(arguments)} did not end within {patience_s:g} s") from None
        if ended.returncode:
            raise BenchmarkError(f"{' '.join(arguments)} failed:\n{ended.stderr}")
        return msgspec.json.decode(ended.stdout, type=kind)

    @property
    def timing(self) -> tuple[str, ...]:
        """How long to play what, for the load."""
        return ("--seconds", str(self.seconds), "--warmup", str(self.warmup), "--actions", str(self.actions))


class Load(Protocol):
    """Something to measure a contender under."""

    def measure(self, bench: Bench, contender: Contender) -> Any:
        """Return what was measured; raises `BenchmarkError` when the figures would mean nothing."""
        ...


@attrs.frozen(kw_only=True)
class Play:
    """Sessions over WebSocket in a closed loop, and beside them `waiting` ones whose steps a judge thinks about."""

    sessions: int
    official: bool = False
    waiting: int = 0

    def __str__(self) -> str:
        waiting = f", {self.waiting} judged ones beside them" if self.waiting else ""
        return f"{self.sessions} sessions{', official client' if self.official else ''}{waiting}"

    def measure(self, bench: Bench, contender: Contender) -> Played:
        """Play."""
        options = ("--sessions", str(self.sessions), "--waiting", str(self.waiting), *bench.timing)
        engine = ("--official",) if self.official else ()
        with running(contender, bench.cores, bench.folder) as server:
            target = (f"ws://{server.address}/ws", "--pid", str(server.pid))
            load = ("tests.benchmarks.load", "play", *target, *options, *engine)
            played = _checked(contender, bench.ran(Played, bench.cores.load, *load))
        if self.waiting and not played.waited:
            raise BenchmarkError(f"{contender.name}: no judged step was answered")
        return played


@attrs.frozen(kw_only=True)
class PlayOverHttp:
    """Connections that play over HTTP in a closed loop."""

    connections: int

    def __str__(self) -> str:
        return f"{self.connections} connections over HTTP"

    def measure(self, bench: Bench, contender: Contender) -> Played:
        """Play; where the server knows no sessions over HTTP, only step."""
        options = ("--sessions", str(self.connections), *bench.timing)
        stateless = () if contender.sessions_over_http else ("--stateless",)
        with running(contender, bench.cores, bench.folder) as server:
            target = (f"http://{server.address}", "--pid", str(server.pid))
            load = ("tests.benchmarks.load", "http", *target, *options, *stateless)
            return _checked(contender, bench.ran(Played, bench.cores.load, *load))


@attrs.frozen(kw_only=True)
class Hold:
    """Sessions over WebSocket that are opened, reset and held, then closed, then opened once more."""

    sessions: int

    def __str__(self) -> str:
        return f"{self.sessions:,} open sessions"

    def measure(self, bench: Bench, contender: Contender) -> Opened:
        """Open, hold, close, open."""
        options = ("--sessions", str(self.sessions), "--settle", str(min(2.0, bench.warmup)))
        with running(contender, bench.cores, bench.folder) as server:
            target = (f"ws://{server.address}/ws", "--pid", str(server.pid))
            opened = bench.ran(Opened, bench.cores.load, "tests.benchmarks.load", "open", *target, *options)
        if opened.errors or opened.sessions != self.sessions:
            raise BenchmarkError(
                f"{contender.name} opened {opened.sessions:,} of {self.sessions:,} sessions, with {opened.errors} "
                f"errors; the first: {opened.first_error}"
            )
        return opened


@attrs.frozen(kw_only=True)
class Start:
    """The start of the server, up to its first healthy answer."""

    def __str__(self) -> str:
        return "start"

    def measure(self, bench: Bench, contender: Contender) -> Started:
        """Start."""
        with running(contender, bench.cores, bench.folder) as server:
            return Started(start_s=server.start_s)


@attrs.frozen(kw_only=True)
class Apart:
    """The parts of a step by themselves, without a server, on the server's core."""

    rubric: str

    def __str__(self) -> str:
        return f"parts of a step, rubric {self.rubric}"

    def measure(self, bench: Bench, contender: Contender) -> Parts:
        """Take a step apart."""
        options = ("--rubric", self.rubric, "--actions", str(bench.actions))
        return bench.ran(Parts, bench.cores.server, "tests.benchmarks.parts", *options)


@attrs.frozen(kw_only=True)
class Install:
    """What pip installs for a contender into a fresh virtual environment."""

    def __str__(self) -> str:
        return "installation"

    def measure(self, bench: Bench, contender: Contender) -> Installed:
        """Install, look and throw away."""
        with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
            venv.create(folder, with_pip=True)
            pip = [*Path(folder).glob("bin/pip"), *Path(folder).glob("Scripts/pip.exe")]
            ended = subprocess.run(
                [str(pip[0]), "install", "--quiet", contender.requirement], capture_output=True, text=True, check=False
            )
            if ended.returncode:
                raise BenchmarkError(f"pip install {contender.requirement} failed:\n{ended.stderr}")
            infos = [*Path(folder).glob("lib/*/site-packages/*.dist-info"), *Path(folder).glob("Lib/*/*.dist-info")]
            names = {path.name.partition("-")[0] for path in infos}
            files = [path for path in Path(folder).rglob("*") if not path.is_symlink()]
            # What they take on the disk, which allots whole blocks.
            size = sum(getattr(path.stat(), "st_blocks", 0) * 512 for path in files)
        return Installed(mebibytes=size / _MIB, distributions=len(names - {"pip", "setuptools"}))


def _checked(contender: Contender, played: Played) -> Played:
    if played.errors:
        raise BenchmarkError(f"{contender.name}: {played.errors} errors; the first: {played.first_error}")
    if not played.steps:
        raise BenchmarkError(f"{contender.name}: not one step was answered in the measured time")
    return played
