"""An audit from beginning to end: choose, measure, judge."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from supportbench.evaluation.agents import ChosenAgent
from supportbench.evaluation.audit import semantic, statistical
from supportbench.evaluation.audit.advice import notes
from supportbench.evaluation.audit.bounds import CheckFunction
from supportbench.evaluation.audit.evidence import Evidence, OnStage, gather, untold
from supportbench.evaluation.audit.policies import policy_report
from supportbench.evaluation.audit.report import AuditedTask, AuditReport, UnitReport
from supportbench.evaluation.audit.subject import Subject
from supportbench.offers import closing

CHECKS: Final[tuple[CheckFunction, ...]] = (
    semantic.oracle_max,
    semantic.floor_gap,
    semantic.canary_floor,
    semantic.no_solution_leakage,
    semantic.verifier_determinism,
    semantic.replayability,
    statistical.reward_reachability,
    statistical.difficulty_separation,
    statistical.headroom,
    statistical.variance_bound,
    statistical.adversarial_floor,
    statistical.gameability_gap,
)
"""Every check, in the order of OpenEnv's severity policy; each is named like its function."""


async def audit(subject: Subject, honest: ChosenAgent | None, on_stage: OnStage = untold) -> AuditReport:
    """Measure the subject's rewards with the installed dishonest policies and the oracle, and judge them.

    Agents and graders are closed afterwards.

    Raises:
        GradingError, AgentError: a plugin is at fault so early that nothing can be measured.
    """
    async with closing((*subject.registry.offers(), *subject.graders.offers(), *subject.remeasuring.offers())):
        return report(await gather(subject, honest, on_stage))


def report(evidence: Evidence) -> AuditReport:
    """Return the judgement of what was measured. An audit in which an episode ended in an error has not passed."""
    subject, honest = evidence.subject, evidence.honest
    policies = tuple(policy_report(caught, evidence) for caught in evidence.caught)
    checks = tuple(check(evidence, policies) for check in CHECKS)
    missed = [check.check for check in checks if check.verdict == "fail"]
    return AuditReport(
        supportbench=version("supportbench"),
        seed=subject.seed,
        sampled=subject.sampled,
        tasks=tuple(
            AuditedTask(
                provider=task.card.provider,
                split=task.card.split,
                index=task.card.index,
                task_id=task.card.task_id,
                difficulty=task.card.difficulty,
                tickets=len(subject.cases(task)),
                fingerprint=task.fingerprint,
                rubric=task.grader.rubric.card,
            )
            for task in subject.tasks
        ),
        units=tuple(
            UnitReport(
                name=unit.name,
                tasks=len(unit.tasks),
                tickets=unit.tickets,
                floor=evidence.floors[unit.name],
                oracle=evidence.oracle.mean_reward(unit),
                honest=None if honest is None else honest.mean_reward(unit),
            )
            for unit in subject.units
        ),
        text_components=evidence.texts.earned,
        unearned_components=evidence.texts.unearned,
        honest_agent=None if honest is None else honest.agent.label,
        policies=policies,
        shortfalls=tuple(semantic.shortfalls(evidence)),
        leaks=evidence.leaks,
        notes=tuple(notes(subject, missed, reads_texts=bool(evidence.texts.earned))),
        checks=checks,
        errors=evidence.errors,
        passed=not evidence.errors and all(check.verdict != "fail" for check in checks),
    )
