"""Options of an executor on the command line, by its own name and in general; and what a run remembers of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.command import supportbench
from tests.installing import installed_module

FLEET = """\
import attrs
from supportbench import hookimpl

supportbench_api = 1

class Fleet:
    name = "my_fleet"

    @attrs.frozen(kw_only=True)
    class Options:
        home_port: str = "none"
        ships: int = 1

    def __init__(self, options=None):
        self.options = options

    def configured(self, options):
        return Fleet(options)

    async def run(self, play, specs, *, concurrency):
        with open("log", "a") as log:
            log.write(f"{self.options.home_port} {self.options.ships}\\n")
        for spec in specs:
            yield await play(spec)

@hookimpl
def supportbench_executors():
    yield Fleet()
"""


@pytest.fixture
def environ(tmp_path: Path) -> Mapping[str, str]:
    return installed_module(tmp_path / "site", "fleet", FLEET)


@pytest.mark.parametrize(
    "given",
    [
        ("--executor", "my_fleet", "--my-fleet-home-port", "Hull", "--my-fleet-ships=3"),
        ("--my-fleet-ships", "3", "--executor=my_fleet:Hull"),
    ],
)
def test_an_executors_options_bear_its_name(tmp_path: Path, environ: Mapping[str, str], given: tuple[str, ...]) -> None:
    done = supportbench("run", "--agent", "random", *given, cwd=tmp_path, environ=environ)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "log").read_text() == "Hull 3\n"


def test_a_resumed_run_knows_its_executor_and_may_be_given_another(tmp_path: Path, environ: Mapping[str, str]) -> None:
    options = ("--executor-option", "home_port=Hull", "--executor-option", "ships=3")
    for arguments in (
        ("--agent", "random", "--executor", "my_fleet", *options, "--out", "r"),
        ("--resume", "r"),
        ("--resume", "r", "--executor", "my_fleet", "--my-fleet-ships", "5"),
    ):
        done = supportbench("run", *arguments, cwd=tmp_path, environ=environ)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "log").read_text().splitlines() == ["Hull 3", "Hull 3", "none 5"]
    assert json.loads((tmp_path / "r/run.json").read_text())["executor"] == "my_fleet"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--executor", "my_fleet", "--my-fleet-sihps", "3"), "The options of executor 'my_fleet' are wrong: sihps: "),
        (("--executor", "my_fleet", "--my-fleet-ships"), "Option '--my-fleet-ships' requires an argument"),
        (
            ("--env", "http://127.0.0.1:1", "--executor-option", "ships=3"),
            "--executor-option does not go with --env: the episodes are played on the server",
        ),
    ],
)
def test_an_option_that_cannot_be_is_refused(
    tmp_path: Path, environ: Mapping[str, str], given: tuple[str, ...], told: str
) -> None:
    refused = supportbench("run", *given, "--out", "r", cwd=tmp_path, environ=environ)
    assert refused.returncode == 2
    assert told in refused.stderr
    assert not (tmp_path / "r").exists()


def test_an_executors_option_without_the_executor_is_refused_with_what_to_write(tmp_path: Path) -> None:
    done = supportbench("run", "--ray-address", "10.0.0.1:6379", cwd=tmp_path)
    assert done.returncode == 2
    told = "Error: There is no option --ray-address. Is it an executor's? Name that, too: --executor ray\n"
    assert done.stderr.endswith(told)
    assert "--executor" not in supportbench("run", "--max-tokenz", "3", cwd=tmp_path).stderr
