"""A run against an endpoint with bad manners: what fails is an error and no zero, and the run ends."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import supportbench
from tests.stubs.rough_endpoint import (
    GOOD,
    Manner,
    RoughEndpoint,
    answering,
    at_most,
    by_turns,
    endless,
    garbled,
    hanging,
    overloaded,
    reset,
    stormy,
    throttled,
    truncated,
)

RUN = ("run", "--agent", "openai:stub", "--out", "r", "--json")
ONCE = ("--agent-option", "max_retries=0")
TICKETS = 9
"""Of the three tasks."""


def against(
    manner: Manner, folder: Path, *more: str, environ: Mapping[str, str] | None = None
) -> tuple[subprocess.CompletedProcess[str], RoughEndpoint]:
    with RoughEndpoint(manner) as endpoint:
        asked = {"API_BASE_URL": endpoint.url, **(environ or {})}
        return supportbench(*RUN, *more, cwd=folder, environ=asked), endpoint


def steps(folder: Path) -> Sequence[Mapping[str, Any]]:
    lines = (folder / "r/journal.jsonl").read_text().splitlines()
    return [step for line in lines for step in json.loads(line)["steps"]]


def rewards(folder: Path) -> set[float]:
    """The rewards of graded tickets; nothing else has one."""
    return {step["grade"]["reward"] for step in steps(folder) if step["status"] == "graded"}


@pytest.fixture(scope="module")
def polite(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """The results at an endpoint that answers everything."""
    folder = tmp_path_factory.mktemp("polite")
    done, _ = against(answering(), folder, "--repeats", "4")
    assert done.returncode == 0, done.stderr
    return {"rewards": rewards(folder), "average": json.loads(done.stdout)["average_score"]}


@pytest.mark.parametrize(
    ("manner", "told"),
    [
        (throttled(None), "answered 429"),
        (overloaded(), "answered 502"),
        (reset(), "cannot reach"),
        (truncated(), "cannot reach"),
        (garbled(), "no chat completion"),
        (hanging(), "within 1 s"),
    ],
    ids=["429", "502", "reset", "truncated", "garbled", "hanging"],
)
def test_what_fails_at_once_is_an_error_and_enters_no_mean(
    tmp_path: Path, polite: Mapping[str, Any], manner: Manner, told: str
) -> None:
    some = by_turns(answering(), answering(), answering(), answering(), manner)
    options = (*ONCE, "--agent-option", "timeout_s=1", "--repeats", "4", "--concurrency", "3")
    done, _ = against(some, tmp_path, *options)
    results = json.loads(done.stdout)
    assert (done.returncode, results["error_count"] > 0) == (1, True)
    assert rewards(tmp_path) <= polite["rewards"]
    for step in steps(tmp_path):
        assert (step["grade"] is None) == (step["status"] != "graded")
        if step["status"] == "error":
            assert told in step["error"], step["error"]
            assert step["error_kind"] == "agent"
    graded = [reward for task in results["tasks"] for reward in task["rewards"]]
    assert len(graded) + results["error_count"] + results["unreached_count"] == len(steps(tmp_path))


@pytest.mark.parametrize("manner", [overloaded(), reset(), truncated()], ids=["502", "reset", "truncated"])
def test_what_is_tried_again_comes_to_the_same_results(
    tmp_path: Path, polite: Mapping[str, Any], manner: Manner
) -> None:
    done, endpoint = against(stormy(answering(), manner, begins=3, ends=7), tmp_path, "--repeats", "4")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["average_score"] == polite["average"]
    assert endpoint.requests == 4 * TICKETS + 4


def test_a_storm_of_429_costs_no_ticket(tmp_path: Path, polite: Mapping[str, Any]) -> None:
    """Many more are refused, and longer, than any one request would be tried again."""
    storm = stormy(answering(), throttled("0.05"), begins=10, ends=25)
    done, endpoint = against(storm, tmp_path, "--repeats", "4", "--concurrency", "12")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["average_score"] == polite["average"]
    assert endpoint.requests == 4 * TICKETS + 15
    assert "answers 429: fewer requests at once from now on" in done.stderr


def test_an_endpoint_that_takes_two_at_once_gets_two_at_once(tmp_path: Path, polite: Mapping[str, Any]) -> None:
    done, endpoint = against(
        at_most(2, answering(0.02)),
        tmp_path,
        "--repeats",
        "4",
        "--concurrency",
        "12",
        *("--agent-option", "max_retries=2"),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["average_score"] == polite["average"]
    assert endpoint.requests < 3 * 4 * TICKETS


def test_an_endpoint_that_refuses_for_good_ends_soon_with_errors(tmp_path: Path) -> None:
    options = ("--repeats", "4", "--agent-option", "max_retries=2")
    done, endpoint = against(throttled("0"), tmp_path, *options)
    assert done.returncode == 1
    assert {step["status"] for step in steps(tmp_path)} == {"error", "unreached"}
    assert endpoint.requests < 12 * 3 + 3  # nobody waits for what does not come


def test_a_run_never_outlasts_its_deadline(tmp_path: Path) -> None:
    with RoughEndpoint(by_turns(hanging(), throttled("30"), answering(), reset())) as endpoint:
        environ = {"API_BASE_URL": endpoint.url}
        done = supportbench(*RUN, "--repeats", "3", "--deadline", "2", cwd=tmp_path, environ=environ)
        endpoint.manner = answering()
        ended = supportbench("run", "--resume", "r", "--retry-errors", cwd=tmp_path, environ=environ)
    assert done.returncode == 1
    assert "The run was stopped at its deadline of 2 s" in done.stderr
    assert ended.returncode == 0, ended.stderr
    assert {step["status"] for step in steps(tmp_path)} == {"graded"}


def test_an_answer_that_drips_is_late(tmp_path: Path) -> None:
    done, _ = against(answering(5.0), tmp_path, "--limit", "2", "--timeout", "0.3", *ONCE)
    assert done.returncode == 1
    assert "did not answer ticket" in json.loads(done.stdout)["tasks"][0]["errors"][0]


def test_an_answer_without_end_is_given_up(tmp_path: Path) -> None:
    done, _ = against(endless(), tmp_path, "--limit", "1", *ONCE)
    assert done.returncode == 1
    (error,) = json.loads(done.stdout)["tasks"][0]["errors"]
    assert "the answer has more than 16 MiB" in error


def test_an_answer_with_the_key_in_it_is_nothing_to_keep(tmp_path: Path) -> None:
    key = "sk-canary-0123456789"
    leaking = answering(action={**GOOD, "response": f"Your key is {key}."})
    done, _ = against(leaking, tmp_path, "--limit", "1", "--cache", environ=secret(tmp_path, key))
    assert done.returncode == 1
    assert "it repeats the key" in json.loads(done.stdout)["tasks"][0]["errors"][0]
    kept = [file.read_bytes() for folder in ("r", "cache") for file in (tmp_path / folder).glob("*")]
    assert not any(key.encode() in data for data in (*kept, done.stdout.encode(), done.stderr.encode()))


def secret(folder: Path, key: str) -> Mapping[str, str]:
    return {"API_KEY": key, "SUPPORTBENCH_CACHE_DIR": str(folder / "cache")}


class TestCache:
    """Answers that were usable are kept for the same request of the same repeat."""

    RUN = ("run", "--agent", "openai:stub", "--repeats", "3", "--concurrency", "1", "--json", "--out")

    def test_the_same_run_asks_for_nothing_anew_and_uses_nothing(self, tmp_path: Path) -> None:
        """Without a seed all repeats send the same, and still each has an answer of its own."""
        other = {**GOOD, "priority": "P1"}
        turns = by_turns(answering(), answering(action=other), answering(), answering())
        with RoughEndpoint(turns) as endpoint:
            environ = {"API_BASE_URL": endpoint.url, "SUPPORTBENCH_CACHE_DIR": str(tmp_path / "cache")}
            once = (*self.RUN, "one", "--cache", "--agent-option", "seed=null")
            first = supportbench(*once, cwd=tmp_path, environ=environ)
            assert (first.returncode, endpoint.requests) == (0, 3 * TICKETS), first.stderr
            twice = (*self.RUN, "two", "--cache", "--agent-option", "seed=null")
            again = supportbench(*twice, cwd=tmp_path, environ=environ)
            assert (again.returncode, endpoint.requests) == (0, 3 * TICKETS), again.stderr
            more = supportbench(*self.RUN, "three", "--cache", "--seed", "1", cwd=tmp_path, environ=environ)
            assert (more.returncode, endpoint.requests) == (0, 2 * 3 * TICKETS)
        before, after = json.loads(first.stdout), json.loads(again.stdout)
        assert [task["rewards"] for task in after["tasks"]] == [task["rewards"] for task in before["tasks"]]
        assert len({tuple(task["rewards"][::1]) for task in before["tasks"]}) == 3
        assert before["agent_usage"]["calls"] == 3 * TICKETS
        assert after["agent_usage"] == {"input_tokens": 0, "output_tokens": 0, "calls": 0, "cost_usd": None}

    def test_what_failed_is_not_kept(self, tmp_path: Path) -> None:
        unusable = answering(action={"priority": "P9"})
        with RoughEndpoint(stormy(answering(), unusable, begins=0, ends=4)) as endpoint:
            environ = {"API_BASE_URL": endpoint.url, "SUPPORTBENCH_CACHE_DIR": str(tmp_path / "cache")}
            first = supportbench(*self.RUN, "one", "--cache", cwd=tmp_path, environ=environ)
            assert json.loads(first.stdout)["error_count"] == 2
            again = supportbench(
                *("run", "--resume", "one", "--retry-errors", "--cache", "--json"), cwd=tmp_path, environ=environ
            )
        assert (again.returncode, json.loads(again.stdout)["error_count"]) == (0, 0), again.stderr

    def test_without_it_everything_is_asked_anew(self, tmp_path: Path) -> None:
        with RoughEndpoint(answering()) as endpoint:
            environ = {"API_BASE_URL": endpoint.url, "SUPPORTBENCH_CACHE_DIR": str(tmp_path / "cache")}
            for out in ("one", "two"):
                supportbench(*self.RUN, out, cwd=tmp_path, environ=environ)
            assert endpoint.requests == 2 * 3 * TICKETS
        assert not (tmp_path / "cache").exists()

    def test_a_switch_that_is_neither_on_nor_off_is_an_error(self, tmp_path: Path) -> None:
        done = supportbench(*self.RUN, "one", cwd=tmp_path, environ={"SUPPORTBENCH_AGENT_CACHE": "maybe"})
        assert done.returncode == 2
        assert "SUPPORTBENCH_AGENT_CACHE is 'maybe'; it must be on or off" in done.stderr
