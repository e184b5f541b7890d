"""Confusion matrices as heat maps, each with a table that says the same. Imports matplotlib, as `drawing` does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from supportbench.evaluation.report.charts import Chart
from supportbench.evaluation.report.drawing import INK, LINE, SHADE, Sheet, shortened_label, svg_of
from supportbench.evaluation.report.records import Report
from supportbench.evaluation.statistics.records import Confusion
from supportbench.wording import counted

_LABEL: Final = 13
_DARKEST: Final = 0.55


def matrices_of(report: Report, sheet: Sheet) -> Iterator[Chart]:
    """Yield a chart for each kind of choice in each run, as far as there are figures."""
    for run in report.runs:
        statistics = run.summary.statistics
        for kind, confusion in ({} if statistics is None else statistics.confusions).items():
            told = f"{run.label}: {kind}" if len(report.runs) > 1 else kind.capitalize()
            yield _matrix(confusion, kind=kind, title=told, name=f"{kind}-{run.label}", sheet=sheet)


def _replies(number: int) -> str:
    return "1 reply" if number == 1 else f"{number:,} replies"


def _matrix(confusion: Confusion, *, kind: str, title: str, name: str, sheet: Sheet) -> Chart:
    labels, counts = confusion.labels, confusion.counts
    size = len(labels)
    right = sum(counts[place][place] for place in range(size))

    def draw(into: Figure) -> None:
        axes = into.subplots()
        for row, numbers in enumerate(counts):
            most = sum(numbers) or 1
            for column, number in enumerate(numbers):
                shade = _DARKEST * number / most
                cell = Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=SHADE, alpha=shade, linewidth=0)
                edge = Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor="none", edgecolor=LINE, linewidth=0.6)
                axes.add_patch(cell)
                axes.add_patch(edge)
                if number:
                    axes.text(column, row, f"{number:,}", ha="center", va="center", color=INK)
        names = [shortened_label(label, _LABEL) for label in labels]
        is_long = max(map(len, names)) > 5
        axes.set_xticks(range(size), names, rotation=35 if is_long else 0, ha="right" if is_long else "center")
        axes.set_yticks(range(size), names)
        axes.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5), xlabel="chosen", ylabel="expected")
        axes.tick_params(length=0, labelcolor=INK)
        axes.spines[:].set_visible(False)

    return Chart(
        name=name,
        title=title,
        about=(
            f"{right:,} of {_replies(confusion.replies)} to {counted(confusion.tickets, 'ticket')} are "
            "on the diagonal, as expected. The stronger the shade, the larger the share of its row."
        ),
        svg=svg_of(
            draw,
            size=(max(4.2, 1.4 + 0.42 * size), 1.1 + 0.42 * size),
            name=name,
            title=f"{title}: expected and chosen",
            sheet=sheet,
        ),
        columns=(f"{kind} expected", *(f"chosen: {label}" for label in labels)),
        rows=tuple((label, *map(str, numbers)) for label, numbers in zip(labels, counts, strict=True)),
    )
