"""Asking graders: many at once, those that block on threads of their own, those that wait as tasks."""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from supportbench import (
    ComponentScore,
    GradingError,
    Rubric,
    RubricComponent,
    RubricError,
    SafetyFinding,
    SafetyPolicy,
    Submission,
)
from supportbench.grading import Grader
from supportbench.rubrics import bind
from tests.offering import Checks, Does, Finds, Swears, Told, Waits, a_submission, one_component, registry_of


class TestConcurrency:
    async def test_components_that_wait_wait_together(self) -> None:
        everyone = asyncio.Barrier(3)
        waiting = [Waits(name, everyone) for name in ("x", "y", "z")]
        rubric = Rubric(
            name="three",
            components=[
                RubricComponent(use="x", weight=0.5),
                RubricComponent(use="y", weight=0.25),
                RubricComponent(use="z", weight=0.25),
            ],
        )
        graded = await Grader(bind(rubric, registry_of(components=waiting))).grade(a_submission())
        assert graded.reward == 1.0

    async def test_the_first_fault_cancels_the_others(self) -> None:
        cancelled = asyncio.Event()

        async def fail(submission: Submission) -> ComponentScore:
            await asyncio.sleep(0.01)
            raise ValueError

        async def take_for_ever(submission: Submission) -> ComponentScore:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.set()
                raise
            return ComponentScore(score=1.0)

        rubric = Rubric(
            name="two",
            components=[RubricComponent(use="fails", weight=0.5), RubricComponent(use="lasts", weight=0.5)],
        )
        registry = registry_of(components=[Does(fail, "fails"), Does(take_for_ever, "lasts")])
        with pytest.raises(GradingError, match="component 'fails'"):
            await Grader(bind(rubric, registry)).grade(a_submission())
        assert cancelled.is_set()

    async def test_whoever_waits_for_the_grade_can_be_cancelled(self) -> None:
        async def take_for_ever(submission: Submission) -> ComponentScore:
            await asyncio.sleep(60)
            return ComponentScore(score=1.0)

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await one_component(Does(take_for_ever)).grade(a_submission())

    async def test_one_grader_serves_many_submissions_at_once(self) -> None:
        async def later(submission: Submission) -> ComponentScore:
            await asyncio.sleep(0)
            return ComponentScore(score=submission.action.metadata["score"])

        grader = one_component(Does(later))
        wanted = [number / 50 for number in range(50)]
        graded = await asyncio.gather(*(grader.grade(a_submission(metadata={"score": score})) for score in wanted))
        assert [grade.reward for grade in graded] == wanted


FULL = ComponentScore(score=1.0)


class _Blocks(Does):
    """A component that declares that it may hold its thread, and does what the test says."""

    blocking: Any = True


class _Gate:
    """Graders stop at it, holding their threads, until it opens; in ten seconds at the latest, which is a fault."""

    def __init__(self, awaited: int = 1) -> None:
        self._all_here = threading.Barrier(awaited + 1)
        self._opened = threading.Event()

    async def stop(self, submission: Submission) -> ComponentScore:
        self._all_here.wait(10)
        if not self._opened.wait(10):
            raise TimeoutError
        return FULL

    async def all_here(self) -> None:
        await asyncio.to_thread(self._all_here.wait, 10)

    def open(self) -> None:
        self._opened.set()


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nobody tells when it holds
            await asyncio.sleep(0.001)


class TestGradersThatBlock:
    async def test_block_together_while_the_loop_goes_on(self) -> None:
        gate = _Gate(3)
        rubric = Rubric(
            name="three",
            components=[RubricComponent(use=name, weight=1 / 4) for name in ("x", "y")]
            + [RubricComponent(use="z", weight=1 / 2)],
            safety=SafetyPolicy(checks=("checks",)),
        )

        class Check(Checks):
            blocking = True

        async def find(submission: Submission) -> Any:
            await gate.stop(submission)
            return [SafetyFinding(rule="r", start=0, end=1)]

        everyone = asyncio.Barrier(2)
        registry = registry_of(
            components=[_Blocks(gate.stop, "x"), _Blocks(gate.stop, "y"), Waits("z", everyone)], checks=[Check(find)]
        )
        grading = asyncio.create_task(Grader(bind(rubric, registry)).grade(a_submission()))
        await gate.all_here()
        await everyone.wait()
        gate.open()
        graded = await grading
        assert {part.score for part in graded.components.values()} == {1.0}
        assert (len(graded.findings), graded.reward) == (1, 0.9)

    async def test_of_many_sessions_block_together(self) -> None:
        gate = _Gate(64)
        grader = one_component(_Blocks(gate.stop))
        grading = asyncio.gather(*(grader.grade(a_submission()) for _ in range(64)))
        await gate.all_here()
        gate.open()
        assert [graded.reward for graded in await grading] == [1.0] * 64

    async def test_have_an_event_loop_of_their_own_and_the_context_of_whoever_asked(self) -> None:
        episode = contextvars.ContextVar[str]("episode")
        episode.set("e-1")
        seen: list[object] = []

        async def look(submission: Submission) -> ComponentScore:
            await asyncio.sleep(0)
            seen.extend((asyncio.get_running_loop(), threading.current_thread(), episode.get()))
            return FULL

        await one_component(_Blocks(look)).grade(a_submission())
        loop, thread, context = seen
        assert loop is not asyncio.get_running_loop()
        assert thread is not threading.current_thread()
        assert context == "e-1"

    async def test_that_find_one_by_one_do_so_off_the_loop(self) -> None:
        threads: list[threading.Thread] = []

        def find_slowly() -> Iterable[SafetyFinding]:
            threads.append(threading.current_thread())
            yield SafetyFinding(rule="r", start=0, end=1)

        class Check(Finds):
            blocking = True

        grader = one_component(Told("a"), SafetyPolicy(checks=("finds",)), [Check(find_slowly())])
        assert len((await grader.grade(a_submission(metadata={"a": 1.0}))).findings) == 1
        assert threads != [threading.current_thread()]

    @pytest.mark.parametrize("fault", [ValueError, SystemExit, asyncio.CancelledError, StopIteration])
    async def test_are_named_when_they_raise(self, fault: type[BaseException]) -> None:
        async def fail(submission: Submission) -> ComponentScore:
            raise fault

        with pytest.raises(GradingError, match=r"component 'does' of plugin 'acme' failed at ticket 't-0' of task 't'"):
            await one_component(_Blocks(fail)).grade(a_submission())

    async def test_are_left_at_once_when_the_grade_is_cancelled(self) -> None:
        gate = _Gate()
        finished = threading.Event()

        async def stop(submission: Submission) -> ComponentScore:
            await gate.stop(submission)
            finished.set()
            return FULL

        grading = asyncio.create_task(one_component(_Blocks(stop)).grade(a_submission()))
        await gate.all_here()
        grading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await grading
        assert not finished.is_set()
        gate.open()
        await _until(finished.is_set)

    async def test_keep_their_place_until_they_end_so_that_they_cannot_pile_up(self) -> None:
        gate = _Gate()
        rubric = Rubric(name="one", components=[RubricComponent(use="does", weight=1.0)])
        grader = Grader(bind(rubric, registry_of(components=[_Blocks(gate.stop)])), threads=1)
        abandoned = asyncio.create_task(grader.grade(a_submission()))
        await gate.all_here()
        abandoned.cancel()
        in_line = [asyncio.create_task(grader.grade(a_submission())) for _ in range(3)]
        await asyncio.sleep(0.01)
        in_line[0].cancel()  # whoever leaves the line takes nobody's place
        done, _ = await asyncio.wait(in_line, timeout=0.05)
        assert done == {in_line[0]}
        gate.open()
        for grading in in_line[1:]:
            await gate.all_here()
            assert (await grading).reward == 1.0

    def test_serve_one_event_loop_after_another(self) -> None:
        async def answer(submission: Submission) -> ComponentScore:
            return FULL

        rubric = Rubric(name="one", components=[RubricComponent(use="does", weight=1.0)])
        grader = Grader(bind(rubric, registry_of(components=[_Blocks(answer)])), threads=1)

        async def grade_three() -> list[float]:
            graded = await asyncio.gather(*(grader.grade(a_submission()) for _ in range(3)))
            return [grade.reward for grade in graded]

        assert [asyncio.run(grade_three()) for _ in range(2)] == [[1.0] * 3] * 2

    def test_do_not_keep_the_process_from_ending(self) -> None:
        program = """
            import asyncio, threading
            from tests.offering import a_submission, one_component
            from tests.test_asking import _Blocks

            async def hang(submission):
                threading.Event().wait()

            async def main():
                async with asyncio.timeout(0.05):
                    await one_component(_Blocks(hang)).grade(a_submission())

            try:
                asyncio.run(main())
            except TimeoutError:
                print("left")
        """
        ended = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=True
        )
        assert (ended.stdout, ended.stderr) == ("left\n", "")

    @pytest.mark.parametrize("declared", ["yes", 1, None, "False"], ids=repr)
    def test_say_so_with_true_or_false(self, declared: Any) -> None:
        component = Told("a")
        component.blocking = declared  # type: ignore[attr-defined]
        with pytest.raises(RubricError, match=r"component 'a' of plugin 'acme' has blocking = .* True .* or False"):
            one_component(component)

    def test_are_named_when_they_cannot_say(self) -> None:
        class Broken(Told):
            @property
            def blocking(self) -> bool:
                raise ValueError

        with pytest.raises(GradingError, match="component 'a' of plugin 'acme' failed at its attribute 'blocking'"):
            one_component(Broken("a"))


class TestSuspending:
    async def _answer(self, submission: Submission) -> ComponentScore:
        return FULL

    def test_nobody_waits_for_graders_that_cannot(self) -> None:
        class Plain(Told):
            blocking = False

        assert not one_component(Plain("a"), SafetyPolicy(checks=("damn",)), [Swears("damn")]).suspends

    def test_a_component_with_an_await_may_wait(self) -> None:
        assert one_component(Does(self._answer)).suspends

    def test_a_component_that_blocks_is_waited_for(self) -> None:
        class Holds(Told):
            blocking = True

        assert one_component(Holds("a")).suspends

    def test_so_is_a_check(self) -> None:
        class Holds(Swears):
            blocking = True

        for check in (Holds("damn"), Checks(self._answer)):
            assert one_component(Told("a"), SafetyPolicy(checks=("*",)), [check]).suspends
