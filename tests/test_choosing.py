"""Which task a reset means."""

from __future__ import annotations

from typing import Any

import pytest

from supportbench import (
    ProviderError,
    Registry,
    ResetError,
    SupportQueueEnvironment,
    SupportQueueState,
    Task,
    Taxonomy,
    UnknownNameError,
)
from tests.offering import a_task, registry_of
from tests.shop import TOLD, a_shop, provider, told


@pytest.fixture
def shop() -> Registry:
    return a_shop()


@pytest.fixture
def environment(shop: Registry) -> SupportQueueEnvironment:
    return SupportQueueEnvironment(shop)


class TestChoosing:
    async def test_by_task_id(self, environment: SupportQueueEnvironment) -> None:
        assert (await environment.reset(task_id="two")).task_id == "two"

    async def test_by_task_id_in_another_provider_than_the_default_one(
        self, environment: SupportQueueEnvironment
    ) -> None:
        await environment.reset(task_id="monday")
        assert environment.state.task is not None
        assert environment.state.task.provider == "bakery"

    async def test_by_task_id_the_default_provider_goes_first(self, environment: SupportQueueEnvironment) -> None:
        assert (await environment.reset(task_id="one")).task_title == "One"

    async def test_by_task_id_and_provider(self, environment: SupportQueueEnvironment) -> None:
        assert (await environment.reset(task_id="one", provider="butcher")).task_title == "another one"

    async def test_by_task_id_in_two_others_is_refused_naming_both(self, environment: SupportQueueEnvironment) -> None:
        with pytest.raises(ResetError, match=r"'everywhere' is offered by providers 'bakery' and 'butcher'\. Name one"):
            await environment.reset(task_id="everywhere")

    async def test_by_split_and_index(self, environment: SupportQueueEnvironment) -> None:
        assert (await environment.reset(split="train", index=0)).task_id == "learn"
        assert (await environment.reset(index=2)).task_id == "three"
        assert (await environment.reset(provider="bakery", split="test", index=1)).task_id == "everywhere"

    async def test_by_index_the_seed_decides_nothing(self, environment: SupportQueueEnvironment) -> None:
        assert (await environment.reset(index=2, seed=1)).task_id == "three"
        assert environment.state.seed == 1

    async def test_by_seed(self, environment: SupportQueueEnvironment) -> None:
        chosen = [(await environment.reset(seed=seed)).task_id for seed in (0, 1, 2, 3, 2**63 - 1)]
        assert chosen[:4] == ["one", "two", "three", "one"]
        assert chosen[4] == chosen[(2**63 - 1) % 3]
        assert (await environment.reset(seed=5, split="train")).task_id == "learn"

    async def test_in_order_where_nothing_is_said(self, environment: SupportQueueEnvironment) -> None:
        walked = [(await environment.reset()).task_id for _ in range(4)]
        assert walked == ["one", "two", "three", "one"]

    async def test_in_order_is_not_disturbed_by_choices_and_refusals(
        self, environment: SupportQueueEnvironment
    ) -> None:
        assert (await environment.reset()).task_id == "one"
        await environment.reset(task_id="three")
        await environment.reset(seed=2)
        with pytest.raises(ResetError):
            await environment.reset(split="tset")
        assert (await environment.reset()).task_id == "two"

    async def test_in_order_belongs_to_the_session(self, shop: Registry) -> None:
        assert (await SupportQueueEnvironment(shop).reset()).task_id == "one"
        assert (await SupportQueueEnvironment(shop).reset()).task_id == "one"

    async def test_the_default_provider_is_a_setting(self, shop: Registry) -> None:
        assert (await SupportQueueEnvironment(shop, provider="bakery").reset()).task_id == "monday"

    @pytest.mark.parametrize(
        ("request_", "message"),
        [
            ({"task_id": "oen"}, r"There is no task 'oen'\. Did you mean 'one'\?"),
            ({"task_id": "monday", "provider": "butcher"}, r"There is no task 'monday'\. .*Known: 'everywhere', 'one'"),
            ({"provider": "bakry"}, r"There is no task provider 'bakry'\. Did you mean 'bakery'\?"),
            ({"task_id": "one", "provider": "bakry"}, r"Did you mean 'bakery'\?"),
            ({"split": "tset"}, r"Provider 'triage' has no split 'tset'\. Did you mean 'test'\?"),
            ({"provider": "bakery", "split": "train"}, r"Provider 'bakery' has no split 'train'\. Known: 'test'"),
            ({"index": 3}, r"has no index 3\. Allowed: from 0 to 2\."),
            ({"index": 0, "provider": "butcher", "split": "empty"}, r"Allowed: none, since it has no tasks"),
            ({"provider": "butcher", "split": "empty"}, r"Split 'empty' of provider 'butcher' has no tasks\."),
            ({"index": -1}, r"The reset argument 'index' must be from 0 to 2\^63-1\."),
            ({"index": "0"}, r"The reset argument 'index' must be a whole number, not str\."),
            ({"index": True}, r"The reset argument 'index' must be a whole number, not bool\."),
            ({"seed": -1}, r"The reset argument 'seed' must be from 0 to 2\^63-1\."),
            ({"seed": 1.0}, r"The reset argument 'seed' must be a whole number, not float\."),
            ({"seed": 1 << 63}, r"The reset argument 'seed' must be from 0 to 2\^63-1\."),
            ({"episode_id": ""}, r"The reset argument 'episode_id' must not be empty\."),
            ({"episode_id": "x" * 256}, r"The reset argument 'episode_id' must have at most 255 characters"),
            ({"task_id": "one", "split": "test"}, r"Give either task_id, or split and index"),
            ({"task_id": "one", "index": 0}, r"Give either task_id, or split and index"),
            ({"taskid": "one"}, r"There is no reset argument 'taskid'\. Did you mean 'task_id'\?"),
        ],
    )
    @pytest.mark.parametrize("opened", [False, True], ids=["before", "during"])
    async def test_what_is_refused_changes_nothing(
        self, environment: SupportQueueEnvironment, request_: dict[str, Any], message: str, opened: bool
    ) -> None:
        if opened:
            await environment.reset(task_id="two", episode_id="e")
            await environment.step(told(0.5))
        state, chosen, grade = environment.state, environment.chosen, environment.last_grade
        with pytest.raises(ResetError, match=message):
            await environment.reset(**request_)
        assert (environment.state, environment.chosen, environment.last_grade) == (state, chosen, grade)
        if opened:
            assert (await environment.step(told(0.5))).done

    async def test_a_task_with_an_unknown_rubric_is_refused_and_changes_nothing(self) -> None:
        shop = registry_of(rubrics=[TOLD], providers=[provider("triage", test=[a_task(rubric="tolld")])])
        environment = SupportQueueEnvironment(shop)
        with pytest.raises(UnknownNameError, match=r"Task 't' asks for rubric 'tolld'\..* Did you mean 'told'\?"):
            await environment.reset()
        assert environment.state == SupportQueueState()

    async def test_a_provider_that_fails_is_named(self) -> None:
        class Broken:
            name = "triage"

            def splits(self) -> list[str]:
                return ["test"]

            def num_tasks(self, split: str) -> int:
                return 1

            def task(self, split: str, index: int) -> Task:
                raise OSError("the disk of the answer keys is gone")

            def find(self, task_id: str) -> tuple[str, int] | None:
                return None

            def taxonomies(self) -> list[Taxonomy]:
                return []

        environment = SupportQueueEnvironment(registry_of(providers=[Broken()]))
        with pytest.raises(ProviderError, match=r"^task provider 'triage' failed at index 0 of split 'test': OSError$"):
            await environment.reset()
        assert environment.state == SupportQueueState()
