"""Evaluating on a server: the same scores as in this process, and nothing claimed that a client cannot know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from websockets.asyncio.server import ServerConnection

from supportbench import (
    Registry,
    Rubric,
    RubricComponent,
    RunError,
    StaticTasks,
    Submission,
    TaskCard,
    UnknownNameError,
    encode,
)
from supportbench.errors import RefusedMessageError, ServerConnectionError, SettingsError, UnexpectedAnswerError
from supportbench.evaluation.agents import choose_agent
from supportbench.evaluation.environments import REMOTE, PlannedTask
from supportbench.evaluation.episode import EpisodePlayer
from supportbench.evaluation.journal import read_journal
from supportbench.evaluation.limits import RunStoppedError
from supportbench.evaluation.manifests import read_manifest
from supportbench.evaluation.planning import Evaluation, plan
from supportbench.evaluation.regrading import Regrader
from supportbench.evaluation.remote import RemoteEnvironments
from supportbench.evaluation.results import Results
from supportbench.evaluation.run import Resumption, evaluate
from supportbench.evaluation.servers import Server, plan_on_server
from supportbench.graders import Graders
from supportbench.interfaces import EpisodeSpec
from supportbench.models import ComponentScore, Episode, EpisodeStep, RubricCard
from tests.client.scripted import Frame, Script, answering, error, scripted
from tests.evaluation.test_run import Acts, house
from tests.offering import Does, a_task, an_action, registry_of
from tests.server.serving import serving

TASKS = ["easy_inbox_cleanup", "medium_sla_defense", "hard_exec_escalations"]
TRIED = (0.0, 0.0)


def asked(registry: Registry, agent: str = "heuristic", **changes: Any) -> Evaluation:
    return Evaluation(agent=choose_agent(registry, agent), provider="triage", **changes)


async def run_on(url: str, registry: Registry, out: Path, agent: str = "heuristic", **changes: Any) -> Results:
    planned = await plan_on_server(asked(registry, agent, **changes), registry, Server(url=url), retry_delays_s=TRIED)
    return await evaluate(planned, out, run_id="r")


def known_to_a_client(results: Results) -> Any:
    """Return the figures of a run, without what only the graders' side knows."""
    return [
        (task.task_id, task.rewards, task.components, task.unsafe_rate, task.errors, task.steps, task.success)
        for task in results.tasks
    ]


def episodes_in(folder: Path) -> dict[str, Episode]:
    return {episode.episode_id: episode for episode in read_journal(folder / "journal.jsonl")}


# -- the same scores ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("feedback", ["scores", "full"])
@pytest.mark.parametrize("agent", ["heuristic", "random"])
async def test_a_run_on_a_server_scores_exactly_as_one_in_this_process(
    tmp_path: Path, registry: Registry, agent: str, feedback: str
) -> None:
    changes: dict[str, Any] = {"repeats": 4, "seed": 7, "concurrency": 3}
    here = await evaluate(plan(asked(registry, agent, **changes), registry), tmp_path / "here", run_id="r")
    with serving(feedback=feedback) as served:
        there = await run_on(served.url, registry, tmp_path / "there", agent, **changes)
    assert known_to_a_client(there) == known_to_a_client(here)
    assert there.average_score == here.average_score
    ours, theirs = episodes_in(tmp_path / "here"), episodes_in(tmp_path / "there")
    assert ours.keys() == theirs.keys()
    for episode_id, episode in theirs.items():
        twin = ours[episode_id]
        assert [step.action for step in episode.steps] == [step.action for step in twin.steps]
        assert [step.ticket_id for step in episode.steps] == [step.ticket_id for step in twin.steps]
        assert (episode.seed, episode.agent, episode.task_title) == (twin.seed, twin.agent, twin.task_title)


async def test_what_a_client_cannot_know_is_not_claimed(tmp_path: Path, registry: Registry) -> None:
    with serving(feedback="full") as served:
        results = await run_on(served.url, registry, tmp_path / "r")
        manifest = json.loads((tmp_path / "r/run.json").read_text())
        assert (manifest["server"], manifest["feedback"]) == (served.url, None)
    card = RubricCard(name=REMOTE, fingerprint=REMOTE)
    assert {(task.fingerprint, task.rubric) for task in results.tasks} == {(REMOTE, card)}
    episodes = list(read_journal(tmp_path / "r/journal.jsonl"))
    assert {(episode.task_fingerprint, episode.rubric) for episode in episodes} == {(REMOTE, card)}
    grades = [step.grade for episode in episodes for step in episode.steps]
    assert all(grade is not None and grade.components and grade.usage is None for grade in grades)
    assert '"details"' not in (tmp_path / "r/journal.jsonl").read_text()
    assert "expected" not in (tmp_path / "r/journal.jsonl").read_text()


async def test_where_a_server_tells_its_rewards_alone_nothing_else_is_known(tmp_path: Path, registry: Registry) -> None:
    here = await evaluate(plan(asked(registry), registry), tmp_path / "here", run_id="r")
    with serving(feedback="none") as served:
        there = await run_on(served.url, registry, tmp_path / "there")
    assert [task.rewards for task in there.tasks] == [task.rewards for task in here.tasks]
    for task in there.tasks:
        assert (task.components, task.unsafe_replies, task.unsafe_rate) == ({}, None, None)
    for episode in read_journal(tmp_path / "there/journal.jsonl"):
        for step in episode.steps:
            assert step.grade is not None
            assert (step.grade.ticket_id, step.grade.components, step.grade.findings) == (step.ticket_id, {}, ())


async def test_what_was_played_on_a_server_is_not_graded_again_as_if_the_task_were_known(
    tmp_path: Path, registry: Registry
) -> None:
    with serving() as served:
        await run_on(served.url, registry, tmp_path / "r", limit=2)
    (episode,) = read_journal(tmp_path / "r/journal.jsonl")
    with pytest.raises(RunError, match=r"was played on a server.*What the server records \(serve --record\) can be"):
        await Regrader(registry, Graders(registry)).regrade(episode)


async def test_a_server_that_is_gone_ends_the_run_which_goes_on_when_it_is_back(
    tmp_path: Path, registry: Registry
) -> None:
    changes: dict[str, Any] = {"repeats": 20, "concurrency": 2}
    with serving() as served:
        url = served.url
        planned = await plan_on_server(
            asked(registry, **changes), registry, Server(url=url), retry_delays_s=(0.01, 0.01)
        )
    with pytest.raises(RunStoppedError, match="episodes were lost with the server"):
        await evaluate(planned, tmp_path / "r", run_id="r")
    played = list(read_journal(tmp_path / "r/journal.jsonl"))
    assert 8 <= len(played) <= 10
    assert all(episode.errors and not episode.rewards for episode in played)
    with serving(port=int(url.rpartition(":")[2])):
        resumed = Resumption.of(planned, tmp_path / "r", read_manifest(tmp_path / "r"), retry_errors=True)
        results = await evaluate(planned, tmp_path / "r", run_id="r", resumed=resumed)
    assert (results.error_count, sum(task.episodes for task in results.tasks)) == (0, 60)


# -- which tasks ------------------------------------------------------------------------------------------------------


def town() -> Registry:
    """Two providers; one of them has a split with more tasks than are asked for at once."""
    rubric = Rubric(name="default", components=[RubricComponent(use="does", weight=1.0)])
    many = StaticTasks(
        name="many", splits={"test": [a_task("m", 1)], "train": [a_task(f"m{n}", tickets=2) for n in range(1200)]}
    )
    few = StaticTasks(name="few", splits={"test": [a_task("f1", 2), a_task("f2", 1)]})
    return registry_of(components=[Does(full)], rubrics=[rubric], providers=[many, few], agents=[Acts()])


async def full(submission: Submission) -> ComponentScore:
    return ComponentScore(score=1.0)


@pytest.mark.parametrize(
    ("server", "changes", "expected"),
    [
        ({}, {}, ["f1", "f2"]),
        ({"provider": "many"}, {}, ["m"]),
        ({"provider": "MANY"}, {}, ["m"]),
        ({"provider": "many"}, {"provider": "few", "strict_provider": True}, ["f1", "f2"]),
        ({}, {"index": 1}, ["f2"]),
        ({}, {"task_ids": ("m7", "f1", "m7")}, ["m7", "f1"]),
        ({"provider": "many"}, {"split": "train", "limit": 1101}, [f"m{n}" for n in range(551)]),
    ],
)
async def test_the_tasks_are_the_servers(server: dict[str, str], changes: dict[str, Any], expected: list[str]) -> None:
    registry = town()
    evaluation = Evaluation(agent=choose_agent(registry, "acts"), **{"provider": "few", **changes})
    with serving(registry, provider="few") as served:
        planned = await plan_on_server(evaluation, registry, Server(url=served.url, **server))
    assert [task.task_id for task in planned.tasks] == expected
    if not evaluation.strict_provider and server:
        evaluation = attrs.evolve(evaluation, provider=server["provider"].lower())
    assert list(planned.specs()) == list(plan(evaluation, registry).specs())


@pytest.mark.parametrize(
    ("changes", "kind", "told"),
    [
        (
            {"provider": "fwe", "strict_provider": True},
            UnknownNameError,
            r"no task provider 'fwe'\. Did you mean 'few'",
        ),
        ({"split": "tset"}, RefusedMessageError, r"no split 'tset'\. Did you mean 'test'"),
        ({"index": 9}, RefusedMessageError, "Invalid task index"),
        ({"task_ids": ("f3",)}, RefusedMessageError, "There is no task 'f3'"),
    ],
)
async def test_a_task_that_is_not_there_is_refused_with_what_is(
    changes: dict[str, Any], kind: type[Exception], told: str
) -> None:
    registry = town()
    evaluation = Evaluation(agent=choose_agent(registry, "acts"), **{"provider": "few", **changes})
    with serving(registry, provider="few") as served, pytest.raises(kind, match=told):
        await plan_on_server(evaluation, registry, Server(url=served.url))


def test_a_server_is_read_from_the_environment() -> None:
    assert Server.from_environ("http://x", {}) == Server(url="http://x")
    environ = {"SUPPORTBENCH_TOKEN": "first-one, second-one", "SUPPORTBENCH_PROVIDER": " bakery "}
    server = Server.from_environ("http://x", environ)
    assert server == Server(url="http://x", token="first-one", provider="bakery")  # noqa: S106 - a test's
    assert "first-one" not in repr(server)
    for variable in ("SUPPORTBENCH_RUBRIC", "SUPPORTBENCH_FEEDBACK"):
        with pytest.raises(SettingsError, match=f"{variable} is set, but it is the server that grades"):
            Server.from_environ("http://x", {variable: "none"})


# -- trouble ----------------------------------------------------------------------------------------------------------

TASK = PlannedTask(
    provider="house",
    split="test",
    index=0,
    task_id="t0",
    title="T0",
    difficulty="easy",
    ticket_ids=("", "", ""),
    fingerprint=REMOTE,
    rubric=RubricCard(name=REMOTE, fingerprint=REMOTE),
)
SPEC = EpisodeSpec(provider="house", split="test", index=0, task_id="t0", repeat=0, seed=5)


async def played(url: str, agent: Acts, seen: list[EpisodeStep] | None = None) -> Episode:
    registry = house(agent)
    environments = RemoteEnvironments(server=url, tasks={("house", "test", 0): TASK}, retry_delays_s=TRIED)
    player = EpisodePlayer(
        registry=registry,
        environments=environments,
        agent=choose_agent(registry, agent.name),
        on_step=lambda spec, step: None if seen is None else seen.append(step),
    )
    return await player.play(SPEC)


class Faults:
    """Does something to the first so many steps of that ticket, over all connections."""

    def __init__(self, at: int, times: int = 1, *, code: int | None = None) -> None:
        self._at, self._left, self._code = at, times, code

    async def __call__(self, question: Frame, socket: ServerConnection) -> None:
        if question["type"] == "reset":
            socket.ticket = -1  # type: ignore[attr-defined]
        socket.ticket += 1  # type: ignore[attr-defined]
        if self._left and socket.ticket == self._at:  # type: ignore[attr-defined]
            self._left -= 1
            if self._code is None:
                socket.transport.abort()
            else:
                await socket.close(self._code)


@pytest.mark.parametrize("code", [None, 1012])
@pytest.mark.parametrize("at", [0, 1, 2, 3])
async def test_a_lost_connection_begins_the_episode_again_and_nobody_is_asked_twice(
    at: int, code: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[int] = []

    def act(observation: Any) -> Any:
        seen.append(observation.current_index)
        return an_action(summary=f"about {observation.ticket.ticket_id}")

    script = Script(before=Faults(at, code=code))
    async with scripted(script, house(Acts())) as url:
        episode = await played(url, Acts(act))
    assert seen == [0, 1, 2]
    assert [(step.ticket_id, step.status) for step in episode.steps] == [(f"t0-{n}", "graded") for n in range(3)]
    resets = [question["data"] for question in script.questions if question["type"] == "reset"]
    assert resets == 2 * [{"seed": 5, "provider": "house", "split": "test", "index": 0}]
    assert any("was lost" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(("at", "times"), [(0, 9), (2, 9)])
async def test_a_connection_that_stays_lost_ends_its_episode(at: int, times: int) -> None:
    seen: list[EpisodeStep] = []
    async with scripted(Script(before=Faults(at, times)), house(Acts())) as url:
        episode = await played(url, Acts(), seen)
    graded = max(0, at - 1)
    statuses = ["graded"] * graded + ["error"] + ["unreached"] * (2 - graded)
    assert [step.status for step in episode.steps] == statuses
    assert f"The connection to {url} was lost" in str(episode.errors[0])
    assert [step.ticket_id for step in episode.steps[graded + 1 :]] == [""] * (2 - graded)
    assert seen == list(episode.steps[: graded + 1])


async def test_a_server_that_is_gone_ends_each_episode_and_the_run_goes_on(tmp_path: Path, registry: Registry) -> None:
    with serving() as served:
        planned = await plan_on_server(asked(registry), registry, Server(url=served.url), retry_delays_s=TRIED)
    results = await evaluate(planned, tmp_path / "r", run_id="r")
    assert (results.average_score, results.error_count, results.unreached_count) == (None, 3, 6)
    assert all("Cannot connect to" in task.errors[0] for task in results.tasks)


async def test_a_server_that_is_full_is_tried_again() -> None:
    full = [True, True]

    def alter(frame: Frame) -> Frame:
        return error("CAPACITY_REACHED") if full and full.pop() else frame

    async with scripted(Script(alter=alter), house(Acts())) as url:
        assert len((await played(url, Acts())).rewards) == 3
        full.extend([True] * 9)
        assert "CAPACITY_REACHED" in (await played(url, Acts())).errors[0]


async def test_an_action_that_the_server_refuses_is_the_agents_error() -> None:
    agent = Acts(lambda observation: an_action(queue="kitchen" if observation.current_index else "billing"))
    with serving(house(Acts())) as served:
        episode = await played(served.url, agent)
    assert [step.status for step in episode.steps] == ["graded", "error", "unreached"]
    assert episode.errors[0].startswith("agent 'acts' failed at ticket 't0-1': ")
    assert "queue: 'kitchen' is not allowed in this task" in episode.errors[0]
    assert episode.steps[1].action == an_action(queue="kitchen")


async def test_a_grader_at_fault_on_the_server_is_an_error_and_no_zero() -> None:
    async def broken(submission: Submission) -> ComponentScore:
        raise ValueError(submission.case.answer_key.queue)

    with serving(house(Acts(), broken)) as served:
        episode = await played(served.url, Acts())
    assert episode.rewards == ()
    assert "component 'does' of plugin 'house' failed at ticket 't0-0'" in episode.errors[0]
    assert episode.errors[0].endswith("(code: EXECUTION_ERROR)")


@pytest.mark.parametrize(
    ("place", "key", "value", "told"),
    [
        ("observation", "task_id", "t9", "of task 't9', and not at 0 of 3 of task 't0'"),
        ("observation", "total_tickets", 2, "is at ticket 0 of 2 of task"),
        ("observation", "current_index", 2, "is at ticket 2 of 3 of task"),
        ("observation", "ticket", None, "Did its tasks change"),
    ],
)
async def test_a_server_with_other_tasks_than_before_is_found_out(place: str, key: str, value: Any, told: str) -> None:
    def alter(frame: Frame) -> Frame:
        frame["data"][place][key] = value
        return frame

    async with scripted(Script(alter=alter), house(Acts())) as url:
        episode = await played(url, Acts())
    assert [step.status for step in episode.steps] == ["error", "unreached", "unreached"]
    assert told in episode.errors[0]


@pytest.mark.parametrize("reward", [None, 1.5, -0.1])
async def test_a_reward_that_is_none_is_an_error(reward: float | None) -> None:
    def alter(frame: Frame) -> Frame:
        frame["data"]["reward"] = reward
        return frame

    async with scripted(Script(alter=alter), house(Acts())) as url:
        episode = await played(url, Acts())
    assert episode.rewards == ()
    assert f"answers a step with the reward {reward}, which is none in [0, 1]" in episode.errors[0]


async def test_a_newer_server_may_say_more_of_a_grade() -> None:
    finding = {"check": "c", "rule": "r", "severity": "note", "start": 0, "end": 2, "excerpt": "We", "new_key": 1}

    def alter(frame: Frame) -> Frame:
        feedback = frame["data"]["observation"]["last_feedback"]
        if feedback:
            feedback |= {"findings": [finding], "new_key": []}
            feedback["components"]["does"]["new_key"] = {"a": 1}
        return frame

    async with scripted(Script(alter=alter), house(Acts())) as url:
        episode = await played(url, Acts())
    assert episode.rewards == (1.0, 1.0, 1.0)
    grade = episode.steps[0].grade
    assert grade is not None
    assert (grade.components["does"].score, grade.findings[0].excerpt, grade.unsafe) == (1.0, "We", False)


async def test_feedback_that_does_not_fit_is_an_error() -> None:
    def alter(frame: Frame) -> Frame:
        frame["data"]["observation"]["last_feedback"] = {"components": {"does": {"score": "full"}}}
        return frame

    async with scripted(Script(alter=alter), house(Acts())) as url:
        episode = await played(url, Acts())
    assert "feedback that does not fit: " in episode.errors[0]


@pytest.mark.parametrize("tickets", [0, -1, 1_000_000_000])
async def test_a_task_of_an_impossible_size_is_refused(tickets: int, registry: Registry) -> None:
    card = TaskCard.from_task(a_task("t", 1), provider="house", split="test", index=0)
    body = encode(attrs.evolve(card, total_tickets=tickets))
    async with answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)) as url:
        with pytest.raises(UnexpectedAnswerError, match=f"has a task 't' of {tickets} tickets"):
            await plan_on_server(asked(registry, task_ids=("t",)), registry, Server(url=url))


async def test_where_nobody_is_nothing_is_planned(registry: Registry) -> None:
    with pytest.raises(ServerConnectionError, match=r"Cannot connect to http://127\.0\.0\.1:9"):
        await plan_on_server(asked(registry), registry, Server(url="http://127.0.0.1:9"))


async def test_no_token_is_in_a_repr(registry: Registry) -> None:
    with serving(tokens=("a-secret-token",)) as served:
        server = Server(url=served.url, token="a-secret-token")  # noqa: S106 - a test's
        planned = await plan_on_server(asked(registry), registry, server)
    assert "a-secret-token" not in repr((server, planned))
