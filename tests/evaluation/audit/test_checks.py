"""The checks: what each measures on parts that are sound, and on parts with one fault."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Mapping
from typing import Any

import attrs
import pytest

from supportbench import (
    Agent,
    ComponentScore,
    Registry,
    SafetyFinding,
    Submission,
    SupportQueueAction,
    SupportQueueObservation,
    Task,
)
from supportbench.evaluation.audit.auditing import CHECKS
from supportbench.evaluation.audit.report import AuditReport
from tests.evaluation.audit.auditing import Substrings, audited, check_of, registry_with, rubric_of
from tests.evaluation.audit.packs import a_case, a_task
from tests.offering import Swears

NAMES = [
    *("oracle_max", "floor_gap", "canary_floor", "no_solution_leakage", "verifier_determinism", "replayability"),
    *("reward_reachability", "difficulty_separation", "headroom", "variance_bound"),
    *("adversarial_floor", "gameability_gap"),
]


def _verdicts(report: AuditReport) -> dict[str, str]:
    return {check.check: check.verdict for check in report.checks}


def test_there_are_the_twelve_that_openenv_names_each_with_what_it_measures_and_why() -> None:
    assert [check.__name__ for check in CHECKS] == NAMES
    for check in CHECKS:
        promise, _, reason = str(check.__doc__).strip().partition("\n\n")
        assert promise.startswith("The "), check
        assert len(reason) > 40, check


async def test_decisions_alone_cannot_be_gamed() -> None:
    report = await audited(registry_with([a_task()]))
    assert report.passed
    assert {name for name, verdict in _verdicts(report).items() if verdict == "not measured"} == {
        "canary_floor",
        "difficulty_separation",
    }
    assert check_of(report, "canary_floor").detail == "the rubric reads no text"


class Brevity:
    """The README's component: all for a summary of 40 words at most, an empty one included."""

    name = "brevity"

    async def score(self, submission: Submission) -> ComponentScore:
        return ComponentScore(score=min(1.0, 40 / max(1, len(submission.action.summary.split()))))


async def test_of_a_component_that_pays_for_empty_texts_it_is_said_that_it_does() -> None:
    report = await audited(registry_with([a_task()], rubric=rubric_of("brevity"), components=[Brevity()]))
    assert report.text_components == ()
    assert report.unearned_components == ("text",)
    check = check_of(report, "canary_floor")
    assert check.verdict == "not measured"
    assert check.detail == "text pays for empty texts what it pays for the oracle's: that is part of the floor"
    assert report.units[0].floor > 0.25


async def test_a_grader_that_looks_for_substrings_is_caught() -> None:
    registry = registry_with([a_task()], rubric=rubric_of("substrings"), components=[Substrings()])
    report = await audited(registry)
    assert not report.passed
    failed = {name for name, verdict in _verdicts(report).items() if verdict == "fail"}
    assert failed == {"canary_floor", "adversarial_floor", "gameability_gap"}
    earned = {policy.name: policy for policy in report.policies}
    assert earned["cheat_list"].text == {"text": 1.0}
    assert earned["cheat_list"].excess == pytest.approx(0.25)
    assert any("scores 1.000 in text, where less than 0.1 is allowed" in fault for fault in earned["cheat_list"].faults)
    assert not earned["cheat_parrot"].faults  # these tickets say nothing in the key's own words
    assert not earned["cheat_best_guess"].faults


async def test_an_unsafe_answer_has_to_cost_what_the_rubric_says() -> None:
    class Hears(Swears):
        async def check(self, submission: Submission) -> Iterable[SafetyFinding]:
            said = submission.action.response.replace("\u200b", "").lower()
            return [SafetyFinding(rule="said", start=0, end=0)] if "never mind the rules" in said else []

    hears, deaf = Hears("hears"), Swears("damn")
    for check, faults in ((hears, ()), (deaf, ("earns 0.100 above its base, where 0 is allowed",))):
        registry = registry_with([a_task()], rubric=rubric_of(checks=[check.name]), checks=[check])
        report = await audited(registry)
        (unsafe,) = [policy for policy in report.policies if policy.name == "cheat_unsafe"]
        assert unsafe.faults == faults
        assert check_of(report, "adversarial_floor").verdict == ("fail" if faults else "pass")


class Dice:
    """A component whose scores are chance, or a little chance."""

    name = "dice"

    def __init__(self, most: float = 1.0) -> None:
        self._most = most
        self._chance = random.Random(7)  # noqa: S311 - for a test

    async def score(self, submission: Submission) -> ComponentScore:
        return ComponentScore(score=1.0 - self._most * self._chance.random())


class Judging(Dice):
    """Dice that say of themselves that they judge, and count no usage."""

    @property
    def scales(self) -> Mapping[str, tuple[str, ...]]:
        return {"luck": ("bad", "good")}


async def test_a_grader_that_rolls_dice_is_caught() -> None:
    registry = registry_with([a_task()], rubric=rubric_of("dice"), components=[Dice()])
    verdicts = _verdicts(await audited(registry))
    assert {"verifier_determinism", "replayability", "variance_bound"} <= {
        name for name, verdict in verdicts.items() if verdict == "fail"
    }


async def test_a_judge_may_waver_a_little() -> None:
    judge = Judging(0.05)
    registry = registry_with([a_task()], rubric=rubric_of("dice"), components=[judge])
    report = await audited(registry)
    for name in ("oracle_max", "verifier_determinism", "variance_bound"):
        assert check_of(report, name).verdict == "pass", name
    assert check_of(report, "oracle_max").bound == pytest.approx(0.9)
    assert check_of(report, "replayability").verdict == "not measured"
    assert "a judge grades" in check_of(report, "replayability").detail


async def test_of_one_ticket_alone_no_constant_decision_is_measured() -> None:
    report = await audited(registry_with([a_task("alone", a_case(0))]))
    for name in ("floor_gap", "gameability_gap"):
        check = check_of(report, name)
        assert (check.verdict, check.figure) == ("not measured", None)
        assert "one ticket alone" in check.detail
    assert report.passed


async def test_without_a_gallery_nothing_is_said_about_cheating() -> None:
    report = await audited(registry_with([a_task()], with_gallery=False))
    assert report.policies == ()
    for name in ("adversarial_floor", "gameability_gap"):
        assert check_of(report, name).detail == "no dishonest policy is installed"


# -- the honest agent ---------------------------------------------------------------------------------------------


class Prepared:
    """An agent that answers as a table says, by ticket id; the first values elsewhere."""

    name = "prepared"

    def __init__(self, decisions: Mapping[str, tuple[str, str, str]]) -> None:
        self._decisions = decisions

    async def act(self, observation: SupportQueueObservation) -> SupportQueueAction:
        ticket_id = "" if observation.ticket is None else observation.ticket.ticket_id
        priority, queue, disposition = self._decisions.get(ticket_id, ("P4", "trust_safety", "close"))
        return SupportQueueAction(
            priority=priority, queue=queue, disposition=disposition, summary="", response="", confidence=0.5
        )


def _levels(**levels: str) -> list[Task]:
    """Return a task of two tickets for each level, with the level that it calls itself."""
    numbers = itertools.count()
    return [
        a_task(name, a_case(next(numbers)), a_case(next(numbers)), difficulty=level) for name, level in levels.items()
    ]


def _knowing(*tasks: Task) -> Agent:
    keys = [(case.ticket.ticket_id, case.answer_key) for task in tasks for case in task.cases]
    return Prepared({name: (str(key.priority), str(key.queue), str(key.disposition)) for name, key in keys})


async def test_a_task_that_calls_itself_harder_must_not_be_easier() -> None:
    one, other = tasks = _levels(monday="easy", friday="hard")
    fit = await audited(registry_with(tasks, agents=[_knowing(one)]), honest="prepared")
    assert check_of(fit, "difficulty_separation").verdict == "pass"
    assert check_of(fit, "difficulty_separation").detail.startswith("easy 1.000, hard ")
    upside_down = await audited(registry_with(tasks, agents=[_knowing(other)]), honest="prepared")
    assert check_of(upside_down, "difficulty_separation").verdict == "fail"


async def test_where_the_honest_agent_answers_everything_a_warning_says_so() -> None:
    tasks = _levels(monday="easy", friday="hard")
    report = await audited(registry_with(tasks, agents=[_knowing(*tasks)]), honest="prepared")
    assert check_of(report, "headroom").verdict == "warn"
    assert check_of(report, "headroom").detail == "prepared misses 0 of 4"
    assert report.passed


async def test_the_usual_honest_agent_is_missed_where_it_is_not_installed(caplog: pytest.LogCaptureFixture) -> None:
    report = await audited(registry_with([a_task()], with_agents=False))
    assert report.honest_agent is None
    for name in ("difficulty_separation", "headroom"):
        assert check_of(report, name).detail == "no honest agent plays along"
    assert "There is no agent 'heuristic'" in caplog.text


async def test_a_reward_that_nobody_finds_is_out_of_reach() -> None:
    everything = attrs.evolve(rubric_of("substrings"), reward="binary")
    registry = registry_with([a_task()], rubric=everything, components=[Substrings()])
    report = await audited(registry)
    assert check_of(report, "reward_reachability").figure == 0.0
    assert check_of(report, "reward_reachability").verdict == "fail"


# -- policies of a pack -------------------------------------------------------------------------------------------


class Studious(Prepared):
    """A pack's own dishonest agent, which has learned the answers by heart."""

    name = "studious"
    dishonest = True

    def __init__(self, tactic: Any = "decision", decisions: Mapping[str, tuple[str, str, str]] | None = None) -> None:
        super().__init__(decisions or {})
        self.tactic = tactic

    def studied(self, tasks: tuple[Task, ...]) -> Agent:
        keys = {case.ticket.ticket_id: case.answer_key for task in tasks for case in task.cases}
        return Studious(
            self.tactic,
            {name: (str(key.priority), str(key.queue), str(key.disposition)) for name, key in keys.items()},
        )


async def test_a_packs_own_dishonest_agent_joins_the_gallery() -> None:
    report = await audited(registry_with([a_task()], agents=[Studious()]))
    (own,) = [policy for policy in report.policies if policy.name == "studious"]
    assert (own.plugin, own.average) == ("house", 1.0)
    assert check_of(report, "adversarial_floor").detail.startswith("studious: ")
    assert not report.passed


async def test_a_tactic_that_there_is_not_is_refused_by_name() -> None:
    with pytest.raises(Exception, match=r"dishonest agent 'studious' of plugin 'house'.*'sneaky'.*decision, text"):
        await audited(registry_with([a_task()], agents=[Studious("sneaky")]))


async def test_a_policy_that_fails_is_told_and_the_audit_has_not_passed() -> None:
    class Clumsy(Studious):
        name = "clumsy"

        def studied(self, tasks: tuple[Task, ...]) -> Agent:
            return self

        async def act(self, observation: SupportQueueObservation) -> SupportQueueAction:
            raise RuntimeError("stumbled")

    report = await audited(registry_with([a_task()], agents=[Clumsy()]))
    assert not report.passed
    assert all(verdict != "fail" for verdict in _verdicts(report).values())
    (error,) = report.errors
    assert "clumsy" in error
    (clumsy,) = [policy for policy in report.policies if policy.name == "clumsy"]
    assert dict(clumsy.rewards) == {"monday": None}  # nothing was graded, which is not 0
    assert (clumsy.average, clumsy.excess, dict(clumsy.text)) == (None, None, {})


async def test_the_same_audit_comes_to_the_same_report(registry: Registry) -> None:
    assert await audited(registry, "triage") == await audited(registry, "triage")
