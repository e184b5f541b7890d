"""What a check compares: a figure, a bound, and the verdict that follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import attrs

from supportbench.evaluation.audit.evidence import Evidence
from supportbench.evaluation.audit.policies import SLACK
from supportbench.evaluation.audit.report import CheckReport, PolicyReport, Sense, Severity

CheckFunction: TypeAlias = Callable[[Evidence, tuple[PolicyReport, ...]], CheckReport]

JUDGED_TOLERANCE: Final = 0.1
"""What a judge may miss of full marks, or change its mind by: a language model is not exact."""


@attrs.frozen(kw_only=True)
class Bound:
    """A check's name and bound; `severity` is what OpenEnv's policy severity-v2 calls a miss of it."""

    check: str
    sense: Sense
    bound: float
    severity: Severity = "fail"

    def holds(self, figure: float) -> bool:
        """Return whether the figure keeps the bound."""
        return figure >= self.bound - SLACK if self.sense == "at least" else figure <= self.bound + SLACK

    def judged(self, figure: float, detail: str, *, and_also: bool = True) -> CheckReport:
        """Return the verdict on the figure; `and_also` is a second condition, which the detail explains."""
        kept = self.holds(figure) and and_also
        return CheckReport(
            check=self.check,
            figure=figure,
            sense=self.sense,
            bound=self.bound,
            severity=self.severity,
            verdict="pass" if kept else self.severity,
            detail=detail,
        )

    def not_measured(self, reason: str) -> CheckReport:
        """Return that there was nothing to measure, and why."""
        return CheckReport(
            check=self.check,
            figure=None,
            sense=self.sense,
            bound=self.bound,
            severity=self.severity,
            verdict="not measured",
            detail=reason,
        )
