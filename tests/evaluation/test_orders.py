"""Episodes in other processes: what an executor is handed for them, and what comes back."""

from __future__ import annotations

import pickle
from collections.abc import AsyncGenerator, Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from supportbench import (
    Episode,
    EpisodeSpec,
    HookError,
    OptionsError,
    PlayEpisode,
    PlayOrder,
    Registry,
    RunError,
    SupportbenchError,
    UnknownNameError,
    load_registry,
)
from supportbench.evaluation.agents import choose_agent
from supportbench.evaluation.executors import choose_executor
from supportbench.evaluation.orders import RunOrder, RunPlay
from supportbench.evaluation.planning import Evaluation, PlannedRun, plan
from supportbench.evaluation.run import evaluate
from supportbench.task_files import read_tickets
from tests.evaluation.test_run import Acts, episodes_in, house
from tests.offering import registry_of
from tests.timeless import timeless

ENVIRON = {"API_KEY": "sk-not-to-be-seen", "HOME": "somewhere"}
TICKET = (
    """{"ticket_id": "T-1", "subject": "Twice", "body": "I was charged twice.", "answer_key": {"queue": "billing"}}"""
)


class Pickling:
    """Plays the episodes with an order that went through a pickle, as another process would get it."""

    name = "pickling"

    async def run(
        self, play: PlayEpisode, specs: Iterable[EpisodeSpec], *, concurrency: int
    ) -> AsyncGenerator[Episode, None]:
        order: PlayOrder = pickle.loads(pickle.dumps(play.order()))  # noqa: S301 - our own
        async with order.playing({}) as elsewhere:
            for spec in pickle.loads(pickle.dumps(list(specs))):  # noqa: S301 - our own
                yield await elsewhere(spec)


def planned(registry: Registry, agent: str = "random", provider: str = "triage", **asked: Any) -> PlannedRun:
    evaluation = Evaluation(agent=choose_agent(registry, agent), provider=provider, **asked)
    return plan(evaluation, registry, ENVIRON)


def order_of(run: PlannedRun) -> RunOrder:
    order = RunPlay(run, timeout_s=None).order()
    assert isinstance(order, RunOrder)
    return order


@pytest.fixture
def two(tmp_path: Path) -> Registry:
    """What is installed, with an executor more."""
    installed = load_registry(ENVIRON).check()
    return attrs.evolve(installed, executors=registry_of(executors=[Pickling()]).executors)


async def test_what_was_played_by_an_order_equals_what_was_played_here(two: Registry, tmp_path: Path) -> None:
    (tmp_path / "tickets.jsonl").write_text(TICKET)
    tickets = tmp_path / "tickets.jsonl"
    with_file = two.with_provider(read_tickets(tickets))
    cases: list[tuple[Registry, dict[str, Any]]] = [(two, {}), (with_file, {"tickets": tickets, "provider": "file"})]
    for registry, asked in cases:
        results = []
        for executor in ("local", "pickling"):
            run = planned(registry, executor=executor, repeats=2, rubric=two.rubrics["exact"], **asked)
            out = tmp_path / f"{executor}-{len(asked)}"
            results.append(timeless(await evaluate(run, out, run_id="r")))
        assert results[0] == results[1]


async def test_listeners_are_told_once_wherever_an_episode_was_played(tmp_path: Path) -> None:
    heard: list[str] = []

    async def listen(episode: Episode) -> None:
        heard.append(episode.task_id)

    class Both:
        """Plays one episode here, and says of the next that it was played elsewhere."""

        name = "both"

        async def run(
            self, play: PlayEpisode, specs: Iterable[EpisodeSpec], *, concurrency: int
        ) -> AsyncGenerator[Episode, None]:
            first, second = [await play(spec) for spec in specs]
            yield first
            heard.clear()
            yield attrs.evolve(second)

    registry = house(Acts(), tasks=2, executors=[Both()], listener=listen)
    evaluation = Evaluation(agent=choose_agent(registry, "acts"), provider="house", executor="both")
    await evaluate(plan(evaluation, registry), tmp_path / "r", run_id="r")
    assert heard == []
    assert len(episodes_in(tmp_path / "r")) == 2


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"task_id": "other"}, "with another task than was asked for"),
        ({"agent": "someone else"}, "with another agent than was asked for"),
        ({"steps": ()}, "with other tickets than was asked for"),
        ({"repeat": 7}, "gave repeat 7 of task 'easy_inbox_cleanup' twice, or though nobody asked for it"),
        ({}, "gave repeat 0 of task 'easy_inbox_cleanup' twice, or though nobody asked for it"),
    ],
    ids=["task", "agent", "tickets", "repeat", "twice"],
)
async def test_an_episode_that_nobody_asked_for_is_refused_wherever_it_was_played(
    registry: Registry, tmp_path: Path, changes: Mapping[str, Any], told: str
) -> None:
    class Invents:
        name = "invents"

        async def run(
            self, play: PlayEpisode, specs: Iterable[EpisodeSpec], *, concurrency: int
        ) -> AsyncGenerator[Episode, None]:
            episode = await play(next(iter(specs)))
            yield attrs.evolve(episode, **changes)
            yield episode

    offered = attrs.evolve(registry, executors=registry_of(executors=[Invents()]).executors)
    with pytest.raises(SupportbenchError, match=told):
        await evaluate(planned(offered, executor="invents"), tmp_path / "r", run_id="r")
    assert len(episodes_in(tmp_path / "r")) == (not changes)


@pytest.mark.parametrize("what", ["task", "rubric"])
async def test_an_episode_of_something_else_than_was_planned_is_refused(
    two: Registry, tmp_path: Path, what: str
) -> None:
    class Strays(Pickling):
        name = "strays"

        async def run(
            self, play: PlayEpisode, specs: Iterable[EpisodeSpec], *, concurrency: int
        ) -> AsyncGenerator[Episode, None]:
            async for episode in super().run(play, specs, concurrency=concurrency):
                other = attrs.evolve(episode.rubric, fingerprint="another")
                changes: Mapping[str, Any] = {"task": {"task_fingerprint": "another"}, "rubric": {"rubric": other}}
                yield attrs.evolve(episode, **changes[what])

    registry = attrs.evolve(two, executors=registry_of(executors=[Strays()]).executors)
    told = f"'strays' played task 'easy_inbox_cleanup' with another {what} than the one here"
    with pytest.raises(RunError, match=told):
        await evaluate(planned(registry, executor="strays"), tmp_path / "r", run_id="r")
    assert episodes_in(tmp_path / "r") == []


def test_an_order_has_the_variables_that_its_agent_and_graders_declare_and_shows_none_of_them(two: Registry) -> None:
    order = order_of(planned(two, "openai:gpt-4o-mini"))
    assert order.environ == {"API_KEY": "sk-not-to-be-seen"}
    assert "sk-not" not in repr(order)
    assert order_of(planned(two, "random")).environ == {}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"supportbench": "9.9"}, r"supportbench .* is installed here.*pip install supportbench==9\.9"),
        (
            {"plugins": (("oven", "supportbench-oven", "2.1"),)},
            r"plugin 'oven' is not installed here: pip install supportbench-oven==2\.1",
        ),
        (
            {"plugins": (("agents", "supportbench", "0.0.7"),)},
            r"plugin 'agents' is supportbench .* here, not 0\.0\.7: pip install supportbench==0\.0\.7",
        ),
        ({"agent_version": "77"}, r"agent 'random' is another one here: its version is .* and not 77"),
        ({"agent_data": "rules"}, "its rules or prompts differ"),
        ({"agent_options_in_force": {"heat": "high"}}, "its options heat have other values"),
    ],
)
async def test_what_is_not_as_in_the_process_that_ordered_it_is_refused_with_what_to_install(
    two: Registry, changes: Mapping[str, Any], told: str
) -> None:
    order = attrs.evolve(order_of(planned(two)), **changes)
    with pytest.raises(RunError, match=told):
        await order.playing({}).__aenter__()


class Fleet(Pickling):
    """An executor with options."""

    name = "fleet"

    @attrs.frozen(kw_only=True)
    class Options:
        address: str
        ships: int = 1

    def __init__(self, options: Options | None = None) -> None:
        self.options = options

    def configured(self, options: Options) -> Fleet:
        return Fleet(options)


@pytest.mark.parametrize(
    ("label", "options", "error", "told"),
    [
        ("fleet", {}, OptionsError, "Executor 'fleet' needs its address: fleet:ADDRESS"),
        ("fleet:a", {"address": "b"}, OptionsError, "is given its address twice"),
        ("fleet:a", {"ships": "two"}, OptionsError, "The options of executor 'fleet' are wrong: ships: "),
        ("local:a", {}, UnknownNameError, "Executor 'local' takes no argument, but is given 'a'"),
        ("local", {"ships": 2}, OptionsError, "executor 'local' takes no options, but is given ships"),
        ("fleeet", {}, UnknownNameError, "Did you mean 'fleet'?"),
    ],
)
def test_an_executor_is_chosen_as_an_agent_is(
    label: str, options: Mapping[str, Any], error: type[Exception], told: str
) -> None:
    registry = registry_of(executors=[Fleet()])
    chosen = choose_executor(registry, "fleet:a", {"ships": 3})
    assert isinstance(chosen, Fleet)
    assert chosen.options == Fleet.Options(address="a", ships=3)
    with pytest.raises(error, match=told):
        choose_executor(registry, label, options)


def test_an_executor_that_is_configured_into_something_else_is_at_fault() -> None:
    class Sinks(Fleet):
        def configured(self, options: Fleet.Options) -> Any:
            return options

    with pytest.raises(HookError, match="configuring executor 'fleet' gave Options, which has no method run"):
        choose_executor(registry_of(executors=[Sinks()]), "fleet:a", {})
