"""`supportbench run`, as a person types it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from supportbench import Episode, decode
from tests.cli.command import shown_on_a_terminal, supportbench
from tests.server.serving import Served, serving
from tests.timeless import timeless

UNREACHABLE = (
    *("--agent", "openai:m", "--agent-option", "max_retries=0"),
    *("--agent-option", "base_url=http://127.0.0.1:9/v1"),
)
"""An agent whose endpoint is not there."""
TASKS = ("easy_inbox_cleanup", "medium_sla_defense", "hard_exec_escalations")


def test_prints_a_table_and_says_where_the_results_are(tmp_path: Path) -> None:
    done = supportbench("run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for expected in (*TASKS, "difficulty", "tickets", "score", "disposition", "unsafe", "errors", "Average score"):
        assert expected in done.stdout
    folder = tmp_path / done.stdout.strip().splitlines()[-1].removeprefix("Results: ")
    assert sorted(path.name for path in folder.iterdir()) == ["journal.jsonl", "results.json", "run.json"]
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert done.stderr == ""


def test_the_folder_holds_what_was_asked_every_episode_and_their_sum(tmp_path: Path) -> None:
    done = supportbench("run", "--repeats", "2", "--seed", "7", "--out", "r", "--json", cwd=tmp_path)
    asked = json.loads((tmp_path / "r/run.json").read_text())
    results = json.loads((tmp_path / "r/results.json").read_text())
    episodes = [decode(line, Episode) for line in (tmp_path / "r/journal.jsonl").read_bytes().splitlines()]
    assert json.loads(done.stdout) == results
    assert (asked["schema"], results["schema"]) == ("supportbench.run/1", "supportbench.results/1")
    assert (asked["seed"], asked["repeats"], results["seed"]) == (7, 2, 7)
    assert {(episode.task_id, episode.repeat) for episode in episodes} == {(t, r) for t in TASKS for r in (0, 1)}
    assert [task["fingerprint"] for task in results["tasks"]] == [task["fingerprint"] for task in asked["tasks"]]
    for task in results["tasks"]:
        assert len(task["rewards"]) == task["tickets"]
        assert task["score"] == pytest.approx(sum(task["rewards"]) / len(task["rewards"]))
    assert results["average_score"] == pytest.approx(sum(task["score"] for task in results["tasks"]) / 3)


def test_the_same_seed_gives_the_same_results_but_for_times_whatever_the_concurrency(tmp_path: Path) -> None:
    results = []
    for folder, concurrency in (("a", "1"), ("b", "3")):
        arguments = ("--agent", "random", "--repeats", "4", "--concurrency", concurrency, "--out", folder)
        assert supportbench("run", *arguments, cwd=tmp_path).returncode == 0
        results.append(timeless(tmp_path / folder))
    assert results[0] == results[1]


def test_limit_counts_tickets_over_all_tasks(tmp_path: Path) -> None:
    supportbench("run", "--limit", "3", "--out", "r", cwd=tmp_path)
    results = json.loads((tmp_path / "r/results.json").read_text())
    assert [(task["task_id"], task["tickets"]) for task in results["tasks"]] == [(TASKS[0], 2), (TASKS[1], 1)]
    assert results["unreached_count"] == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--task", TASKS[2], "--task", TASKS[0]], [TASKS[0], TASKS[2]]),
        (["--split", "test", "--index", "1"], [TASKS[1]]),
    ],
)
def test_tasks_can_be_chosen(tmp_path: Path, arguments: list[str], expected: list[str]) -> None:
    done = supportbench("run", *arguments, "--json", cwd=tmp_path)
    assert [task["task_id"] for task in json.loads(done.stdout)["tasks"]] == expected


def test_another_rubric_can_be_named_or_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('name = "mine"\n[[component]]\nuse = "queue"\nas = "owner"\nweight = 1.0\n')
    by_name = json.loads(supportbench("run", "--rubric", "exact", "--json", cwd=tmp_path).stdout)
    by_file = json.loads(supportbench("run", "--rubric", "mine.toml", "--json", cwd=tmp_path).stdout)
    assert set(by_name["tasks"][0]["components"]) == {"priority", "queue", "disposition"}
    assert set(by_file["tasks"][0]["components"]) == {"owner"}
    assert by_name["tasks"][0]["rubric"]["fingerprint"] != by_file["tasks"][0]["rubric"]["fingerprint"]


def test_own_tickets_are_played_from_a_file(tmp_path: Path) -> None:
    tickets = [
        {"ticket_id": "A", "subject": "s", "body": "b", "answer_key": {"priority": "P1"}},
        {"ticket_id": "B", "subject": "s", "body": "b", "task_id": "t", "answer_key": {"queue": "billing"}},
        {"ticket_id": "C", "subject": "s", "body": "b", "task_id": "t", "answer_key": {"queue": "billing"}},
    ]
    (tmp_path / "tickets.jsonl").write_text("\n".join(map(json.dumps, tickets)))
    done = supportbench("run", "--tickets", "tickets.jsonl", "--agent", "random", "--json", cwd=tmp_path)
    assert {task["task_id"]: task["tickets"] for task in json.loads(done.stdout)["tasks"]} == {"A": 1, "t": 2}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--agent", "heuristik"], "Did you mean 'heuristic'?"),
        (["--agent", "random:7"], "takes no argument"),
        (["--task", "easy_inbox_clean"], "Did you mean 'easy_inbox_cleanup'?"),
        (["--provider", "triag"], "Did you mean 'triage'?"),
        (["--split", "tets"], "Did you mean 'test'?"),
        (["--index", "3"], "Allowed: from 0 to 2"),
        (["--rubric", "defualt"], "Did you mean 'default'?"),
        (["--rubric", "missing.toml"], "Cannot read rubric file missing.toml"),
        (["--block", "keywrod"], "Did you mean 'keyword'?"),
        (["--block", "triage"], "no task provider 'triage'"),
        (["--block", "keyword"], "asks for rubric 'default'"),
        (["--executor", "loca"], "Did you mean 'local'?"),
        (["--agent", "openai:a", "--agent-option", "model=b"], "is given its model twice"),
        (["--agent", "openai"], "Agent 'openai' needs its model: openai:MODEL"),
        (
            ["--agent", "openai:m"],
            "agent 'openai' cannot be set up: there is no key for https://api.openai.com/v1: set",
        ),
        (["--task", "x", "--index", "1"], "the same thing twice"),
        (["--repeats", "0"], "not in the range"),
        (["--out", ""], "the path is empty. Name a folder"),
        (["--agent", "nope"], "There is no agent 'nope'. Known: "),
        (["--agent-option", "colour"], "not KEY=VALUE"),
        (["--agent", "random", "--agent-option", "colour=red"], "takes no options"),
    ],
)
def test_wrong_usage_is_refused_with_the_next_move_and_leaves_nothing_behind(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = supportbench("run", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_never_written_to(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r/thesis.tex").write_text("years of work")
    done = supportbench("run", "--out", "r", cwd=tmp_path)
    assert done.returncode == 2
    assert "is not empty" in done.stderr
    assert [path.name for path in (tmp_path / "r").iterdir()] == ["thesis.tex"]


def test_settings_come_from_the_environment_and_options_win(tmp_path: Path) -> None:
    environ = {"SUPPORTBENCH_AGENT": "random", "SUPPORTBENCH_RUBRIC": "exact", "SUPPORTBENCH_FEEDBACK": "none"}
    from_environ = json.loads(supportbench("run", "--json", "--out", "r", cwd=tmp_path, environ=environ).stdout)
    assert json.loads((tmp_path / "r/run.json").read_text())["feedback"] == "none"
    assert (from_environ["agent"], from_environ["tasks"][0]["rubric"]["name"]) == ("random", "exact")
    overridden = supportbench("run", "--json", "--rubric", "default", cwd=tmp_path, environ=environ)
    assert json.loads(overridden.stdout)["tasks"][0]["rubric"]["name"] == "default"


def test_a_misspelt_setting_is_refused(tmp_path: Path) -> None:
    done = supportbench("run", cwd=tmp_path, environ={"SUPPORTBENCH_BLOK": "safety"})
    assert done.returncode == 2
    assert "Did you mean 'SUPPORTBENCH_BLOCK'?" in done.stderr


def test_an_agent_that_fails_exits_1_and_the_errors_come_first(tmp_path: Path) -> None:
    done = supportbench("run", *UNREACHABLE, "--task", TASKS[1], "--out", "r", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.startswith("1 ticket ended in an error and 2 were not reached; neither enters a mean.")
    results = json.loads((tmp_path / "r/results.json").read_text())
    (task,) = results["tasks"]
    assert (len(task["errors"]), task["unreached"], task["score"], task["rewards"]) == (1, 2, None, [])
    assert results["average_score"] is None


def test_no_number_is_cut_where_the_terminal_is_narrow(tmp_path: Path) -> None:
    wide, narrow = (
        supportbench("run", "--out", columns, cwd=tmp_path, environ={"COLUMNS": columns}).stdout.split()
        for columns in ("80", "40")
    )
    assert wide[:-1] == narrow[:-1]


def test_the_title_names_another_rubric_and_the_last_line_what_the_average_leaves_out(tmp_path: Path) -> None:
    assert supportbench("run", "--rubric", "exact", cwd=tmp_path).stdout.startswith("heuristic · rubric exact · seed 0")
    assert "Average score: 0.98\n" in supportbench("run", cwd=tmp_path).stdout
    failed = supportbench("run", *UNREACHABLE, cwd=tmp_path).stdout
    assert "Average score: – over 0 of 3 tasks (0 of 9 tickets graded)" in failed


def test_a_terminal_gets_a_progress_bar(tmp_path: Path) -> None:
    shown = shown_on_a_terminal("run", "--agent", "random", "--repeats", "50", "--out", "r", cwd=tmp_path)
    assert b"playing" in shown
    assert b"150/150" in shown


# -- on a server ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving() as running:
        yield running


def test_a_run_on_a_server_gives_the_same_scores_in_the_same_files(tmp_path: Path, served: Served) -> None:
    arguments = ("--agent", "random", "--repeats", "2", "--seed", "3")
    here = supportbench("run", *arguments, "--out", "here", cwd=tmp_path)
    there = supportbench("run", *arguments, "--env", served.url, "--out", "there", cwd=tmp_path)
    assert (here.returncode, there.returncode, there.stderr) == (0, 0, "")
    assert there.stdout.startswith("random · rubric remote · seed 3")
    results, rewards = {}, {}
    for place in ("here", "there"):
        results[place] = data = timeless(tmp_path / place)
        for made_of_tickets in ("customer_tiers", "confusions", "triage"):  # which a server keeps to itself
            data["statistics"][made_of_tickets] = "not told"
        for task in data["tasks"]:
            task["fingerprint"] = task["rubric"] = "not told"
        lines = (tmp_path / place / "journal.jsonl").read_bytes().splitlines()
        rewards[place] = {episode.episode_id: episode.rewards for episode in (decode(line, Episode) for line in lines)}
    assert results["here"] == results["there"]
    assert rewards["here"] == rewards["there"]
    assert json.loads((tmp_path / "there/run.json").read_text())["server"] == served.url


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--task", TASKS[2], "--task", TASKS[0]], [TASKS[0], TASKS[2]]),
        (["--provider", "triage", "--split", "test", "--index", "1"], [TASKS[1]]),
        (["--limit", "3"], [TASKS[0], TASKS[1]]),
    ],
)
def test_tasks_of_a_server_can_be_chosen(
    tmp_path: Path, served: Served, arguments: list[str], expected: list[str]
) -> None:
    done = supportbench("run", "--env", f"{served.url}/", *arguments, "--json", cwd=tmp_path)
    assert [task["task_id"] for task in json.loads(done.stdout)["tasks"]] == expected


def test_a_server_that_tells_its_rewards_alone_leaves_dashes_in_the_table(tmp_path: Path) -> None:
    with serving(feedback="none") as served:
        done = supportbench("run", "--env", served.url, "--task", TASKS[0], "--out", "r", cwd=tmp_path)
    row = next(line for line in done.stdout.splitlines() if TASKS[0] in line)
    assert row.split() == [TASKS[0], "easy", "2", "1.00", "–", "0"]
    (task,) = json.loads((tmp_path / "r/results.json").read_text())["tasks"]
    assert (task["components"], task["unsafe_replies"], task["unsafe_rate"]) == ({}, None, None)


def test_the_token_of_a_server_comes_from_the_environment_and_is_written_nowhere(tmp_path: Path) -> None:
    key = "a-key-that-nobody-may-see"
    with serving(tokens=("some-other-key", key)) as served:
        refused = supportbench("run", "--env", served.url, cwd=tmp_path)
        arguments = ("--env", served.url, "--limit", "1", "--out", "r")
        done = supportbench("-v", "run", *arguments, cwd=tmp_path, environ={"SUPPORTBENCH_TOKEN": f"{key},second-key"})
    assert refused.returncode == 2
    assert "It wants a token, and none was given" in refused.stderr
    assert done.returncode == 0
    written = "".join(path.read_text() for path in (tmp_path / "r").iterdir())
    assert key not in done.stdout + done.stderr + written


@pytest.mark.parametrize(
    ("arguments", "environ", "message"),
    [
        (["--rubric", "exact"], {}, "--rubric does not go with --env: it is the server that grades"),
        (["--tickets", "t.jsonl"], {}, "--tickets does not go with --env: the tasks are the server's"),
        (["--executor", "ray"], {}, "--executor does not go with --env: the episodes are played on the server"),
        ([], {"SUPPORTBENCH_RUBRIC": "exact"}, "SUPPORTBENCH_RUBRIC is set, but it is the server that grades"),
        ([], {"SUPPORTBENCH_FEEDBACK": "full"}, "SUPPORTBENCH_FEEDBACK is set, but it is the server that grades"),
        (["--provider", "triag"], {}, "Did you mean 'triage'?"),
        ([], {"SUPPORTBENCH_PROVIDER": "triag"}, "Did you mean 'triage'?"),
        (["--task", "easy_inbox_clean"], {}, "Did you mean 'easy_inbox_cleanup'?"),
        (["--split", "tets"], {}, "Did you mean 'test'?"),
        (["--index", "3"], {}, "Invalid task index"),
        (["--agent", "heuristik"], {}, "Did you mean 'heuristic'?"),
    ],
)
def test_what_a_server_decides_or_does_not_have_is_refused(
    tmp_path: Path, served: Served, arguments: list[str], environ: dict[str, str], message: str
) -> None:
    (tmp_path / "t.jsonl").write_text("")
    done = supportbench("run", "--env", served.url, *arguments, cwd=tmp_path, environ=environ)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["t.jsonl"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:9", "Cannot connect to http://127.0.0.1:9"),
        ("localhost:8000", "Write it like http://localhost:8000"),
        ("http://me:secret@localhost", "no user and password in it"),
    ],
)
def test_where_no_server_is_nothing_is_left_behind(tmp_path: Path, url: str, message: str) -> None:
    done = supportbench("run", "--env", url, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "secret" not in done.stderr
    assert list(tmp_path.iterdir()) == []
