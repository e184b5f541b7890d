"""What episodes say that statistics are made of: a few numbers a graded reply, in compact arrays."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from typing import Final, TypeAlias

from supportbench.evaluation.spent import Spent
from supportbench.models import Episode, EpisodeStep

TicketKey: TypeAlias = tuple[str, str, int, str, str]
"""Which ticket: provider, split, index, task and ticket."""

Tiers: TypeAlias = Mapping[tuple[str, str, int], Mapping[str, str]]
"""By provider, split and index: the customer's tier of each ticket that has one."""

NOBODY: Final[Tiers] = {}
UNTOLD: Final = -1
"""In place of 0 or 1: a server told the reward alone."""


class Labels:
    """One label a row, kept as a number; -1 where there is none."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {}
        self.rows = array("i")

    def add(self, name: str | None) -> None:
        """Append a row."""
        self.rows.append(-1 if name is None else self.names.setdefault(name, len(self.names)))


class Scores:
    """A component's scores and the rows that they belong to: it need not apply to every ticket."""

    def __init__(self) -> None:
        self.rows = array("I")
        self.scores = array("d")


class Observations:
    """A row for each graded reply, in the order in which episodes come; errors and unreached tickets are counted."""

    def __init__(self, tiers: Tiers = NOBODY) -> None:
        self._tiers = tiers
        self.tickets: dict[TicketKey, int] = {}
        self.errors = self.unreached = 0
        self.ticket, self.repeat = array("I"), array("Q")
        self.reward, self.confidence, self.latency_s = array("d"), array("d"), array("d")
        self.unsafe = array("b")
        self.queue, self.priority, self.tier = Labels(), Labels(), Labels()
        self.scores: dict[str, Scores] = {}
        self.agent, self.judge = Spent(), Spent()

    def add(self, episode: Episode) -> None:
        """Take from an episode what figures need; it is not kept."""
        place = (episode.provider, episode.split, episode.index)
        tiers = self._tiers.get(place, {})
        for step in episode.steps:
            self.errors += step.status == "error"
            self.unreached += step.status == "unreached"
            if step.grade is not None:
                key = (*place, episode.task_id, step.ticket_id)
                self.ticket.append(self.tickets.setdefault(key, len(self.tickets)))
                self.repeat.append(episode.repeat)
                self.tier.add(tiers.get(step.ticket_id))
                self._add_reply(step)

    def _add_reply(self, step: EpisodeStep) -> None:
        grade, action = step.grade, step.action
        if grade is None:
            return
        for name, part in grade.components.items():
            if part.score is not None:
                scores = self.scores.setdefault(name, Scores())
                scores.rows.append(len(self.reward))
                scores.scores.append(part.score)
        self.reward.append(grade.reward)
        self.confidence.append(math.nan if action is None else action.confidence)
        self.latency_s.append(step.latency_s)
        self.unsafe.append(grade.unsafe if grade.components else UNTOLD)
        self.queue.add(None if action is None else action.queue)
        self.priority.add(None if action is None else action.priority)
        self.agent.add(step.usage)
        self.judge.add(grade.usage)
