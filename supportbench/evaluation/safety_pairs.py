"""How well a safety check keeps its own promises: what it finds in its pairs of an unsafe reply and its safe twin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import attrs

from supportbench.errors import HookError, boundary
from supportbench.grading import Grader
from supportbench.models import (
    AnswerKey,
    Case,
    ComponentScore,
    Rubric,
    RubricComponent,
    SafetyFinding,
    SafetyPair,
    SafetyPolicy,
    Submission,
    SupportQueueAction,
    Task,
    Ticket,
)
from supportbench.rubrics import BoundCheck, BoundComponent, BoundRubric
from supportbench.wording import shown


@attrs.frozen(kw_only=True)
class Miss:
    """A promise that was not kept: an unsafe text that its rule did not find, or a safe one in which a rule found some.

    `twin` is the pair's other text; of a false alarm, `pair_rule` is the rule whose pair it is and `excerpt` what was
    found.
    """

    kind: Literal["missed", "false alarm"]
    rule: str
    pair_rule: str
    text: str
    twin: str
    excerpt: str = ""


@attrs.frozen(kw_only=True)
class RuleReport:
    """A rule's figures: `found` of its `pairs` unsafe texts, and false alarms in any pair's safe text.

    `recall` is found / pairs, `precision` found / (found + false alarms); None where there is nothing to divide by.
    """

    rule: str
    pairs: int
    found: int
    false_alarms: int

    @property
    def recall(self) -> float | None:
        """The share of the unsafe texts that were found, in [0, 1]."""
        return self.found / self.pairs if self.pairs else None

    @property
    def precision(self) -> float | None:
        """The share of what was found that is unsafe, in [0, 1]."""
        alarms = self.found + self.false_alarms
        return self.found / alarms if alarms else None


@attrs.frozen(kw_only=True)
class CheckReport:
    """A check's figures by rule, and every promise that it did not keep."""

    check: str
    plugin: str
    version: str
    rules: tuple[RuleReport, ...]
    misses: tuple[Miss, ...]

    @property
    def total(self) -> RuleReport:
        """The figures of all rules together."""
        return RuleReport(
            rule="all",
            pairs=sum(rule.pairs for rule in self.rules),
            found=sum(rule.found for rule in self.rules),
            false_alarms=sum(rule.false_alarms for rule in self.rules),
        )


def pairs_of(check: BoundCheck) -> tuple[SafetyPair, ...] | None:
    """Return the check's pairs, None where it promises nothing.

    Raises:
        HookError: its `pairs` fails, or gives something else.
    """
    pairs = getattr(check.check, "pairs", None)
    if pairs is None:
        return None
    given: list[SafetyPair] = []
    with boundary(HookError, check.who, "its pairs"):
        for pair in pairs():
            if not isinstance(pair, SafetyPair):
                raise HookError(f"the pairs of {check.who} must be SafetyPairs, one is a {type(pair).__name__}")
            given.append(pair)
    return tuple(given) or None


async def measure(check: BoundCheck, pairs: Iterable[SafetyPair], *, plugin: str, version: str) -> CheckReport:
    """Return how the check does on these pairs; raises `GradingError` where it fails at one."""
    grader = Grader(_asking_only(check))
    tallies: dict[str, _Tally] = {}
    misses: list[Miss] = []
    for number, pair in enumerate(pairs, start=1):
        tally = tallies.setdefault(pair.rule, _Tally())
        tally.pairs += 1
        if any(finding.rule == pair.rule for finding in await _unsafe(grader, pair, number, pair.unsafe)):
            tally.found += 1
        else:
            misses.append(Miss(kind="missed", rule=pair.rule, pair_rule=pair.rule, text=pair.unsafe, twin=pair.safe))
        for finding in _first_of_each_rule(await _unsafe(grader, pair, number, pair.safe)):
            tallies.setdefault(finding.rule, _Tally()).false_alarms += 1
            misses.append(
                Miss(
                    kind="false alarm",
                    rule=finding.rule,
                    pair_rule=pair.rule,
                    text=pair.safe,
                    twin=pair.unsafe,
                    excerpt=finding.excerpt,
                )
            )
    return CheckReport(
        check=check.name,
        plugin=plugin,
        version=version,
        rules=tuple(
            RuleReport(rule=rule, pairs=tally.pairs, found=tally.found, false_alarms=tally.false_alarms)
            for rule, tally in sorted(tallies.items())
        ),
        misses=tuple(misses),
    )


@attrs.define
class _Tally:
    pairs: int = 0
    found: int = 0
    false_alarms: int = 0


class _Nothing:
    """A component for a rubric that is about its check alone."""

    name = "nothing"

    async def score(self, submission: Submission) -> ComponentScore:
        return ComponentScore(score=1.0)


def _asking_only(check: BoundCheck) -> BoundRubric:
    rubric = Rubric(
        name="safety pairs",
        components=[RubricComponent(use="nothing", weight=1.0)],
        safety=SafetyPolicy(checks=(check.name,)),
    )
    nothing = BoundComponent(name="nothing", weight=1.0, component=_Nothing(), who="the pairs")
    return BoundRubric(rubric=rubric, components=(nothing,), checks=(check,), fingerprint="")


async def _unsafe(grader: Grader, pair: SafetyPair, number: int, reply: str) -> list[SafetyFinding]:
    grade = await grader.grade(_submission(pair, number, reply))
    return [finding for finding in grade.findings if finding.severity == "unsafe"]


def _first_of_each_rule(findings: Iterable[SafetyFinding]) -> Iterator[SafetyFinding]:
    return iter({finding.rule: finding for finding in reversed(list(findings))}.values())


def _submission(pair: SafetyPair, number: int, reply: str) -> Submission:
    ticket = Ticket(ticket_id=f"pair {number} of rule {shown(pair.rule)}", subject="", body=pair.ticket)
    case = Case(ticket=ticket, answer_key=AnswerKey(priority="P3", unsafe_phrases=pair.unsafe_phrases))
    task = Task(
        task_id="safety pairs",
        title="Safety pairs",
        difficulty="none",
        description="A pair of replies.",
        instructions="Reply.",
        cases=(case,),
        allowed_links=pair.allowed_links,
        allowed_numbers=pair.allowed_numbers,
    )
    action = SupportQueueAction(
        priority="P3", queue="success", disposition="respond", summary="", response=reply, confidence=0.5
    )
    return Submission(task=task, case=case, action=action)
