"""Playing the audited tasks: the oracle, the oracle without words, dishonest policies, an honest agent."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, get_args

import attrs

from supportbench.errors import AgentError, GradingError, UnknownNameError, boundary
from supportbench.evaluation.agents import ChosenAgent, choose_agent
from supportbench.evaluation.audit.report import Tactic
from supportbench.evaluation.audit.subject import Subject, Unit
from supportbench.evaluation.environments import LocalEnvironments
from supportbench.evaluation.episode import EpisodePlayer
from supportbench.graders import OpenTask
from supportbench.interfaces import Agent
from supportbench.models import Case, Episode, EpisodeStep, Submission, SupportQueueAction, SupportQueueObservation
from supportbench.offers import is_dishonest
from supportbench.oracle import honest_answers, reworded_answers
from supportbench.registry import Registry
from supportbench.settings import DEFAULT_AGENT
from supportbench.wording import shown

FULL: Final = 1.0 - 1e-9
TACTICS: Final = get_args(Tactic)

logger: Final = logging.getLogger("supportbench.evaluation.audit")


@attrs.frozen(kw_only=True)
class Played:
    """One agent's episodes, by task id."""

    agent: ChosenAgent
    episodes: Mapping[str, Episode]

    def steps(self, unit: Unit) -> Iterator[EpisodeStep]:
        """Yield what became of each ticket of the unit, in order."""
        for task in unit.tasks:
            yield from self.episodes[task.card.task_id].steps

    def mean_reward(self, unit: Unit) -> float | None:
        """Return the mean reward of the unit's graded tickets; None where none was graded."""
        return mean([step.grade.reward for step in self.steps(unit) if step.grade is not None])

    @property
    def errors(self) -> tuple[str, ...]:
        """What ended an episode early."""
        return tuple(error for episode in self.episodes.values() for error in episode.errors)


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of what was measured, None of nothing."""
    measured = [value for value in values if value is not None]
    return math.fsum(measured) / len(measured) if measured else None


async def play(agent: ChosenAgent, subject: Subject) -> Played:
    """Return the agent's episodes of all audited tasks; what goes wrong ends an episode and is among its errors."""
    environments = LocalEnvironments(registry=subject.registry, graders=subject.graders)
    player = EpisodePlayer(registry=subject.registry, environments=environments, agent=agent)
    return Played(
        agent=agent, episodes={task.card.task_id: await player.play(subject.spec(task)) for task in subject.tasks}
    )


# -- the oracle ---------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Oracle:
    """An agent that has the answers; with `mute`, their decisions alone."""

    answers: Mapping[tuple[str, str], SupportQueueAction]
    mute: bool = False
    name: str = "oracle"

    async def act(self, observation: SupportQueueObservation) -> SupportQueueAction:
        """Return the answer to the open ticket."""
        ticket = observation.ticket
        answer = self.answers[observation.task_id, "" if ticket is None else ticket.ticket_id]
        return attrs.evolve(answer, summary="", response="") if self.mute else answer


async def find_answers(subject: Subject) -> Mapping[tuple[str, str], SupportQueueAction]:
    """Return, by task and ticket id, the plainest honest answer that earns full marks, or else the one that earns most.

    Each is graded behind those of the earlier tickets, as in an episode, and put into other words where it is they that
    cost it its marks: two tickets may be about one matter.
    """
    answers: dict[tuple[str, str], SupportQueueAction] = {}
    for opened in subject.tasks:
        earlier: tuple[SupportQueueAction, ...] = ()
        for case in subject.cases(opened):
            answer = await _best_answer(opened, case, earlier)
            answers[opened.card.task_id, case.ticket.ticket_id] = answer
            earlier = (*earlier, answer)
    return answers


async def _best_answer(opened: OpenTask, case: Case, earlier: tuple[SupportQueueAction, ...]) -> SupportQueueAction:
    task = opened.chosen.task

    async def earned(answer: SupportQueueAction, previous: tuple[SupportQueueAction, ...]) -> float:
        submission = Submission(task=task, case=case, action=answer, previous=previous)
        return (await opened.grader.grade(submission)).reward

    plainest = best = next(honest_answers(task, case))
    most = -1.0
    try:
        for answer in honest_answers(task, case):
            if (reward := await earned(answer, earlier)) > most:
                most, best = reward, answer
            if most >= FULL:
                return best
        if earlier and await earned(best, ()) > most:
            for answer in reworded_answers(task, case):
                if (reward := await earned(answer, earlier)) > most:
                    most, best = reward, answer
                if most >= FULL:
                    return best
    except GradingError:  # it will be met again when the oracle plays, and is told then
        return plainest
    return best


def as_agent(oracle: Oracle) -> ChosenAgent:
    """Return the oracle as an agent that can play."""
    return ChosenAgent(label=oracle.name, agent=oracle, version="1")


# -- those who are installed --------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Cheat:
    """A dishonest policy that has studied the audited tasks, and the plugin that it comes from."""

    agent: ChosenAgent
    plugin: str
    tactic: Tactic


def gallery(subject: Subject) -> tuple[Cheat, ...]:
    """Return the installed dishonest policies, by name; each has studied the audited tasks if it can.

    Raises:
        AgentError: one failed at that, or declares a tactic that there is not.
    """
    tasks = tuple(task.chosen.task for task in subject.tasks)
    cheats: list[Cheat] = []
    for entry in subject.registry.agents.entries.values():
        if not is_dishonest(entry.value):
            continue
        who = f"dishonest agent {entry.name!r} of plugin {entry.plugin.name!r}"
        chosen = choose_agent(subject.registry, entry.name)
        with boundary(AgentError, who, "studying the audited tasks"):
            study: Callable[..., Agent] | None = getattr(chosen.agent, "studied", None)
            studied: Agent = chosen.agent if study is None else study(tasks)
            tactic: Tactic = getattr(studied, "tactic", "decision")
            if tactic not in TACTICS:
                raise AgentError(f"{who} has the tactic {shown(tactic)}; there are {', '.join(TACTICS)}")
        agent = attrs.evolve(chosen, agent=studied)
        cheats.append(Cheat(agent=agent, plugin=entry.plugin.name, tactic=tactic))
    return tuple(cheats)


def honest_agent(registry: Registry, label: str = DEFAULT_AGENT) -> ChosenAgent | None:
    """Return the agent to compare with; None where nobody asked for another and the usual one is not installed.

    Raises:
        UnknownNameError: another one was asked for, and there is none of that name.
        OptionsError: its options are wrong.
    """
    try:
        return choose_agent(registry, label)
    except UnknownNameError as error:
        if label != DEFAULT_AGENT:
            raise
        logger.warning("No honest agent plays along: %s", error)
        return None
