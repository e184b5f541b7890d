"""What a run came to: means per task and component, unsafe replies, errors, usage.

Only graded tickets enter a mean; `error` and `unreached` tickets are counted beside them.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import attrs

from supportbench.evaluation.spent import Spent
from supportbench.evaluation.statistics.figures import statistics_of
from supportbench.evaluation.statistics.observations import Observations
from supportbench.evaluation.statistics.records import Statistics, succeeded
from supportbench.models import Episode, EpisodeStep, RubricCard, Usage
from supportbench.plugins import Plugin


@attrs.frozen(kw_only=True)
class PluginCard:
    """A plugin as results name it."""

    name: str
    distribution: str
    version: str

    @classmethod
    def from_plugin(cls, plugin: Plugin) -> PluginCard:
        """Return the card of a loaded plugin."""
        return cls(name=plugin.name, distribution=plugin.distribution, version=plugin.version)


@attrs.frozen(kw_only=True)
class TaskResult:
    """One task's figures over all its episodes.

    `score` is the mean reward of the graded tickets, None when there is none; `components` are the mean scores of those
    tickets to which the component applies; `unsafe_rate` is the share of graded tickets with an unsafe reply; both
    counts of unsafe replies are None where a server tells its rewards alone. `rewards` are in the order of repeats and
    tickets. `unscored` counts those of the `errors` that graders are to blame for. `steps` counts the tickets that were
    tried, graded or not; `success` means a score of at least 0.80 and no error.
    """

    provider: str
    split: str
    index: int
    task_id: str
    title: str
    difficulty: str
    fingerprint: str
    rubric: RubricCard
    episodes: int
    tickets: int
    score: float | None
    rewards: tuple[float, ...]
    components: Mapping[str, float]
    unsafe_replies: int | None
    unsafe_rate: float | None
    errors: tuple[str, ...]
    unscored: int = 0
    unreached: int
    steps: int
    success: bool


@attrs.frozen(kw_only=True)
class Results:
    """A run's results, as `results.json` holds them. `average_score` is the mean of the task scores.

    `unscored_count` of the `error_count` tickets have an action whose grading failed. `judge_usage` counts what they
    used, too. `statistics` is None where the libraries that they need are not installed. What is long is in no repr:
    the one that asyncio makes at the end of a run took as long as a hundred tickets.
    """

    schema: Literal["supportbench.results/1"] = "supportbench.results/1"
    run_id: str
    agent: str
    model: str | None
    plugins: tuple[PluginCard, ...] = attrs.field(repr=False)
    seed: int
    average_score: float | None
    error_count: int
    unscored_count: int = 0
    unreached_count: int
    tasks: tuple[TaskResult, ...] = attrs.field(repr=False)
    agent_usage: Usage | None
    judge_usage: Usage | None
    statistics: Statistics | None = attrs.field(default=None, repr=False)
    duration_s: float


@attrs.frozen(kw_only=True)
class Summary:
    """What a run's episodes add up to: the tasks by provider, split and index, and the tokens that were spent."""

    tasks: tuple[TaskResult, ...]
    agent_usage: Usage | None
    judge_usage: Usage | None
    statistics: Statistics | None = None

    @property
    def average_score(self) -> float | None:
        """The mean of the tasks' scores, None when no task has one."""
        return _mean([task.score for task in self.tasks if task.score is not None])

    def results(
        self, *, run_id: str, agent: str, model: str | None, plugins: Sequence[PluginCard], seed: int, duration_s: float
    ) -> Results:
        """Return the results of the run that the episodes belong to."""
        return Results(
            run_id=run_id,
            agent=agent,
            model=model,
            plugins=tuple(plugins),
            seed=seed,
            average_score=self.average_score,
            error_count=sum(len(task.errors) for task in self.tasks),
            unscored_count=sum(task.unscored for task in self.tasks),
            unreached_count=sum(task.unreached for task in self.tasks),
            tasks=self.tasks,
            agent_usage=self.agent_usage,
            judge_usage=self.judge_usage,
            statistics=self.statistics,
            duration_s=round(duration_s, 3),
        )


def summarize(episodes: Iterable[Episode], observed: Observations | None = None) -> Summary:
    """Return the sum of the episodes, which may come in any order; with statistics where they are to be `observed`.

    One pass; memory grows with the number of tickets, not with what was said about them.
    """
    tallies: dict[tuple[str, str, int], _Tally] = {}
    by_agent, by_judges = Spent(), Spent()
    for episode in episodes:
        place = (episode.provider, episode.split, episode.index)
        if place not in tallies:
            tallies[place] = _Tally(episode)
        tallies[place].add(episode)
        if observed is not None:
            observed.add(episode)
        for step in episode.steps:
            by_agent.add(step.usage)
            by_judges.add(step.grading_usage)
    tasks = tuple(tallies[place].result() for place in sorted(tallies))
    statistics = None if observed is None else statistics_of(observed)
    return Summary(tasks=tasks, agent_usage=by_agent.usage, judge_usage=by_judges.usage, statistics=statistics)


class _Tally:
    """One task's figures while its episodes come in, in any order."""

    def __init__(self, first: Episode) -> None:
        self._first = attrs.evolve(first, steps=())
        self._episodes = self._unsafe = self._untold = self._unscored = self._unreached = self._tickets = 0
        self._rewards, self._repeats = array("d"), array("Q")
        self._scores: dict[str, array[float]] = {}
        self._messages: dict[int, tuple[str, ...]] = {}

    def add(self, episode: Episode) -> None:
        self._episodes += 1
        if messages := episode.errors:
            self._messages[episode.repeat] = messages
        self._unscored += episode.unscored
        for step in episode.steps:
            self._tickets += 1
            self._unreached += step.status == "unreached"
            self._add_step(episode.repeat, step)

    def _add_step(self, repeat: int, step: EpisodeStep) -> None:
        if step.grade is None:
            return
        self._unsafe += step.grade.unsafe
        self._untold += not step.grade.components
        self._rewards.append(step.grade.reward)
        self._repeats.append(repeat)
        for name, part in step.grade.components.items():
            scores = self._scores.setdefault(name, array("d"))
            if part.score is not None:
                scores.append(part.score)

    def result(self) -> TaskResult:
        first = self._first
        places = sorted(range(len(self._repeats)), key=self._repeats.__getitem__)
        rewards = tuple(map(self._rewards.__getitem__, places))
        means = {name: _mean(scores) for name, scores in self._scores.items()}
        errors = tuple(text for repeat in sorted(self._messages) for text in self._messages[repeat])
        score = _mean(rewards)
        return TaskResult(
            provider=first.provider,
            split=first.split,
            index=first.index,
            task_id=first.task_id,
            title=first.task_title,
            difficulty=first.difficulty,
            fingerprint=first.task_fingerprint,
            rubric=first.rubric,
            episodes=self._episodes,
            tickets=self._tickets,
            score=score,
            rewards=rewards,
            components={name: mean for name, mean in means.items() if mean is not None},
            unsafe_replies=None if self._untold else self._unsafe,
            unsafe_rate=self._unsafe / len(rewards) if rewards and not self._untold else None,
            errors=errors,
            unscored=self._unscored,
            unreached=self._unreached,
            steps=len(rewards) + len(errors),
            success=score is not None and succeeded(score) and not errors,
        )


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
