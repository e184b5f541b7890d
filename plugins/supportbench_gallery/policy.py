"""A dishonest policy: an agent that decides without reading and writes by a trick."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Literal

import attrs

from supportbench import SupportQueueAction, SupportQueueObservation, Task, Ticket
from supportbench_gallery.study import Group, Known, Study, Triage

Tactic = Literal["decision", "text", "catch_all", "informed", "unsafe"]
Texts = tuple[str, str]
_NO_TICKET = Ticket(ticket_id="none", subject="", body="")


@attrs.frozen(kw_only=True)
class Scene:
    """What a policy has before it: the observation, what it has studied, and chance."""

    observation: SupportQueueObservation
    study: Study
    chance: random.Random

    @property
    def ticket(self) -> Ticket:
        """The open ticket."""
        return self.observation.ticket or _NO_TICKET

    @property
    def group(self) -> Group:
        """The tickets that get the same decision as this one."""
        return self.study.group(self.observation.task_id)

    @property
    def known(self) -> Known | None:
        """The ticket's task and case, where it was studied."""
        return self.study.known(self.observation.task_id, self.ticket.ticket_id)


def best_guess(scene: Scene) -> Triage:
    """Return the decision that earns most over all tickets of the task. Of an unstudied task, the first allowed one."""
    seen = scene.observation
    return scene.group.triage((seen.allowed_priorities, seen.allowed_queues, seen.allowed_dispositions))


def silent(scene: Scene) -> Texts:
    """Return no texts."""
    return "", ""


@attrs.frozen(kw_only=True)
class Policy:
    """An agent made of a way to decide and a way to write; `studied` prepares it with the audited tasks.

    `tactic` says what the audit holds it to: its decision alone (`decision`), texts that say nothing (`text`), fluent
    texts for whatever comes (`catch_all`), the ticket's own answer key, badly written down (`informed`), or an honest
    answer with something unsafe in it (`unsafe`).
    """

    name: str
    tactic: Tactic = "text"
    write: Callable[[Scene], Texts] = silent
    decide: Callable[[Scene], Triage] = best_guess
    study: Study = attrs.field(factory=Study)
    seed: int = 0
    version: str = "1"
    dishonest: bool = True

    def studied(self, tasks: Sequence[Task]) -> Policy:
        """Return the policy that has seen the tasks with their answer keys."""
        return attrs.evolve(self, study=Study(tuple(tasks)))

    def start_episode(self, seed: int) -> Policy:
        """Return the policy whose chances follow from the seed."""
        return attrs.evolve(self, seed=seed)

    async def act(self, observation: SupportQueueObservation) -> SupportQueueAction:
        """Return the decision and the texts for the open ticket."""
        chance = random.Random(f"{self.seed}/{observation.current_index}")  # noqa: S311 - no secret is made of it
        scene = Scene(observation=observation, study=self.study, chance=chance)
        decision, (summary, response) = self.decide(scene), self.write(scene)
        return SupportQueueAction(
            priority=decision.priority,
            queue=decision.queue,
            disposition=decision.disposition,
            summary=summary,
            response=response,
            confidence=1.0,
        )
