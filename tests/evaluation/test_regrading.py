"""Grading recorded episodes again: with the same graders, the same rewards."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
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
from supportbench.evaluation.regrade_report import Change, Comparing
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


async def test_a_grader_that_fails_leaves_its_ticket_unscored_and_the_others_graded(episode: Episode) -> None:
    async def moody(submission: Submission) -> ComponentScore:
        if len(submission.previous) == 1:
            raise ValueError(f"expected {submission.case.answer_key}")
        return ComponentScore(score=1.0)

    regraded = await regrader(house(moody)).regrade_episode(episode)
    assert [step.status for step in regraded.now.steps] == ["graded", "error", "graded", "error"]
    assert [step.grade.reward for step in regraded.steps] == [1.0, 1.0]
    (unscored,) = regraded.unscored
    assert unscored.error == "component 'does' of plugin 'house' failed at ticket 't-1' of task 't': ValueError"
    assert unscored.action == episode.steps[1].action
    assert regraded.now.steps[3] == episode.steps[3]
    assert regraded.then == episode


async def test_an_action_that_was_unscored_came_before_those_that_follow_it(episode: Episode) -> None:
    seen: list[int] = []

    async def counts(submission: Submission) -> ComponentScore:
        seen.append(len(submission.previous))
        return ComponentScore(score=1.0)

    unscored = attrs.evolve(episode.steps[1], status="error", grade=None, error="a judge was away")
    steps = (episode.steps[0], unscored, *episode.steps[2:])
    await regrader(house(counts)).regrade(attrs.evolve(episode, steps=steps))
    assert seen == [0, 2]


@pytest.mark.parametrize("concurrency", [1, 2, 20])
async def test_many_come_in_their_order_whoever_is_done_first(episode: Episode, concurrency: int) -> None:
    most = under_way = 0

    async def in_its_own_time(submission: Submission) -> ComponentScore:
        nonlocal most, under_way
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.02 / (1 + len(submission.previous)))
        under_way -= 1
        return await by_what_came_before(submission)

    episodes = [attrs.evolve(episode, repeat=repeat) for repeat in range(5)]
    again = regrader(house(in_its_own_time)).regrade_all(episodes, concurrency=concurrency)
    async with aclosing(again):
        regraded = [one async for one in again]
    assert [one.now.repeat for one in regraded] == [0, 1, 2, 3, 4]
    assert all(not step.differs for one in regraded for step in one.steps)
    assert most == min(concurrency, 15)


async def test_who_leaves_early_stops_what_is_under_way(episode: Episode) -> None:
    ended: list[str] = []

    async def never(submission: Submission) -> ComponentScore:
        if submission.case.ticket.ticket_id == "t-0" and not ended:
            ended.append("first")
            return ComponentScore(score=1.0)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")
        return ComponentScore(score=0.0)

    one = attrs.evolve(episode, steps=episode.steps[:1])
    again = regrader(house(never)).regrade_all([one, one, one], concurrency=3)
    async for first in again:
        assert len(first.steps) == 1
        break
    await again.aclose()
    assert ended == ["first", "cancelled", "cancelled"]


async def test_a_comparison_has_means_of_what_both_graded(episode: Episode) -> None:
    async def half_or_nothing(submission: Submission) -> ComponentScore:
        if not submission.previous:
            raise ValueError("away")
        return ComponentScore(score=0.5)

    comparing = Comparing()
    comparing.add(await regrader(house(half_or_nothing)).regrade_episode(episode))
    report = comparing.report("run", None)
    (task,) = report.tasks
    assert (task.unscored, task.errors, task.unreached) == (1, 1, 0)
    both = sum(episode.rewards[1:]) / 2
    assert task.score == report.score == Change(old=both, new=0.5, actions=2)
    assert task.components == report.components == {"does": Change(old=both, new=0.5, actions=2)}
    assert [ticket.ticket_id for ticket in report.unscored] == ["t-0"]
