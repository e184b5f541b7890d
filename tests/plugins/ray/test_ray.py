"""Runs on Ray come to what runs in one process come to, whatever happens to a worker."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest
from ray.exceptions import RayError

from supportbench import RunError
from supportbench_ray.cluster import connected
from supportbench_ray.said import said_of
from tests.cli.command import supportbench
from tests.cli.interrupting import Running, lines_of
from tests.installing import installed_module
from tests.plugins.ray.clusters import AGENT, cluster
from tests.timeless import timeless

CREATION_FAILED = """\
The actor died because of an error raised in its creation task, ray::Worker.__init__() (pid=7, ip=10.0.0.7)
  File "worker.py", line 7, in load
    import it
RuntimeError: The actor with name Worker failed to import on the worker. This may be because dependencies are missing:

ray::Worker.__init__() (pid=7, ip=10.0.0.7)
ModuleNotFoundError: No module named 'supportbench_ray'"""
KEY = "a-key-that-nobody-may-see"


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment in which the agent is installed."""
    return installed_module(tmp_path_factory.mktemp("site"), "reader", AGENT)


@pytest.fixture(scope="module")
def ray(agent: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """The environment of a cluster whose workers have the agent, and nothing else of what a run is given."""
    with cluster(agent) as reached:
        yield reached


def tickets(folder: Path, *subjects: str) -> str:
    """Write a file with a ticket of each subject."""
    key = {"priority": "P2", "queue": "billing", "disposition": "respond", "summary_concepts": ["refund"]}
    lines = [
        {"ticket_id": f"T-{n}", "subject": subject, "body": "Hello", "answer_key": key}
        for n, subject in enumerate(subjects)
    ]
    (folder / "tickets.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return "tickets.jsonl"


def played_by(folder: Path, *more: str) -> tuple[str, ...]:
    log = f"log={folder / 'pids.log'}"
    return ("run", "--agent", "reader", "--agent-option", log, "--tickets", "tickets.jsonl", *more)


def pids(folder: Path) -> list[int]:
    return list(map(int, (folder / "pids.log").read_text().split()))


def without_times(folder: Path) -> list[Any]:
    """Return the journal's episodes without their times, in an order of their own."""

    def of_step(step: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in step.items() if key != "latency_s"}

    kept = [
        {key: value for key, value in line.items() if key not in ("started_at", "duration_s")}
        | {"steps": list(map(of_step, line["steps"]))}
        for line in lines_of(folder)
    ]
    return sorted(kept, key=lambda line: (line["index"], line["repeat"]))


def assert_same(folder: Path, other: Path) -> None:
    assert without_times(folder) == without_times(other)
    assert timeless(folder) == timeless(other)


def test_a_run_on_ray_equals_one_in_this_process_errors_included(tmp_path: Path, ray: Mapping[str, str]) -> None:
    tickets(tmp_path, *["usual"] * 5, "odd")
    (tmp_path / "heard.log").touch()
    environ = {**ray, "READER_KEY": KEY}
    arguments = played_by(tmp_path, "--repeats", "4", "--seed", "3")
    here = supportbench(*arguments, "--out", "here", cwd=tmp_path, environ=environ)
    heard_here = (tmp_path / "heard.log").read_text()
    (tmp_path / "heard.log").write_text("")
    (tmp_path / "pids.log").unlink()
    there = supportbench(
        *arguments, "--executor", "ray", "--ray-workers", "2", "--out", "there", cwd=tmp_path, environ=environ
    )
    assert (here.returncode, there.returncode) == (1, 1), there.stderr
    assert_same(tmp_path / "there", tmp_path / "here")
    workers = set(pids(tmp_path))
    heard = (tmp_path / "heard.log").read_text()
    listeners = {int(line.split()[0]) for line in heard.splitlines()}
    assert len(listeners) == 1
    assert not listeners & workers, "the process that keeps the journal tells them, and no worker"
    assert sorted(line.split()[1] for line in heard.splitlines()) == sorted(
        line.split()[1] for line in heard_here.splitlines()
    )
    assert there.stderr.count("agent 'reader' failed at ticket 'T-5': ValueError: what is this? (on ") == 4
    assert KEY not in there.stderr + "".join(path.read_text() for path in (tmp_path / "there").iterdir())


def test_what_a_killed_worker_had_begun_is_played_again(tmp_path: Path, ray: Mapping[str, str]) -> None:
    tickets(tmp_path, *["usual"] * 6)
    slowly = played_by(tmp_path, "--agent-option", "pause_ms=100", "--repeats", "20")
    run = Running(*slowly, "--executor", "ray", "--out", "r", cwd=tmp_path, environ=ray)
    run.wait_for(20)
    killed = pids(tmp_path)[-1]
    os.kill(killed, signal.SIGKILL)
    _, told = run.process.communicate(timeout=60)
    assert run.process.returncode == 0, told
    assert f"(process {killed})" in told
    assert "What it had begun is played again." in told
    assert len(lines_of(tmp_path / "r")) == 120
    assert set(pids(tmp_path)) > {killed}  # whether another one had time to come up is another matter
    assert supportbench(*slowly, "--concurrency", "60", "--out", "whole", cwd=tmp_path, environ=ray).returncode == 0
    assert_same(tmp_path / "r", tmp_path / "whole")


def test_a_run_that_is_interrupted_leaves_no_worker_and_goes_on_under_another_executor(
    tmp_path: Path, ray: Mapping[str, str]
) -> None:
    tickets(tmp_path, *["usual"] * 6)
    slowly = played_by(tmp_path, "--agent-option", "pause_ms=30", "--repeats", "40")
    run = Running(*slowly, "--executor", "ray", "--out", "r", cwd=tmp_path, environ=ray)
    run.wait_for(10)
    code, told = run.end_by(signal.SIGINT)
    assert code == 130, told
    assert told.splitlines()[-1].endswith("Go on: supportbench run --resume r")
    kept = len(lines_of(tmp_path / "r"))
    assert 10 <= kept < 240
    wait_until_gone(set(pids(tmp_path)))
    resumed = ("run", "--resume", "r", "--executor", "local", "--concurrency", "60")
    assert supportbench(*resumed, cwd=tmp_path, environ=ray).returncode == 0
    assert supportbench(*slowly, "--concurrency", "60", "--out", "whole", cwd=tmp_path, environ=ray).returncode == 0
    assert_same(tmp_path / "r", tmp_path / "whole")


def wait_until_gone(processes: set[int]) -> None:
    deadline = time.monotonic() + 30
    while any(map(psutil.pid_exists, processes)):
        assert time.monotonic() < deadline, "there are workers left"
        time.sleep(0.05)


def test_an_episode_that_ends_one_worker_after_the_other_ends_the_run_and_costs_no_other(
    tmp_path: Path, ray: Mapping[str, str]
) -> None:
    tickets(tmp_path, "usual", "deadly", *["usual"] * 6)
    ended = supportbench(*played_by(tmp_path), "--executor", "ray", "--out", "r", cwd=tmp_path, environ=ray)
    assert ended.returncode == 2
    assert "Task 'T-1' was being played on 3 workers that were lost, one after the other" in ended.stderr
    assert {line["task_id"] for line in lines_of(tmp_path / "r")} <= {f"T-{n}" for n in (0, *range(2, 8))}


def test_a_worker_that_lacks_a_plugin_says_what_to_install_and_where(tmp_path: Path, ray: Mapping[str, str]) -> None:
    more = installed_module(tmp_path / "more", "extra_agent", AGENT.replace('"reader"', '"other"'))
    both = {"PYTHONPATH": os.pathsep.join((more["PYTHONPATH"], ray["PYTHONPATH"]))}
    refused = supportbench("run", "--executor", "ray", "--out", "r", cwd=tmp_path, environ={**ray, **both})
    assert refused.returncode == 2
    told = f"Worker {socket.gethostname()} (process "
    assert told in refused.stderr
    assert "plugin 'extra_agent' is not installed here: pip install supportbench-extra_agent==1" in refused.stderr


def test_an_address_at_which_nothing_listens_is_an_error_at_once(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        asked = ("run", "--executor", "ray", f"--ray-address={address}", "--out", "r")
        refused = supportbench(*asked, cwd=tmp_path)
    assert refused.returncode == 2
    assert f"Cannot reach a Ray cluster at {address}: " in refused.stderr


@pytest.mark.parametrize("address", ["somewhere", "ray://127.0.0.1:10001", "127.0.0.1:", ":6379"])
async def test_what_is_no_address_is_refused_with_what_is_one(address: str) -> None:
    with pytest.raises(RunError, match=f"'{address}' is no address of a Ray cluster. Give HOST:PORT"):
        await connected(address, None).__aenter__()


async def test_what_listens_but_does_not_answer_is_an_error_in_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supportbench_ray.cluster._ANSWERS_WITHIN_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(RunError, match=f"Cannot reach a Ray cluster at {address}: what listens there does not"):
            await connected(address, None).__aenter__()


def test_a_worker_without_supportbench_is_named_with_what_to_install() -> None:
    told = said_of(RayError(CREATION_FAILED))
    assert told == "ModuleNotFoundError: No module named 'supportbench_ray' (at 10.0.0.7)"
    assert said_of(RayError("The node died.\nMore.")) == "The node died"


def test_without_an_address_a_cluster_of_its_own_is_started_and_ended(tmp_path: Path, agent: Mapping[str, str]) -> None:
    tickets(tmp_path, *["usual"] * 6)
    arguments = played_by(tmp_path, "--repeats", "3")
    done = supportbench(*arguments, "--executor", "ray", "--ray-workers=2", "--out", "r", cwd=tmp_path, environ=agent)
    assert done.returncode == 0, done.stderr
    wait_until_gone(set(pids(tmp_path)))
    assert len(lines_of(tmp_path / "r")) == 18


def test_without_the_extra_it_is_listed_and_says_what_to_install_when_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text("import sys\nsys.modules['ray'] = None\n")
    environ = {"PYTHONPATH": os.pathsep.join(filter(None, (str(tmp_path / "site"), os.environ.get("PYTHONPATH"))))}
    listed = supportbench("plugins", "--json", cwd=tmp_path, environ=environ)
    (plugin,) = [plugin for plugin in json.loads(listed.stdout) if plugin["name"] == "ray"]
    assert (plugin["status"], plugin["needs"]) == ("ok", ["supportbench[ray]"])
    refused = supportbench("run", "--executor", "ray", cwd=tmp_path, environ=environ)
    assert refused.returncode == 2
    assert "Executor 'ray' needs supportbench[ray]: pip install 'supportbench[ray]'" in refused.stderr
