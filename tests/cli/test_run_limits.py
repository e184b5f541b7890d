"""What a run may use: tokens, dollars and time. At a limit it ends in good order, and goes on when it may use more."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.cli.command import supportbench
from tests.installing import installed_module
from tests.stubs.openai_endpoint import OpenAIStub, completion

ANSWER = {
    "priority": "P2",
    "queue": "billing",
    "disposition": "respond",
    "summary": "The customer was charged twice for one invoice and wants one charge back.",
    "response": "Thank you for telling us. Our billing team looks into both charges and writes to you.",
    "confidence": 0.7,
}
RUN = ("run", "--agent", "openai:gpt-4o-mini", "--task", "easy_inbox_cleanup", "--concurrency", "1", "--out", "r")
"""Two tickets an episode, of 100 tokens in and 20 out each."""


@pytest.fixture
def endpoint() -> Iterator[OpenAIStub]:
    with OpenAIStub(completion(ANSWER)) as stub:
        yield stub


@pytest.fixture
def environ(endpoint: OpenAIStub) -> Mapping[str, str]:
    return {"API_BASE_URL": endpoint.url}


def prices(folder: Path, endpoint: OpenAIStub, model: str = "gpt-4o-mini") -> Mapping[str, str]:
    (folder / "prices.toml").write_text(
        f'[[price]]\nendpoint = "{endpoint.url}"\nmodel = "{model}"\ninput = 1000.0\noutput = 5000.0\n'
    )
    return {"API_BASE_URL": endpoint.url, "SUPPORTBENCH_PRICES": "prices.toml"}


def played(folder: Path) -> int:
    return len((folder / "r/journal.jsonl").read_text().splitlines())


def test_no_episode_is_begun_beyond_the_tokens_and_more_of_them_finish_the_run(
    tmp_path: Path, environ: Mapping[str, str], endpoint: OpenAIStub
) -> None:
    done = supportbench(*RUN, "--repeats", "5", "--max-tokens", "400", cwd=tmp_path, environ=environ)
    assert (done.returncode, done.stdout) == (1, "")
    stopped = "The run was stopped at --max-tokens 400 (used: 480)."
    go_on = "Finished episodes are kept. Go on: supportbench run --resume r --max-tokens MORE"
    assert done.stderr == f"{stopped} {go_on}\n"
    assert (played(tmp_path), len(endpoint.requests)) == (2, 4)
    again = supportbench("run", "--resume", "r", cwd=tmp_path, environ=environ)  # it is in run.json
    assert (again.returncode, played(tmp_path)) == (1, 2)  # the limit is that of the whole run
    ended = supportbench("run", "--resume", "r", "--max-tokens", "100000", "--json", cwd=tmp_path, environ=environ)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["agent_usage"] == {
        "input_tokens": 1000,
        "output_tokens": 200,
        "calls": 10,
        "cost_usd": None,
    }


def test_dollars_are_counted_by_the_prices_that_are_known(tmp_path: Path, endpoint: OpenAIStub) -> None:
    environ = prices(tmp_path, endpoint)
    done = supportbench(*RUN, "--repeats", "5", "--max-cost", "0.5", cwd=tmp_path, environ=environ)
    assert done.returncode == 1
    assert "The run was stopped at --max-cost 0.5 (US dollars used: 0.8000)." in done.stderr
    assert played(tmp_path) == 2
    ended = supportbench("run", "--resume", "r", "--max-cost", "9", "--json", cwd=tmp_path, environ=environ)
    assert json.loads(ended.stdout)["agent_usage"]["cost_usd"] == pytest.approx(2.0)


def test_a_cost_that_nobody_knows_cannot_be_limited(tmp_path: Path, endpoint: OpenAIStub) -> None:
    environ = prices(tmp_path, endpoint, model="another")
    done = supportbench(*RUN, "--repeats", "5", "--max-cost", "0.5", cwd=tmp_path, environ=environ)
    assert done.returncode == 1
    assert "no price is known of a model that it asks" in done.stderr
    assert "SUPPORTBENCH_PRICES" in done.stderr
    assert played(tmp_path) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[price]]\nendpoint = 'x'\nmodel = 3\ninput = 1.0\noutput = 1.0\n", "price[0].model"),
        ("[[price]]\nendpoint = 'x'\nmodel = 'm'\ninput = -1.0\noutput = 1.0\n", "price[0].input"),
        ("nonsense", "is no file of prices"),
        (None, "which cannot be read"),
    ],
)
def test_a_file_of_prices_that_is_none_is_refused_before_anything_is_played(
    tmp_path: Path, endpoint: OpenAIStub, text: str | None, told: str
) -> None:
    if text is not None:
        (tmp_path / "mine.toml").write_text(text)
    environ = {"API_BASE_URL": endpoint.url, "SUPPORTBENCH_PRICES": "mine.toml"}
    done = supportbench(*RUN, cwd=tmp_path, environ=environ)
    assert done.returncode == 2
    assert told in done.stderr
    assert "put that right, or go on without the plugin: --block agents" in done.stderr
    assert not endpoint.requests


def test_an_answer_that_takes_too_long_is_an_error_and_never_a_zero(tmp_path: Path) -> None:
    with OpenAIStub(completion(ANSWER, delay_s=20.0)) as slow:
        done = supportbench(*RUN, "--timeout", "0.5", "--json", cwd=tmp_path, environ={"API_BASE_URL": slow.url})
    assert done.returncode == 1, done.stderr
    (task,) = json.loads(done.stdout)["tasks"]
    assert (task["score"], task["rewards"], task["unreached"]) == (None, [], 1)
    assert task["errors"] == ["Agent 'openai:gpt-4o-mini' did not answer ticket 'INB-2041' within 0.5 s"]


def test_a_deadline_ends_the_run_whatever_hangs(tmp_path: Path) -> None:
    with OpenAIStub(completion(ANSWER), completion(ANSWER), completion(ANSWER, delay_s=30.0)) as hangs:
        environ = {"API_BASE_URL": hangs.url}
        done = supportbench(*RUN, "--repeats", "3", "--deadline", "4", cwd=tmp_path, environ=environ)
    assert done.returncode == 1
    assert "The run was stopped at its deadline of 4 s. Finished episodes are kept." in done.stderr
    assert played(tmp_path) == 1


def test_a_timeout_holds_for_what_is_played_later_too(tmp_path: Path) -> None:
    with OpenAIStub(completion(ANSWER, delay_s=1.5)) as slow:
        environ = {"API_BASE_URL": slow.url}
        run = (*RUN, "--repeats", "8", "--timeout", "0.4", "--deadline", "1.5")
        first = supportbench(*run, cwd=tmp_path, environ=environ)
        assert "The run was stopped at its deadline" in first.stderr
        again = supportbench("run", "--resume", "r", "--json", cwd=tmp_path, environ=environ)
    errors = json.loads(again.stdout)["tasks"][0]["errors"]
    assert (again.returncode, len(errors)) == (1, 8)
    assert all("within 0.4 s" in error for error in errors)


@pytest.mark.parametrize("option", ["--timeout", "--deadline", "--max-cost"])
def test_what_is_no_number_is_no_limit(tmp_path: Path, option: str) -> None:
    done = supportbench("run", option, "nan", "--out", "r", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "nan is no number" in done.stderr
    assert not (tmp_path / "r").exists()


def test_a_limit_of_dollars_that_could_not_be_kept_is_told(
    tmp_path: Path, environ: Mapping[str, str], endpoint: OpenAIStub
) -> None:
    done = supportbench(*RUN, "--max-cost", "1", cwd=tmp_path, environ=environ)
    assert done.returncode == 0
    assert "--max-cost could not be kept: no price is known" in done.stderr


STUBBORN = """\
import asyncio
import time

from supportbench import hookimpl

supportbench_api = 1


class Threaded:
    name = "threaded"

    async def act(self, observation):
        await asyncio.to_thread(time.sleep, 50)


class Resisting:
    name = "resisting"

    async def act(self, observation):
        while True:
            try:
                await asyncio.sleep(50)
            except asyncio.CancelledError:
                pass


@hookimpl
def supportbench_agents():
    yield Threaded()
    yield Resisting()
"""


@pytest.mark.parametrize("agent", ["threaded", "resisting"])
def test_a_deadline_ends_what_cannot_be_cancelled_too(tmp_path: Path, agent: str) -> None:
    """The command is given less time than either agent would take."""
    environ = installed_module(tmp_path / "site", "stubborn_agents", STUBBORN)
    done = supportbench(
        "run", "--agent", agent, "--deadline", "1", "--out", "r", cwd=tmp_path, environ=environ, timeout_s=40
    )
    assert done.returncode == 1
    assert done.stderr.count("The run was stopped at its deadline of 1 s.") == 1
