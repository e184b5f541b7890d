"""The watchdog: whoever holds the loop is named, whoever awaits is not."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import attrs
import pytest

from supportbench import ComponentScore, Registry, Rubric, RubricComponent, Submission, load_registry
from supportbench.grading import Grader
from supportbench.rubrics import bind
from supportbench.watchdog import HOLD_LIMIT_S, watch
from tests.installing import BrokenPlugin, importable, install, write_wheel
from tests.offering import Does, a_submission, registry_of

SLOW = BrokenPlugin(
    name="slow",
    distribution="supportbench-slow",
    reason="",
    source=textwrap.dedent(
        """
        import asyncio, threading, time
        from supportbench import ComponentScore, hookimpl

        supportbench_api = 1

        def work(seconds):
            time.sleep(seconds)  # line 8

        class Blocks:
            name = "blocks"
            async def score(self, submission):
                work(0.3)
                return ComponentScore(score=1.0)

        class Awaits:
            name = "awaits"
            async def score(self, submission):
                await asyncio.sleep(0.3)
                return ComponentScore(score=1.0)

        class SaysSo(Blocks):
            name = "says_so"
            blocking = True

        class Crowds:
            name = "crowds"
            async def score(self, submission):
                summed, over = threading.Event(), threading.Event()

                def add_up():
                    sum(range(20_000_000))  # keeps the interpreter's lock
                    summed.set()
                    over.wait()

                other = threading.Thread(target=add_up)
                other.start()
                summed.wait()  # and this thread needs the lock to go on
                await asyncio.sleep(0.1)
                over.set()
                other.join()
                return ComponentScore(score=1.0)

        class Computes:
            name = "computes"
            async def score(self, submission):
                begun = time.thread_time()
                while time.thread_time() < begun + 0.05:
                    pass
                return ComponentScore(score=1.0)

        @hookimpl
        def supportbench_grading_components():
            yield Blocks()
            yield Awaits()
            yield SaysSo()
            yield Crowds()
            yield Computes()
        """
    ).lstrip(),
)
# Only Linux tells a thread how long it waited: elsewhere such waits count as holds.
tells_waiting = pytest.mark.skipif(
    not Path("/proc/self/schedstat").exists(), reason="this system tells nobody how long it waited"
)
LINE = SLOW.source.splitlines().index("    time.sleep(seconds)  # line 8") + 1


@pytest.fixture(scope="module")
def slow_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("slow")
    install([write_wheel(tmp_path_factory.mktemp("wheel"), SLOW)], site)
    return site


@pytest.fixture
def slow(slow_site: Path) -> Iterator[Registry]:
    with importable(slow_site):
        yield load_registry({}).check()


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING, logger="supportbench.watchdog")
    return caplog


async def test_who_blocks_is_named_with_plugin_and_line(slow: Registry, warnings: pytest.LogCaptureFixture) -> None:
    async with watch(slow):
        await slow.components["blocks"].score(a_submission())
        await asyncio.sleep(0.05)
    (message,) = warnings.messages
    assert message.startswith(f"Plugin 'slow' at supportbench_slow:{LINE} held the event loop for ")
    assert "anyio.to_thread" in message


async def test_who_awaits_is_not(slow: Registry, warnings: pytest.LogCaptureFixture) -> None:
    async with watch(slow):
        await slow.components["awaits"].score(a_submission())
    assert warnings.messages == []


async def test_who_declares_that_it_blocks_is_not(slow: Registry, warnings: pytest.LogCaptureFixture) -> None:
    rubric = Rubric(name="slow", components=[RubricComponent(use="says_so", weight=1.0)])
    async with watch(slow):
        assert (await Grader(bind(rubric, slow)).grade(a_submission())).reward == 1.0
        await asyncio.sleep(0.05)
    assert warnings.messages == []


async def test_who_holds_the_loop_without_being_a_plugin_is_not(
    registry: Registry, warnings: pytest.LogCaptureFixture
) -> None:
    async with watch(registry):
        await asyncio.sleep(0.05)
        time.sleep(0.2)  # noqa: ASYNC251 - holds the loop on purpose
        await asyncio.sleep(0.05)
    assert warnings.messages == []


@pytest.fixture
def crowd() -> Iterator[None]:
    """Confine this thread to one processor, which eight other programs want too."""
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(everywhere)})
    try:
        with ExitStack() as crowd:
            for _ in range(8):
                other = crowd.enter_context(subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]))
                crowd.callback(other.kill)
            yield
    finally:
        os.sched_setaffinity(0, everywhere)


@tells_waiting
async def test_who_waits_for_a_processor_is_not(
    slow: Registry, warnings: pytest.LogCaptureFixture, crowd: None
) -> None:
    async with watch(slow):
        await asyncio.sleep(0.5)  # until the others are at it
        begun = time.monotonic()
        for _ in range(3):
            await slow.components["computes"].score(a_submission())
            await asyncio.sleep(0)
        crowded = time.monotonic() - begun > 3 * HOLD_LIMIT_S
        await asyncio.sleep(0.05)
    assert crowded, "nobody had to wait"
    assert warnings.messages == []


@tells_waiting
async def test_who_waits_for_another_thread_of_ours_is_not(slow: Registry, warnings: pytest.LogCaptureFixture) -> None:
    async with watch(slow):
        await asyncio.sleep(0.05)
        begun = time.monotonic()
        await slow.components["crowds"].score(a_submission())
        assert time.monotonic() - begun > HOLD_LIMIT_S, "nobody had to wait"
        await asyncio.sleep(0.05)
    assert warnings.messages == []


async def test_a_hold_is_reported_while_it_lasts(slow: Registry, warnings: pytest.LogCaptureFixture) -> None:
    work = sys.modules["supportbench_slow"].work
    async with watch(slow):
        await asyncio.sleep(0.05)
        work(1.4)
        await asyncio.sleep(0.05)
    assert any("has been holding the event loop for " in message for message in warnings.messages)


async def test_it_ends_with_the_block(slow: Registry, warnings: pytest.LogCaptureFixture) -> None:
    async with watch(slow):
        pass
    await slow.components["blocks"].score(a_submission())
    await asyncio.sleep(0.05)
    assert warnings.messages == []


async def test_an_offer_is_named_where_its_own_method_blocks(warnings: pytest.LogCaptureFixture) -> None:
    async def never_asked(submission: Submission) -> ComponentScore:
        return ComponentScore(score=1.0)

    class Sleeper(Does):
        def sleep(self) -> None:
            time.sleep(0.25)

    sleeper = Sleeper(never_asked, "sleeper")
    registry = registry_of(components=[sleeper])
    ours = attrs.evolve(registry.plugins[0], module=sys.modules[__name__])
    async with watch(attrs.evolve(registry, plugins=(ours,))):
        await asyncio.sleep(0.05)
        sleeper.sleep()
        await asyncio.sleep(0.05)
    assert [message.split(" at ")[0] for message in warnings.messages] == ["Plugin 'house' (sleeper)"]
