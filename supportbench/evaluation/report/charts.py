"""The charts of a report: each a figure, and a table that says the same. Imports matplotlib, as `drawing` does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import attrs
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from supportbench.evaluation.report.drawing import INK, LINE, MARKERS, RUNS, SOFT, Sheet, shortened_label, svg_of
from supportbench.evaluation.report.records import Report, RunView
from supportbench.evaluation.report.scores import MOST_TASKS, component_scores, drawn_tasks, middle, task_scores
from supportbench.evaluation.report.wording import figure, interval
from supportbench.evaluation.statistics.records import Calibration, Mean

_WIDTH: Final = 5.4
_LABEL: Final = 26


@attrs.frozen(kw_only=True)
class Chart:
    """A figure with its title and what there is to know about it, and a table that says the same in numbers."""

    name: str
    title: str
    about: str
    svg: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def charts_of(report: Report, sheet: Sheet) -> Iterator[Chart]:
    """Yield the charts that there are figures for."""
    makers: tuple[Callable[[Report, Sheet], Chart | None], ...] = (
        _by_task,
        _by_component,
        _reliability,
        _risk_coverage,
        _cost,
    )
    for make in makers:
        if (chart := make(report, sheet)) is not None:
            yield chart


# -- scores -------------------------------------------------------------------------------------------------------


def _by_task(report: Report, sheet: Sheet) -> Chart | None:
    names, number = drawn_tasks(report)
    about = "The mean reward of each task’s graded replies."
    if len(names) < number:
        about = f"The mean reward of the {MOST_TASKS} lowest of {number:,} tasks."
    scores = [task_scores(report, run) for run in report.runs]
    return _means(report, sheet, name="tasks", title="Score by task", about=about, names=names, scores=scores)


def _by_component(report: Report, sheet: Sheet) -> Chart | None:
    scores = [component_scores(run) for run in report.runs]
    names = list(dict.fromkeys(name for each in scores for name in each))
    about = "What each part of the rubric gave, as a mean of the tasks’ means."
    title = "Score by component"
    return _means(report, sheet, name="components", title=title, about=about, names=names, scores=scores)


def _means(
    report: Report,
    sheet: Sheet,
    *,
    name: str,
    title: str,
    about: str,
    names: Sequence[str],
    scores: Sequence[Mapping[str, Mean | float]],
) -> Chart | None:
    if not names:
        return None
    step = 0.8 / len(report.runs)

    def draw(into: Figure) -> None:
        axes = into.subplots()
        for place, of_run in enumerate(scores):
            for row, each in enumerate(names):
                if each in of_run:
                    _dot(axes, of_run[each], row + (place - (len(scores) - 1) / 2) * step, place)
        axes.set_yticks(range(len(names)), [shortened_label(each, _LABEL) for each in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.spines["left"].set_visible(False)
        _unit(axes, "x")

    height = 0.55 + len(names) * max(0.3, 0.17 * len(report.runs))
    return Chart(
        name=name,
        title=title,
        about=f"{about} Lines are 95% intervals." if _have_intervals(scores) else about,
        svg=svg_of(draw, size=(_WIDTH, height), name=name, title=title, sheet=sheet),
        columns=(name.removesuffix("s"), *(run.label for run in report.runs)),
        rows=tuple((each, *(_told(of_run.get(each)) for of_run in scores)) for each in names),
    )


def _dot(axes: Axes, mean: Mean | float, height: float, place: int) -> None:
    color = _color(place)
    if isinstance(mean, Mean) and mean.low is not None and mean.high is not None:
        axes.plot([mean.low, mean.high], [height, height], color=color, linewidth=2.2, solid_capstyle="round")
    axes.plot([middle(mean)], [height], MARKERS[place % len(MARKERS)], color=color, markersize=6, clip_on=False)


# -- confidence ---------------------------------------------------------------------------------------------------


def _calibrations(report: Report) -> list[tuple[int, RunView, Calibration]]:
    return [
        (place, run, run.summary.statistics.calibration)
        for place, run in enumerate(report.runs)
        if run.summary.statistics is not None and run.summary.statistics.calibration is not None
    ]


def _reliability(report: Report, sheet: Sheet) -> Chart | None:
    told = _calibrations(report)
    if not told:
        return None

    def draw(into: Figure) -> None:
        axes = into.subplots()
        axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle=(0, (4, 3)))
        for place, _, each in told:
            bins = [(one.confidence, one.success) for one in each.bins if one.replies]
            axes.plot(*zip(*bins, strict=True), **_line(place))
        _unit(axes, "x", "confidence")
        _unit(axes, "y", "share of successes")

    rows = [
        (run.label, f"{one.low:.1f} to {one.high:.1f}", str(one.replies), figure(one.confidence), figure(one.success))
        for _, run, each in told
        for one in each.bins
        if one.replies
    ]
    errors = "; ".join(f"{_which(report, run)}ECE {each.ece:.3f}, Brier {each.brier:.3f}" for _, run, each in told)
    title = "Reliability of the confidence"
    return Chart(
        name="reliability",
        title=title,
        about=f"Which share of the replies with a confidence succeeded; on the dashed line it is as said. {errors}.",
        svg=svg_of(draw, size=(_WIDTH, 3.6), name="reliability", title=title, sheet=sheet),
        columns=("run", "confidence", "replies", "mean confidence", "successes"),
        rows=tuple(rows),
    )


def _risk_coverage(report: Report, sheet: Sheet) -> Chart | None:
    told = _calibrations(report)
    if not told:
        return None

    def draw(into: Figure) -> None:
        axes = into.subplots()
        for place, _, each in told:
            points = [(one.coverage, one.risk) for one in each.risk_coverage]
            axes.plot(*zip(*points, strict=True), **_line(place))
        _unit(axes, "x", "coverage: the most confident replies")
        _unit(axes, "y", "risk: share of failures")

    areas = "; ".join(f"{_which(report, run)}area {each.aurc:.3f}" for _, run, each in told)
    title = "Risk and coverage"
    return Chart(
        name="risk",
        title=title,
        about=f"Which share would fail, if only so many of the most confident replies were acted upon. {areas}.",
        svg=svg_of(draw, size=(_WIDTH, 3.6), name="risk", title=title, sheet=sheet),
        columns=("run", "coverage", "least confidence", "risk"),
        rows=tuple(
            (run.label, figure(one.coverage), figure(one.confidence), figure(one.risk))
            for _, run, each in told
            for one in each.risk_coverage
        ),
    )


# -- cost ---------------------------------------------------------------------------------------------------------


def cost_of_reply(run: RunView) -> float | None:
    """Return what a graded reply of the agent cost in US dollars, over those whose price is known; None for none."""
    spending = None if run.summary.statistics is None else run.summary.statistics.agent_spending
    return None if spending is None or spending.cost_usd is None else spending.cost_usd / spending.priced


def _cost(report: Report, sheet: Sheet) -> Chart | None:
    told = [
        (place, run, cost, run.summary.statistics.average_score)
        for place, run in enumerate(report.runs)
        if (cost := cost_of_reply(run)) is not None
        and run.summary.statistics is not None
        and run.summary.statistics.average_score is not None
    ]
    if len(told) < 2:
        return None

    def draw(into: Figure) -> None:
        axes = into.subplots()
        for place, run, cost, mean in told:
            if mean.low is not None and mean.high is not None:
                axes.plot([cost, cost], [mean.low, mean.high], color=_color(place), linewidth=2.2)
            axes.plot([cost], [mean.mean], MARKERS[place % len(MARKERS)], color=_color(place), markersize=7)
            axes.annotate(run.label, (cost, mean.mean), (8, 0), textcoords="offset points", va="center")
        axes.set_xlim(0, max(cost for _, _, cost, _ in told) * 1.15 or 1)
        axes.set_xlabel("US dollars per 1,000 replies")
        axes.xaxis.set_major_formatter(lambda dollars, _: f"{dollars * 1000:,.6g}")
        _unit(axes, "y", "average score")
        axes.grid(visible=True)

    left_out = [run.label for run in report.runs if cost_of_reply(run) is None]
    more = f" Not known: the cost of {', '.join(left_out)}." if left_out else ""
    title = "Cost and score"
    return Chart(
        name="cost",
        title=title,
        about=f"Further up and further left is better; lines are 95% intervals.{more}",
        svg=svg_of(draw, size=(_WIDTH, 3.6), name="cost", title=title, sheet=sheet),
        columns=("run", "dollars per 1,000 replies", "score"),
        rows=tuple((run.label, f"{cost * 1000:,.4g}", _told(mean)) for _, run, cost, mean in told),
    )


# -- all ----------------------------------------------------------------------------------------------------------


def _unit(axes: Axes, which: str, label: str = "") -> None:
    axes.set(**{f"{which}lim": (-0.02, 1.02), f"{which}ticks": [0, 0.25, 0.5, 0.75, 1], f"{which}label": label})
    axes.grid(visible=True, axis="x" if which == "x" else "y")
    axes.tick_params(color=LINE)


def _line(place: int) -> dict[str, Any]:
    marker = MARKERS[place % len(MARKERS)]
    return {"color": _color(place), "marker": marker, "markersize": 5, "linewidth": 1.6, "clip_on": False}


def _which(report: Report, run: RunView) -> str:
    """Return what tells the run from the others, where there are any."""
    return f"{run.label}: " if len(report.runs) > 1 else ""


def _color(place: int) -> str:
    return RUNS[place % len(RUNS)]


def _told(mean: Mean | float | None) -> str:
    return "–" if mean is None else " ".join(filter(None, (figure(middle(mean)), interval(mean))))


def _have_intervals(scores: Sequence[Mapping[str, Mean | float]]) -> bool:
    return any(isinstance(mean, Mean) and mean.low is not None for of_run in scores for mean in of_run.values())
