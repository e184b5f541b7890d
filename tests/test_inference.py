"""`inference.py` as whoever reads its standard output sees it: the real script, in a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import attrs
import pytest
from hypothesis import given

import inference
from supportbench import Registry, SupportQueueAction, Task
from tests.installing import BrokenPlugin, write_wheel
from tests.server.serving import serving
from tests.strategies import actions
from tests.stubs.docker import IMAGE, DockerStub
from tests.stubs.openai_endpoint import OpenAIStub, Reply, Request, completion, failure

SCRIPT: Final = Path(inference.__file__)
EASY, MEDIUM, HARD = TASKS = ("easy_inbox_cleanup", "medium_sla_defense", "hard_exec_escalations")
OTHERS: Final = ("API_BASE_URL", "MODEL_NAME", "SUPPORTBENCH_TOKEN")
KEY: Final = "sk-very-secret-0123456789"
OURS: Final = ("SUPPORTBENCH_", "API_", "OPENAI_", "HF_", "MODEL_", "LOCAL_IMAGE", "IMAGE_", "ENV_")

START: Final = re.compile(r"\[START\] task=(?P<task>[!-~]+) env=supportbench model=(?P<model>[!-~]+)")
STEP: Final = re.compile(
    r"\[STEP\] step=(?P<step>[1-9]\d*) action=(?P<action>\{[ -~]*\}) reward=(?P<reward>[01]\.\d\d) "
    r'done=(?P<done>true|false) error=(?P<error>null|"[ -~]*")'
)
END: Final = re.compile(
    r"\[END\] success=(?P<success>true|false) steps=(?P<steps>\d+) score=(?P<score>[01]\.\d\d) "
    r"rewards=(?P<rewards>(?:[01]\.\d\d(?:,[01]\.\d\d)*)?)"
)


@attrs.frozen(kw_only=True)
class Played:
    """A task as its lines tell it."""

    task: str
    model: str
    steps: Sequence[Mapping[str, Any]]
    success: bool
    score: str
    rewards: Sequence[str]

    @property
    def error(self) -> str | None:
        error: str | None = self.steps[-1]["error"] if self.steps else None
        return error


@attrs.frozen(kw_only=True)
class Outcome:
    """What came of the script: exit code, the log as read, and the results file."""

    code: int
    stdout: str
    stderr: str
    results: Any

    @property
    def tasks(self) -> list[Played]:
        return read_log(self.stdout)


def read_log(stdout: str) -> list[Played]:
    """Return the tasks in the log; anything in it that is not to the letter fails the test."""
    assert stdout == "" or stdout.endswith("\n")
    lines = iter(stdout.splitlines())  # which also breaks lines at U+2028 and the like
    return [_read_task(line, lines) for line in lines]


def _read_task(line: str, lines: Iterator[str]) -> Played:
    start = START.fullmatch(line)
    assert start, line
    steps: list[dict[str, Any]] = []
    for following in lines:
        step = STEP.fullmatch(following)
        if step:
            assert int(step["step"]) == len(steps) + 1
            assert not steps or not steps[-1]["done"]
            steps.append(
                {
                    "action": json.loads(step["action"]),
                    "reward": step["reward"],
                    "done": step["done"] == "true",
                    "error": json.loads(step["error"]),
                }
            )
            continue
        end = END.fullmatch(following)
        assert end, following
        rewards = end["rewards"].split(",") if end["rewards"] else []
        assert int(end["steps"]) == len(steps)
        assert rewards == [step["reward"] for step in steps if step["error"] is None]
        assert steps[-1]["done"]
        return Played(
            task=start["task"],
            model=start["model"],
            steps=steps,
            success=end["success"] == "true",
            score=end["score"],
            rewards=rewards,
        )
    raise AssertionError(f"no END after {line}")


@contextmanager
def started(
    *arguments: str | Path, cwd: Path, endpoint: OpenAIStub | None = None, environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run the script in the folder, with this endpoint and a key for it; nothing of our own environment leaks in."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    to_endpoint = {"API_BASE_URL": endpoint.url, "API_KEY": KEY} if endpoint else {}
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        cwd=cwd,
        env={**inherited, "PYTHONWARNINGS": "error", **to_endpoint, **(environ or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def outcome_of(process: subprocess.Popen[str], cwd: Path, already_read: str = "") -> Outcome:
    stdout, stderr = process.communicate(timeout=30)
    out = cwd / "inference_results.json"
    results = json.loads(out.read_text(encoding="utf-8")) if out.exists() else None
    return Outcome(code=process.returncode, stdout=already_read + stdout, stderr=stderr, results=results)


def run(
    *arguments: str | Path, cwd: Path, endpoint: OpenAIStub | None = None, environ: Mapping[str, str] | None = None
) -> Outcome:
    with started(*arguments, cwd=cwd, endpoint=endpoint, environ=environ) as process:
        return outcome_of(process, cwd)


@pytest.fixture(scope="module")
def answers(registry: Registry) -> Mapping[str, Mapping[str, Any]]:
    """The right answer to every ticket."""
    provider = registry.providers["triage"]
    tasks: list[Task] = [provider.task("test", index) for index in range(provider.num_tasks("test"))]
    return {
        case.ticket.ticket_id: {
            "summary": ". ".join(concept.phrases[0] for concept in case.answer_key.summary_concepts),
            "priority": case.answer_key.priority,
            "queue": case.answer_key.queue,
            "disposition": case.answer_key.disposition,
            "response": ". ".join(concept.phrases[0] for concept in case.answer_key.response_concepts),
            "confidence": 0.9,
        }
        for task in tasks
        for case in task.cases
    }


@pytest.fixture(scope="module")
def model(answers: Mapping[str, Mapping[str, Any]]) -> Callable[[Request], Reply]:
    """A model that knows everything."""
    return lambda request: completion(answers[ticket_of(request, answers)])


def ticket_of(request: Request, answers: Mapping[str, Any]) -> str:
    said = request.body["messages"][1]["content"]
    (ticket_id,) = [ticket_id for ticket_id in answers if f'"{ticket_id}"' in said]
    return ticket_id


def test_without_a_key_the_heuristic_plays_and_log_and_results_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "inference_results.json").write_text("of an earlier run")
    outcome = run(cwd=tmp_path, environ={"API_KEY": " ", "MODEL_NAME": "not-asked"})
    assert outcome.code == 0, outcome.stderr
    assert "heuristic" in outcome.stderr
    assert "inference_results.json" in outcome.stderr
    assert [(task.task, task.model, task.success) for task in outcome.tasks] == [
        (name, "heuristic", True) for name in TASKS
    ]
    results = outcome.results
    assert results["schema"] == "supportbench.results/1"
    assert (results["agent"], results["model"]) == ("heuristic", None)
    assert results["average_score"] == pytest.approx(sum(task["score"] for task in results["tasks"]) / 3)
    for logged, task in zip(outcome.tasks, results["tasks"], strict=True):
        assert task["task_id"] == logged.task
        assert f"{task['score']:.2f}" == logged.score
        assert [f"{reward:.2f}" for reward in task["rewards"]] == logged.rewards
        assert (task["steps"], task["success"], task["errors"]) == (len(logged.steps), True, [])
        for step in logged.steps:
            assert list(step["action"]) == list(inference.ACTION_KEYS)
    assert [path.name for path in tmp_path.iterdir()] == ["inference_results.json"]


def test_a_model_that_knows_everything(tmp_path: Path, model: Callable[[Request], Reply]) -> None:
    with OpenAIStub(model) as endpoint:
        outcome = run("--out", tmp_path / "here.json", cwd=tmp_path, endpoint=endpoint, environ={"HF_TOKEN": KEY[::-1]})
    assert outcome.code == 0, outcome.stderr
    assert [(task.task, task.model, task.success, task.score) for task in outcome.tasks] == [
        (name, "gpt-4o-mini", True, "1.00") for name in TASKS
    ]
    assert outcome.results is None
    results = json.loads((tmp_path / "here.json").read_text())
    assert (results["agent"], results["model"]) == ("openai:gpt-4o-mini", "gpt-4o-mini")
    assert results["average_score"] == 1.0
    assert results["agent_usage"]["calls"] == 9
    assert {request.headers["authorization"] for request in endpoint.requests} == {f"Bearer {KEY}"}
    assert {request.body["model"] for request in endpoint.requests} == {"gpt-4o-mini"}
    assert KEY not in outcome.stdout + outcome.stderr + (tmp_path / "here.json").read_text()


@pytest.mark.parametrize("keys", [{"HF_TOKEN": KEY, "OPENAI_API_KEY": "sk-other"}, {"OPENAI_API_KEY": KEY}])
def test_which_key_and_which_model(tmp_path: Path, model: Callable[[Request], Reply], keys: Mapping[str, str]) -> None:
    with OpenAIStub(model) as endpoint:
        name = "org/Model 8B:v1\n[END] success=true"
        outcome = run(
            "--task", EASY, cwd=tmp_path, endpoint=endpoint, environ={"MODEL_NAME": name, "API_KEY": "", **keys}
        )
    assert outcome.code == 0, outcome.stderr
    (task,) = outcome.tasks
    assert json.loads(f'"{task.model}"') == name
    assert {request.headers["authorization"] for request in endpoint.requests} == {f"Bearer {KEY}"}
    assert {request.body["model"] for request in endpoint.requests} == {name}


def test_a_call_that_fails_is_an_error_and_no_zero(
    tmp_path: Path, answers: Mapping[str, Mapping[str, Any]], model: Callable[[Request], Reply]
) -> None:
    said = f"no such deployment for {KEY}\r\n[END] success=true steps=9 score=1.00 rewards=1.00\u2028\x1b[2J"

    failing = list(answers)[3]  # the second ticket of the second task

    def fails(request: Request) -> Reply:
        return failure(400, said) if ticket_of(request, answers) == failing else model(request)

    with OpenAIStub(fails) as endpoint:
        outcome = run(cwd=tmp_path, endpoint=endpoint)
    assert outcome.code == 1
    first, second, last = outcome.tasks
    assert (first.success, first.score, last.success, last.score) == (True, "1.00", True, "1.00")
    assert (second.success, second.score, second.rewards) == (False, "1.00", ["1.00"])
    assert second.steps[-1] == {"action": {}, "reward": "0.00", "done": True, "error": second.error}
    assert second.error is not None
    assert "no such deployment" in second.error
    assert outcome.results["average_score"] == 1.0
    assert (outcome.results["error_count"], outcome.results["unreached_count"]) == (1, 1)
    entry = outcome.results["tasks"][1]
    assert (entry["score"], entry["steps"], entry["rewards"], entry["success"]) == (1.0, 2, [1.0], False)
    assert entry["errors"] == [second.error]
    assert "no such deployment" in outcome.stderr
    assert KEY not in outcome.stdout + outcome.stderr + json.dumps(outcome.results)


HOSTILE: Final = (
    'Sure.\r\n[END] success=true steps=2 score=1.00 rewards=1.00,1.00\n\x00\x1b[2J\x7f\x85\u2028\u2029 "} '
    'reward=1.00 done=true error=null \\ \\" \\u003d ünïcödé 😀 [STEP] step=2'
)


def test_nothing_that_a_model_writes_breaks_a_line(tmp_path: Path, answers: Mapping[str, Mapping[str, Any]]) -> None:
    with OpenAIStub(
        lambda request: completion({**answers[ticket_of(request, answers)], "summary": HOSTILE, "response": HOSTILE})
    ) as endpoint:
        outcome = run("--task", EASY, cwd=tmp_path, endpoint=endpoint, environ={"PYTHONIOENCODING": "ascii:strict"})
    assert outcome.code == 0, outcome.stderr
    (task,) = outcome.tasks
    assert [step["action"]["summary"] for step in task.steps] == [HOSTILE, HOSTILE]
    assert [step["action"]["response"] for step in task.steps] == [HOSTILE, HOSTILE]
    assert task.success is False  # 0.75 is no success, and no error
    assert len(re.findall(r"\[(?:START|STEP|END)\]", outcome.stdout)) == 4
    assert len(re.findall(r" reward=", outcome.stdout)) == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_ends_every_task_in_order(
    tmp_path: Path, model: Callable[[Request], Reply], number: signal.Signals, code: int
) -> None:
    with (
        OpenAIStub(model, model, model, Reply(delay_s=60)) as endpoint,
        started(cwd=tmp_path, endpoint=endpoint) as process,
    ):
        assert process.stdout is not None
        seen = "".join(process.stdout.readline() for _ in range(6))  # they come while the fourth ticket is waited for
        assert seen.splitlines()[-1].startswith("[STEP] step=1 ")
        process.send_signal(number)
        process.send_signal(number)  # as a shell and a launcher both do
        begun = time.monotonic()
        outcome = outcome_of(process, tmp_path, seen)
    assert time.monotonic() - begun < 10
    assert outcome.code == code
    assert "Traceback" not in outcome.stderr
    first, second, last = outcome.tasks
    assert (first.success, second.success, last.success) == (True, False, False)
    assert (second.rewards, last.rewards, last.score) == (["1.00"], [], "0.00")
    assert second.error == last.error == f"interrupted by {number.name}"
    results = outcome.results
    assert [task["errors"] for task in results["tasks"]] == [[], [second.error], [last.error]]
    assert [task["score"] for task in results["tasks"]] == [1.0, 1.0, None]
    assert results["average_score"] == 1.0


def test_the_deadline_ends_what_hangs(tmp_path: Path) -> None:
    begun = time.monotonic()
    with OpenAIStub(Reply(delay_s=60)) as endpoint:
        outcome = run("--deadline", "2", cwd=tmp_path, endpoint=endpoint)
    assert time.monotonic() - begun < 12
    assert outcome.code == 1
    assert [(task.task, task.success, task.score, task.error) for task in outcome.tasks] == [
        (name, False, "0.00", "the deadline of 2 s was reached") for name in TASKS
    ]
    assert len(endpoint.requests) <= 1
    assert outcome.results["average_score"] is None
    assert [task["score"] for task in outcome.results["tasks"]] == [None, None, None]


def test_a_log_that_nobody_reads_ends_the_run(tmp_path: Path, model: Callable[[Request], Reply]) -> None:
    with OpenAIStub(model) as endpoint, started(cwd=tmp_path, endpoint=endpoint) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == 1
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    results = json.loads((tmp_path / "inference_results.json").read_text())
    assert "standard output cannot be written" in results["tasks"][-1]["errors"][0]
    assert len(endpoint.requests) < 9


# -- on a server ------------------------------------------------------------------------------------------------------


def test_a_server_is_played_on_at_its_url(tmp_path: Path, model: Callable[[Request], Reply]) -> None:
    environ = {"SUPPORTBENCH_TOKEN": "a-key-of-the-server"}
    with OpenAIStub(model) as endpoint, serving(tokens=("a-key-of-the-server",)) as served:
        outcome = run(cwd=tmp_path, endpoint=endpoint, environ={**environ, "ENV_BASE_URL": served.url})
        assert served.app.service.counts["steps"] == 9
    assert outcome.code == 0, outcome.stderr
    assert [(task.task, task.success, task.score) for task in outcome.tasks] == [(name, True, "1.00") for name in TASKS]
    assert {task["rubric"]["name"] for task in outcome.results["tasks"]} == {"remote"}
    assert "a-key-of-the-server" not in outcome.stdout + outcome.stderr + json.dumps(outcome.results)


@pytest.mark.parametrize("variable", inference.IMAGE_VARIABLES)
def test_an_image_is_started_played_on_and_removed(
    tmp_path: Path, model: Callable[[Request], Reply], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    with OpenAIStub(model) as endpoint, DockerStub(tmp_path, monkeypatch) as docker:
        environ = {variable: IMAGE, "SUPPORTBENCH_TOKEN": "a-key-of-the-server"}
        outcome = run("--rubric", "exact", cwd=tmp_path, endpoint=endpoint, environ=environ)
        assert outcome.code == 0, outcome.stderr
        assert (docker.containers(), docker.running()) == ([], [])
        assert [call[0] for call in docker.calls() if call[0] != "inspect"] == ["run", "stop", "rm"]
        assert "a-key-of-the-server" not in str(docker.calls())
    assert [(task.task, task.success, task.score) for task in outcome.tasks] == [(name, True, "1.00") for name in TASKS]
    assert [set(task["components"]) for task in outcome.results["tasks"]] == [{"priority", "queue", "disposition"}] * 3
    assert KEY not in str(docker.calls())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (None, 1)])
def test_a_container_is_removed_at_the_deadline_and_after_a_signal(
    tmp_path: Path,
    model: Callable[[Request], Reply],
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals | None,
    code: int,
) -> None:
    with OpenAIStub(model, Reply(delay_s=60)) as endpoint, DockerStub(tmp_path, monkeypatch) as docker:
        environ = {"LOCAL_IMAGE_NAME": IMAGE}
        with started("--deadline", "8", cwd=tmp_path, endpoint=endpoint, environ=environ) as process:
            assert process.stdout is not None
            seen = "".join(process.stdout.readline() for _ in range(2))
            assert len(docker.running()) == 1
            if number is not None:
                process.send_signal(number)
            outcome = outcome_of(process, tmp_path, seen)
        assert outcome.code == code
        assert (docker.containers(), docker.running()) == ([], [])
    assert "Traceback" not in outcome.stderr
    assert [task.task for task in outcome.tasks] == list(TASKS)
    assert [len(task.rewards) for task in outcome.tasks] == [1, 0, 0]
    reason = "the deadline of 8 s was reached" if number is None else f"interrupted by {number.name}"
    assert {task.error for task in outcome.tasks} == {reason}
    assert [task["errors"] for task in outcome.results["tasks"]] == [[reason]] * 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (None, 2)])
def test_a_container_that_is_still_coming_up_is_removed_too_and_there_is_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals | None, code: int
) -> None:
    with DockerStub(tmp_path, monkeypatch, trouble="slow-server") as docker:
        environ = {"IMAGE_NAME": IMAGE}
        with started("--deadline", "6", cwd=tmp_path, environ=environ) as process:
            docker.wait_until("inspect")
            assert len(docker.running()) == 1
            if number is not None:
                process.send_signal(number)
            outcome = outcome_of(process, tmp_path)
        assert (outcome.code, outcome.stdout, outcome.results) == (code, "", None)
        assert (docker.containers(), docker.running()) == ([], [])
    assert "Error: nothing could be played: " in outcome.stderr
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize(
    ("variables", "trouble", "said"),
    [
        ({"LOCAL_IMAGE_NAME": IMAGE}, "dies", "ended before it was healthy. Its last words:"),
        ({"LOCAL_IMAGE_NAME": "nowhere"}, "", "There is no such image on this machine"),
        ({"LOCAL_IMAGE_NAME": IMAGE}, "daemon", "The docker daemon does not run"),
        ({"LOCAL_IMAGE_NAME": IMAGE, "SUPPORTBENCH_RUBRIC": "exakt"}, "", "Did you mean 'exact'?"),
        ({"ENV_BASE_URL": "http://127.0.0.1:9"}, "", "Cannot connect to http://127.0.0.1:9"),
        ({"ENV_BASE_URL": "nowhere"}, "", "Write it like http://localhost:8000"),
        ({"ENV_BASE_URL": "http://x", "IMAGE_NAME": IMAGE}, "", "both say where to play. Unset one."),
        ({"ENV_BASE_URL": "http://x", "SUPPORTBENCH_FEEDBACK": "none"}, "", "it is the server that grades"),
    ],
)
def test_a_server_that_cannot_be_had_is_told_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str], trouble: str, said: str
) -> None:
    with DockerStub(tmp_path, monkeypatch, trouble) as docker:
        outcome = run(cwd=tmp_path, environ=variables)
        assert (docker.containers(), docker.running()) == ([], [])
    assert (outcome.code, outcome.stdout, outcome.results) == (2, "", None)
    assert said in " ".join(outcome.stderr.split())
    assert "Traceback" not in outcome.stderr


def test_a_rubric_is_for_a_server_that_is_started_here(tmp_path: Path) -> None:
    outcome = run("--rubric", "exact", cwd=tmp_path, environ={"ENV_BASE_URL": "http://x"})
    assert (outcome.code, outcome.stdout) == (2, "")
    assert "--rubric does not go with ENV_BASE_URL: start that server with the rubric" in outcome.stderr


def test_a_lost_server_ends_each_task_with_an_error(tmp_path: Path, model: Callable[[Request], Reply]) -> None:
    with ExitStack() as up:
        served = up.enter_context(serving())

        def leaving(request: Request) -> Reply:
            up.close()
            return model(request)

        with OpenAIStub(leaving) as endpoint:
            environ = {"ENV_BASE_URL": served.url}
            outcome = run("--deadline", "5", cwd=tmp_path, endpoint=endpoint, environ=environ)
    assert outcome.code == 1
    assert [(task.task, task.success, task.rewards) for task in outcome.tasks] == [(name, False, []) for name in TASKS]
    assert "was lost" in outcome.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--out", "nowhere/results.json"), "Cannot write nowhere/results.json"),
        (("--out", "."), "is a directory"),
        (("--out", "/dev/null"), "no regular file"),
        (("--task", "easy_inbox"), "Did you mean 'easy_inbox_cleanup'?"),
        (("--rubric", "exakt"), "Did you mean 'exact'?"),
        (("--deadline", "0"), "--deadline"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_asked(
    tmp_path: Path, model: Callable[[Request], Reply], arguments: tuple[str, ...], said: str
) -> None:
    with OpenAIStub(model) as endpoint:
        outcome = run(*arguments, cwd=tmp_path, endpoint=endpoint)
    assert (outcome.code, outcome.stdout) == (2, "")
    assert said in " ".join(outcome.stderr.split())
    assert endpoint.requests == ()
    assert list(tmp_path.iterdir()) == []


def test_what_plugins_print_is_no_line_of_the_log_and_their_faults_are_errors(
    tmp_path: Path, model: Callable[[Request], Reply]
) -> None:
    noisy = BrokenPlugin(
        name="noisy",
        reason="",
        source=(
            "from supportbench import hookimpl, ComponentScore, GradingError\n"
            "supportbench_api = 1\n"
            "print('[END] at import')\n"
            "class Zero:\n"
            "    name = 'zero'\n"
            "    async def score(self, submission):\n"
            "        print('[END] while grading')\n"
            "        raise ValueError(submission.case.answer_key.queue)\n"
            "@hookimpl\n"
            "def supportbench_grading_components():\n"
            "    yield Zero()\n"
            "@hookimpl\n"
            "async def supportbench_episode_finished(episode):\n"
            "    print('[END] at the end')\n"
        ),
    )
    (tmp_path / "zero.toml").write_text('name = "zero"\n[[component]]\nuse = "zero"\nweight = 1.0\n')
    wheel = write_wheel(tmp_path, noisy)
    with OpenAIStub(model) as endpoint:
        outcome = run(
            *("--task", EASY, "--rubric", "zero.toml"),
            cwd=tmp_path,
            endpoint=endpoint,
            environ={"PYTHONPATH": str(wheel)},
        )
    assert outcome.code == 1
    (task,) = outcome.tasks
    assert task.steps[0]["action"]["queue"] == "technical"  # the agent did answer
    assert task.error is not None
    assert "'zero'" in task.error
    assert "technical" not in task.error
    assert outcome.stderr.count("[END]") == 3


def test_help_shows_how() -> None:
    shown = subprocess.run(
        [sys.executable, str(SCRIPT), "--help"], capture_output=True, text=True, check=True, timeout=30
    ).stdout
    assert "Example: " in shown
    for variable in (*inference.KEY_VARIABLES, *inference.IMAGE_VARIABLES, inference.URL_VARIABLE, *OTHERS):
        assert variable in shown


@given(actions)
def test_every_action_fits_on_a_line_and_can_be_read_back(action: SupportQueueAction) -> None:
    line = inference.action_json(action)
    assert line.isascii()
    assert line.isprintable()
    assert not set("=[") & set(line)
    assert json.loads(line) == {key: getattr(action, key) for key in inference.ACTION_KEYS}
