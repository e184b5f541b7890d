"""The rows of the tables: which figure of which contender under which load, and what it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

import attrs

from tests.benchmarks.contenders import ECHO, STOCK, TUNED, Contender, ours
from tests.benchmarks.judge import WAIT_S
from tests.benchmarks.loads import Apart, Hold, Install, Load, Play, PlayOverHttp, Start
from tests.benchmarks.measured import Installed, Opened, Parts, Played, Started

Source: TypeAlias = tuple[Contender, Load]
"""Something to measure: a contender under a load."""

OURS: Final = "supportbench"
PEERS: Final = ("echo", "stock", "tuned")
RUBRICS: Final = ("exact", "default")
FEW: Final = 64
MANY: Final = 256
HELD: Final = 5_000
CONNECTIONS: Final = 8
ON_REQUEST: Final = ("installed",)
"""Groups that are measured only when they are asked for: they download."""

_MIB: Final = 1024 * 1024
_BY_COLUMN: Final[Mapping[str, Contender]] = {"echo": ECHO, "stock": STOCK, "tuned": TUNED}


@attrs.frozen(kw_only=True)
class Row:
    """One figure, in a column for each contender; `figure` makes it of what the column's sources measured.

    Rows of one `group` are chosen together. `compared` is whether the quotient of ours and theirs says anything.
    """

    group: str
    title: str
    figure: Callable[..., float]
    sources: Mapping[str, tuple[Source, ...]]
    aim: str = ""
    digits: int = 0
    compared: bool = True


def speed_rows() -> list[Row]:
    """Return the rows whose columns are contenders, in order."""
    return [*_played(), *_official(), *_held(), *_started(), *_over_http(), *_judged(), *_installed()]


def cost_rows() -> list[Row]:
    """Return the rows of what a step costs, in microseconds of CPU, whose columns are our rubrics."""
    played: dict[str, tuple[Source, ...]] = {}
    for rubric in RUBRICS:
        server = ours("--rubric", rubric)
        played[rubric] = ((ECHO, Play(sessions=FEW)), (server, Play(sessions=FEW)), (server, Apart(rubric=rubric)))
    parts: Mapping[str, Callable[[Played, Played, Parts], float]] = {
        "TCP, frames, the event loop: a step of the echo": lambda echo, whole, parts: echo.cpu_us,
        "decoding the message": lambda echo, whole, parts: parts.decode,
        "grading": lambda echo, whole, parts: parts.grade,
        "the rest of the environment's step": lambda echo, whole, parts: parts.environment,
        "encoding the answer": lambda echo, whole, parts: parts.encode,
        "what is left: the session, limits, counters, a third of a reset": lambda echo, whole, parts: (
            whole.cpu_us - echo.cpu_us - parts.decode - parts.grade - parts.environment - parts.encode
        ),
        "a step of the server": lambda echo, whole, parts: whole.cpu_us,
    }
    return [
        Row(group="parts", title=title, figure=figure, sources=played, digits=1, compared=False)
        for title, figure in parts.items()
    ]


def groups() -> list[str]:
    """Return the names of the groups, in order."""
    return list(dict.fromkeys(row.group for row in (*speed_rows(), *cost_rows())))


def _each(own: Contender, *loads: Load, without: tuple[str, ...] = ()) -> Mapping[str, tuple[Source, ...]]:
    """Return the loads for ours and for every peer but some."""
    everyone = {OURS: own, **{name: peer for name, peer in _BY_COLUMN.items() if name not in without}}
    return {name: tuple((contender, load) for load in loads) for name, contender in everyone.items()}


def _played() -> Iterator[Row]:
    aims = {"exact": "0.5 × echo", "default": "5 × stock, 2 × tuned"}
    for sessions in (FEW, MANY):
        for rubric in RUBRICS:
            group, own = f"{rubric}-{sessions}", ours("--rubric", rubric)
            what = f"{sessions} sessions, rubric `{rubric}`"
            sources = _each(own, Play(sessions=sessions))
            rate = Row(group=group, title=f"steps/s, {what}", figure=lambda played: played.steps_per_s, sources=sources)
            yield attrs.evolve(rate, aim=aims[rubric]) if sessions == FEW else rate
            if sessions == MANY:
                yield Row(
                    group=group,
                    title=f"– share of what {FEW} sessions get",
                    figure=lambda many, few: many.steps_per_s / few.steps_per_s,
                    sources=_each(own, Play(sessions=MANY), Play(sessions=FEW)),
                    aim="0.9",
                    digits=2,
                    compared=False,
                )
            yield Row(
                group=group,
                title="– 99th percentile, ms",
                figure=lambda played: played.p99_ms,
                sources=sources,
                aim={FEW: "5", MANY: "20"}[sessions],
                digits=1,
            )
            yield Row(
                group=group,
                title="– µs of the server's CPU a step, resets included",
                figure=lambda played: played.cpu_us,
                sources=sources,
                digits=1,
            )


def _official() -> Iterator[Row]:
    sources = _each(ours("--rubric", "default"), Play(sessions=FEW, official=True))
    what = f"{FEW} sessions of the official client's library, rubric `default`"
    yield Row(
        group="official",
        title=f"steps/s, {what}",
        figure=lambda played: played.steps_per_s,
        sources=sources,
        aim="the same, or the client's limit",
    )
    yield Row(
        group="official", title="– 99th percentile, ms", figure=lambda played: played.p99_ms, sources=sources, digits=1
    )


def _held() -> Iterator[Row]:
    figures: Mapping[str, tuple[Callable[[Opened], float], str, int]] = {
        f"KiB per open session, {HELD:,} after a reset": (lambda opened: opened.kib_per_session, "32", 1),
        "– s to open them": (lambda opened: opened.open_s, "a third of stock", 2),
        "– threads": (lambda opened: opened.threads_open, "none each", 0),
        "– memory after closing them, MiB": (lambda opened: opened.rss_closed / _MIB, "", 0),
        "– memory with as many opened again, of the first time's": (
            lambda opened: opened.rss_open_again / opened.rss_open,
            "1.1",
            2,
        ),
    }
    sources = _each(ours("--rubric", "default"), Hold(sessions=HELD))
    for title, (figure, aim, digits) in figures.items():
        yield Row(
            group="sessions",
            title=title,
            figure=figure,
            sources=sources,
            aim=aim,
            digits=digits,
            compared="again" not in title and "threads" not in title,
        )


def _started() -> Iterator[Row]:
    def start_s(started: Started) -> float:
        return started.start_s

    title = "s from the start to the first healthy answer"
    yield Row(group="start", title=title, figure=start_s, sources=_each(ours(), Start()), aim="0.8", digits=2)


def _over_http() -> Iterator[Row]:
    sources = _each(ours("--rubric", "default"), PlayOverHttp(connections=CONNECTIONS))
    yield Row(
        group="http",
        title=f"`POST /step`/s, {CONNECTIONS} connections, rubric `default`",
        figure=lambda played: played.steps_per_s,
        sources=sources,
        aim="2 × stock",
    )
    yield Row(
        group="http", title="– requests/s, with resets", figure=lambda played: played.requests_per_s, sources=sources
    )


def _judged() -> Iterator[Row]:
    own = ours(judged=True)
    alone, beside = (own, Play(sessions=FEW)), (own, Play(sessions=FEW, waiting=FEW))
    what = f"steps/s, {FEW} sessions, beside {FEW} whose judge takes {WAIT_S:g} s"
    yield Row(group="judged", title=what, figure=lambda played: played.steps_per_s, sources={OURS: (beside,)})
    yield Row(
        group="judged",
        title="– share of what they get alone",
        figure=lambda beside, alone: beside.steps_per_s / alone.steps_per_s,
        sources={OURS: (beside, alone)},
        aim="0.9",
        digits=2,
    )


def _installed() -> Iterator[Row]:
    figures: Mapping[str, tuple[Callable[[Installed], Any], str]] = {
        "MiB of an environment with it": (lambda installed: installed.mebibytes, "175"),
        "– distributions in it, less pip": (lambda installed: installed.distributions, "45"),
    }
    sources = _each(ours(), Install(), without=("tuned",))
    for title, (figure, aim) in figures.items():
        yield Row(group="installed", title=title, figure=figure, sources=sources, aim=aim)
