"""The environment: what a step does, and that a refused call changes nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supportbench import (
    ActionError,
    ComponentScore,
    EpisodeBusyError,
    EpisodeNotOpenError,
    GradingError,
    Registry,
    SettingsError,
    Submission,
    SupportQueueAction,
    SupportQueueEnvironment,
    SupportQueueObservation,
    SupportQueueState,
    Taxonomy,
    Ticket,
    decode,
    encode,
    fingerprint,
)
from supportbench.graders import Graders, task_fingerprint
from tests.offering import Does, a_task, an_action, registry_of
from tests.server.packs import shop_of
from tests.shop import TOLD, a_shop, provider, told, told_task
from tests.strategies import allowed_actions


@pytest.fixture
def shop() -> Registry:
    return a_shop()


@pytest.fixture
def environment(shop: Registry) -> SupportQueueEnvironment:
    return SupportQueueEnvironment(shop)


class TestAnEpisode:
    async def test_before_the_first_reset_there_is_an_empty_state(self, environment: SupportQueueEnvironment) -> None:
        assert environment.state == SupportQueueState()
        with pytest.raises(EpisodeNotOpenError, match="call reset first"):
            await environment.step(told(1.0))
        assert environment.state == SupportQueueState()

    async def test_begins_with_the_first_ticket(self, environment: SupportQueueEnvironment) -> None:
        observation = await environment.reset(task_id="two", seed=7, episode_id="mine")
        assert observation == SupportQueueObservation(
            task_id="two",
            task_title="Two",
            difficulty="easy",
            instructions="Triage.",
            current_index=0,
            total_tickets=2,
            ticket=Ticket(ticket_id="two-0", subject="Invoice", body="Charged twice."),
            allowed_priorities=("P1", "P2", "P3", "P4"),
            allowed_queues=("billing", "security", "technical", "success", "trust_safety"),
            allowed_dispositions=("respond", "request_info", "escalate", "close"),
            scoring_weights={"told": 1.0},
            info={"episode_id": "mine"},
        )
        assert (environment.state.seed, environment.state.episode_id, environment.state.rubric) == (7, "mine", "told")

    async def test_goes_on_ticket_by_ticket_and_counts(self, environment: SupportQueueEnvironment) -> None:
        await environment.reset(task_id="two", episode_id="e")
        first, second = told(0.25), told(1.0)
        observation = await environment.step(first)
        assert (observation.current_index, observation.reward, observation.done) == (1, 0.25, False)
        assert observation.ticket is not None
        assert observation.ticket.ticket_id == "two-1"
        observation = await environment.step(second)
        assert (observation.current_index, observation.reward, observation.done) == (2, 1.0, True)
        assert (observation.ticket, observation.cumulative_reward) == (None, 1.25)
        state = environment.state
        assert (state.step_count, state.done, state.cumulative_reward, state.average_reward) == (2, True, 1.25, 0.625)
        assert state.processed_ticket_ids == ("two-0", "two-1")
        assert state.action_history == (first, second)
        assert [feedback["reward"] for feedback in state.grading_history] == [0.25, 1.0]

    async def test_is_over_when_it_is_done(self, environment: SupportQueueEnvironment) -> None:
        await environment.reset(task_id="three")
        await environment.step(told(1.0))
        before = environment.state
        with pytest.raises(EpisodeNotOpenError, match="call reset to begin another"):
            await environment.step(told(1.0))
        assert environment.state is before
        assert (await environment.reset()).current_index == 0

    async def test_without_a_choice_walks_through_each_split_in_order(self) -> None:
        pack = provider("triage", train=[told_task(name) for name in "abc"], test=[told_task("x")])
        other = provider("other", test=[told_task("o"), told_task("p")])
        environment = SupportQueueEnvironment(shop_of(pack, other))
        walked = []
        for split, name in (("train", None), ("test", None), ("train", None), ("test", "other"), ("train", None)):
            walked.append((await environment.reset(split=split, provider=name)).task_id)
            await environment.reset(seed=1)  # and choices in between change nothing
        assert walked == ["a", "x", "b", "o", "c"]
        assert (await environment.reset(split="train")).task_id == "a"
        assert (await environment.reset(provider="other")).task_id == "p"

    async def test_has_an_id_of_its_own_unless_one_is_given(self, environment: SupportQueueEnvironment) -> None:
        one = (await environment.reset()).info["episode_id"]
        other = (await environment.reset()).info["episode_id"]
        assert one != other

    async def test_can_be_left_at_any_time_by_a_reset(self, environment: SupportQueueEnvironment) -> None:
        await environment.reset(task_id="two")
        await environment.step(told(1.0))
        await environment.reset(task_id="two")
        assert (environment.state.step_count, environment.state.action_history) == (0, ())
        assert environment.last_grade is None

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"priority": "p3"}, r"^priority: 'p3' is not allowed in this task\. Did you mean 'P3'\?"),
            ({"queue": "biling"}, r"^queue: 'biling' is not allowed in this task\. Did you mean 'billing'\?"),
            ({"disposition": ""}, r"^disposition: '' is not allowed in this task\. Known: 'close', 'escalate'"),
        ],
    )
    async def test_an_action_outside_the_taxonomy_is_refused_and_changes_nothing(
        self, environment: SupportQueueEnvironment, changes: dict[str, str], message: str
    ) -> None:
        await environment.reset(task_id="two")
        before = environment.state
        with pytest.raises(ActionError, match=message):
            await environment.step(told(1.0, **changes))
        assert environment.state is before
        assert (await environment.step(told(1.0))).current_index == 1

    async def test_every_value_outside_the_taxonomy_is_named(self, environment: SupportQueueEnvironment) -> None:
        await environment.reset(task_id="two")
        with pytest.raises(ActionError) as caught:
            await environment.step(told(1.0, priority="p3", queue="kitchen"))
        assert [fault.path for fault in caught.value.faults] == ["priority", "queue"]
        assert str(caught.value) == " ".join(map(str, caught.value.faults))

    async def test_a_large_wrong_value_is_not_repeated(self, environment: SupportQueueEnvironment) -> None:
        await environment.reset(task_id="two")
        with pytest.raises(ActionError) as caught:
            await environment.step(told(1.0, queue="x" * 100_000))
        assert len(str(caught.value)) < 400

    async def test_a_graders_fault_leaves_the_ticket_open_to_be_tried_again(
        self, environment: SupportQueueEnvironment
    ) -> None:
        await environment.reset(task_id="two")
        before = environment.state
        with pytest.raises(GradingError, match="component 'told' of plugin 'house' failed at ticket 'two-0'"):
            await environment.step(an_action())  # it tells nothing
        assert environment.state is before
        assert (await environment.step(told(0.5))).reward == 0.5

    async def test_graders_are_given_the_earlier_actions(self) -> None:
        seen: list[tuple[SupportQueueAction, ...]] = []

        async def look(submission: Submission) -> ComponentScore:
            seen.append(submission.previous)
            return ComponentScore(score=1.0)

        shop = registry_of(
            components=[Does(look, "told")], rubrics=[TOLD], providers=[provider("triage", test=[told_task("t")])]
        )
        environment = SupportQueueEnvironment(shop)
        await environment.reset()
        first = an_action(summary="first")
        await environment.step(first)
        await environment.step(an_action())
        assert seen == [(), (first,)]


class TestBusy:
    @pytest.fixture
    def slow(self) -> tuple[SupportQueueEnvironment, asyncio.Event]:
        go_on = asyncio.Event()

        async def wait(submission: Submission) -> ComponentScore:
            await go_on.wait()
            return ComponentScore(score=1.0)

        shop = registry_of(
            components=[Does(wait, "told")], rubrics=[TOLD], providers=[provider("triage", test=[told_task("t")])]
        )
        return SupportQueueEnvironment(shop), go_on

    async def test_a_second_call_during_a_step_is_refused_and_changes_nothing(
        self, slow: tuple[SupportQueueEnvironment, asyncio.Event]
    ) -> None:
        environment, go_on = slow
        await environment.reset()
        before = environment.state
        step = asyncio.create_task(environment.step(an_action()))
        await asyncio.sleep(0)
        with pytest.raises(EpisodeBusyError, match="wait for its answer"):
            await environment.step(an_action())
        with pytest.raises(EpisodeBusyError):
            await environment.reset()
        assert environment.state is before
        go_on.set()
        assert (await step).current_index == 1

    async def test_a_cancelled_step_leaves_the_ticket_open(
        self, slow: tuple[SupportQueueEnvironment, asyncio.Event]
    ) -> None:
        environment, go_on = slow
        await environment.reset()
        before = environment.state
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await environment.step(an_action())
        assert environment.state is before
        go_on.set()
        assert (await environment.step(an_action())).current_index == 1


async def _played(registry: Registry, request: dict[str, Any], actions: list[SupportQueueAction]) -> list[bytes]:
    environment = SupportQueueEnvironment(registry)
    seen = [encode(await environment.reset(**request))]
    for action in actions:
        seen.extend((encode(await environment.step(action)), encode(environment.state)))
    return seen


class TestDeterminism:
    @settings(max_examples=50)
    @given(seed=st.integers(0, 2**63 - 1), actions=st.lists(allowed_actions(Taxonomy()), min_size=4, max_size=4))
    def test_the_same_inputs_give_the_same_episode_bit_for_bit(
        self, registry: Registry, seed: int, actions: list[SupportQueueAction]
    ) -> None:
        request = {"seed": seed, "episode_id": "e"}
        tickets = registry.providers["triage"].task("test", seed % 3).cases
        played = [asyncio.run(_played(registry, request, actions[: len(tickets)])) for _ in range(2)]
        assert played[0] == played[1]

    async def test_sessions_do_not_touch_each_other(self, registry: Registry) -> None:
        request = {"task_id": "medium_sla_defense", "episode_id": "e"}
        actions = [an_action(summary=f"words {number}") for number in range(3)]
        alone = await _played(registry, request, actions)
        crowd = await asyncio.gather(*(_played(registry, request, actions) for _ in range(20)))
        assert all(played == alone for played in crowd)


class TestFeedback:
    @pytest.mark.parametrize("level", ["scores", "full", "none"])
    async def test_says_as_much_as_its_level(self, registry: Registry, level: Any) -> None:
        environment = SupportQueueEnvironment(registry, feedback=level)
        await environment.reset(task_id="easy_inbox_cleanup")
        observation = await environment.step(an_action(priority="P1"))
        feedback = observation.last_feedback
        assert environment.state.grading_history == (feedback,)
        assert observation.reward is not None
        if level == "none":
            assert feedback == {}
            return
        assert feedback["components"]["priority"]["score"] == 0.0
        assert ("expected" in feedback) == (level == "full")
        assert ("details" in feedback["components"]["summary"]) == (level == "full")
        if level == "full":
            assert feedback["expected"]["priority"] == "P3"
            assert feedback["components"]["summary"]["details"]["missed"]

    async def test_evaluators_see_the_whole_grade_at_any_level(self, registry: Registry) -> None:
        environment = SupportQueueEnvironment(registry, feedback="none")
        await environment.reset(task_id="easy_inbox_cleanup")
        await environment.step(an_action())
        assert environment.last_grade is not None
        assert environment.last_grade.components["summary"].details

    async def test_what_is_journalled_reads_back_the_same(self, registry: Registry) -> None:
        environment = SupportQueueEnvironment(registry, feedback="full")
        await environment.reset(task_id="easy_inbox_cleanup")
        observation = await environment.step(an_action())
        for value in (observation, environment.last_grade, environment.state):
            assert decode(encode(value), type(value)) == value


def test_a_tasks_fingerprint_does_not_depend_on_what_was_asked_before() -> None:
    one, true = (a_task(extra={"x": value}) for value in (1, True))
    assert one == true
    assert task_fingerprint(one) == fingerprint(one)
    assert task_fingerprint(true) == fingerprint(true) != fingerprint(one)


class TestGraders:
    async def test_an_override_grades_every_task(self, registry: Registry) -> None:
        exact = registry.rubrics["exact"]
        environment = SupportQueueEnvironment(registry, graders=Graders(registry, exact))
        observation = await environment.reset(task_id="easy_inbox_cleanup")
        assert set(observation.scoring_weights) == {"priority", "queue", "disposition"}
        assert environment.state.rubric == "exact"

    def test_a_rubric_is_bound_once(self, registry: Registry) -> None:
        graders = Graders(registry)
        assert graders.for_task(a_task("a")) is graders.for_task(a_task("b"))


async def test_a_step_with_something_else_than_an_action_is_refused(registry: Registry) -> None:
    environment = SupportQueueEnvironment(registry)
    await environment.reset(index=0)
    with pytest.raises(ActionError, match="step takes a SupportQueueAction, not dict"):
        await environment.step({"priority": "P1"})  # type: ignore[arg-type]


def test_an_unknown_feedback_level_is_refused(registry: Registry) -> None:
    with pytest.raises(SettingsError, match="Did you mean 'full'"):
        SupportQueueEnvironment(registry, feedback="ful")  # type: ignore[arg-type]


def test_no_repr_shows_an_answer_key(registry: Registry) -> None:
    provider = registry.providers["triage"]
    for case in provider.task("test", 0).cases:
        assert case.answer_key.unsafe_phrases[0] not in repr(registry) + repr(provider)
