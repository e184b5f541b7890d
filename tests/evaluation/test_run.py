"""Evaluating in process: what enters the journal and the means, and what an error does."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import sys
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from supportbench import (
    AgentReply,
    ComponentScore,
    Episode,
    EpisodeSpec,
    PlayEpisode,
    Registry,
    Rubric,
    RubricComponent,
    RunError,
    StaticTasks,
    Submission,
    SupportQueueAction,
    SupportQueueObservation,
    Usage,
)
from supportbench.evaluation.agents import choose_agent
from supportbench.evaluation.journal import RunFolder, read_journal
from supportbench.evaluation.planning import Evaluation, plan
from supportbench.evaluation.results import Results, summarize
from supportbench.evaluation.run import evaluate
from supportbench.evaluation.statistics.observations import Observations
from tests.offering import Does, a_task, an_action, registry_of
from tests.timeless import timeless

RUBRIC = Rubric(name="default", components=[RubricComponent(use="does", weight=1.0)])


class Acts:
    """An agent that does what the test says; it counts the episodes that it started."""

    name = "acts"

    def __init__(self, doing: Callable[[SupportQueueObservation], Any] = lambda observation: an_action()) -> None:
        self._doing = doing
        self.seeds: list[int] = []

    def start_episode(self, seed: int) -> Acts:
        self.seeds.append(seed)
        return self

    async def act(self, observation: SupportQueueObservation) -> SupportQueueAction | AgentReply:
        await asyncio.sleep(0)
        reply: SupportQueueAction | AgentReply = self._doing(observation)
        return reply


async def full_marks(submission: Submission) -> ComponentScore:
    return ComponentScore(score=1.0)


def house(agent: Acts, score: Any = full_marks, tasks: int = 1, **others: Any) -> Registry:
    provider = StaticTasks(name="house", splits={"test": [a_task(f"t{n}", tickets=3) for n in range(tasks)]})
    return registry_of(components=[Does(score)], rubrics=[RUBRIC], providers=[provider], agents=[agent], **others)


async def run(registry: Registry, out: Path, **asked: Any) -> Results:
    evaluation = Evaluation(agent=choose_agent(registry, "acts"), provider="house", **asked)
    return await evaluate(plan(evaluation, registry), out, run_id="r")


def episodes_in(out: Path) -> list[Episode]:
    return list(read_journal(out / "journal.jsonl"))


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (lambda observation: 1 / 0, "agent 'acts' failed at ticket 't0-1': ZeroDivisionError: division by zero"),
        (lambda observation: "P1", "Agent 'acts' must return a SupportQueueAction, it returned str"),
        (lambda observation: an_action(queue="kitchen"), "queue: 'kitchen' is not allowed in this task."),
        (lambda observation: sys.exit(3), "SystemExit"),
    ],
)
async def test_an_agents_error_ends_its_episode_and_enters_no_mean(
    tmp_path: Path, fault: Callable[[SupportQueueObservation], Any], told: str
) -> None:
    agent = Acts(lambda observation: fault(observation) if observation.current_index == 1 else an_action())
    results = await run(house(agent), tmp_path / "r")
    (episode,) = episodes_in(tmp_path / "r")
    assert [step.status for step in episode.steps] == ["graded", "error", "unreached"]
    assert told in str(episode.steps[1].error)
    (task,) = results.tasks
    assert (task.score, task.rewards, task.tickets, len(task.errors), task.unreached) == (1.0, (1.0,), 3, 1, 1)
    assert told in task.errors[0]
    assert (results.average_score, results.error_count, results.unreached_count) == (1.0, 1, 1)


async def test_an_agent_that_fails_at_the_start_of_an_episode_loses_that_episode_alone(tmp_path: Path) -> None:
    class StartsOnce(Acts):
        def start_episode(self, seed: int) -> Acts:
            if self.seeds:
                raise RuntimeError("no more seats")
            return super().start_episode(seed)

    results = await run(house(StartsOnce(), tasks=2), tmp_path / "r", concurrency=1)
    assert [task.score for task in results.tasks] == [1.0, None]
    assert "RuntimeError: no more seats" in results.tasks[1].errors[0]


async def test_a_graders_fault_is_an_error_too_and_never_a_zero(tmp_path: Path) -> None:
    async def broken(submission: Submission) -> ComponentScore:
        raise ValueError(f"the key says {submission.case.answer_key.queue}")

    results = await run(house(Acts(), broken), tmp_path / "r")
    (episode,) = episodes_in(tmp_path / "r")
    assert episode.steps[0].status == "error"
    assert episode.steps[0].action == an_action()
    assert "component 'does' of plugin 'house' failed" in str(episode.steps[0].error)
    assert "billing" not in str(episode.steps[0].error)
    assert (results.tasks[0].score, results.average_score) == (None, None)


async def test_what_a_failed_attempt_used_up_is_counted(tmp_path: Path) -> None:
    used = Usage(input_tokens=100, output_tokens=7, calls=1, cost_usd=0.5)
    agent = Acts(lambda observation: AgentReply(action=an_action(), usage=used))
    results = await run(house(agent), tmp_path / "r")
    assert results.agent_usage == Usage(input_tokens=300, output_tokens=21, calls=3, cost_usd=1.5)
    assert results.judge_usage is None


async def test_a_judges_usage_is_reported_apart(tmp_path: Path) -> None:
    async def judge(submission: Submission) -> ComponentScore:
        return ComponentScore(score=0.5, usage=Usage(input_tokens=10, calls=1))

    results = await run(house(Acts(), judge), tmp_path / "r", repeats=2)
    assert results.judge_usage == Usage(input_tokens=60, calls=6)
    assert results.agent_usage is None


async def test_every_repeat_of_every_task_has_a_seed_of_its_own_that_follows_from_the_runs(tmp_path: Path) -> None:
    seeds = []
    for folder in ("a", "b"):
        agent = Acts()
        await run(house(agent, tasks=3), tmp_path / folder, repeats=4, seed=11, concurrency=1)
        seeds.append(agent.seeds)
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0])) == 12


async def test_at_most_as_many_episodes_are_under_way_as_asked(tmp_path: Path) -> None:
    under_way, most = set(), 0

    def watch(observation: SupportQueueObservation) -> SupportQueueAction:
        nonlocal most
        under_way.add(observation.info["episode_id"])
        most = max(most, len(under_way))
        if observation.current_index == 2:
            under_way.discard(observation.info["episode_id"])
        return an_action()

    await run(house(Acts(watch), tasks=9), tmp_path / "r", concurrency=4)
    assert most == 4


async def test_listeners_hear_of_every_episode_and_a_broken_one_harms_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    async def listen(episode: Episode) -> None:
        heard.append(episode.task_id)
        raise RuntimeError("the disk is full")

    results = await run(house(Acts(), tasks=2, listener=listen), tmp_path / "r")
    assert sorted(heard) == ["t0", "t1"]
    assert results.error_count == 0
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.ERROR]
    assert "supportbench_episode_finished of plugin 'house' failed: RuntimeError" in caplog.text


async def test_a_journal_has_no_answer_key(tmp_path: Path) -> None:
    async def detailed(submission: Submission) -> ComponentScore:
        return ComponentScore(score=0.0, details={"missed": ["the secret concept"]})

    await run(house(Acts(), detailed), tmp_path / "r")
    for name in ("run.json", "journal.jsonl", "results.json"):
        assert "secret concept" not in (tmp_path / "r" / name).read_text()


async def test_another_executor_plays_the_episodes(tmp_path: Path) -> None:
    class Backwards:
        name = "backwards"

        async def run(
            self, play: PlayEpisode, specs: Iterable[EpisodeSpec], *, concurrency: int
        ) -> AsyncGenerator[Episode, None]:
            for spec in reversed(list(specs)):
                yield await play(spec)

    registry = house(Acts(), tasks=3, executors=[Backwards()])
    forwards = await run(registry, tmp_path / "a")
    backwards = await run(registry, tmp_path / "b", executor="backwards")
    assert [episode.task_id for episode in episodes_in(tmp_path / "b")] == ["t2", "t1", "t0"]
    assert timeless(forwards) == timeless(backwards)


async def test_finished_episodes_are_on_the_disk_when_a_later_one_breaks_the_run(tmp_path: Path) -> None:
    class Breaks(StaticTasks):
        def task(self, split: str, index: int) -> Any:
            if index == 2 and (tmp_path / "r").exists():
                raise OSError("the share is gone")
            return super().task(split, index)

    provider = Breaks(name="house", splits={"test": [a_task(f"t{n}") for n in range(3)]})
    registry = registry_of(components=[Does(full_marks)], rubrics=[RUBRIC], providers=[provider], agents=[Acts()])
    with pytest.raises(Exception, match="task provider 'house' failed"):
        await run(registry, tmp_path / "r", concurrency=1)
    assert [episode.task_id for episode in episodes_in(tmp_path / "r")] == ["t0", "t1"]


def test_a_full_disk_is_a_clear_error(tmp_path: Path) -> None:
    asyncio.run(run(house(Acts()), tmp_path / "r"))
    (episode,) = episodes_in(tmp_path / "r")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/journal.jsonl").symlink_to("/dev/full")  # a device on which there is never room
    with (
        closing(RunFolder(tmp_path / "full")) as folder,
        pytest.raises(RunError, match=rf"\[Errno {errno.ENOSPC}\].*Finished episodes are kept"),
    ):
        folder.append(episode)


def test_a_sum_does_not_depend_on_the_order_of_episodes(tmp_path: Path) -> None:
    asyncio.run(run(house(Acts(), tasks=3), tmp_path / "r", repeats=3))
    episodes = episodes_in(tmp_path / "r")
    assert summarize(episodes, Observations()) == summarize(reversed(episodes), Observations())


def test_a_sum_of_dollars_does_not_depend_on_the_order_of_episodes(tmp_path: Path) -> None:
    costs = iter([0.1, 1e16, 0.7, 0.3, 2.5, 1e-9] * 6)

    def acts(observation: SupportQueueObservation) -> AgentReply:
        return AgentReply(action=an_action(), usage=Usage(calls=1, input_tokens=1, cost_usd=next(costs)))

    asyncio.run(run(house(Acts(acts), tasks=3), tmp_path / "r", repeats=2))
    episodes = episodes_in(tmp_path / "r")
    assert summarize(episodes).agent_usage == summarize(reversed(episodes)).agent_usage


def test_a_journal_line_that_is_none_is_named(tmp_path: Path) -> None:
    asyncio.run(run(house(Acts()), tmp_path / "r"))
    with (tmp_path / "r/journal.jsonl").open("a") as journal:
        journal.write(json.dumps({"schema": "supportbench.episode/2"}) + "\n")
    with pytest.raises(RunError, match=r"journal\.jsonl, line 2: "):
        episodes_in(tmp_path / "r")
