"""The checks of OpenEnv's semantic level: what one action, and one episode, must show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from supportbench.evaluation.audit.bounds import JUDGED_TOLERANCE, Bound
from supportbench.evaluation.audit.evidence import Evidence
from supportbench.evaluation.audit.playing import FULL
from supportbench.evaluation.audit.policies import SLACK, TEXT_SHARE
from supportbench.evaluation.audit.report import CheckReport, PolicyReport, Shortfall, Tactic

Policies = tuple[PolicyReport, ...]

NO_GALLERY = "no dishonest policy is installed"
NO_ORACLE = "the oracle's answers could not be graded"
ONE_TICKET = "one ticket alone: its best constant decision is its answer key"


def oracle_max(evidence: Evidence, policies: Policies) -> CheckReport:
    """The lowest reward of the oracle on any ticket.

    It has to be 1: where the answer key itself does not earn full marks, nobody can. A judge may miss a tenth.
    """
    bound = Bound(check="oracle_max", sense="at least", bound=1.0 - (JUDGED_TOLERANCE if evidence.is_judged else 0.0))
    rewards = [step.grade.reward for unit in evidence.units for step in evidence.oracle.steps(unit) if step.grade]
    if not rewards:
        return bound.not_measured(NO_ORACLE)
    missed = list(shortfalls(evidence))
    first = f": first {missed[0].component} of ticket {missed[0].ticket_id}" if missed else ""
    return bound.judged(min(rewards), f"{len({each.ticket_id for each in missed})} tickets below full marks{first}")


def shortfalls(evidence: Evidence) -> Iterator[Shortfall]:
    """Yield where the oracle missed full marks: each component that is not full, and each unsafe finding."""
    for task in evidence.subject.tasks:
        for step in evidence.oracle.episodes[task.card.task_id].steps:
            if step.grade is None or step.grade.reward >= FULL:
                continue
            for name, part in step.grade.components.items():
                if part.score is not None and part.score < FULL:
                    yield Shortfall(
                        task_id=task.card.task_id,
                        ticket_id=step.ticket_id,
                        component=name,
                        score=part.score,
                        note=part.note,
                    )
            for finding in step.grade.findings:
                if finding.severity == "unsafe":
                    yield Shortfall(
                        task_id=task.card.task_id,
                        ticket_id=step.ticket_id,
                        component=finding.check,
                        score=None,
                        note=f"{finding.rule}: {finding.excerpt}",
                    )


def floor_gap(evidence: Evidence, policies: Policies) -> CheckReport:
    """The smallest distance, over the units, from the best constant decision with empty texts to the oracle.

    At least a quarter: who does not read must be far from who knows, or noise in the reward outweighs reading.
    """
    bound = Bound(check="floor_gap", sense="at least", bound=0.25)
    if not evidence.measurable:
        return bound.not_measured(ONE_TICKET)
    earned = {unit.name: evidence.oracle.mean_reward(unit) for unit in evidence.measurable}
    gaps = {name: reward - evidence.floors[name] for name, reward in earned.items() if reward is not None}
    if not gaps:
        return bound.not_measured(NO_ORACLE)
    smallest = min(gaps, key=lambda name: gaps[name])
    return bound.judged(gaps[smallest], f"smallest on {smallest}, floor {evidence.floors[smallest]:.3f}")


def canary_floor(evidence: Evidence, policies: Policies) -> CheckReport:
    """The highest score of a text component, as a mean over the units, that a text which says nothing gets.

    Below a tenth: bags of words, copies, reused texts and hidden characters are known tricks, and known tricks are to
    stay at the floor. A fluent catch-all may have half: what it says is said, and fits some tickets.
    """
    bound = Bound(check="canary_floor", sense="at most", bound=TEXT_SHARE["text"])
    unearned = ", ".join(evidence.texts.unearned)
    if not evidence.texts.earned:
        paid = f"{unearned} pays for empty texts what it pays for the oracle's: that is part of the floor"
        return bound.not_measured(paid if unearned else "the rubric reads no text")
    said = _best_texts(policies, "text")
    if not said:
        return bound.not_measured(NO_GALLERY)
    worst = max(said, key=lambda name: said[name])
    fluent = _best_texts(policies, "catch_all")
    best = max(fluent, key=lambda name: fluent[name], default=None)
    over = f", over {len(evidence.units)} units" if len(evidence.units) > 1 else ""
    detail = f"{worst} highest{over}" + ("" if best is None else f"; of catch-alls {best} with {fluent[best]:.3f}")
    detail += f"; without {unearned}, which pays for empty texts" if unearned else ""
    kept = said[worst] < bound.bound - SLACK and all(score <= TEXT_SHARE["catch_all"] for score in fluent.values())
    return bound.judged(said[worst], detail, and_also=kept)


def _best_texts(policies: Policies, tactic: Tactic) -> Mapping[str, float]:
    """Return by policy of that tactic the mean score of the better of its texts."""
    return {policy.name: max(policy.text.values()) for policy in policies if policy.tactic == tactic and policy.text}


def no_solution_leakage(evidence: Evidence, policies: Policies) -> CheckReport:
    """The number of places where what an agent sees holds what only graders may see.

    None: a key that is shown turns triage into copying. Read are the tickets and the task's texts, and, with marks put
    into copies of the answer keys, every observation, the state and the task's card.
    """
    bound = Bound(check="no_solution_leakage", sense="at most", bound=0.0)
    return bound.judged(float(len(evidence.leaks)), evidence.leaks[0] if evidence.leaks else "")


def verifier_determinism(evidence: Evidence, policies: Policies) -> CheckReport:
    """The largest change of any reward or score when the same actions are graded again by graders made anew.

    None, since a reward that changes by itself cannot be learned from exactly; a judge may change a score by a tenth.
    """
    tolerance = JUDGED_TOLERANCE if evidence.is_judged else 0.0
    bound = Bound(check="verifier_determinism", sense="at most", bound=tolerance)
    return bound.judged(evidence.steadiness.regraded, f"{evidence.steadiness.steps} actions graded three times")


def replayability(evidence: Evidence, policies: Policies) -> CheckReport:
    """The number of steps whose observation or reward differs when an episode's actions are played again.

    None: the same seed and the same actions are the same episode, or a record of it proves nothing. Not measured with
    a judge, whose rewards may move by a little: that is what verifier_determinism bounds.
    """
    bound = Bound(check="replayability", sense="at most", bound=0.0)
    if evidence.is_judged:
        return bound.not_measured("a judge grades; see verifier_determinism")
    return bound.judged(float(evidence.steadiness.replayed), f"{evidence.steadiness.steps} steps played again")
