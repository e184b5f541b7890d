"""An episode as it is played: who is told of its steps, and what is kept of one that was broken off."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from supportbench import EpisodeSpec, EpisodeStep, Rubric, RubricComponent, SafetyPolicy, StaticTasks
from supportbench.evaluation.agents import choose_agent
from supportbench.evaluation.environments import LocalEnvironments
from supportbench.evaluation.episode import EpisodePlayer
from supportbench.graders import Graders
from supportbench.interfaces import Agent
from supportbench.models import SupportQueueAction, SupportQueueObservation
from tests.offering import Told, a_task, an_action, registry_of

TASK = a_task(tickets=3, rubric="told")
SPEC = EpisodeSpec(provider="house", split="test", index=0, task_id=TASK.task_id, repeat=0, seed=0)
RUBRIC = Rubric(name="told", components=(RubricComponent(use="told", weight=1.0),), safety=SafetyPolicy(checks=()))


class FailsAt:
    """An agent that fails at one ticket."""

    name = "fails_at"

    def __init__(self, index: int) -> None:
        self._index = index

    async def act(self, observation: SupportQueueObservation) -> SupportQueueAction:
        if observation.current_index == self._index:
            raise ValueError("no idea")
        return an_action(metadata={"told": 0.5})


def player_of(agent: Agent, seen: list[EpisodeStep]) -> EpisodePlayer:
    provider = StaticTasks(name="house", splits={"test": (TASK,)})
    registry = registry_of(components=[Told("told")], rubrics=[RUBRIC], providers=[provider], agents=[agent])
    return EpisodePlayer(
        registry=registry,
        environments=LocalEnvironments(registry=registry, graders=Graders(registry)),
        agent=choose_agent(registry, agent.name),
        on_step=lambda spec, step: seen.append(step),
    )


async def test_graded_and_failed_tickets_are_told_of_and_unreached_ones_are_not() -> None:
    seen: list[EpisodeStep] = []
    episode = await player_of(FailsAt(1), seen).play(SPEC)
    assert [step.status for step in episode.steps] == ["graded", "error", "unreached"]
    assert seen == list(episode.steps[:2])


@pytest.mark.parametrize(
    ("failing", "played", "statuses", "errors"),
    [
        (9, 0, ["error", "unreached", "unreached"], ["stopped"]),
        (9, 2, ["graded", "graded", "error"], ["stopped"]),
        (9, 3, ["graded", "graded", "graded"], []),
        (1, 2, ["graded", "error", "unreached"], ["agent 'fails_at' failed at ticket 't-1': ValueError: no idea"]),
    ],
)
async def test_an_episode_that_was_broken_off_is_recorded_with_one_error_at_most(
    failing: int, played: int, statuses: list[str], errors: list[str]
) -> None:
    seen: list[EpisodeStep] = []
    player = player_of(FailsAt(failing), seen)
    whole = await player.play(SPEC)
    task = player.environments.open(SPEC).task
    episode = player.broken_off(SPEC, task, seen[:played], "stopped", started_at=datetime.now(UTC))
    assert [step.status for step in episode.steps] == statuses
    assert list(episode.errors) == errors
    assert [step.ticket_id for step in episode.steps] == [step.ticket_id for step in whole.steps]
    assert (episode.task_fingerprint, episode.rubric) == (whole.task_fingerprint, whole.rubric)
