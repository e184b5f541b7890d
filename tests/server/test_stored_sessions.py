"""Sessions between two requests: what survives, what is refused, and what is told of episodes that are finished."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
from websockets.asyncio.client import connect

from supportbench import (
    Episode,
    Task,
)
from supportbench.errors import EpisodeNotOpenError, StoreError
from supportbench.protocol import ResetRequest
from supportbench.server.recording import read_recording
from supportbench.settings import ServerSettings
from tests.offering import Told, registry_of
from tests.server.house import (
    STEP,
    Gated,
    House,
    a_house,
    asked,
    eventually,
    gated_registry,
    refused,
)
from tests.server.processes import until
from tests.server.serving import Served, serving
from tests.shop import TOLD, a_shop, provider, told_task


@pytest.fixture
def shop() -> Iterator[Served]:
    with serving(a_shop()) as served:
        yield served


# -- what survives between two requests ----------------------------------------------------------------------------


class Shifting:
    """A provider whose pack can change while the server runs, as between two runs of it."""

    name = "triage"

    def __init__(self, *tasks: Task) -> None:
        self.tasks = tasks

    def splits(self) -> tuple[str, ...]:
        return ("test",)

    def num_tasks(self, split: str) -> int:
        return len(self.tasks)

    def task(self, split: str, index: int) -> Task:
        return self.tasks[index]

    def find(self, task_id: str) -> tuple[str, int] | None:
        return next((("test", place) for place, task in enumerate(self.tasks) if task.task_id == task_id), None)

    def taxonomies(self) -> tuple[Any, ...]:
        return tuple(task.taxonomy for task in self.tasks)


class TestAnEpisodeWhoseTaskHasChanged:
    @pytest.mark.parametrize(
        "tasks",
        [
            [told_task("one"), told_task("other, longer", 3)],
            [told_task("one"), told_task("two", instructions="Triage otherwise.")],
            [told_task("one")],
            [],
            [told_task("one"), attrs.evolve(told_task("two"), rubric="gone")],
        ],
        ids=["another task stands there", "it was edited", "it is gone", "all are gone", "its rubric is gone"],
    )
    def test_is_refused_and_a_reset_goes_on(self, tasks: list[Task]) -> None:
        pack = Shifting(told_task("one"), told_task("two"))
        registry = registry_of(components=[Told("told")], rubrics=[TOLD], providers=[pack])
        with serving(registry) as served, httpx.Client(base_url=served.url) as client:
            client.post("/reset", json={"task_id": "two"})
            assert client.post("/step", json=STEP).json()["observation"]["current_index"] == 1
            pack.tasks = tuple(tasks)
            for _ in range(2):
                answer = client.post("/step", json=STEP)
                assert answer.status_code == 409
                assert answer.json()["code"] == "EXECUTION_ERROR"
                assert "a reset begins another" in answer.json()["message"]
            assert client.get("/state").json()["step_count"] == 1  # what was played is still to be seen
            pack.tasks = (told_task("three"),)
            begun = client.post("/reset")
            assert begun.status_code == 200
            assert client.post("/step", json=STEP).status_code == 200

    async def test_or_that_would_be_graded_by_another_rubric_is_refused(self) -> None:
        settings = ServerSettings()
        first = House(a_shop(), settings)
        session_id = await first.begun(task_id="one")
        await first.step(session_id)
        stricter = attrs.evolve(TOLD, reward="binary")
        second = House(a_shop(), settings, rubric=stricter)
        second.sessions._stored = first.sessions._stored
        with pytest.raises(EpisodeNotOpenError, match=r"a reset begins another\. Its rubric is not the one"):
            await second.step(session_id)
        await second.sessions.reset(session_id, "", ResetRequest(), by_id=True)
        assert (await second.step(session_id)).index == 1

    async def test_goes_on_when_nothing_of_it_has_changed(self) -> None:
        settings = ServerSettings()
        first, second = House(a_shop(), settings), House(a_shop(), settings)
        second.sessions._stored = first.sessions._stored
        session_id = await first.begun(task_id="one")
        await first.step(session_id)
        assert (await second.step(session_id)).done


class TestAStoredSession:
    def test_walks_through_the_split_in_order(self, shop: Served) -> None:
        with httpx.Client(base_url=shop.url) as client:
            headers = {"X-Session-ID": client.post("/reset").headers["x-session-id"]}
            seen = [client.get("/state", headers=headers).json()["task"]["task_id"]]
            for body in ({}, {"seed": 0}, {}, {"task_id": "learn"}, {}, {}):
                answer = client.post("/reset", json=body, headers=headers)
                seen.append(answer.json()["observation"]["task_id"])
        assert seen == ["one", "two", "one", "three", "learn", "one", "two"]

    def test_is_left_as_it_was_by_a_refused_reset(self, shop: Served) -> None:
        with httpx.Client(base_url=shop.url) as client:
            client.post("/reset", json={"task_id": "one"})
            client.post("/step", json=STEP)
            before = client.get("/state").json()
            assert client.post("/reset", json={"task_id": "none"}).status_code == 422
            assert client.get("/state").json() == before

    def test_is_left_as_it_was_when_grading_takes_too_long(self) -> None:
        gated = Gated()
        with serving(gated_registry(gated)) as served, httpx.Client(base_url=served.url) as client:
            client.post("/reset")
            before = client.get("/state").json()
            answer = client.post("/step", json={**STEP, "timeout_s": 0.05})
            assert answer.status_code == 504
            assert "0.05 s" in answer.json()["message"]
            until(lambda: gated.waiting == 0)
            assert client.get("/state").json() == before
            gated.open.set()
            assert client.post("/step", json={**STEP, "timeout_s": 60}).status_code == 200

    async def test_lets_one_of_racing_steps_through(self) -> None:
        gated = Gated()
        with serving(gated_registry(gated)) as served:
            async with httpx.AsyncClient(base_url=served.url, timeout=60) as client:
                headers = {"X-Session-ID": (await client.post("/reset")).headers["x-session-id"]}
                racing = [asyncio.create_task(client.post("/step", json=STEP, headers=headers)) for _ in range(8)]
                await eventually(lambda: sum(task.done() for task in racing) == 7)
                gated.open.set()
                answers = await asyncio.gather(*racing)
                assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
                assert (await client.get("/state", headers=headers)).json()["step_count"] == 1

    async def test_that_is_closed_while_a_step_is_graded_tells_that_step_so(self) -> None:
        gated = Gated()
        house = a_house(gated_registry(gated))
        session_id = await house.begun()
        step = asyncio.create_task(house.step(session_id))
        await eventually(lambda: gated.waiting == 1)
        assert await house.sessions.close(session_id, "") is True
        gated.open.set()
        assert await refused(step) == "SESSION_ERROR 404"
        assert house.sessions.active == 0


# -- episodes that are finished ------------------------------------------------------------------------------------


class TestAFinishedEpisode:
    @pytest.fixture
    def heard_of(self) -> list[Episode]:
        return []

    @pytest.fixture
    def listening(self, heard_of: list[Episode]) -> Iterator[Served]:
        async def listen(episode: Episode) -> None:
            heard_of.append(episode)

        registry = registry_of(
            components=[Told("told")],
            rubrics=[TOLD],
            providers=[provider("triage", test=[told_task("one"), told_task("two")])],
            listener=listen,
        )
        with serving(registry) as served:
            yield served

    def test_over_http_is_told_of_once(self, listening: Served, heard_of: list[Episode]) -> None:
        with httpx.Client(base_url=listening.url) as client:
            client.post("/reset", json={"task_id": "one", "episode_id": "e-1"})
            for _ in range(2):
                client.post("/step", json=STEP)
            assert client.post("/step", json=STEP).status_code == 409
            client.get("/state")
        until(lambda: len(heard_of) == 1)
        (episode,) = heard_of
        assert (episode.episode_id, episode.task_id, episode.agent) == ("e-1", "one", "client")
        assert [step.status for step in episode.steps] == ["graded"] * 2
        assert [step.grade and step.grade.reward for step in episode.steps] == [0.5, 0.5]
        assert 0.0 <= episode.duration_s < 60.0
        assert all(0.0 <= (step.latency_s or 0.0) < 60.0 for step in episode.steps)

    async def test_over_whatever_way_is_told_of_once(self, listening: Served, heard_of: list[Episode]) -> None:
        step = json.dumps({"type": "step", "data": STEP["action"]})
        async with connect(f"{listening.ws}/ws") as live:
            for _ in range(2):
                await asked(live, '{"type":"reset","data":{"episode_id":"live"}}')
                assert [(await asked(live, step))["data"]["done"] for _ in range(2)] == [False, True]
        async with httpx.AsyncClient(base_url=listening.url) as client:
            session_id = (await client.post("/reset", json={"episode_id": "mixed"})).headers["x-session-id"]
            await client.post("/step", json=STEP)
            async with connect(f"{listening.ws}/ws?session_id={session_id}") as attached:
                assert (await asked(attached, step))["data"]["done"] is True
            await client.post("/reset", json={"episode_id": "broken off"})
            await client.post("/step", json=STEP)
            await client.post("/reset", json={"episode_id": "never begun"})
        until(lambda: len(heard_of) == 3)
        assert [episode.episode_id for episode in heard_of] == ["live", "live", "mixed"]
        assert {len(episode.steps) for episode in heard_of} == {2}
        assert listening.app.service.counts["episodes"] == 3

    async def test_is_told_of_though_the_client_went_while_it_was_put_back(self) -> None:
        house = a_house()
        session_id = await house.begun(task_id="three")
        store: Any = house.sessions._stored._store
        replace, begun, go_on = store.replace, asyncio.Event(), asyncio.Event()

        async def slowly(*args: Any, **kwargs: Any) -> int | None:
            begun.set()
            await go_on.wait()
            version: int | None = await replace(*args, **kwargs)
            return version

        store.replace = slowly
        step = asyncio.create_task(house.step(session_id))
        await begun.wait()
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step
        go_on.set()
        await house.sessions.aclose()
        assert [episode.task_id for episode in house.published] == ["three"]

    async def test_is_not_told_of_when_it_could_not_be_put_back(self) -> None:
        house = a_house()
        session_id = await house.begun(task_id="three")
        store: Any = house.sessions._stored._store

        async def fails(*args: Any, **kwargs: Any) -> int | None:
            raise StoreError("away")

        store.replace, replace = fails, store.replace
        with pytest.raises(StoreError):
            await house.step(session_id)
        assert house.published == []
        store.replace = replace
        await house.step(session_id)
        assert len(house.published) == 1

    async def test_is_recorded_only_if_notes_were_taken_from_its_beginning(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings = ServerSettings()
        without, with_notes = House(a_shop(), settings), House(a_shop(), settings)
        without.sessions._takes_notes = False
        with_notes.sessions._stored = without.sessions._stored
        session_id = await without.begun(task_id="one")
        await without.step(session_id)
        assert (await with_notes.step(session_id)).done
        assert with_notes.published == []
        assert "it is not recorded" in caplog.text
        await with_notes.sessions.reset(session_id, "", ResetRequest(task_id="three"), by_id=True)
        await with_notes.step(session_id)
        assert len(with_notes.published) == 1

    def test_is_recorded_where_that_is_asked_for_and_nowhere_else(self, tmp_path: Path) -> None:
        folder = tmp_path / "recorded"
        for settings in ({"record": str(folder)}, {}):
            with serving(a_shop(), **settings) as served, httpx.Client(base_url=served.url) as client:
                client.post("/reset", json={"task_id": "three", "episode_id": "kept"})
                client.post("/step", json=STEP)
                saved = asyncio.run(served.app.service.sessions.saved(client.cookies["supportbench_session"], owner=""))
            assert bool(saved.steps) is bool(settings)  # notes are taken for a reason, or not at all
        assert [episode.episode_id for episode in read_recording(folder)] == ["kept"]
