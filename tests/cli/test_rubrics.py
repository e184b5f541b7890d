"""`supportbench rubrics`, and rubrics by name, from a file and changed by a word, wherever one is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from supportbench import Registry
from supportbench.rubrics import bind
from tests.cli.command import supportbench
from tests.installing import BrokenPlugin, write_wheel
from tests.server.processes import play, serve

STRICT = """
name = "strict"
reward = "binary"
[[component]]
use = "queue"
weight = 1.0
[safety]
checks = ["unsafe_reply"]
mode = "gate"
"""
TICKET = {
    "ticket_id": "A-1",
    "subject": "Twice",
    "body": "You took it twice.",
    "answer_key": {"priority": "P2", "queue": "billing", "unsafe_phrases": ["guaranteed refund"]},
}
FULL = {
    "ticket_id": "A-1",
    "priority": "P2",
    "queue": "billing",
    "disposition": "respond",
    "summary": "",
    "response": "We look into it.",
    "confidence": 1,
}
ANSWERS = {
    "full": FULL,
    "full, unsafe": {**FULL, "response": "A guaranteed refund comes."},
    "half": {**FULL, "priority": "P3"},
    "half, unsafe": {**FULL, "priority": "P3", "response": "A guaranteed refund comes."},
}

LONELY = BrokenPlugin(
    name="lonely",
    reason="",
    source="""
import attrs
from supportbench import ComponentScore, Rubric, RubricComponent, SafetyPolicy, hookimpl

supportbench_api = 1

@attrs.frozen(kw_only=True)
class Options:
    model: str

class Judged:
    name = "judged_tone"
    version = "3"
    Options = Options
    def configured(self, options):
        return self
    async def score(self, submission):
        return ComponentScore(score=1.0)

@hookimpl
def supportbench_grading_components():
    yield Judged()

@hookimpl
def supportbench_rubrics():
    yield Rubric(name="tone", components=[RubricComponent(use="judged_tone", weight=1.0)])
    yield Rubric(name="fine_tone", components=[
        RubricComponent(use="judged_tone", weight=1.0, options={"model": "m-1"})])
    yield Rubric(name="away", components=[RubricComponent(use="not_installed", weight=1.0)],
                 safety=SafetyPolicy(checks=("gone",)))
""",
)


@pytest.fixture
def lonely(tmp_path: Path) -> dict[str, str]:
    """An environment in which a plugin is installed two of whose rubrics cannot be used as they are."""
    return {"PYTHONPATH": str(write_wheel(tmp_path, LONELY))}


@pytest.fixture
def graded(tmp_path: Path) -> Path:
    """A folder with a ticket and four answers to it."""
    (tmp_path / "strict.toml").write_text(STRICT)
    (tmp_path / "tickets.jsonl").write_text(json.dumps(TICKET))
    (tmp_path / "actions.jsonl").write_text("\n".join(map(json.dumps, ANSWERS.values())))
    return tmp_path


class TestTheList:
    def test_has_every_rubric_with_its_fingerprint_and_what_it_counts(self, tmp_path: Path, registry: Registry) -> None:
        listed = json.loads(supportbench("rubrics", "--json", cwd=tmp_path).stdout)
        assert [rubric["name"] for rubric in listed] == sorted(registry.rubrics)
        (default,) = [rubric for rubric in listed if rubric["name"] == "default"]
        assert default["fingerprint"] == bind(registry.rubrics["default"], registry).fingerprint
        assert default["scoring_weights"]["unsafe_reply"] == -0.1
        assert (default["reward"], default["mode"], default["plugin"]) == ("weighted", "penalty", "keyword")

    def test_fits_a_terminal_of_80_columns(self, tmp_path: Path, registry: Registry) -> None:
        done = supportbench("rubrics", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert max(map(len, done.stdout.splitlines())) <= 80
        short = bind(registry.rubrics["default"], registry).fingerprint.partition(":")[2][:12]
        for expected in (short, "priority 0.30", "unsafe_reply", "costs 0.10", "weighted", "keyword"):
            assert expected in done.stdout

    def test_has_those_that_cannot_be_used_with_the_reason(self, tmp_path: Path, lonely: dict[str, str]) -> None:
        done = supportbench("rubrics", "--json", cwd=tmp_path, environ=lonely)
        assert (done.returncode, done.stderr) == (0, "")
        described = {rubric["name"]: rubric for rubric in json.loads(done.stdout)}
        assert "model: required, but missing" in described["tone"]["problem"]
        assert "uses component 'not_installed'" in described["away"]["problem"]
        assert described["tone"]["fingerprint"] is None
        assert described["away"]["checks"][0]["plugin"] is None
        assert described["fine_tone"]["problem"] is None
        table = supportbench("rubrics", cwd=tmp_path, environ=lonely)
        assert table.returncode == 0
        assert "tone cannot be used here: Rubric 'tone', component 'judged_tone'" in table.stdout
        assert "Traceback" not in table.stdout + table.stderr

    def test_is_there_though_a_plugin_is_broken(self, tmp_path: Path, broken_site: Path) -> None:
        done = supportbench("rubrics", "--json", cwd=tmp_path, environ={"PYTHONPATH": str(broken_site)})
        assert done.returncode == 0
        assert "default" in [rubric["name"] for rubric in json.loads(done.stdout)]
        assert "Without a broken plugin: " in done.stderr
        assert "Traceback" not in done.stderr


class TestOne:
    def test_is_shown_in_full(self, tmp_path: Path, registry: Registry) -> None:
        done = supportbench("rubrics", "default", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert bind(registry.rubrics["default"], registry).fingerprint in done.stdout
        assert 'field = "summary"' in done.stdout
        assert "costs 0.10" in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 80

    def test_with_long_options_keeps_within_the_terminal(self, tmp_path: Path) -> None:
        environ = {"SUPPORTBENCH_JUDGE_MODEL": "m", "API_KEY": "k"}
        done = supportbench("rubrics", "judge", cwd=tmp_path, environ=environ)
        assert done.returncode == 0, done.stderr
        assert 'criteria = [{"name":' in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 80

    def test_may_come_from_a_file(self, graded: Path) -> None:
        shown = json.loads(supportbench("rubrics", "strict.toml", "--json", cwd=graded).stdout)
        assert (shown["name"], shown["mode"], shown["reward"], shown["plugin"]) == ("strict", "gate", "binary", None)
        assert shown["scoring_weights"] == {"queue": 1.0, "unsafe_reply": -1.0}
        assert "earns nothing" in supportbench("rubrics", "strict.toml", cwd=graded).stdout

    def test_that_cannot_be_used_says_why(self, tmp_path: Path, lonely: dict[str, str]) -> None:
        done = supportbench("rubrics", "tone", cwd=tmp_path, environ=lonely)
        assert done.returncode == 2
        assert "It cannot be used here: Rubric 'tone'" in done.stdout

    def test_that_uses_what_is_not_there_says_what_was_meant(self, graded: Path) -> None:
        (graded / "misspelt.toml").write_text(STRICT.replace('use = "queue"', 'use = "quue"'))
        done = supportbench("rubrics", "misspelt.toml", "--json", cwd=graded)
        assert done.returncode == 2
        assert "Did you mean 'queue'?" in json.loads(done.stdout)["problem"]


class TestAWordBehindTheName:
    def test_changes_the_fingerprint_and_is_recorded(self, tmp_path: Path, registry: Registry) -> None:
        results = json.loads(
            supportbench("run", "--rubric", "default:gate:binary", "--out", "r", "--json", cwd=tmp_path).stdout
        )
        cards = [task["rubric"] for task in results["tasks"]]
        assert {card["name"] for card in cards} == {"default:gate:binary"}
        assert {card["fingerprint"] for card in cards} != {bind(registry.rubrics["default"], registry).fingerprint}
        assert {task["rubric"]["name"] for task in json.loads((tmp_path / "r/run.json").read_text())["tasks"]} == {
            "default:gate:binary"
        }

    @pytest.mark.parametrize(
        ("rubric", "rewards"),
        [
            ("default:weighted", [1.0, 0.9, 0.72727273, 0.62727273]),
            ("default:penalty", [1.0, 0.9, 0.72727273, 0.62727273]),
            ("default:gate", [1.0, 0.0, 0.72727273, 0.0]),
            ("default:binary", [1.0, 0.0, 0.0, 0.0]),
            ("default:gate:binary", [1.0, 0.0, 0.0, 0.0]),
            ("strict.toml", [1.0, 0.0, 1.0, 0.0]),
            ("strict.toml:penalty:weighted", [1.0, 0.9, 1.0, 0.9]),
        ],
    )
    def test_does_what_it_says(self, graded: Path, rubric: str, rewards: list[float]) -> None:
        asked = ("grade", "--tickets", "tickets.jsonl", "--actions", "actions.jsonl", "--json")
        by_option = supportbench(*asked, "--rubric", rubric, cwd=graded)
        assert by_option.returncode == 0, by_option.stderr
        assert [json.loads(line)["reward"] for line in by_option.stdout.splitlines()] == pytest.approx(rewards)
        by_variable = supportbench(*asked, cwd=graded, environ={"SUPPORTBENCH_RUBRIC": rubric})
        assert by_variable.stdout == by_option.stdout

    def test_reaches_a_server_and_what_it_says_of_the_reward(self, tmp_path: Path) -> None:
        with serve(tmp_path, "--rubric", "default:binary") as server:
            assert json.loads(server.lines[0])["rubric"] == "default:binary"
            answer = play(server)
            weights = answer["data"]["observation"]["scoring_weights"]
            assert weights["unsafe_reply"] == -1.0
            assert server.end() == 0


WRONG = [
    (
        "missing.toml",
        "Cannot read rubric file missing.toml: No such file or directory. What is installed: supportbench",
    ),
    ("folder.toml", "Cannot read rubric file folder.toml: Is a directory"),
    ("latin.toml", "Cannot read rubric file latin.toml: it is no UTF-8 text"),
    ("torn.toml", "Rubric file torn.toml: no valid TOML"),
    ("light.toml", "Rubric file light.toml: the weights of rubric 'light' must sum to 1, they sum to 0.5"),
    ("optioned.toml", "options are given for safety check 'calm', which is not asked for"),
    (
        "starred.toml",
        "Rubric 'starred' has options for safety check 'unsafe_repyl', which is not installed. Did you mean",
    ),
    ("plain.txt", "There is no rubric 'plain.txt'"),
    ("plain.txt", "the name of a rubric file ends in .toml"),
    ("defualt", "Did you mean 'default'?"),
    ("defualt:gate", "Did you mean 'default'?"),
    ("default:gaet", "'gaet' does not change one. Did you mean 'gate'?"),
    ("exact:gate", "Rubric 'exact' asks for no safety check, so that 'gate' would change nothing"),
]


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    one = '[[component]]\nuse = "queue"\nweight = '
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "latin.toml").write_bytes('name = "grün"'.encode("latin-1"))
    (tmp_path / "torn.toml").write_text("[[")
    (tmp_path / "plain.txt").write_text("")
    (tmp_path / "light.toml").write_text(f'name = "light"\n{one}0.5')
    (tmp_path / "optioned.toml").write_text(f'name = "o"\n{one}1.0\n[safety.options.calm]\nquiet = true')
    star = 'checks = ["*"]\noptions = { unsafe_repyl = {} }'
    (tmp_path / "starred.toml").write_text(f'name = "starred"\n{one}1.0\n[safety]\n{star}')
    (tmp_path / "a.jsonl").write_text(json.dumps({**FULL, "ticket_id": "INB-2041"}))
    return tmp_path


class TestWhatIsNoRubric:
    @pytest.mark.parametrize(("rubric", "message"), WRONG)
    def test_is_refused_with_the_next_move(self, wrong: Path, rubric: str, message: str) -> None:
        done = supportbench(
            "grade", "--task", "easy_inbox_cleanup", "--actions", "a.jsonl", "--rubric", rubric, cwd=wrong
        )
        assert done.returncode == 2
        assert message in done.stderr
        assert "Errno" not in done.stderr
        assert done.stdout == ""

    @pytest.mark.parametrize("command", [["run"], ["serve", "--port", "0"], ["rubrics"], ["lint", "--safety"]])
    @pytest.mark.parametrize("rubric", ["missing.toml", "torn.toml", "defualt", "default:gaet"])
    def test_is_refused_by_every_command(self, wrong: Path, command: list[str], rubric: str) -> None:
        named: list[Any] = [rubric] if command == ["rubrics"] else ["--rubric", rubric]
        done = supportbench(*command, *named, cwd=wrong)
        assert done.returncode == 2
        assert {message for name, message in WRONG if name == rubric and message in done.stderr}
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize("command", [["run"], ["serve", "--port", "0"]])
    def test_is_refused_in_the_environment_too(self, wrong: Path, command: list[str]) -> None:
        done = supportbench(*command, cwd=wrong, environ={"SUPPORTBENCH_RUBRIC": "missing.toml"})
        assert done.returncode == 2
        assert "Cannot read rubric file missing.toml: No such file" in done.stderr
