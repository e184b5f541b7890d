"""Three tasks of support triage: an inbox to clean up, a service level to defend, executives who escalate."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import as_file, files

from supportbench import StaticTasks, TaskProvider, hookimpl, read_task

supportbench_api = 1

TASKS = ("easy_inbox_cleanup", "medium_sla_defense", "hard_exec_escalations")


@hookimpl
def supportbench_task_providers() -> Iterator[TaskProvider]:
    """Offer the tasks in the `tasks` folder, as the split `test`."""
    with as_file(files(__name__) / "tasks") as folder:
        yield StaticTasks(name="triage", splits={"test": [read_task(folder / f"{name}.toml") for name in TASKS]})
