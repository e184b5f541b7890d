"""A run's results as a person reads them: errors first, then a row a task, then the average."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from supportbench.cli.printing import printable
from supportbench.evaluation.results import Results, TaskResult
from supportbench.evaluation.statistics.extra import INSTALL
from supportbench.evaluation.statistics.records import FEWEST_TICKETS, Mean, Rate, Triage
from supportbench.models.tickets import DEFAULT_RUBRIC
from supportbench.wording import counted

_MOST: Final = 50
"""Rows of tasks, and messages of errors: who has more looks into the file."""


def print_results(results: Results) -> None:
    """Print the table of a run: errors first, then a row a task, then the average."""
    from rich.table import Table

    from supportbench.cli.tables import figure, fits, show, stdout, table

    console = stdout()
    names = list(dict.fromkeys(name for task in results.tasks for name in task.components))
    if results.error_count:
        ended = f"{counted(results.error_count, 'ticket')} ended in an error{_unscored(results)}"
        console.print(f"{ended} and {results.unreached_count} were not reached; neither enters a mean.")
        errors = [(task.task_id, message) for task in results.tasks for message in task.errors]
        for task_id, message in errors[:_MOST]:
            console.print(f"  {printable(task_id)}: {printable(message)}")
        if len(errors) > _MOST:
            console.print(f"  and {len(errors) - _MOST} more, in results.json")
    rubrics = list(dict.fromkeys(task.rubric.name for task in results.tasks if task.rubric.name != DEFAULT_RUBRIC))
    title = " · ".join([results.agent, *(f"rubric {name}" for name in rubrics), f"seed {results.seed}"])
    tasks = _told(results.tasks)
    columns = {
        "task": [task.task_id for task in tasks],
        "difficulty": [task.difficulty for task in tasks],
        "replies" if any(task.episodes > 1 for task in tasks) else "tickets": [str(task.tickets) for task in tasks],
        "score": [figure(task.score) for task in tasks],
        **_intervals(results, tasks),
        "unsafe": ["–" if task.unsafe_replies is None else str(task.unsafe_replies) for task in tasks],
        "errors": [str(len(task.errors)) for task in tasks],
    }
    means = {name: [figure(task.components.get(name)) for task in tasks] for name in names}

    def table_of(shown: dict[str, list[str]], title: str) -> Table:
        numbers = [name for name in shown if name not in ("task", "difficulty")]
        return table(list(shown), zip(*shown.values(), strict=True), numbers=numbers, title=title)

    # One table where it fits; on a narrow terminal the component means get one of their own.
    whole = table_of({**columns, **means}, title)
    if fits(console, whole):
        show(console, whole)
    else:
        show(console, table_of(columns, title))
        show(console, table_of({"task": columns["task"], **means}, "component means"))
    if len(tasks) < len(results.tasks):
        console.print(f"These are the {len(tasks)} lowest of {len(results.tasks)} tasks; all are in results.json.")
    console.print(f"Average score: {figure(results.average_score)}{_out_of(results)}")
    if results.average_score is not None:
        console.print(_interval(results))
    if results.statistics is not None and (triage := results.statistics.triage) is not None:
        console.print(_triage(triage))


def _told(tasks: Sequence[TaskResult]) -> Sequence[TaskResult]:
    """Return the tasks to show: all, or the lowest of very many, those without a score first."""
    if len(tasks) <= _MOST:
        return tasks
    return sorted(tasks, key=lambda task: -1.0 if task.score is None else task.score)[:_MOST]


def _intervals(results: Results, tasks: Sequence[TaskResult]) -> dict[str, list[str]]:
    """Return a column with the tasks' intervals, none where no task has one."""
    if results.statistics is None:
        return {}
    told = {(task.provider, task.split, task.index): task.reward for task in results.statistics.tasks}
    cells = [interval(told.get((task.provider, task.split, task.index))) for task in tasks]
    return {"95%": cells} if any(cells) else {}


def _interval(results: Results) -> str:
    """Return the average's interval in words, or what it lacks."""
    if results.statistics is None or (average := results.statistics.average_score) is None:
        return f"Intervals, calibration and more: {INSTALL}"
    if told := interval(average):
        return f"95% interval: {told} ({counted(average.tickets, 'ticket')})"
    why = "all tickets came out alike" if average.tickets >= FEWEST_TICKETS else f"fewer than {FEWEST_TICKETS} tickets"
    return f"95% interval: none ({why})"


def _triage(triage: Triage) -> str:
    """Return how often too much and too little was made of a ticket."""

    def told(rate: Rate | None) -> str:
        return "–" if rate is None else f"{rate.rate:.2f}"

    return (
        f"Triage: over {told(triage.over_triage)}, under {told(triage.under_triage)}; "
        f"escalation: over {told(triage.over_escalation)}, under {told(triage.under_escalation)}"
    )


def interval(mean: Mean | None) -> str:
    """Return the ends of a mean's interval, empty where it has none."""
    return "" if mean is None or mean.low is None or mean.high is None else f"{mean.low:.2f}–{mean.high:.2f}"


def _unscored(results: Results) -> str:
    """Return how many of the errors are graders' doing, empty where none is."""
    return f" ({results.unscored_count} unscored, since grading failed)" if results.unscored_count else ""


def _out_of(results: Results) -> str:
    """Return what the average is an average of, where that is not everything."""
    if not results.error_count:
        return ""
    scored = sum(task.score is not None for task in results.tasks)
    graded = sum(len(task.rewards) for task in results.tasks)
    tickets = sum(task.tickets for task in results.tasks)
    return f" over {scored} of {len(results.tasks)} tasks ({graded} of {tickets} tickets graded)"
