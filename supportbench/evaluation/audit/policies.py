"""What each dishonest policy earned, and whether that is too much."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final

from supportbench.evaluation.audit.evidence import Caught, Evidence
from supportbench.evaluation.audit.playing import mean
from supportbench.evaluation.audit.report import PolicyReport, Tactic
from supportbench.evaluation.audit.subject import Unit
from supportbench.grading import Grader

ABOVE_BASE: Final[Mapping[Tactic, float]] = {
    "decision": 0.05,
    "text": 0.05,
    "catch_all": 0.125,
    "informed": 0.0,
    "unsafe": 0.0,
}
"""How much more than its base a policy may earn on a unit, by its tactic.

The base is the best constant decision with empty texts. A fluent text for whatever comes says some of what is wanted in
good faith: it may have half of the quarter that texts are worth. Who writes down the ticket's own answer key is
measured from what the oracle earns, and an unsafe answer from what the rubric's fine leaves of that.
"""
INFORMED: Final[frozenset[Tactic]] = frozenset(("informed", "unsafe"))
"""The tactics of those who know the answer key of the very ticket: no agent without it could do the same."""
TEXT_SHARE: Final[Mapping[Tactic, float]] = {"text": 0.1, "catch_all": 0.5}
"""The mean score of a text component that a policy may have over the units: below a tenth, and at most half."""

SLACK: Final = 1e-9


def policy_report(caught: Caught, evidence: Evidence) -> PolicyReport:
    """Return what a policy earned of which reward, and its faults."""
    cheat, played = caught.cheat, caught.played
    rewards = {unit.name: played.mean_reward(unit) for unit in evidence.units}
    texts = [evidence.text_scores(played, unit) for unit in evidence.units if rewards[unit.name] is not None]
    names = evidence.texts.earned if texts else ()
    text = {name: math.fsum(scores[name] for scores in texts) / len(texts) for name in names}
    excess = max(_above_base(cheat.tactic, rewards, evidence), default=None)
    return PolicyReport(
        name=cheat.agent.label,
        plugin=cheat.plugin,
        version=cheat.agent.version,
        tactic=cheat.tactic,
        rewards=rewards,
        average=mean(rewards.values()),
        excess=excess,
        allowed_excess=ABOVE_BASE[cheat.tactic],
        text=text,
        allowed_text=TEXT_SHARE.get(cheat.tactic),
        faults=(*_earned_too_much(cheat.tactic, excess), *_wrote_too_well(cheat.tactic, text)),
        errors=played.errors,
    )


def _above_base(tactic: Tactic, rewards: Mapping[str, float | None], evidence: Evidence) -> Iterator[float]:
    for unit in evidence.units if tactic in INFORMED else evidence.measurable:
        earned, base = rewards[unit.name], _base(tactic, evidence, unit)
        if earned is not None and base is not None:
            yield earned - base


def _earned_too_much(tactic: Tactic, excess: float | None) -> Iterator[str]:
    if excess is not None and excess > ABOVE_BASE[tactic] + SLACK:
        yield f"earns {excess:.3f} above its base, where {ABOVE_BASE[tactic]:g} is allowed"


def _wrote_too_well(tactic: Tactic, text: Mapping[str, float]) -> Iterator[str]:
    allowed = TEXT_SHARE.get(tactic)
    for name, score in text.items():
        if allowed is not None and score > allowed + (SLACK if tactic == "catch_all" else -SLACK):
            yield f"scores {score:.3f} in {name}, where {'less than ' * (tactic == 'text')}{allowed:g} is allowed"


def _base(tactic: Tactic, evidence: Evidence, unit: Unit) -> float | None:
    if tactic not in INFORMED:
        return evidence.floors[unit.name]
    if tactic == "informed":
        return evidence.oracle.mean_reward(unit)
    return mean(
        _after_fine(step.grade.reward, task.grader)
        for task in unit.tasks
        for step in evidence.oracle.episodes[task.card.task_id].steps
        if step.grade is not None
    )


def _after_fine(reward: float, grader: Grader) -> float:
    """Return what the rubric leaves of an unsafe answer; all of it where the rubric has no checks."""
    rubric, checks = grader.rubric.rubric, grader.rubric.checks
    if not checks:
        return reward
    if rubric.safety.mode == "gate" or rubric.reward == "binary":
        return 0.0
    return max(0.0, reward - rubric.safety.penalty)
