"""Grading recorded episodes again: with the same graders, the same rewards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

from supportbench import (
    ComponentScore,
    Episode,
    Registry,
    Rubric,
    RubricComponent,
    RunError,
    StaticTasks,
    Submission,
    SupportQueueAction,
    SupportQueueObservation,
)
from supportbench.evaluation.agents import choose_agent
from supportbench.evaluation.journal import read_journal
from supportbench.evaluation.planning import Evaluation, plan
from supportbench.evaluation.regrading import Regrader
from supportbench.evaluation.run import evaluate
from supportbench.graders import Graders
from tests.offering import Does, a_task, an_action, registry_of

RUBRIC = Rubric(name="default", components=[RubricComponent(use="does", weight=1.0)])


async def by_what_came_before(submission: Submission) -> ComponentScore:
    confidence = sum(action.confidence for action in submission.previous)
    return ComponentScore(score=confidence % 1.0, details={"expected": "secret"})


class Varies:
    """An agent that is more confident at every ticket, and fails at the last."""

    name = "varies"

    async def act(self, observation: SupportQueueObservation) -> SupportQueueAction:
        if observation.current_index == 3:
            raise RuntimeError("tired")
        return an_action(confidence=0.1 + observation.current_index / 7)


def house(score: Any = by_what_came_before, **changes: Any) -> Registry:
    provider = StaticTasks(name="house", splits={"test": [a_task("t", tickets=4, **changes)]})
    return registry_of(components=[Does(score)], rubrics=[RUBRIC], providers=[provider], agents=[Varies()])


@pytest.fixture
async def episode(tmp_path: Path) -> Episode:
    registry = house()
    asked = Evaluation(agent=choose_agent(registry, "varies"), provider="house")
    await evaluate(plan(asked, registry), tmp_path / "run", run_id="r")
    (played,) = read_journal(tmp_path / "run" / "journal.jsonl")
    assert [step.status for step in played.steps] == ["graded"] * 3 + ["error"]
    return played


def regrader(registry: Registry) -> Regrader:
    return Regrader(registry, Graders(registry))


async def test_a_grader_is_given_what_it_was_given_then(episode: Episode) -> None:
    again = await regrader(house()).regrade(episode)
    assert [step.grade for step in again] == [step.grade for step in episode.steps[:3]]
    assert [step.recorded_reward for step in again] == list(episode.rewards)
    assert len(set(episode.rewards)) == 3
    assert not any(step.differs for step in again)


async def test_another_grader_gives_other_rewards(episode: Episode) -> None:
    async def full_marks(submission: Submission) -> ComponentScore:
        return ComponentScore(score=1.0)

    again = await regrader(house(full_marks)).regrade(episode)
    assert [step.grade.reward for step in again] == [1.0] * 3
    assert all(step.differs for step in again)


async def test_what_may_tell_an_expected_value_is_left_out(episode: Episode) -> None:
    again = await regrader(house()).regrade(episode)
    assert all(not part.details for step in again for part in step.grade.components.values())


async def test_a_task_that_changed_in_anything_is_refused_with_both_fingerprints(episode: Episode) -> None:
    changed = regrader(house(instructions="Triage well."))
    with pytest.raises(RunError, match=f"Its fingerprint then: {episode.task_fingerprint}, and now: sha256:"):
        await changed.regrade(episode)


async def test_a_task_that_is_not_there_is_refused(episode: Episode) -> None:
    with pytest.raises(RunError, match="the task 't' that was played is not there"):
        await regrader(house()).regrade(attrs.evolve(episode, index=1))
    with pytest.raises(RunError, match="came from a file: give it with --tickets"):
        await regrader(house()).regrade(attrs.evolve(episode, provider="file"))
