"""What another rubric makes of the same actions: scores, components, unsafe replies and tickets, then and now."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import attrs

from supportbench.evaluation.regrading import RegradedEpisode
from supportbench.models import Grade, RubricCard, Usage

_Place: TypeAlias = tuple[str, str, int]


@attrs.frozen(kw_only=True)
class Change:
    """A mean over the same actions, then and now."""

    old: float
    new: float
    actions: int

    @property
    def difference(self) -> float:
        """How much more it is now."""
        return self.new - self.old


@attrs.frozen(kw_only=True)
class TicketChange:
    """The mean reward of the actions for one ticket, then and now."""

    provider: str
    task_id: str
    ticket_id: str
    reward: Change


@attrs.frozen(kw_only=True)
class UnscoredTicket:
    """A ticket with an action whose grading failed now, and why."""

    episode_id: str
    task_id: str
    ticket_id: str
    error: str


@attrs.frozen(kw_only=True)
class TaskChange:
    """A task's figures, then and now.

    `score` is the mean reward of the actions that have both grades, None when there is none; `components` are the means
    of those components that both rubrics have, over the actions to which both apply. `unscored` tickets have an action
    whose grading failed now, `scored_anew` those whose grading failed then alone; `errors` and `unreached` tickets have
    no action to grade.
    """

    provider: str
    split: str
    index: int
    task_id: str
    old_rubrics: tuple[RubricCard, ...]
    new_rubric: RubricCard
    episodes: int
    score: Change | None
    components: Mapping[str, Change]
    old_unsafe: int
    new_unsafe: int
    unscored: int
    scored_anew: int
    errors: int
    unreached: int


@attrs.frozen(kw_only=True)
class RegradeReport:
    """What `supportbench regrade --json` prints. `score` is the mean of the task scores, over tasks that have one.

    `tickets` come with the largest change first. `judge_usage` is what the graders used now.
    """

    schema: Literal["supportbench.regrade/1"] = "supportbench.regrade/1"
    source: str
    out: str | None
    score: Change | None
    components: Mapping[str, Change]
    tasks: tuple[TaskChange, ...]
    tickets: tuple[TicketChange, ...]
    unscored: tuple[UnscoredTicket, ...]
    judge_usage: Usage | None

    @property
    def old_rubrics(self) -> tuple[RubricCard, ...]:
        """The rubrics that graded then, each once."""
        return tuple(dict.fromkeys(card for task in self.tasks for card in task.old_rubrics))

    @property
    def new_rubrics(self) -> tuple[RubricCard, ...]:
        """The rubrics that grade now, each once."""
        return tuple(dict.fromkeys(task.new_rubric for task in self.tasks))


class Comparing:
    """Takes regraded episodes one at a time and keeps their sums; memory follows the number of tickets."""

    def __init__(self) -> None:
        self._tasks: dict[_Place, _TaskSums] = {}
        self._unscored: list[UnscoredTicket] = []
        self._usage: Usage | None = None

    def add(self, episode: RegradedEpisode) -> None:
        """Count an episode in."""
        then = episode.then
        place = (then.provider, then.split, then.index)
        sums = self._tasks.get(place)
        if sums is None:
            sums = self._tasks[place] = _TaskSums(then.task_id, episode.now.rubric)
        sums.add(episode)
        for step in episode.unscored:
            self._unscored.append(
                UnscoredTicket(
                    episode_id=then.episode_id,
                    task_id=then.task_id,
                    ticket_id=step.ticket_id,
                    error=step.error or "",
                )
            )
        for step in episode.now.steps:
            used = step.grading_usage
            if used is not None:
                self._usage = used if self._usage is None else self._usage + used

    def report(self, source: str, out: str | None) -> RegradeReport:
        """Return what it all came to."""
        tasks = tuple(self._tasks[place].result(place) for place in sorted(self._tasks))
        scores = [task.score for task in tasks if task.score is not None]
        components = _Sums.merged([sums.components for sums in self._tasks.values()])
        tickets = [
            TicketChange(provider=place[0], task_id=sums.task_id, ticket_id=ticket_id, reward=change)
            for place, sums in sorted(self._tasks.items())
            for ticket_id, ticket in sums.tickets.items()
            if (change := ticket.change()) is not None
        ]
        tickets.sort(key=lambda ticket: -abs(ticket.reward.difference))
        return RegradeReport(
            source=source,
            out=out,
            score=_mean_of(scores),
            components=_changes(components),
            tasks=tasks,
            tickets=tuple(tickets),
            unscored=tuple(self._unscored),
            judge_usage=self._usage,
        )


@attrs.define
class _Sums:
    """Two sums over the same actions."""

    old: float = 0.0
    new: float = 0.0
    actions: int = 0

    def add(self, old: float, new: float) -> None:
        self.old += old
        self.new += new
        self.actions += 1

    def change(self) -> Change | None:
        count = self.actions
        return Change(old=self.old / count, new=self.new / count, actions=count) if count else None

    @classmethod
    def merged(cls, each: Sequence[Mapping[str, _Sums]]) -> dict[str, _Sums]:
        merged: dict[str, _Sums] = {}
        for sums in each:
            for name, part in sums.items():
                total = merged.setdefault(name, cls())
                total.old, total.new = total.old + part.old, total.new + part.new
                total.actions += part.actions
        return merged


class _TaskSums:
    """One task's sums while its episodes come in."""

    def __init__(self, task_id: str, rubric: RubricCard) -> None:
        self.task_id = task_id
        self.components: dict[str, _Sums] = {}
        self.tickets: dict[str, _Sums] = {}
        self._rubric = rubric
        self._old_rubrics: dict[RubricCard, None] = {}
        self._score = _Sums()
        self._episodes = self._old_unsafe = self._new_unsafe = 0
        self._unscored = self._scored_anew = self._errors = self._unreached = 0

    def add(self, episode: RegradedEpisode) -> None:
        self._episodes += 1
        self._old_rubrics[episode.then.rubric] = None
        self._unscored += len(episode.unscored)
        self._scored_anew += len(episode.scored_anew)
        self._errors += sum(step.status == "error" for step in episode.now.steps) - len(episode.unscored)
        self._unreached += sum(step.status == "unreached" for step in episode.now.steps)
        for before, after in episode.graded:
            if before.grade is not None and after.grade is not None:
                self._add(before.ticket_id, before.grade, after.grade)

    def _add(self, ticket_id: str, old: Grade, new: Grade) -> None:
        self._score.add(old.reward, new.reward)
        self.tickets.setdefault(ticket_id, _Sums()).add(old.reward, new.reward)
        self._old_unsafe += old.unsafe
        self._new_unsafe += new.unsafe
        for name, part in new.components.items():
            before = old.components.get(name)
            if before is not None and before.score is not None and part.score is not None:
                self.components.setdefault(name, _Sums()).add(before.score, part.score)

    def result(self, place: _Place) -> TaskChange:
        provider, split, index = place
        return TaskChange(
            provider=provider,
            split=split,
            index=index,
            task_id=self.task_id,
            old_rubrics=tuple(self._old_rubrics),
            new_rubric=self._rubric,
            episodes=self._episodes,
            score=self._score.change(),
            components=_changes(self.components),
            old_unsafe=self._old_unsafe,
            new_unsafe=self._new_unsafe,
            unscored=self._unscored,
            scored_anew=self._scored_anew,
            errors=self._errors,
            unreached=self._unreached,
        )


def _changes(sums: Mapping[str, _Sums]) -> dict[str, Change]:
    return {name: change for name, part in sums.items() if (change := part.change()) is not None}


def _mean_of(changes: Sequence[Change]) -> Change | None:
    if not changes:
        return None
    old, new = (math.fsum(values) / len(changes) for values in ([c.old for c in changes], [c.new for c in changes]))
    return Change(old=old, new=new, actions=sum(change.actions for change in changes))
