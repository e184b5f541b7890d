"""What to evaluate, and the run that comes of it: which tasks, how often, each episode with a seed of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from attrs import field
from attrs.validators import ge, optional

from supportbench.choosing import DEFAULT_SPLIT, ChosenTask, TaskChooser
from supportbench.evaluation.agents import ChosenAgent
from supportbench.evaluation.environments import Environments, LocalEnvironments, PlannedTask
from supportbench.evaluation.executors import choose_executor
from supportbench.evaluation.limits import Limits
from supportbench.evaluation.statistics.facts import NOTHING, Facts, facts_of
from supportbench.graders import Graders
from supportbench.interfaces import LOCAL_EXECUTOR, EpisodeSpec, Executor
from supportbench.models import Rubric
from supportbench.registry import Registry
from supportbench.settings import Feedback


@attrs.frozen(kw_only=True)
class Evaluation:
    """What to evaluate: the agent, the tasks, the rubric in place of the tasks' own, and how often.

    With `strict_provider` task ids are those of that provider alone. `limit` is the number of tickets to play at most,
    over all tasks in order; `repeats` plays every task that often. `agent_options` are those that were given for the
    agent, `executor_options` those for the executor, and `tickets` is the file that the provider was made of, if it
    was: what a resumed run has to know again, with its `limits`, and whether its agent `keeps_answers`.
    """

    agent: ChosenAgent
    agent_options: Mapping[str, Any] = field(factory=dict)
    tickets: Path | None = None
    provider: str
    strict_provider: bool = False
    task_ids: tuple[str, ...] = ()
    split: str | None = None
    index: int | None = None
    rubric: Rubric | None = None
    repeats: int = field(default=1, validator=ge(1))
    seed: int = field(default=0, validator=ge(0))
    concurrency: int = field(default=8, validator=ge(1))
    limit: int | None = field(default=None, validator=optional(ge(1)))
    executor: str = LOCAL_EXECUTOR
    executor_options: Mapping[str, Any] = field(factory=dict)
    feedback: Feedback = "scores"
    limits: Limits = field(factory=Limits)
    keeps_answers: bool = False


@attrs.frozen(kw_only=True)
class PlannedRun:
    """An evaluation whose tasks are chosen and whose rubrics are bound: nothing in it can be misspelt any more.

    `environ` is what the registry's plugins were given. `facts` are for figures, and have answer keys in them.
    """

    evaluation: Evaluation
    registry: Registry
    environments: Environments
    executor: Executor
    tasks: tuple[PlannedTask, ...]
    facts: Facts = NOTHING
    environ: Mapping[str, str] = field(factory=dict, repr=False)

    def offers(self) -> Iterator[object]:
        """Yield the plugins' parts that were made for this run, to be closed at its end."""
        yield self.evaluation.agent.agent
        yield self.executor
        yield from self.environments.offers()

    @property
    def total_episodes(self) -> int:
        """How many episodes will be played."""
        return sum(1 for _ in self.specs())

    def specs(self) -> Iterator[EpisodeSpec]:
        """Yield the episodes to play, repeat by repeat, until the limit of tickets is reached."""
        left = self.evaluation.limit
        for repeat in range(self.evaluation.repeats):
            for task in self.tasks:
                if left == 0:
                    return
                tickets = len(task.ticket_ids)
                played = tickets if left is None else min(tickets, left)
                left = None if left is None else left - played
                yield EpisodeSpec(
                    provider=task.provider,
                    split=task.split,
                    index=task.index,
                    task_id=task.task_id,
                    repeat=repeat,
                    seed=episode_seed(self.evaluation.seed, task.provider, task.task_id, repeat),
                    max_tickets=None if played == tickets else played,
                )


def plan(evaluation: Evaluation, registry: Registry, environ: Mapping[str, str] | None = None) -> PlannedRun:
    """Choose the tasks of this process and bind the rubrics; `environ` is what the registry was loaded with.

    Raises:
        SupportbenchError: something does not exist, or does not fit.
    """
    graders = Graders(registry, evaluation.rubric)
    chosen_tasks = _chosen_tasks(evaluation, TaskChooser(registry, evaluation.provider))
    tasks = tuple(PlannedTask.from_opened(graders.open(chosen)) for chosen in chosen_tasks)
    facts = {(chosen.provider, chosen.split, chosen.index): facts_of(chosen.task) for chosen in chosen_tasks}
    executor = choose_executor(registry, evaluation.executor, evaluation.executor_options)
    environments = LocalEnvironments(
        registry=registry,
        graders=graders,
        feedback=evaluation.feedback,
        planned={(task.provider, task.split, task.index): task for task in tasks},
    )
    return PlannedRun(
        evaluation=evaluation,
        registry=registry,
        environments=environments,
        executor=executor,
        tasks=tasks,
        facts=facts,
        environ=environ or {},
    )


def episode_seed(seed: int, provider: str, task_id: str, repeat: int) -> int:
    """Return an episode's own seed, from 0 to 2^63-1: independent of the order of episodes and of other tasks."""
    text = f"{seed}\0{provider}\0{task_id}\0{repeat}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1


def _chosen_tasks(evaluation: Evaluation, chooser: TaskChooser) -> Sequence[ChosenTask]:
    if evaluation.task_ids:
        provider = evaluation.provider if evaluation.strict_provider else None
        return [chooser.find(task_id, provider) for task_id in dict.fromkeys(evaluation.task_ids)]
    split = evaluation.split or DEFAULT_SPLIT
    if evaluation.index is not None:
        return [chooser.at(evaluation.provider, split, evaluation.index)]
    chosen: list[ChosenTask] = []
    tickets = 0
    for index in range(chooser.num_tasks(evaluation.provider, split)):
        if evaluation.limit is not None and tickets >= evaluation.limit:
            break  # a provider may have millions more
        chosen.append(chooser.at(evaluation.provider, split, index))
        tickets += len(chosen[-1].task.cases)
    return chosen
