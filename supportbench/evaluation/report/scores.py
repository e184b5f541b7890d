"""The means of a report's tasks and components, with their intervals where there are statistics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from supportbench.evaluation.report.records import Report, RunView
from supportbench.evaluation.statistics.records import Mean

MOST_TASKS: Final = 24
"""So many tasks are shown on their own, the lowest ones; every ticket is in the table of tickets."""


def task_scores(report: Report, run: RunView) -> Mapping[str, Mean | float]:
    """Return each task's mean reward by its id, which has the provider before it where there are several."""
    several = len({task.provider for each in report.runs for task in each.manifest.tasks}) > 1
    statistics = run.summary.statistics
    if statistics is not None:
        return {
            f"{task.provider}: {task.task_id}" if several else task.task_id: task.reward for task in statistics.tasks
        }
    return {
        f"{task.provider}: {task.task_id}" if several else task.task_id: task.score
        for task in run.summary.tasks
        if task.score is not None
    }


def drawn_tasks(report: Report) -> tuple[list[str], int]:
    """Return the names of the tasks to be shown, and how many there are: of many, those with the lowest mean."""
    scores = [task_scores(report, run) for run in report.runs]
    names = list(dict.fromkeys(name for each in scores for name in each))
    if len(names) <= MOST_TASKS:
        return names, len(names)
    lowest = sorted(names, key=lambda name: min(middle(each[name]) for each in scores if name in each))
    return lowest[:MOST_TASKS], len(names)


def component_scores(run: RunView) -> Mapping[str, Mean | float]:
    """Return each component's mean of the tasks' means, in the order of the rubric."""
    order = list(dict.fromkeys(name for task in run.summary.tasks for name in task.components))
    statistics = run.summary.statistics
    if statistics is not None:
        return {name: statistics.components[name] for name in order if name in statistics.components}
    scores = {name: [task.components[name] for task in run.summary.tasks if name in task.components] for name in order}
    return {name: math.fsum(each) / len(each) for name, each in scores.items()}


def middle(mean: Mean | float) -> float:
    """Return the mean itself."""
    return mean.mean if isinstance(mean, Mean) else mean
