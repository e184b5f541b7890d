"""The official openenv package against this server: its client, its validator, its runtime graders, unchanged."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openenv.core.generic_client import GenericEnvClient
from openenv.validation.graders import Subject
from openenv.validation.graders.runtime import ObservationSchemaGrader, RewardWellFormedGrader, StateContractGrader
from openenv.validation.parsers.openenv_yaml import OpenEnvYamlParser
from openenv.validation.runtime.collector import collect_runtime_evidence
from openenv.validation.runtime.contracts import RuntimePlan

from supportbench import Registry, SupportQueueAction, SupportQueueObservation, structure
from supportbench.evaluation.agents import ask, choose_agent
from tests.offering import an_action
from tests.server.serving import Served, serving

TOP = Path(__file__).parents[2]
TASKS = ("easy_inbox_cleanup", "medium_sla_defense", "hard_exec_escalations")


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving() as running:
        yield running


def seen(result: Any) -> SupportQueueObservation:
    """Return what the official client was given, as our own observation: nothing is missing, nothing is unknown."""
    return structure({**result.observation, "reward": result.reward, "done": result.done}, SupportQueueObservation)


@pytest.mark.parametrize("task_id", TASKS)
async def test_the_official_client_plays_every_task(served: Served, registry: Registry, task_id: str) -> None:
    agent = choose_agent(registry, "heuristic")
    async with GenericEnvClient(base_url=served.url) as env:
        result = await env.reset(task_id=task_id, seed=3)
        rewards = []
        while not result.done:
            action = (await ask(agent.agent, agent.label, seen(result))).action
            result = await env.step(action)
            rewards.append(result.reward)
        state = await env.state()
    assert len(rewards) == state["step_count"] == state["total_tickets"]
    assert state["cumulative_reward"] == pytest.approx(sum(rewards))
    assert sum(rewards) / len(rewards) > 0.9


def test_the_official_client_plays_synchronously_and_with_plain_dicts(served: Served) -> None:
    with GenericEnvClient(base_url=served.url).sync() as env:
        result = env.reset(seed=0)
        while not result.done:
            result = env.step(
                {
                    "priority": "P3",
                    "queue": "billing",
                    "disposition": "respond",
                    "summary": "A question.",
                    "response": "We look into it.",
                    "confidence": 0.5,
                    "metadata": {"note": "as OpenEnv's clients send it"},
                }
            )
        assert env.state()["done"] is True


async def test_the_official_client_is_told_which_field_is_wrong_and_goes_on(served: Served) -> None:
    async with GenericEnvClient(base_url=served.url) as env:
        await env.reset(seed=0)
        with pytest.raises(RuntimeError, match=r"priority: 'P9' is not allowed .*'P1', .*VALIDATION_ERROR"):
            await env.step(an_action(priority="P9"))
        with pytest.raises(RuntimeError, match=r"There is no task 'easy_inbox'. Did you mean 'easy_inbox_cleanup'"):
            await env.reset(task_id="easy_inbox")
        with pytest.raises(RuntimeError, match=r"data\.colour: unknown key"):
            await env.reset(colour="blue")
        result = await env.step(an_action())
    assert isinstance(an_action(), SupportQueueAction)
    assert result.reward is not None


def openenv(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "openenv.cli", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=TOP, timeout=120)


def test_openenv_validate_passes_every_criterion_of_a_running_server(served: Served) -> None:
    done = openenv("validate", "--url", served.url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Verdict: PASS" in done.stdout
    assert done.stdout.count("  PASS  ") == 6


def test_openenv_validate_passes_the_package(tmp_path: Path) -> None:
    done = openenv("validate", ".", "--level", "static", "--skip-build")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS  static.manifest" in done.stdout


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # theirs
def test_openenvs_own_runtime_graders_pass_on_a_collected_episode(served: Served) -> None:
    plan = RuntimePlan.model_validate_json((TOP / "tests/openenv/runtime.json").read_bytes())
    evidence = collect_runtime_evidence(served.url, plan, episode_timeout_s=30)
    assert evidence.failure_reason is None
    subject = Subject(
        root=TOP,
        manifest=OpenEnvYamlParser().parse(TOP),
        image_ref=None,
        running=None,
        outputs_dir=TOP,
        runtime_evidence=evidence,
    )
    results = [
        grader.run(subject) for grader in (RewardWellFormedGrader(), ObservationSchemaGrader(), StateContractGrader())
    ]
    assert [result.status.value for result in results] == ["pass"] * 3, [result.evidence for result in results]
