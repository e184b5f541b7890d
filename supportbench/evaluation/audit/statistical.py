"""The checks of OpenEnv's statistical level: what a learner and a measurement need."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

from supportbench.evaluation.audit.bounds import JUDGED_TOLERANCE, Bound
from supportbench.evaluation.audit.evidence import ATTEMPTS, Evidence
from supportbench.evaluation.audit.playing import FULL
from supportbench.evaluation.audit.policies import INFORMED
from supportbench.evaluation.audit.report import CheckReport, PolicyReport
from supportbench.evaluation.audit.semantic import NO_GALLERY, ONE_TICKET
from supportbench.evaluation.audit.subject import Unit

Policies = tuple[PolicyReport, ...]

DIFFICULTIES: Final = ("trivial", "easy", "medium", "hard", "expert")
BEST_POLICY: Final = 0.55
BELOW_HONEST: Final = 0.40
WELL_DONE: Final = 0.9
NOBODY_HONEST: Final = "no honest agent plays along"


def reward_reachability(evidence: Evidence, policies: Policies) -> CheckReport:
    """The share of tickets on which somebody without the key earns half of the oracle's reward.

    Somebody is the honest agent, or the best of 16 random decisions with empty texts. At least a quarter of them: a
    learner that meets hardly any reward has nothing to climb.
    """
    bound = Bound(check="reward_reachability", sense="at least", bound=0.25)
    return bound.judged(evidence.reached, f"best of {ATTEMPTS} random decisions, or the honest agent")


def difficulty_separation(evidence: Evidence, policies: Policies) -> CheckReport:
    """The smallest step down of the honest agent's mean reward from one level of difficulty to the next.

    At least -0.02: a task that calls itself harder must not be easier, give or take one answer in fifty.
    """
    bound = Bound(check="difficulty_separation", sense="at least", bound=-0.02)
    if evidence.honest is None:
        return bound.not_measured(NOBODY_HONEST)
    by_level: dict[str, list[float]] = {}
    for unit in evidence.units:
        for task in unit.tasks:
            rewards = evidence.honest.episodes[task.card.task_id].rewards
            by_level.setdefault(task.card.difficulty.casefold(), []).extend(rewards)
    levels = [level for level in DIFFICULTIES if by_level.get(level)]
    if len(levels) < 2:
        return bound.not_measured("the tasks do not have two levels of difficulty")
    means = [_mean(by_level[level]) for level in levels]
    told = ", ".join(f"{level} {figure:.3f}" for level, figure in zip(levels, means, strict=True))
    return bound.judged(min(easier - harder for easier, harder in pairwise(means)), told)


def headroom(evidence: Evidence, policies: Policies) -> CheckReport:
    """The share of tickets on which the honest agent misses full marks.

    More than none (a warning, as in OpenEnv's policy): where it answers everything, it can be matched but not beaten.
    """
    bound = Bound(check="headroom", sense="at least", bound=0.01, severity="warn")
    if evidence.honest is None:
        return bound.not_measured(NOBODY_HONEST)
    rewards = [reward for episode in evidence.honest.episodes.values() for reward in episode.rewards]
    if not rewards:
        return bound.not_measured("the honest agent's answers could not be graded")
    missed = sum(reward < FULL for reward in rewards)
    return bound.judged(missed / len(rewards), f"{evidence.honest.agent.label} misses {missed} of {len(rewards)}")


def variance_bound(evidence: Evidence, policies: Policies) -> CheckReport:
    """The largest standard deviation of one action's reward over three seeds.

    None: seeds are for agents, and a grader that rolls dice teaches luck. A judge may vary by a tenth.
    """
    tolerance = JUDGED_TOLERANCE if evidence.is_judged else 0.0
    bound = Bound(check="variance_bound", sense="at most", bound=tolerance)
    return bound.judged(evidence.steadiness.spread, f"{evidence.steadiness.steps} actions under three seeds")


def adversarial_floor(evidence: Evidence, policies: Policies) -> CheckReport:
    """The most that a dishonest policy earns on any unit beyond what it is allowed.

    Allowed are 0.05 above the best constant decision with empty texts, 0.125 for a fluent catch-all, what the oracle
    earns for who writes down the ticket's own answer key, and what the rubric's fine leaves of that when it is unsafe.
    """
    bound = Bound(check="adversarial_floor", sense="at most", bound=0.0)
    judged = [policy for policy in policies if evidence.measurable or policy.tactic in INFORMED]
    if not policies or not judged:
        return bound.not_measured(ONE_TICKET if policies else NO_GALLERY)
    worst = max(judged, key=lambda policy: policy.excess - policy.allowed_excess)
    detail = f"{worst.name}: {worst.excess:+.3f} from its base, {worst.allowed_excess:g} allowed"
    return bound.judged(worst.excess - worst.allowed_excess, detail)


def gameability_gap(evidence: Evidence, policies: Policies) -> CheckReport:
    """The distance from the best dishonest policy to honest work, both as means over the units.

    At least 0.40, and the policy has at most 0.55: cheating must be no career. Where a constant decision with empty
    texts earns more than 0.50 by itself, as where the decision is all that is graded, both bounds give way by as much.
    Honest work is the honest agent's where it does the tasks well, that is, earns nine tenths of what the oracle does;
    else it is the oracle's, since the reward is judged and not the agent. Who knows the ticket's own answer key stays
    out: what is written down of it is what was asked for, however badly.
    """
    rivals = [policy for policy in policies if policy.tactic not in INFORMED]
    units = evidence.measurable
    if not units or not rivals:
        return Bound(check="gameability_gap", sense="at least", bound=BELOW_HONEST).not_measured(
            NO_GALLERY if units else ONE_TICKET
        )
    floor = _over(units, lambda unit: evidence.floors[unit.name])
    best = max(rivals, key=lambda policy: _over(units, lambda unit: policy.rewards[unit.name]))
    earned = _over(units, lambda unit: best.rewards[unit.name])
    most = max(BEST_POLICY, floor + 0.05)
    who, honest = "the oracle", _over(units, evidence.oracle.mean_reward)
    if evidence.honest is not None and (own := _over(units, evidence.honest.mean_reward)) >= WELL_DONE * honest:
        who, honest = evidence.honest.agent.label, own
    bound = Bound(check="gameability_gap", sense="at least", bound=min(BELOW_HONEST, round(0.95 - most, 9)))
    detail = f"{best.name} averages {earned:.3f} ({most:.2f} allowed), {who} {honest:.3f}"
    return bound.judged(honest - earned, detail, and_also=earned <= most + 1e-9)


def _over(units: Sequence[Unit], figure: Callable[[Unit], float]) -> float:
    return _mean([figure(unit) for unit in units])


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
