"""A server whose rubric has a judge: nobody waits for another's step, and a step that failed can be tried again."""

from __future__ import annotations

import asyncio
import threading

import pytest

from supportbench import ExecutionError, load_registry
from supportbench.client import SupportQueueClient
from tests.offering import an_action
from tests.plugins.judge.court import KEY, environ_for
from tests.server.serving import serving
from tests.stubs.judge_endpoint import honest, prose
from tests.stubs.openai_endpoint import OpenAIStub, Reply, Request, failure

TASK = "easy_inbox_cleanup"
ACTION = an_action(
    priority="P2", summary="They were charged twice.", response="We look into the second charge for you."
)


async def test_many_sessions_with_a_slow_judge_are_served_side_by_side() -> None:
    everyone = threading.Barrier(30)

    def slowly(request: Request) -> Reply:
        everyone.wait(timeout=20)  # which breaks unless all thirty wait at once
        return honest(request)

    async def play(url: str) -> float | None:
        async with SupportQueueClient(url) as client:
            await client.reset(task_id=TASK)
            return (await client.step(ACTION)).reward

    with OpenAIStub(slowly) as stub:
        registry = load_registry(environ_for(stub, judge_concurrency="64")).check()
        with serving(registry, rubric="judge") as served:
            rewards = await asyncio.gather(*(play(served.url) for _ in range(30)))
        assert len(stub.requests) == 30
    assert len(set(rewards)) == 1


async def test_a_step_that_the_judge_failed_may_be_tried_again_and_says_nothing_of_the_key() -> None:
    with OpenAIStub(prose, prose, failure(500, f"bad key {KEY}"), honest) as stub:
        registry = load_registry(environ_for(stub)).check()
        with serving(registry, rubric="judge") as served:
            async with SupportQueueClient(served.url) as client:
                before = await client.reset(task_id=TASK)
                for told in ("outside the schema", "answered with an error"):
                    with pytest.raises(ExecutionError, match=f"no score: .*{told}") as caught:
                        await client.step(ACTION)
                    assert KEY not in str(caught.value)
                    assert stub.url not in str(caught.value)
                result = await client.step(ACTION)
    assert before.observation.current_index == 0
    assert result.observation.current_index == 1
    assert result.reward is not None
    feedback = str(result.observation.last_feedback)
    assert "points" not in feedback  # which is what this judge says in its reasons
    assert "verdict" not in feedback


async def test_a_client_that_leaves_ends_the_call() -> None:
    with OpenAIStub(Reply(delay_s=60.0)) as stub:
        registry = load_registry(environ_for(stub)).check()
        with serving(registry, rubric="judge") as served:
            async with SupportQueueClient(served.url) as client:
                await client.reset(task_id=TASK)
                step = asyncio.create_task(client.step(ACTION))
                while not stub.requests:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                step.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await step
