"""`supportbench judge-agreement`: a judge against people, and against itself."""

from __future__ import annotations

import json
import threading
import tomllib
from pathlib import Path
from typing import Any

import pytest

from supportbench import encode, load_registry
from supportbench.evaluation.agreement.figures import agreement_of, confusion_of
from tests.cli.command import interrupted, supportbench
from tests.plugins.judge.court import ANSWER_KEY, GOOD, KEY, TICKET, environ_for
from tests.stubs.judge_endpoint import Asked, always, honest, prose
from tests.stubs.openai_endpoint import OpenAIStub, Reply, Request, failure

SCALE = ("none", "some", "most", "all")
SUMMARIES = {
    "all": "Duplicate charge on INV-4481, books close Friday.",
    "some": "They ask about INV-4481 and want it looked at soon.",
    "none": "Somebody wrote to us about something before Friday.",
}


def a_line(summary: str = SUMMARIES["all"], labels: Any = None, **changes: Any) -> dict[str, Any]:
    action = json.loads(encode(GOOD)) | {"summary": summary}
    ticket = json.loads(encode(TICKET)) | {"answer_key": json.loads(encode(ANSWER_KEY))}
    line = {"ticket": ticket, "action": action, "labels": labels or {"summary": {"coverage": "all"}}, **changes}
    return {name: value for name, value in line.items() if value is not None}


def labels_in(folder: Path, *lines: dict[str, Any] | str) -> Path:
    path = folder / "labels.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def said(*verdicts: tuple[str, str]) -> list[dict[str, Any]]:
    """Return a line for each pair: what a person says, and what the honest judge will."""
    return [a_line(SUMMARIES[judge], {"summary": {"coverage": human}}) for human, judge in verdicts]


def report_of(stub: OpenAIStub, folder: Path, *arguments: str | Path, code: int = 0, **variables: str) -> Any:
    environ = environ_for(stub, **variables)
    done = supportbench("judge-agreement", *arguments, "--json", cwd=folder, environ=environ)
    assert done.returncode == code, done.stderr
    assert KEY not in done.stdout + done.stderr
    return json.loads(done.stdout)


def criterion(report: Any, component: str, name: str) -> Any:
    (found,) = [each for each in report["criteria"] if (each["component"], each["criterion"]) == (component, name)]
    return found


class TestTheFigures:
    def test_are_cohens_kappa_the_weighted_one_and_the_confusion_matrix(self, tmp_path: Path) -> None:
        pairs = [("all", "all")] * 4 + [("some", "some")] * 3 + [("none", "none")] * 2 + [("all", "some")]
        with OpenAIStub(honest) as stub:
            report = report_of(stub, tmp_path, labels_in(tmp_path, *said(*pairs)), "--no-retest", judge_price="1/2")
            assert len(stub.requests) == 10
        coverage = criterion(report, "summary", "coverage")
        # By hand: 9 of 10 agree; by chance .5·.4 + .3·.4 + .2·.2 = .36; (.9 - .36) / (1 - .36) = .84375
        assert coverage["agreement"]["pairs"] == 10
        assert coverage["agreement"]["same"] == pytest.approx(0.9)
        assert coverage["agreement"]["kappa"] == pytest.approx(0.84375)
        # Squared distances: observed .1·4; by chance .5·(.4·4 + .2·9) + .3·(.4·4 + .2·1) + .2·(.4·9 + .4·1) = 3.04
        assert coverage["agreement"]["weighted_kappa"] == pytest.approx(1 - 0.4 / 3.04)
        assert coverage["scale"] == list(SCALE)
        assert coverage["confusion"] == [[2, 0, 0, 0], [0, 3, 0, 0], [0, 0, 0, 0], [0, 1, 0, 4]]
        assert coverage["retest"] is None
        assert criterion(report, "response", "fitting")["agreement"]["pairs"] == 0
        assert report["labelled"] == 10
        assert report["per_hundred"] == {
            "input_tokens": 10_000,
            "output_tokens": 2000,
            "calls": 100,
            "cost_usd": pytest.approx(14_000 / 1e6),
        }

    def test_of_one_verdict_throughout_there_is_no_kappa(self) -> None:
        agreement = agreement_of(SCALE, ["all"] * 3, ["all"] * 3)
        assert (agreement.same, agreement.kappa, agreement.weighted_kappa) == (1.0, None, None)

    def test_a_constant_judge_agrees_no_better_than_chance(self) -> None:
        agreement = agreement_of(SCALE, ["all", "none", "some"], ["all"] * 3)
        assert (agreement.kappa, agreement.weighted_kappa) == (0.0, 0.0)

    def test_nothing_labelled_is_no_figure(self) -> None:
        assert agreement_of(SCALE, [], []).same is None
        assert confusion_of(("a", "b"), [], []) == ((0, 0), (0, 0))


class TestTheRetest:
    def test_asks_everything_twice_and_never_what_was_kept(self, tmp_path: Path) -> None:
        with OpenAIStub(honest) as stub:
            lines = said(("all", "all"), ("none", "none"))
            report = report_of(
                stub, tmp_path, labels_in(tmp_path, *lines), cache="on", cache_dir=str(tmp_path / "kept")
            )
            assert len(stub.requests) == 4
        assert criterion(report, "summary", "coverage")["retest"] == {
            "pairs": 2,
            "same": 1.0,
            "kappa": 1.0,
            "weighted_kappa": 1.0,
        }
        assert report["usage"]["calls"] == 4
        assert report["per_hundred"]["calls"] == 100
        assert not (tmp_path / "kept").exists()

    def test_shows_a_judge_that_does_not_repeat_itself(self, tmp_path: Path) -> None:
        with OpenAIStub(always(0), always(-1), always(-1), always(0)) as stub:
            report = report_of(
                stub, tmp_path, labels_in(tmp_path, a_line(), a_line(SUMMARIES["some"])), "--concurrency", "1"
            )
        assert criterion(report, "summary", "coverage")["retest"]["same"] == 0.0


class TestLabels:
    def test_may_be_of_a_ticket_of_an_installed_task(self, tmp_path: Path) -> None:
        line = a_line(ticket=None, task_id="easy_inbox_cleanup")
        with OpenAIStub(honest) as stub:
            ticket_id = _first_ticket()
            report = report_of(stub, tmp_path, labels_in(tmp_path, line | {"ticket_id": ticket_id}), "--no-retest")
            assert Asked.of(stub.requests[0]).material["ticket"]["ticket_id"] == ticket_id
        assert report["labelled"] == 1

    @pytest.mark.parametrize(
        ("line", "told"),
        [
            ("{", "no valid JSON"),
            (a_line(labels={"summary": {}}), "it has no labels"),
            (a_line(labels={"summary": {"covrage": "all"}}), "Did you mean 'summary.coverage'?"),
            (a_line(labels={"summary": {"coverage": "every"}}), "From the worst: 'none', 'some', 'most', 'all'"),
            (a_line(labels={"priority": {"coverage": "all"}}), "judges no priority.coverage"),
            (a_line(ticket=None), "give either ticket, with its answer_key, or task_id and ticket_id"),
            (a_line(task_id="easy_inbox_cleanup", ticket_id="x"), "give either ticket"),
            (a_line(ticket=None, task_id="easy_inbox_cleanup", ticket_id="x"), "there is no ticket 'x'"),
            (a_line(ticket=None, task_id="easy_inbox", ticket_id="x"), "easy_inbox_cleanup"),
            (a_line(remark="nice"), "remark"),
            (a_line(action={"summary": "x"}), "action"),
        ],
    )
    def test_that_are_wrong_are_named_with_their_line_before_anything_is_asked(
        self, tmp_path: Path, line: Any, told: str
    ) -> None:
        with OpenAIStub(honest) as stub:
            path = labels_in(tmp_path, a_line(), line)
            done = supportbench("judge-agreement", path, cwd=tmp_path, environ=environ_for(stub))
            assert stub.requests == ()
        assert done.returncode == 2
        assert "line 2" in done.stderr
        assert told in done.stderr
        assert "Traceback" not in done.stderr

    def test_of_a_rubric_without_a_judge_are_refused(self, tmp_path: Path) -> None:
        done = supportbench("judge-agreement", labels_in(tmp_path, a_line()), "--rubric", "default", cwd=tmp_path)
        assert done.returncode == 2
        assert "No component of rubric 'default' gives verdicts: there is no judge to measure." in done.stderr

    def test_none_at_all_are_refused(self, tmp_path: Path) -> None:
        with OpenAIStub(honest) as stub:
            done = supportbench("judge-agreement", labels_in(tmp_path), cwd=tmp_path, environ=environ_for(stub))
        assert (done.returncode, "has no labels" in done.stderr) == (2, True)


class TestWhatIsMissing:
    def test_an_answer_without_verdicts_is_counted_named_and_in_no_figure(self, tmp_path: Path) -> None:
        def fails_at_some(request: Request) -> Reply:
            text = Asked.of(request).material["texts"]["summary"]
            return failure(500, "oh no") if text == SUMMARIES["some"] else honest(request)

        with OpenAIStub(fails_at_some) as stub:
            lines = said(("all", "all"), ("some", "some"), ("none", "none"))
            report = report_of(stub, tmp_path, labels_in(tmp_path, *lines), code=1)
        (unscored,) = report["unscored"]
        assert unscored["where"].endswith("line 2")
        assert "its endpoint answered with an error" in unscored["error"]
        assert criterion(report, "summary", "coverage")["agreement"]["pairs"] == 2

    def test_a_text_that_no_judge_is_asked_about_is_counted_apart(self, tmp_path: Path) -> None:
        with OpenAIStub(honest) as stub:
            report = report_of(stub, tmp_path, labels_in(tmp_path, a_line("", {"summary": {"coverage": "none"}})))
        assert report["not_judged"] == 1
        assert criterion(report, "summary", "coverage")["agreement"]["pairs"] == 0

    def test_the_library_is_asked_for_by_its_extra(self, tmp_path: Path) -> None:
        (tmp_path / "sklearn").mkdir()
        (tmp_path / "sklearn/__init__.py").write_text("raise ImportError('not here')\n")
        with OpenAIStub(honest) as stub:
            environ = environ_for(stub) | {"PYTHONPATH": str(tmp_path)}
            done = supportbench("judge-agreement", labels_in(tmp_path, a_line()), cwd=tmp_path, environ=environ)
            assert stub.requests == ()
        assert done.returncode == 2
        assert "needs supportbench[agreement]: pip install 'supportbench[agreement]'" in done.stderr

    @pytest.mark.parametrize(("judge", "bound", "code"), [(honest, "0.9", 0), (always(-1), "0.1", 1), (prose, "-1", 1)])
    def test_a_judge_below_the_bound_is_a_no(self, tmp_path: Path, judge: Any, bound: str, code: int) -> None:
        lines = said(("all", "all"), ("some", "some"), ("none", "none"))
        with OpenAIStub(judge) as stub:
            path = labels_in(tmp_path, *lines)
            arguments = ("judge-agreement", path, "--min-kappa", bound)
            done = supportbench(*arguments, cwd=tmp_path, environ=environ_for(stub))
        assert done.returncode == code, done.stderr


def test_the_table_fits_a_terminal(tmp_path: Path) -> None:
    with OpenAIStub(honest) as stub:
        path = labels_in(tmp_path, *said(("all", "all"), ("all", "some"), ("none", "none")))
        done = supportbench("judge-agreement", path, cwd=tmp_path, environ=environ_for(stub, judge_price="3/15"))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].rstrip() == "rubric judge · 3 labelled answers"
    assert lines[2].split() == ["criterion", "labels", "same", "kappa", "weighted", "retest", "retest", "kappa"]
    assert next(line for line in lines if line.startswith(" summary.coverage")).split()[1:3] == ["3", "0.67"]
    assert lines[-1] == "A hundred answers take 100 calls with 10,000 tokens in and 2,000 out, $0.0600."


def test_the_run_time_install_knows_nothing_of_it() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert not any("scikit" in name or "numpy" in name for name in project["dependencies"])
    assert any("scikit-learn" in name for name in project["optional-dependencies"]["agreement"])


def _first_ticket() -> str:
    return load_registry({}).providers["triage"].task("test", 0).cases[0].ticket.ticket_id


def test_one_that_is_interrupted_has_not_found_anything(tmp_path: Path) -> None:
    asked = threading.Event()

    def answer(request: Request) -> Reply:
        asked.set()
        return honest(request)

    labels = labels_in(tmp_path, *said(*[("all", "all")] * 200))
    with OpenAIStub(answer) as stub:
        environ = environ_for(stub, judge_concurrency="1")
        code, out, err = interrupted("judge-agreement", labels, cwd=tmp_path, environ=environ, at=asked)
    assert (code, out, err) == (130, "", "Interrupted.\n")
