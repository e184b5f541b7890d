"""The same actions earn the same rewards in process, over HTTP, over WebSocket and on replay, bit for bit."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import attrs
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supportbench import (
    Case,
    Registry,
    SupportbenchError,
    SupportQueueAction,
    SupportQueueEnvironment,
    Task,
    Taxonomy,
    hookimpl,
    unstructure,
)
from supportbench.evaluation.regrading import Regrader
from supportbench.graders import Graders
from supportbench.plugins import Plugin, discover
from supportbench.server.recording import read_recording
from tests.offering import a_task
from tests.server.playing import PATIENCE_S, Player, Playground, playground
from tests.strategies import actions, allowed_actions, noise_without, tasks

Step: TypeAlias = dict[str, Any] | None
"""What a step leads to, None where it is refused."""

RUBRICS = ("default", "exact")


class Stage:
    """A provider whose one task is whatever the test puts on."""

    name = "stage"

    def __init__(self) -> None:
        self.task_on = a_task(rubric="default")

    def splits(self) -> Sequence[str]:
        return ("test",)

    def num_tasks(self, split: str) -> int:
        return 1

    def task(self, split: str, index: int) -> Task:
        return self.task_on

    def find(self, task_id: str) -> tuple[str, int] | None:
        return None

    def taxonomies(self) -> Sequence[Taxonomy]:
        return (Taxonomy(),)


@attrs.frozen(kw_only=True)
class Theatre:
    """A server, and one client of each kind that plays what is on the stage."""

    stage: Stage
    registry: Registry
    ground: Playground
    player: Player
    over_http: httpx.Client
    recording: Path

    async def in_process(self, script: Sequence[SupportQueueAction]) -> list[Step]:
        environment = SupportQueueEnvironment(self.registry, provider="stage", feedback="full")
        await environment.reset(episode_id="same")
        seen: list[Step] = []
        for action in script:
            try:
                seen.append(as_json(unstructure(await environment.step(action))))
            except SupportbenchError:
                seen.append(None)
        return [*seen, as_json(unstructure(environment.state))]

    def over_websocket(self, script: Sequence[SupportQueueAction]) -> list[Step]:
        self.player.reset(episode_id="same")
        answers = [self.player.ask({"type": "step", "data": unstructure(action)}) for action in script]
        return [*(observed(answer["data"]) for answer in answers), self.player.state()]

    def through_http(self, script: Sequence[SupportQueueAction]) -> list[Step]:
        self.over_http.post("/reset", json={"episode_id": "same"}).raise_for_status()
        answers = [self.over_http.post("/step", json={"action": unstructure(action)}) for action in script]
        return [*(observed(answer.json()) for answer in answers), self.over_http.get("/state").json()]

    async def replayed(self, episodes: int) -> list[list[float]]:
        """Return the rewards of the last so many recorded episodes, graded again."""
        recorded = deque(read_recording(self.recording), maxlen=episodes) if episodes else ()
        regrader = Regrader(self.registry, Graders(self.registry))
        return [[step.grade.reward for step in await regrader.regrade(episode)] for episode in recorded]


@pytest.fixture(scope="module")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    stage = Stage()
    registry = registry_with(stage)
    recording = tmp_path_factory.mktemp("recording")
    with (
        playground(registry, provider="stage", feedback="full", record=str(recording)) as ground,
        ground.player() as player,
        httpx.Client(base_url=ground.url, timeout=PATIENCE_S) as over_http,
    ):
        over_http.post("/reset").raise_for_status()  # from here on its cookie names its session
        yield Theatre(
            stage=stage, registry=registry, ground=ground, player=player, over_http=over_http, recording=recording
        )
        ground.complaints.taken()  # of tasks that no component of a rubric applies to


# The server, a thread of this process, may ask for a random number while Hypothesis draws, which blames the strategy.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module:hypothesis.errors.HypothesisDeprecationWarning")
@given(st.data())
def test_the_same_actions_earn_the_same_rewards(theatre: Theatre, data: st.DataObject) -> None:
    task = data.draw(tasks.map(lambda drawn: attrs.evolve(drawn, rubric=RUBRICS[len(drawn.title) % 2])))
    script = [data.draw(actions_for(task, case)) for case in task.cases]
    script.append(data.draw(allowed_actions(task.taxonomy)))  # one too many
    script.insert(data.draw(st.integers(0, len(script))), data.draw(actions))
    theatre.stage.task_on = task
    expected = asyncio.run(theatre.in_process(script))
    assert theatre.over_websocket(script) == expected
    assert theatre.through_http(script) == expected
    *steps, state = expected
    assert state is not None
    ways = 2 if state["done"] else 0  # an episode that a fault of the rubric stopped is not recorded
    played = [step["reward"] for step in steps if step is not None]
    assert asyncio.run(theatre.replayed(ways)) == ways * [played]


@st.composite
def actions_for(draw: st.DrawFn, task: Task, case: Case) -> SupportQueueAction:
    """Actions that the task allows, many of them right in part."""
    key = case.answer_key
    action = draw(allowed_actions(task.taxonomy))
    changes: dict[str, Any] = {
        name: right
        for name, right in (("priority", key.priority), ("queue", key.queue), ("disposition", key.disposition))
        if right is not None and draw(st.booleans())
    }
    for name, concepts in (("summary", key.summary_concepts), ("response", key.response_concepts)):
        said = [draw(st.sampled_from(concept.phrases)) for concept in concepts if draw(st.booleans())]
        changes[name] = " ".join([*said, *key.unsafe_phrases[: draw(st.integers(0, 1))], draw(noise_without("qqq"))])
    return attrs.evolve(action, **changes)


def registry_with(stage: Stage) -> Registry:
    """Return what is installed, and the stage."""
    module = ModuleType("stage")

    def supportbench_task_providers() -> Iterator[Stage]:
        yield stage

    setattr(module, "supportbench_task_providers", hookimpl(supportbench_task_providers))  # noqa: B010 - as plugins do
    found = discover()
    plugin = Plugin(name="stage", distribution="stage", version="1.0", module=module)
    return Registry.from_plugins(attrs.evolve(found, plugins=(*found.plugins, plugin)), {}).check()


def observed(data: dict[str, Any]) -> Step:
    """Return the observation as it is in process, None for a refusal."""
    if "observation" not in data:
        assert data["code"] in ("VALIDATION_ERROR", "EXECUTION_ERROR"), data
        return None
    return {**data["observation"], "reward": data["reward"], "done": data["done"], "metadata": {}}


def as_json(value: object) -> Any:
    return json.loads(json.dumps(value))
