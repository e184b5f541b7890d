"""The client for code that is not asynchronous."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import NoReturn

import pytest

from supportbench import Registry, Rubric, RubricComponent, StaticTasks, Submission, SupportQueueEnvironment
from supportbench.client import SupportQueueClient, SyncSupportQueueClient
from supportbench.errors import RefusedMessageError, ServerConnectionError
from supportbench.models import ComponentScore
from tests.offering import Does, a_task, an_action, registry_of
from tests.server.serving import Served, serving

EASY = "easy_inbox_cleanup"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving() as running:
        yield running


@pytest.fixture
async def rewards(registry: Registry) -> list[float | None]:
    """What the actions of `play` earn in this process."""
    environment = SupportQueueEnvironment(registry)
    await environment.reset(task_id=EASY)
    return [(await environment.step(an_action())).reward for _ in range(2)]


def play(url: str) -> list[float | None]:
    with SupportQueueClient(url).sync() as env:
        result = env.reset(task_id=EASY, seed=0)
        rewards = []
        while not result.done:
            result = env.step(an_action())
            rewards.append(result.reward)
        assert env.state().step_count == len(rewards)
    return rewards


def test_it_plays_like_its_twin(served: Served, rewards: list[float | None]) -> None:
    assert play(served.url) == rewards


async def test_it_plays_where_an_event_loop_runs_already(served: Served, rewards: list[float | None]) -> None:
    assert play(served.url) == rewards
    assert asyncio.get_running_loop().is_running()


def test_several_play_at_once(served: Served, rewards: list[float | None]) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(play, [served.url] * 16)) == [rewards] * 16


def test_errors_come_through_and_the_episode_goes_on(served: Served) -> None:
    with SupportQueueClient(served.url).sync() as env:
        env.reset(task_id=EASY)
        with pytest.raises(RefusedMessageError, match="priority: 'P9' is not allowed"):
            env.step(an_action(priority="P9"))
        assert env.step(an_action(), timeout_s=5).reward is not None


def test_it_can_be_connected_and_closed_by_hand_and_again(served: Served) -> None:
    env = SupportQueueClient(served.url).sync()
    assert isinstance(env, SyncSupportQueueClient)
    for _ in range(2):
        assert env.connect() is env.connect()
        assert env.is_connected
        assert env.base_url == served.url
        assert env.reset().done is False
        env.close()
        env.close()
    assert not env.is_connected
    with pytest.raises(ServerConnectionError, match="Use `with`, or call connect"):
        env.state()
    assert repr(env) == f"<SupportQueueClient {served.url} not connected>.sync()"


def test_where_nobody_is_no_thread_is_left() -> None:
    env = SupportQueueClient("http://127.0.0.1:9").sync()
    with pytest.raises(ServerConnectionError, match="Cannot connect"):
        env.connect()
    with pytest.raises(ServerConnectionError, match="Not connected"):
        env.reset()


async def test_a_client_that_is_connected_has_no_twin(served: Served) -> None:
    async with SupportQueueClient(served.url) as env:
        with pytest.raises(ServerConnectionError, match="connected already"):
            env.sync()


def test_ctrl_c_interrupts_the_waiting_and_the_next_call_gets_its_own_answer() -> None:
    async def hesitate(submission: Submission) -> ComponentScore:
        await asyncio.sleep(1.0)
        return ComponentScore(score=1.0)

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    rubric = Rubric(name="default", components=[RubricComponent(use="does", weight=1.0)])
    provider = StaticTasks(name="house", splits={"test": [a_task("t", tickets=3)]})
    registry = registry_of(components=[Does(hesitate)], rubrics=[rubric], providers=[provider])
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with serving(registry, provider="house") as served, SupportQueueClient(served.url).sync() as env:
            env.reset()
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(KeyboardInterrupt):
                env.step(an_action())
            state = env.state()
            assert (state.step_count, state.done) == (1, False)
            assert env.step(an_action()).observation.current_index == 2
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("then", ["", "env.close()", "del env", "raise SystemExit(0)"])
def test_a_program_that_forgets_to_close_it_ends_all_the_same(served: Served, then: str) -> None:
    lines = (
        "import sys",
        "from supportbench.client import SupportQueueClient",
        "env = SupportQueueClient(sys.argv[1]).sync().connect()",
        "print(env.reset(seed=0).observation.task_id)",
        then,
    )
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", "\n".join(lines), served.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr, done.returncode) == (f"{EASY}\n", "", 0)
