"""No part of an answer key is in what a command prints, logs or writes; every command is walked.

The task is that of `tests/test_secrecy.py`, whose key is made of words that stand nowhere else. Its components know the
key, keep it in their details and quote it when they fail. What agents and clients are told is walked there and in
`tests/server/test_secrecy.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attrs
import click
import httpx
import pytest

from supportbench import AnswerKey, Rubric, RubricComponent, SafetyPolicy, Task, encode
from supportbench.cli import cli
from tests.cli.command import supportbench
from tests.installing import BrokenPlugin, write_wheel
from tests.server.processes import ServerProcess, serve, until
from tests.test_secrecy import SECRETS, canary_task, leaks

_MODULE: Final = '''
import os
from supportbench import (ComponentScore, Rubric, SafetyFinding, SafetyPair, StaticTasks, SupportQueueAction,
                          Task, decode, hookimpl)

supportbench_api = 1
TASK = decode({task!r}, Task)
ANSWER = {answer!r}

class Quotes:
    """Says all it knows where only evaluators look, and quotes it when it fails."""
    name = "quotes"
    async def score(self, submission):
        key = submission.case.answer_key
        if submission.case.ticket.ticket_id == os.environ.get("FAIL_AT"):
            raise ValueError(f"expected {{key}}, private {{submission.task}}")
        return ComponentScore(score=0.5, details={{"expected": str(key), "task": str(submission.task)}})

class Gossip:
    """Finds what the key forbids."""
    name = "gossip"
    async def check(self, submission):
        if submission.case.ticket.ticket_id == os.environ.get("FAIL_CHECK_AT"):
            raise ValueError(f"forbidden: {{submission.case.answer_key}}")
        reply, phrases = submission.action.response, submission.case.answer_key.unsafe_phrases
        said = [SafetyFinding(rule="said", start=0, end=1) for phrase in phrases if phrase in reply]
        return [*said, SafetyFinding(rule="read", start=0, end=len(reply), severity="note", note="a note")]
    def pairs(self):
        yield SafetyPair(rule="said", unsafe="A refund.", safe="A word.", unsafe_phrases=("refund",))

class Fixed:
    """Answers every ticket alike."""
    name = "fixed"
    async def act(self, observation):
        if observation.ticket.ticket_id == os.environ.get("TIRED_AT"):
            raise ValueError(f"tired of {{observation}}")
        return SupportQueueAction(**ANSWER)

class Moody(StaticTasks):
    """Offers the task, and quotes it when it fails."""
    def num_tasks(self, split):
        if os.environ.get("LOST"):
            raise OSError(f"lost {{TASK}}")
        return 1

@hookimpl
def supportbench_task_providers():
    yield Moody(name="cage", splits={{"test": [TASK]}})

@hookimpl
def supportbench_grading_components():
    yield Quotes()

@hookimpl
def supportbench_safety_checks():
    yield Gossip()

@hookimpl
def supportbench_rubrics():
    yield decode({rubric!r}, Rubric)

@hookimpl
def supportbench_agents():
    yield Fixed()
'''
ANSWER: Final = {
    "priority": "P3",
    "queue": "billing",
    "disposition": "close",
    "summary": "They ask for help.",
    "response": "We look into it.",
    "confidence": 0.5,
}
RUBRIC: Final = Rubric(
    name="quotes",
    components=[
        RubricComponent(use="quotes", weight=0.5),
        *(RubricComponent(use=name, weight=0.1) for name in ("priority", "queue", "disposition")),
        RubricComponent(use="concept_coverage", as_="summary", weight=0.1, options={"field": "summary"}),
        RubricComponent(use="concept_coverage", as_="response", weight=0.1, options={"field": "response"}),
    ],
    safety=SafetyPolicy(checks=("gossip", "unsafe_reply")),
)
FAILS: Final = {"FAIL_AT": "C-1"}
CHECK_FAILS: Final = {"FAIL_CHECK_AT": "C-1"}
LOST: Final = {"LOST": "1"}
PLAY: Final = ("run", "--provider", "cage", "--agent", "fixed", "--out", "new")


@attrs.frozen
class Way:
    """A command that could let something out: how it ends (None: as it likes), and what it must have said."""

    arguments: tuple[str, ...]
    environ: dict[str, str] = attrs.field(factory=dict)
    code: int | None = 0
    says: str = ""


WAYS: Final = (
    Way(("tasks",), says="canary"),
    Way(("tasks", "--json"), says="canary"),
    Way(("tasks", "canary"), says="C-2"),
    Way(("tasks", "canary", "--json"), says="C-2"),
    Way(("tasks", "canaries"), code=2, says="Did you mean 'canary'?"),
    Way(("tasks", "--provider", "cage", "--split", "quoll"), code=2, says="'test'"),
    Way(("tasks",), LOST, code=2, says="task provider 'cage' failed at split 'test': OSError"),
    Way(("plugins",), says="cage"),
    Way(("plugins", "--json"), says="cage"),
    Way(("rubrics",), says="quotes"),
    Way(("rubrics", "--json"), says="quotes"),
    Way(("rubrics", "quotes:gate"), says="earns nothing"),
    Way(("rubrics", "quotes", "--json"), says="concept_coverage"),
    Way(("run", "--provider", "cage", "--agent", "fixed"), says="Average score"),
    Way((*PLAY, "--json"), says='"average_score"'),
    Way((*PLAY, "--rubric", "default"), says="Average score"),
    Way((*PLAY, "--rubric", "default:binary"), says="Average score: 0.00"),
    Way(("-v", *PLAY), says="Average score"),
    Way(("-v", *PLAY), FAILS, code=1, says="failed at ticket 'C-1'"),
    Way(("-v", "tasks"), LOST, code=2, says="task provider 'cage' failed"),
    Way(("-v", "regrade", "run"), FAILS, code=1, says="failed at ticket 'C-1'"),
    Way(PLAY, {"SUPPORTBENCH_FEEDBACK": "none"}, says="Average score"),
    Way((*PLAY, "--repeats", "3"), FAILS, code=1, says="component 'quotes' of plugin 'cage' failed at ticket 'C-1'"),
    Way((*PLAY, "--json"), CHECK_FAILS, code=1, says="safety check 'gossip' of plugin 'cage' failed"),
    Way(PLAY, {"TIRED_AT": "C-2"}, code=1, says="agent 'fixed' failed"),
    Way(PLAY, LOST, code=2, says="task provider 'cage' failed"),
    Way((*PLAY, "--index", "7"), code=2, says="Allowed: from 0 to 0"),
    Way(("grade", "--task", "canary", "--actions", "actions.jsonl"), says="Mean reward of 3 actions"),
    Way(("grade", "--task", "canary", "--actions", "actions.jsonl", "--json"), says='"findings"'),
    Way(("grade", "--task", "canary", "--actions", "actions.jsonl"), FAILS, code=1, says="1 ticket is unscored"),
    Way(("grade", "--task", "canary", "--actions", "wrong.jsonl"), code=2, says="line 1: queue: 'potato'"),
    Way(("grade", "--tickets", "tickets.jsonl", "--actions", "actions.jsonl", "--json"), says='"ticket_id":"C-2"'),
    Way(("grade", "run"), says="3 rewards are as recorded"),
    Way(("grade", "run", "--json"), says='"recorded_reward"'),
    Way(("grade", "run", "--rubric", "default"), says="of 3 rewards differ"),
    Way(("grade", "run"), FAILS, code=1, says="1 ticket is unscored"),
    Way(("grade", "other"), code=2, says="is not what it was when it was played"),
    Way(("grade", "run"), LOST, code=2, says="task provider 'cage' failed"),
    Way(("regrade", "run", "--rubric", "default", "--out", "new"), says="Average score"),
    Way(("regrade", "run", "--rubric", "default", "--json"), says='"components"'),
    Way(("regrade", "run", "--out", "new", "--json"), FAILS, code=1, says="failed at ticket 'C-1'"),
    Way(("regrade", "run", "--out", "new"), CHECK_FAILS, code=1, says="1 ticket is unscored"),
    Way(("regrade", "other"), code=2, says="is not what it was when it was played"),
    Way(("compare", "run", "run"), says="3 pairs of replies to 3 tickets."),
    Way(("compare", "run", "run", "--json"), says='"p_holm"'),
    Way(("report", "run", "--output", "new.html"), says="Report: new.html"),
    Way(("-v", "report", "run", "unscored", "--output", "new.html"), says="Report: new.html"),
    Way(("report", "run", "run", "--markdown"), says="| run |"),
    Way(("report", "run", "--output", "new.html"), LOST, says="Report: new.html"),
    Way(("report", "forgotten", "--output", "new.html"), says="Report: new.html"),
    Way(("-v", "report", "run", "--reveal", "--markdown"), FAILS, says="| run |"),
    Way(("lint", "--safety"), code=None),
    Way(("lint", "--safety", "--json"), code=None),
    Way(("audit", "--task", "canary"), code=None, says="canary"),
    Way(("audit", "--task", "canary", "--json"), code=None, says="canary"),
    Way(("audit", "--task", "canary"), FAILS, code=None, says="canary"),
    Way(("audit", "--tickets", "tickets.jsonl", "--json"), code=None),
)
ELSEWHERE: Final = {
    "serve": "test_a_server's_log_and_recording_have_none, and tests/server/test_secrecy.py",
    "judge-agreement": "it reads labels, and knows of no task",
}


@pytest.fixture(scope="module")
def cage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the canary task as an installed pack, as a file of tickets, actions for it, and a run."""
    folder = tmp_path_factory.mktemp("cage")
    task = attrs.evolve(canary_task(), rubric="quotes")
    source = _MODULE.format(task=encode(task), answer=ANSWER, rubric=encode(RUBRIC))
    write_wheel(folder, BrokenPlugin(name="cage", source=source, reason=""))
    tickets = [
        {**json.loads(encode(case.ticket)), "answer_key": json.loads(encode(case.answer_key))} for case in task.cases
    ]
    (folder / "tickets.jsonl").write_text("\n".join(map(json.dumps, tickets)))
    answers = [{**ANSWER, "ticket_id": case.ticket.ticket_id} for case in task.cases]
    (folder / "actions.jsonl").write_text("\n".join(map(json.dumps, answers)))
    (folder / "wrong.jsonl").write_text(json.dumps({**answers[0], "queue": "potato"}))
    played = supportbench(
        "run", "--provider", "cage", "--agent", "fixed", "--out", "run", cwd=folder, environ=of(folder)
    )
    assert played.returncode == 0, played.stderr
    arguments = ("--provider", "cage", "--agent", "fixed", "--out", "unscored")
    played = supportbench("run", *arguments, cwd=folder, environ={**of(folder), **FAILS})
    assert played.returncode == 1, played.stderr
    (folder / "other").mkdir()
    journal = (folder / "run" / "journal.jsonl").read_text()
    changed = re.sub('"task_fingerprint":"[^"]+"', '"task_fingerprint":"sha256:0"', journal)
    (folder / "other" / "journal.jsonl").write_text(changed)
    (folder / "forgotten").mkdir()
    for name in ("run.json", "journal.jsonl"):
        (folder / "forgotten" / name).write_bytes((folder / "run" / name).read_bytes())
    return folder


def of(folder: Path) -> dict[str, str]:
    (wheel,) = folder.glob("*.whl")
    return {"PYTHONPATH": str(wheel)}


def written_in(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield every file below the folder with its text."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path), path.read_text(encoding="utf-8", errors="replace")


@pytest.fixture
def here(cage: Path, tmp_path: Path) -> Path:
    """A folder of one's own in which the files of the cage can be named."""
    for path in cage.iterdir():
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


@pytest.mark.parametrize("way", WAYS, ids=lambda way: " ".join((*way.arguments, *way.environ)))
def test_no_canary_is_printed_logged_or_written(cage: Path, here: Path, way: Way) -> None:
    known = {path.name for path in here.iterdir()}
    done = supportbench(*way.arguments, cwd=here, environ={**of(cage), **way.environ})
    assert done.returncode in ((0, 1, 2) if way.code is None else (way.code,)), done.stderr
    assert way.says in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert leaks(done.stdout) == set()
    assert leaks(done.stderr) == set()
    for path in here.iterdir():
        if path.name not in known:
            for name, text in written_in(path):
                assert leaks(text) == set(), name


def test_every_command_is_walked() -> None:
    commands = set(cli.list_commands(click.Context(cli)))
    walked = {way.arguments[0] for way in WAYS} - {"-v"}
    assert walked | set(ELSEWHERE) == commands


def test_every_private_field_has_a_canary_or_is_told_apart_by_blindness() -> None:
    task = canary_task()
    told_apart = {"priority", "queue", "disposition"}  # of the taxonomy, which is public: see tests/test_secrecy.py
    for case in task.cases:
        for field in attrs.fields(AnswerKey):
            held = leaks(json.loads(encode(getattr(case.answer_key, field.name))))
            assert held or field.name in told_apart, f"answer_key.{field.name} has no canary"
    public = {"task_id", "title", "difficulty", "description", "instructions", "taxonomy", "rubric", "cases"}
    for field in attrs.fields(Task):
        assert leaks(json.loads(encode(getattr(task, field.name)))) or field.name in public, f"{field.name} has none"
    assert leaks(json.loads(encode(task))) == set(SECRETS)


def test_the_walk_would_see_a_leak(cage: Path, here: Path) -> None:
    for arguments, environ in ((PLAY, FAILS), (("regrade", "run"), FAILS), (("tasks",), LOST)):
        done = supportbench("-vv", *arguments, cwd=here, environ={**of(cage), **environ})
        assert leaks(done.stderr) == set(SECRETS), "who asks for what a plugin says is told"
    assert all(leaks(text) == set() for _, text in written_in(here / "new"))


def test_a_report_has_keys_where_it_is_asked_for_them(cage: Path, here: Path) -> None:
    done = supportbench("report", "run", "--reveal", "--output", "new.html", cwd=here, environ=of(cage))
    assert (done.returncode, leaks(done.stdout + done.stderr)) == (0, set())
    assert leaks((here / "new.html").read_text(encoding="utf-8")), "else the walk would not see one that leaks"


# -- a server -----------------------------------------------------------------------------------------------------


def _play(server: ServerProcess, *, asks: int) -> list[str]:
    """Play the task over HTTP as far as it goes; return every answer."""
    said: list[str] = []
    with httpx.Client(base_url=server.url, timeout=30) as client:
        said.append(client.post("/reset", json={"task_id": "canary"}).text)
        for _ in range(asks):
            said.extend(client.post("/step", json={"action": action}).text for action in ({}, ANSWER))
            said.append(client.get("/state").text)
        said.extend(client.get(path).text for path in ("/rubrics", "/tasks", "/tasks/canary", "/metrics", "/plugins"))
    return said


@pytest.mark.parametrize(
    ("environ", "logged"),
    [({}, ""), (FAILS, "component 'quotes' of plugin 'cage' failed"), (CHECK_FAILS, "safety check 'gossip'")],
    ids=["all is well", "a component fails", "a check fails"],
)
@pytest.mark.parametrize("rubric", ["quotes", "quotes:gate:binary"])
def test_a_servers_log_and_recording_have_none(
    cage: Path, tmp_path: Path, rubric: str, environ: dict[str, str], logged: str
) -> None:
    asked = ("--provider", "cage", "--rubric", rubric, "--record", "episodes")
    with serve(tmp_path, *asked, environ={**of(cage), **environ}) as server:
        said = _play(server, asks=4)
        if not environ:
            until(lambda: any(text for _, text in written_in(tmp_path / "episodes")))
        assert server.end() == 0
        lines = server.lines
    assert logged in "\n".join(lines)
    for text in (*said, *lines, *(text for _, text in written_in(tmp_path / "episodes"))):
        assert leaks(text) == set()


def test_a_servers_log_says_what_a_plugin_said_where_it_is_asked_for(cage: Path, tmp_path: Path) -> None:
    asked = ("--provider", "cage", "--rubric", "quotes", "--log-level", "debug")
    with serve(tmp_path, *asked, environ={**of(cage), **FAILS}) as server:
        said: Any = _play(server, asks=2)
        assert server.end() == 0
        assert leaks(server.lines) == set(SECRETS)
    assert leaks(said) == set()
