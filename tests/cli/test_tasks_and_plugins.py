"""`supportbench tasks`, `supportbench plugins`, and the command as such."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import supportbench
from tests.fixture_plugins import BROKEN


def test_tasks_are_listed_with_where_they_stand(tmp_path: Path) -> None:
    cards = json.loads(supportbench("tasks", "--json", cwd=tmp_path).stdout)
    assert [(card["task_id"], card["split"], card["index"], card["total_tickets"]) for card in cards] == [
        ("easy_inbox_cleanup", "test", 0, 2),
        ("medium_sla_defense", "test", 1, 3),
        ("hard_exec_escalations", "test", 2, 4),
    ]
    table = supportbench("tasks", cwd=tmp_path).stdout
    assert "hard_exec_escalations" in table
    assert max(map(len, table.splitlines())) <= 80


def test_one_task_is_shown_as_an_agent_sees_it(tmp_path: Path) -> None:
    text = supportbench("tasks", "hard_exec_escalations", cwd=tmp_path).stdout
    data = json.loads(supportbench("tasks", "hard_exec_escalations", "--json", cwd=tmp_path).stdout)
    assert all(ticket["subject"] in text for ticket in data["tickets"])
    assert "answer_key" not in json.dumps(data)


def test_a_hostile_ticket_cannot_steer_the_terminal(tmp_path: Path) -> None:
    ticket = {"ticket_id": "\x1b[31mX", "subject": "\x1b]0;owned\x07", "body": "b", "answer_key": {"priority": "P1"}}
    (tmp_path / "t.jsonl").write_text(json.dumps(ticket))
    done = supportbench("run", "--tickets", "t.jsonl", "--agent", "random", cwd=tmp_path)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("arguments", [["tasks", "nope"], ["tasks", "--split", "tets"], ["tasks", "--provider", "x"]])
def test_what_does_not_exist_is_refused(tmp_path: Path, arguments: list[str]) -> None:
    done = supportbench(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "Known: " in done.stderr


def test_plugins_say_what_they_provide(tmp_path: Path) -> None:
    rows = {row["name"]: row for row in json.loads(supportbench("plugins", "--json", cwd=tmp_path).stdout)}
    assert rows["keyword"]["provides"]["rubrics"] == ["careful", "default", "exact"]
    assert rows["agents"]["provides"]["agents"] == ["heuristic", "openai", "random"]
    assert {row["status"] for row in rows.values()} == {"ok"}


def test_broken_and_blocked_plugins_are_listed_all_the_same(tmp_path: Path, broken_site: Path) -> None:
    environ = {"PYTHONPATH": str(broken_site), "SUPPORTBENCH_BLOCK": "safety"}
    done = supportbench("plugins", "--json", cwd=tmp_path, environ=environ)
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert {name for name, row in rows.items() if row["status"] == "broken"} == {plugin.name for plugin in BROKEN}
    assert all(rows[plugin.name]["problems"] for plugin in BROKEN)
    assert rows["safety"]["status"] == "blocked"
    assert rows["triage"]["status"] == "ok"


def test_a_broken_plugin_stops_a_run_and_says_how_to_block_it(tmp_path: Path, broken_site: Path) -> None:
    environ = {"PYTHONPATH": str(broken_site)}
    done = supportbench("run", cwd=tmp_path, environ=environ)
    assert done.returncode == 2
    assert all(f"--block {plugin.name}" in done.stderr for plugin in BROKEN)
    blocked = {**environ, "SUPPORTBENCH_BLOCK": ",".join(sorted({plugin.name for plugin in BROKEN}))}
    assert supportbench("run", "--agent", "random", cwd=tmp_path, environ=blocked).returncode == 0


@pytest.mark.parametrize("command", ["run", "grade", "tasks", "plugins"])
def test_every_command_has_help_with_an_example_and_can_block(tmp_path: Path, command: str) -> None:
    done = supportbench(command, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert f"Example: supportbench {command}" in " ".join(done.stdout.split())
    assert "--block" in done.stdout
    assert "--json" in done.stdout
    assert f"  {command} " in supportbench("--help", cwd=tmp_path).stdout


def test_an_unknown_command_is_wrong_usage(tmp_path: Path) -> None:
    assert supportbench("rnu", cwd=tmp_path).returncode == 2


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_output_for_which_there_is_no_room_is_one_message(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "supportbench", "tasks", *arguments],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (2, "Error: [Errno 28] No space left on device\n")
