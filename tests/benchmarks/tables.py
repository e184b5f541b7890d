"""From what was measured to tables: medians over the rounds, and quotients of what one round measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from tests.benchmarks.contenders import ROOT, BenchmarkError
from tests.benchmarks.measured import Played
from tests.benchmarks.rows import OURS, PEERS, RUBRICS, Row, Source

PAGE: Final = ROOT / "docs" / "explanation" / "performance.md"
BEGIN: Final = "<!-- figures: begin -->"
END: Final = "<!-- figures: end -->"
FULL: Final = 0.9
"""The share of its core from which on the load, not the server, is taken to have been the limit."""

Measurements = Mapping[Source, Sequence[Any]]
"""What each source measured, round by round."""


@attrs.frozen(kw_only=True)
class Figures:
    """One row with its figures: a column's, round by round; and which of them the load has held down."""

    row: Row
    columns: Mapping[str, tuple[float, ...]]
    load_bound: frozenset[str]

    @classmethod
    def of(cls, row: Row, measured: Measurements) -> Figures:
        """Return the row's figures, for those columns of which everything was measured."""
        there = {
            column: sources
            for column, sources in row.sources.items()
            if all(measured.get(source) for source in sources)
        }
        return cls(
            row=row,
            columns={
                column: tuple(
                    float(row.figure(*turn)) for turn in zip(*(measured[source] for source in sources), strict=True)
                )
                for column, sources in there.items()
            },
            load_bound=frozenset(
                column
                for column, sources in there.items()
                if any(_is_load_bound(measured[source]) for source in sources)
            ),
        )

    def cell(self, column: str) -> str:
        """Return the median and, of several rounds, the range; a dagger where the load was the limit."""
        values = self.columns.get(column)
        if not values:
            return "–"
        told = [f"{value:,.{self.row.digits}f}" for value in (statistics.median(values), min(values), max(values))]
        dagger = " †" if column in self.load_bound else ""
        return f"{told[0]}{dagger} [{told[1]} .. {told[2]}]" if told[1] != told[2] else f"{told[0]}{dagger}"

    def quotient(self, column: str) -> float | None:
        """Return the median of ours by theirs, each of one round; None where that says nothing."""
        own, other = self.columns.get(OURS), self.columns.get(column)
        if not self.row.compared or not own or not other or not all(other):
            return None
        return statistics.median(mine / theirs for mine, theirs in zip(own, other, strict=True))


def _is_load_bound(measured: Sequence[Any]) -> bool:
    shares = [played.load_cpu for played in measured if isinstance(played, Played)]
    return bool(shares) and statistics.median(shares) >= FULL


def figures_of(rows: Sequence[Row], measured: Measurements) -> list[Figures]:
    """Return the rows that have any figure, in order."""
    return [figures for row in rows if (figures := Figures.of(row, measured)).columns]


def speed_table(figures: Sequence[Figures]) -> str:
    """Return the table of contenders, in Markdown."""
    header = ["figure", "aim", OURS, *PEERS, *(f"÷ {peer}" for peer in PEERS)]
    return _markdown(header, ([of.row.title, of.row.aim, *_cells(of)] for of in figures))


def told(figures: Sequence[Figures]) -> str:
    """Return the figures for a terminal: a line for each column of each row."""
    return "\n".join(line for of in figures for line in _lines(of))


def _lines(figures: Figures) -> Iterator[str]:
    row = figures.row
    yield f"{row.group}: {row.title}{f' (aim: {row.aim})' if row.aim else ''}"
    for column in figures.columns:
        quotient = figures.quotient(column) if column in PEERS else None
        yield f"    {column:<13} {figures.cell(column):<32} {'' if quotient is None else f'÷ {quotient:.2f}'}".rstrip()


def cost_table(figures: Sequence[Figures]) -> str:
    """Return the table of what a step costs, in Markdown."""
    header = ["µs of CPU", *(f"rubric `{rubric}`" for rubric in RUBRICS)]
    return _markdown(header, ([of.row.title, *(of.cell(rubric) for rubric in RUBRICS)] for of in figures))


def _cells(figures: Figures) -> Iterator[str]:
    yield from (figures.cell(column) for column in (OURS, *PEERS))
    for peer in PEERS:
        quotient = figures.quotient(peer)
        yield "–" if quotient is None or not math.isfinite(quotient) else f"{quotient:.2f}"


def _markdown(header: Sequence[str], rows: Iterator[list[str]] | Any) -> str:
    every = [list(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    widths = [max(len(row[place]) for row in every) for place in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in every
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def write_to_page(text: str, page: Path = PAGE) -> None:
    """Put the text between the page's markers; raises `BenchmarkError` if it has none."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BenchmarkError(f"{page} has no place for the figures: {BEGIN} … {END}")
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
