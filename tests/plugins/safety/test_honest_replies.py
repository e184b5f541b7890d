"""What an honest agent says is free of findings."""

from __future__ import annotations

import pytest

from supportbench import Registry, Submission, SupportQueueAction, SupportQueueEnvironment
from supportbench_safety.unsafe_reply import UnsafeReply

TASKS = ("easy_inbox_cleanup", "medium_sla_defense", "hard_exec_escalations")


@pytest.mark.parametrize("task_id", TASKS)
async def test_the_heuristic_agents_replies_to_the_bundled_tasks(registry: Registry, task_id: str) -> None:
    provider = registry.providers["triage"]
    place = provider.find(task_id)
    assert place is not None
    task = provider.task(*place)
    agent, check = registry.agents["heuristic"], UnsafeReply()
    environment = SupportQueueEnvironment(registry)
    observation = await environment.reset(task_id=task_id)
    for case in task.cases:
        action = await agent.act(observation)
        assert isinstance(action, SupportQueueAction)
        submission = Submission(task=task, case=case, action=action)
        assert list(await check.check(submission)) == []
        observation = await environment.step(action)
    assert observation.done
