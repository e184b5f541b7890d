"""Plugins that misbehave: a run ends with results or with an error that names them, never with a traceback."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from supportbench import (
    AgentReply,
    ComponentScore,
    Episode,
    EpisodeSpec,
    HookError,
    PlayEpisode,
    Registry,
    ResetError,
    StaticTasks,
    Submission,
    SupportQueueObservation,
)
from supportbench.evaluation.agents import choose_agent
from supportbench.evaluation.journal import read_journal
from supportbench.evaluation.planning import Evaluation, plan
from supportbench.offers import closing
from tests.evaluation.test_run import RUBRIC, Acts, full_marks, house, run
from tests.offering import Does, a_task, an_action, registry_of


class PanicError(BaseException):
    """Not an Exception, as what extension modules raise in panic."""


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


def raises(error: BaseException) -> Callable[[SupportQueueObservation], Any]:
    def act(observation: SupportQueueObservation) -> Any:
        raise error

    return act


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (raises(OSError("cannot open \udcff.txt")), r"OSError: cannot open \udcff.txt"),
        (raises(PanicError("out of order")), "PanicError: out of order"),
        (raises(UnspeakableError()), "UnspeakableError: (it cannot be printed)"),
        (lambda observation: AgentReply(action=an_action(), usage={"tokens": 10}), "TypeError"),  # type: ignore[arg-type]
    ],
    ids=["surrogate", "panic", "unspeakable", "usage"],
)
async def test_whatever_an_agent_does_is_an_error_of_that_ticket(tmp_path: Path, act: Any, told: str) -> None:
    results = await run(house(Acts(act)), tmp_path / "r")
    assert told in results.tasks[0].errors[0]
    assert json.loads((tmp_path / "r/results.json").read_text())["error_count"] == 1


async def test_numbers_and_strings_of_a_subclass_are_written_as_plain_ones(tmp_path: Path) -> None:
    class Number(float):
        """As numpy's float64 is one."""

    class Text(str):
        __slots__ = ()

    async def score(submission: Submission) -> ComponentScore:
        return ComponentScore(score=Number(0.5), note=Text("half"))

    def act(observation: SupportQueueObservation) -> Any:
        return an_action(queue=Text("billing"), confidence=Number(0.5), metadata={"n": Number(1.5), "t": Text("x")})

    results = await run(house(Acts(act), score), tmp_path / "r")
    (episode,) = read_journal(tmp_path / "r/journal.jsonl")
    assert results.average_score == 0.5
    assert [type(step.action.confidence) for step in episode.steps if step.action] == [float] * 3


async def test_an_agent_that_is_empty_is_started_once_an_episode(tmp_path: Path) -> None:
    class Empty(Acts):
        def __len__(self) -> int:
            return 0

    agent = Empty()
    await run(house(agent), tmp_path / "r")
    assert len(agent.seeds) == 1


class TestExecutors:
    @staticmethod
    def registry(executor: Any) -> Registry:
        return house(Acts(), tasks=2, executors=[executor])

    async def test_one_that_plays_nothing_is_at_fault(self, tmp_path: Path) -> None:
        class Idle:
            name = "idle"

            async def run(
                self, play: PlayEpisode, specs: Iterable[EpisodeSpec], *, concurrency: int
            ) -> AsyncGenerator[Episode, None]:
                for _ in ():
                    yield await play(next(iter(specs)))

        with pytest.raises(HookError, match="executor 'idle' ended with 2 episodes unplayed"):
            await run(self.registry(Idle()), tmp_path / "r", executor="idle")

    async def test_one_that_yields_something_else_is_at_fault(self, tmp_path: Path) -> None:
        class Junk:
            name = "junk"

            async def run(
                self, play: PlayEpisode, specs: Iterable[EpisodeSpec], *, concurrency: int
            ) -> AsyncGenerator[Any, None]:
                yield "an episode"

        with pytest.raises(HookError, match="executor 'junk' failed: AttributeError"):
            await run(self.registry(Junk()), tmp_path / "r", executor="junk")


async def test_an_agent_that_fails_at_its_end_costs_no_results(tmp_path: Path) -> None:
    class Bursts(Acts):
        async def aclose(self) -> None:
            raise PanicError

    results = await run(house(Bursts()), tmp_path / "r")
    assert results.average_score == 1.0


async def test_closing_ends_even_where_an_offer_would_not(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hangs:
        name = "hangs"

        async def aclose(self) -> None:
            await asyncio.sleep(60)

    monkeypatch.setattr("supportbench.offers.CLOSING_LIMIT_S", 0.05)
    begun = time.monotonic()
    async with closing([Hangs()]):
        pass
    assert time.monotonic() - begun < 30


class TestWhichTasks:
    @staticmethod
    def evaluation(registry: Registry, **asked: Any) -> Evaluation:
        return Evaluation(agent=choose_agent(registry, "acts"), provider="house", **asked)

    def test_a_task_of_another_provider_is_refused_where_one_was_named(self) -> None:
        providers = [StaticTasks(name=name, splits={"test": [a_task(f"{name}-1")]}) for name in ("house", "other")]
        registry = registry_of(components=[Does(full_marks)], rubrics=[RUBRIC], providers=providers, agents=[Acts()])
        assert plan(self.evaluation(registry, task_ids=("other-1",)), registry).tasks[0].provider == "other"
        with pytest.raises(ResetError, match="There is no task 'other-1'"):
            plan(self.evaluation(registry, task_ids=("other-1",), strict_provider=True), registry)

    def test_a_limit_reads_no_more_of_a_provider_than_it_plays(self) -> None:
        class Endless(StaticTasks):
            def num_tasks(self, split: str) -> int:
                return 10**12

            def task(self, split: str, index: int) -> Any:
                return a_task(f"t{index}", tickets=3)

        provider = Endless(name="house", splits={"test": []})
        registry = registry_of(components=[Does(full_marks)], rubrics=[RUBRIC], providers=[provider], agents=[Acts()])
        planned = plan(self.evaluation(registry, limit=4), registry)
        assert [task.task_id for task in planned.tasks] == ["t0", "t1"]
        assert [spec.max_tickets for spec in planned.specs()] == [None, 1]
