"""The checks of OpenEnv's statistical level: what a learner and a measurement need."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from supportbench.evaluation.audit.bounds import JUDGED_TOLERANCE, Bound
from supportbench.evaluation.audit.evidence import ATTEMPTS, Evidence
from supportbench.evaluation.audit.playing import FULL, mean
from supportbench.evaluation.audit.policies import INFORMED
from supportbench.evaluation.audit.report import CheckReport, PolicyReport
from supportbench.evaluation.audit.semantic import NO_GALLERY, NO_ORACLE, ONE_TICKET

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
    judged = [(policy.excess, policy) for policy in policies if policy.excess is not None]
    if not judged:
        return bound.not_measured(_why_no_policy(evidence, policies))
    excess, worst = max(judged, key=lambda each: each[0] - each[1].allowed_excess)
    detail = f"{worst.name}: {excess:+.3f} from its base, {worst.allowed_excess:g} allowed"
    return bound.judged(excess - worst.allowed_excess, detail)


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
    floor = mean(evidence.floors[unit.name] for unit in units)
    averages = [(mean(policy.rewards[unit.name] for unit in units), policy.name) for policy in rivals]
    measured = [(average, name) for average, name in averages if average is not None]
    honest = mean(map(evidence.oracle.mean_reward, units))
    if floor is None or not measured or honest is None:
        why = NO_ORACLE if measured else _why_no_policy(evidence, rivals)
        return Bound(check="gameability_gap", sense="at least", bound=BELOW_HONEST).not_measured(why)
    earned, best = max(measured, key=lambda each: each[0])
    most = max(BEST_POLICY, floor + 0.05)
    who = "the oracle"
    own = None if evidence.honest is None else mean(map(evidence.honest.mean_reward, units))
    if evidence.honest is not None and own is not None and own >= WELL_DONE * honest:
        who, honest = evidence.honest.agent.label, own
    bound = Bound(check="gameability_gap", sense="at least", bound=min(BELOW_HONEST, round(0.95 - most, 9)))
    detail = f"{best} averages {earned:.3f} ({most:.2f} allowed), {who} {honest:.3f}"
    return bound.judged(honest - earned, detail, and_also=earned <= most + 1e-9)


def _why_no_policy(evidence: Evidence, policies: Sequence[PolicyReport]) -> str:
    if not policies:
        return NO_GALLERY
    return "no dishonest policy's answers could be graded" if evidence.measurable else ONE_TICKET


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
