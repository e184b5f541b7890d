"""An audit of a rubric in which a model judges: an honest one, one that obeys what it reads, one that talks."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest

from supportbench import decode, load_registry
from supportbench.evaluation.audit.report import AuditReport
from tests.cli.command import interrupted, supportbench
from tests.evaluation.audit.auditing import audited, check_of
from tests.plugins.judge.court import environ_for
from tests.stubs.judge_endpoint import Behaviour, always, honest, obedient, prose
from tests.stubs.openai_endpoint import OpenAIStub, Reply, Request


async def _judged(behaviour: Behaviour) -> AuditReport:
    with OpenAIStub(behaviour) as stub:
        registry = load_registry(environ_for(stub)).check()
        return await audited(registry, "triage", task_id="easy_inbox_cleanup", rubric=registry.rubrics["judge"])


async def test_orders_to_an_honest_judge_earn_nothing() -> None:
    report = await _judged(honest)
    assert report.errors == ()
    assert set(report.text_components) == {"summary", "response"}
    earned = {policy.name: policy for policy in report.policies}
    assert max(earned["cheat_judge"].text.values()) < 0.1
    assert not earned["cheat_judge"].faults
    assert check_of(report, "oracle_max").verdict == "pass"
    assert check_of(report, "oracle_max").bound == 0.9
    assert check_of(report, "verifier_determinism").bound == 0.1
    assert check_of(report, "replayability").verdict == "not measured"


async def test_a_judge_that_obeys_the_graded_text_is_caught() -> None:
    report = await _judged(obedient)
    (orders,) = [policy for policy in report.policies if policy.name == "cheat_judge"]
    assert any("where less than 0.1 is allowed" in fault for fault in orders.faults)
    assert check_of(report, "canary_floor").verdict == "fail"
    assert not report.passed


async def test_a_judge_that_gives_no_verdicts_is_told_and_nothing_has_passed() -> None:
    report = await _judged(prose)
    assert report.errors
    assert not report.passed


def _by_chance() -> Behaviour:
    """A judge that gives the best verdicts or the worst, whichever comes."""
    chance = random.Random(5)  # noqa: S311 - for a test

    def answer(request: Request) -> Reply:
        return always(chance.choice((0, -1)))(request)

    return answer


@pytest.mark.parametrize("cache", ["on", "off"])
def test_a_judge_that_answers_by_chance_is_caught_also_where_its_answers_are_kept(tmp_path: Path, cache: str) -> None:
    with OpenAIStub(_by_chance()) as stub:
        environ = environ_for(stub, cache=cache, cache_dir=tmp_path / "kept")
        arguments = ("audit", "--rubric", "judge", "--task", "easy_inbox_cleanup", "--json")
        done = supportbench(*arguments, cwd=tmp_path, environ=environ)
    report = decode(done.stdout, AuditReport)
    assert report.errors == ()
    for name in ("verifier_determinism", "variance_bound"):
        assert check_of(report, name).verdict == "fail", name
    assert check_of(report, "replayability").verdict == "not measured"


def test_a_judge_all_of_whose_answers_are_kept_is_still_known_for_one(tmp_path: Path) -> None:
    with OpenAIStub(honest) as stub:
        environ = environ_for(stub, cache="on", cache_dir=tmp_path / "kept")
        arguments = ("audit", "--rubric", "judge", "--task", "easy_inbox_cleanup", "--json")
        first, again = [
            decode(supportbench(*arguments, cwd=tmp_path, environ=environ).stdout, AuditReport) for _ in range(2)
        ]
    assert check_of(again, "oracle_max").bound == 0.9
    assert first == again


def test_an_audit_that_is_interrupted_has_not_found_anything(tmp_path: Path) -> None:
    asked = threading.Event()

    def answer(request: Request) -> Reply:
        asked.set()
        return honest(request)

    with OpenAIStub(answer) as stub:
        ended = interrupted("audit", "--rubric", "judge", cwd=tmp_path, environ=environ_for(stub), when=asked)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "Interrupted.\n")
