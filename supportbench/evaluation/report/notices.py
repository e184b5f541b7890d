"""What a reader of a report has to know before its figures: what is missing in them, and what does not compare."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from supportbench.evaluation.report.records import Report, RunView
from supportbench.evaluation.statistics.extra import INSTALL
from supportbench.wording import counted

_MOST_TOLD = 5


def notices_of(report: Report, name: Callable[[str], str] = str) -> Iterator[str]:
    """Yield what is to be said, a sentence each, the worst first; `name` makes fit whatever is text of others."""
    several = len(report.runs) > 1
    if report.reveals:
        yield "Answer keys are in this report. Whoever trains on it, or shows it to an agent, has nothing to measure."
    if report.differences:
        more = f"; and {len(report.differences) - _MOST_TOLD} more" if len(report.differences) > _MOST_TOLD else ""
        told = "; ".join(map(name, report.differences[:_MOST_TOLD]))
        yield f"These runs stand side by side by --force, though they are not the same: {told}{more}."
    for run in report.runs:
        for notice in _of_run(run, name):
            yield f"{run.label}: {notice}" if several else notice


def _of_run(run: RunView, name: Callable[[str], str]) -> Iterator[str]:
    if run.played < run.planned:
        yield (
            f"This run has not ended: {run.played} of {counted(run.planned, 'episode')} are in its journal, and the "
            f"figures are of those. To go on: {name(f'supportbench run --resume {run.name}')}"
        )
    if run.errors:
        graders = f" ({run.unscored} unscored, since grading failed)" if run.unscored else ""
        yield (
            f"{counted(run.errors, 'ticket')} ended in an error{graders} and {run.unreached} were not reached; they "
            "have no score and are in no mean."
        )
    if run.summary.statistics is None:
        yield f"There are means alone. For intervals, calibration and more: {INSTALL}"
    yield from _by_reason("The mails of {} are not shown, since {}.", run.without_mail, name)
    yield from _by_reason("What was matched and missed in {} cannot be told: {}.", run.without_concepts, name)


def _by_reason(sentence: str, reasons: Mapping[str, str], name: Callable[[str], str]) -> Iterator[str]:
    tasks: dict[str, list[str]] = {}
    for task_id, reason in sorted(reasons.items()):
        tasks.setdefault(reason.removesuffix("."), []).append(task_id)
    for reason, names in tasks.items():
        more = f" and {len(names) - _MOST_TOLD} more tasks" if len(names) > _MOST_TOLD else ""
        yield sentence.format(", ".join(map(name, names[:_MOST_TOLD])) + more, name(reason))
