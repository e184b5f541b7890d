"""What episodes say that statistics are made of: a few numbers a graded reply, in compact arrays."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from typing import Final, TypeAlias

from supportbench.evaluation.spent import Spent
from supportbench.evaluation.statistics.facts import ESCALATE, NOTHING, UNKNOWN, Facts, TaskFacts, TicketFacts
from supportbench.models import Episode, EpisodeStep, SupportQueueAction, Taxonomy

TicketKey: TypeAlias = tuple[str, str, int, str, str]
"""Which ticket: provider, split, index, task and ticket."""

UNTOLD: Final = -1
"""In place of 0 or 1: it cannot be told."""


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
    """A row for each graded reply, in the order in which episodes come; errors and unreached tickets are counted.

    `facts` say of the tickets what episodes do not: whoever has none sees no tiers and nothing expected.
    """

    def __init__(self, facts: Facts = NOTHING) -> None:
        self.facts = facts
        self.tickets: dict[TicketKey, int] = {}
        self.errors = self.unreached = 0
        self.ticket, self.repeat = array("I"), array("Q")
        self.reward, self.confidence, self.latency_s = array("d"), array("d"), array("d")
        self.unsafe, self.too_urgent, self.not_urgent_enough = array("b"), array("b"), array("b")
        self.over_escalated, self.under_escalated = array("b"), array("b")
        self.queue, self.priority, self.tier = Labels(), Labels(), Labels()
        self.scores: dict[str, Scores] = {}
        self.answered: Counter[tuple[str, str, str]] = Counter()
        """How many replies: by what it is about (priority, queue, disposition), what was expected and what chosen."""
        self.agent, self.judge = Spent(), Spent()

    def add(self, episode: Episode) -> None:
        """Take from an episode what figures need; it is not kept."""
        place = (episode.provider, episode.split, episode.index)
        task = self.facts.get(place)
        for step in episode.steps:
            self.errors += step.status == "error"
            self.unreached += step.status == "unreached"
            if step.grade is not None:
                key = (*place, episode.task_id, step.ticket_id)
                self.ticket.append(self.tickets.setdefault(key, len(self.tickets)))
                self.repeat.append(episode.repeat)
                facts = UNKNOWN if task is None else task.tickets.get(step.ticket_id, UNKNOWN)
                self.tier.add(facts.customer_tier)
                self._add_reply(step)
                self._add_choices(step.action, facts, task)

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

    def _add_choices(self, action: SupportQueueAction | None, facts: TicketFacts, task: TaskFacts | None) -> None:
        """Count what was chosen beside what was expected."""
        if action is None or task is None:
            steps_up, must_escalate, escalated = None, None, False
        else:
            for kind, expected, chosen in (
                ("priority", facts.priority, action.priority),
                ("queue", facts.queue, action.queue),
                ("disposition", facts.disposition, action.disposition),
            ):
                if expected is not None:
                    self.answered[kind, expected, chosen] += 1
            steps_up = _steps_up(facts.priority, action.priority, task.taxonomy)
            must_escalate, escalated = facts.must_escalate, action.disposition == ESCALATE
        self.too_urgent.append(UNTOLD if steps_up is None else steps_up > 0)
        self.not_urgent_enough.append(UNTOLD if steps_up is None else steps_up < 0)
        self.over_escalated.append(UNTOLD if must_escalate is not False else escalated)
        self.under_escalated.append(UNTOLD if must_escalate is not True else not escalated)


def _steps_up(expected: str | None, chosen: str, taxonomy: Taxonomy) -> int | None:
    """Return by how many steps of the taxonomy's order the chosen priority is more urgent than the expected one."""
    order = taxonomy.priorities
    return None if expected is None or chosen not in order else order.index(expected) - order.index(chosen)
