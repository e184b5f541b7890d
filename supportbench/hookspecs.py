"""The hooks: everything that a plugin can add to supportbench, on one page.

A plugin is a module (or package) under an entry point of the group `supportbench`. It declares `supportbench_api = 1`
and implements any of these hooks with `@hookimpl`. Each `supportbench_<plural>` hook is called once, at the start, and
returns an iterable of values (a generator reads best); a name that two plugins offer is an error that names both.
`environ` is a mapping of environment variables, for plugins that need configuration; leave it out if it is not needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import pluggy

from supportbench.interfaces import Agent, Executor, GradingComponent, SafetyCheck, TaskProvider
from supportbench.models import Episode, Rubric

ENTRY_POINT_GROUP: Final = "supportbench"
API_VERSION: Final = 1

hookspec: Final = pluggy.HookspecMarker("supportbench")
hookimpl: Final = pluggy.HookimplMarker("supportbench")


@hookspec
def supportbench_task_providers(environ: Mapping[str, str]) -> Iterable[TaskProvider]:  # type: ignore[empty-body]
    """Offer sources of tasks.

    A few tasks in memory are a `StaticTasks(name=…, splits={"test": (TASK,)})`; a large or generated set implements the
    `TaskProvider` protocol. The name is what `--provider` selects and, for OpenEnv's Task API, the environment's name.
    """


@hookspec
def supportbench_grading_components(environ: Mapping[str, str]) -> Iterable[GradingComponent]:  # type: ignore[empty-body]
    """Offer grading components: each scores one aspect of one action in [0, 1]. A rubric says which count how much."""


@hookspec
def supportbench_safety_checks(environ: Mapping[str, str]) -> Iterable[SafetyCheck]:  # type: ignore[empty-body]
    """Offer safety checks: each reads a reply and returns findings. A rubric says which are asked."""


@hookspec
def supportbench_rubrics(environ: Mapping[str, str]) -> Iterable[Rubric]:  # type: ignore[empty-body]
    """Offer rubrics: named recipes of components, weights and checks, for `--rubric` and for a task's own default."""


@hookspec
def supportbench_agents(environ: Mapping[str, str]) -> Iterable[Agent]:  # type: ignore[empty-body]
    """Offer agents, for `--agent`.

    In `--agent name:argument` the argument fills the first field of the agent's `Options`.
    """


@hookspec
def supportbench_executors(environ: Mapping[str, str]) -> Iterable[Executor]:  # type: ignore[empty-body]
    """Offer executors, for `--executor`: each plays the episodes of a run, on this machine or on others.

    In `--executor name:argument` the argument fills the first field of the executor's `Options`; `--name-field VALUE`
    fills any of them.
    """


@hookspec
async def supportbench_episode_finished(episode: Episode) -> None:
    """Be told that an episode has ended: its actions, grades, errors and times, without answer keys.

    A coroutine function. What it raises is logged with the plugin's name; the episode stands.
    """
