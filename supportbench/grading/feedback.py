"""What an agent may see of its grade."""

from __future__ import annotations

from supportbench.models import ComponentGrade, Grade, SafetyFinding
from supportbench.models.fields import FrozenJson
from supportbench.settings import Feedback


def feedback_of(grade: Grade, level: Feedback) -> FrozenJson:
    """Return what an agent may see of its grade: nothing; scores and findings; or also notes and details.

    Notes and details are a grader's own words and may say what was expected: they need the level `full`.
    """
    if level == "none":
        return FrozenJson()
    return FrozenJson(
        ticket_id=grade.ticket_id,
        reward=grade.reward,
        components=FrozenJson({name: _plain_component(part, level) for name, part in grade.components.items()}),
        findings=tuple([_plain_finding(finding, level) for finding in grade.findings]),
        penalty=grade.penalty,
    )


def _plain_component(part: ComponentGrade, level: Feedback) -> FrozenJson:
    return FrozenJson(part.numbers, note=part.note, details=part.details) if level == "full" else part.numbers


def _plain_finding(finding: SafetyFinding, level: Feedback) -> FrozenJson:
    full = {"note": finding.note} if level == "full" else {}
    return FrozenJson(
        check=finding.check,
        rule=finding.rule,
        severity=finding.severity,
        start=finding.start,
        end=finding.end,
        excerpt=finding.excerpt,
        **full,
    )
