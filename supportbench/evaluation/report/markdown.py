"""The report in short, as GitHub's Markdown: for pull requests and model cards.

Text of others stands in code spans, where nothing is markup, a link or a mention of somebody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from supportbench.evaluation.report.notices import notices_of
from supportbench.evaluation.report.records import Report, RunView
from supportbench.evaluation.report.scores import MOST_TASKS, component_scores, drawn_tasks, task_scores
from supportbench.evaluation.report.wording import clean, dollars, figure, interval, share, signed
from supportbench.evaluation.statistics.comparison import CompareReport
from supportbench.evaluation.statistics.records import Mean
from supportbench.wording import counted, shortened

_MOST_FLIPS = 10
_LONGEST = 80


def markdown_of(report: Report) -> str:
    """Return the summary, the scores by task and component, and what the comparison came to; no ticket's text."""
    blocks = [
        f"### supportbench: {_title(report)}",
        *(f"> {notice}" for notice in notices_of(report, name=code)),
        _summary(report),
        *_scores(report),
        *_triage(report),
        *_calibration(report),
        *([] if report.comparison is None else _comparison(report, report.comparison)),
        *([f"Not compared: {code(report.uncompared)}"] if report.uncompared else []),
        _origin(report),
    ]
    return "\n\n".join(blocks) + "\n"


def code(text: object) -> str:
    """Return a code span of one line with the text in it, fit for a cell of a table, and shortened to 80 characters."""
    line = shortened(clean(text), _LONGEST)
    # A pipe ends a cell in a code span, too, unless a backslash stands before it that no other one takes away.
    line = line.replace("\\|", "\\¦").replace("|", "\\|")
    if not line:
        return "–"
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    pad = " " if "`" in (line[0], line[-1]) else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def _title(report: Report) -> str:
    return code(report.runs[0].name) if len(report.runs) == 1 else counted(len(report.runs), "run")


def _summary(report: Report) -> str:
    columns = ["run", "agent", "average score", "successes", "unsafe", "graded", "errors", "cost"]
    return _table(columns, map(_summary_row, report.runs), words=2)


def _summary_row(run: RunView) -> list[str]:
    statistics, usage = run.summary.statistics, run.summary.agent_usage
    counts = [str(run.graded), f"{run.errors}{f' ({run.unscored} unscored)' if run.unscored else ''}"]
    return [
        f"{run.label}: {code(run.name)}",
        code(run.manifest.agent),
        _mean(run.summary.average_score, None if statistics is None else statistics.average_score),
        share(None if statistics is None else statistics.success),
        share(statistics.unsafe) if statistics is not None else "–" if run.unsafe is None else str(run.unsafe),
        *counts,
        dollars(None if usage is None else usage.cost_usd),
    ]


def _scores(report: Report) -> Iterator[str]:
    names = [run.label for run in report.runs]
    tasks, number = drawn_tasks(report)
    header = "task" if number == len(tasks) else f"the {MOST_TASKS} lowest of {number:,} tasks"
    yield _by_name([header, *names], tasks, [task_scores(report, run) for run in report.runs])
    components = [component_scores(run) for run in report.runs]
    yield _by_name(["component", *names], dict.fromkeys(name for each in components for name in each), components)


def _by_name(columns: Sequence[str], names: Iterable[str], scores: Sequence[Mapping[str, Mean | float]]) -> str:
    rows = ([code(name), *(_told(of_run.get(name)) for of_run in scores)] for name in names)
    return _table(columns, rows)


def _triage(report: Report) -> Iterator[str]:
    rows = [
        [
            run.label,
            *map(share, (told.over_triage, told.under_triage, told.over_escalation, told.under_escalation)),
        ]
        for run in report.runs
        if run.summary.statistics is not None and (told := run.summary.statistics.triage) is not None
    ]
    if rows:
        yield _table(["run", "over-triage", "under-triage", "over-escalation", "under-escalation"], rows)


def _calibration(report: Report) -> Iterator[str]:
    rows = [
        [run.label, f"{told.brier:.3f}", figure(told.brier_skill), f"{told.ece:.3f}", f"{told.aurc:.3f}"]
        for run in report.runs
        if run.summary.statistics is not None and (told := run.summary.statistics.calibration) is not None
    ]
    if rows:
        yield _table(["confidence", "Brier", "skill", "ECE", "AURC"], rows)


def _comparison(report: Report, comparison: CompareReport) -> Iterator[str]:
    several = len(comparison.comparisons) > 1
    columns = ["run", "first", "this", "difference", "95%", "p (Holm)" if several else "p", "win/tie/loss", "flipped"]
    labels = [run.label for run in report.runs[1:]]
    rows = [
        [
            f"{label} − {report.runs[0].label}",
            f"{each.first_mean:.3f}",
            f"{each.mean:.3f}",
            f"**{signed(each.difference)}**",
            "–" if each.low is None else f"{signed(each.low)} to {signed(each.high)}",
            "–" if each.p_holm is None else f"{each.p_holm:.3f}" if each.p_holm >= 0.001 else "<0.001",
            f"{each.wins}/{each.ties}/{each.losses}",
            str(len(each.flips)),
        ]
        for label, each in zip(labels, comparison.comparisons, strict=True)
    ]
    yield _table(columns, rows)
    flips = [(label, flip) for label, each in zip(labels, comparison.comparisons, strict=True) for flip in each.flips]
    if flips:
        told = (
            [label, code(flip.task_id), code(flip.ticket_id), f"{flip.first:.2f}", f"{flip.this:.2f}"]
            for label, flip in flips[:_MOST_FLIPS]
        )
        header = "flipped" if len(flips) <= _MOST_FLIPS else f"flipped (the first {_MOST_FLIPS} of {len(flips)})"
        yield _table([header, "task", "ticket", "first", "this"], told, words=3)


def _origin(report: Report) -> str:
    rubrics = dict.fromkeys(code(task.rubric.name) for run in report.runs for task in run.manifest.tasks)
    seeds = dict.fromkeys(str(run.manifest.seed) for run in report.runs)
    told = [f"supportbench {report.version}", f"rubric {', '.join(rubrics)}", f"seed {', '.join(seeds)}"]
    return f"<sub>{' · '.join(told)} · in brackets: 95% intervals</sub>"


def _mean(value: float | None, mean: Mean | None) -> str:
    return " ".join(filter(None, (figure(value), interval(mean))))


def _told(mean: Mean | float | None) -> str:
    return _mean(mean.mean, mean) if isinstance(mean, Mean) else figure(mean)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> str:
    """Return a table; the first `words` columns stand to the left, the others, of numbers, to the right."""
    rules = ["---" if place < words else "--:" for place in range(len(columns))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (columns, rules, *rows))
