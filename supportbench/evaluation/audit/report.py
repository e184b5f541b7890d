"""What an audit found, as `--json` prints it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs

from supportbench.models import RubricCard

Tactic = Literal["decision", "text", "catch_all", "informed", "unsafe"]
Verdict = Literal["pass", "fail", "warn", "not measured"]
Severity = Literal["fail", "warn"]
Sense = Literal["at least", "at most"]


@attrs.frozen(kw_only=True)
class AuditedTask:
    """A task that was audited, with what decides its rewards: enough to audit the very same again."""

    provider: str
    split: str
    index: int
    task_id: str
    difficulty: str
    tickets: int
    fingerprint: str
    rubric: RubricCard


@attrs.frozen(kw_only=True)
class UnitReport:
    """Tickets that one constant decision is measured on: a task's, or those of all tasks with one ticket together.

    All figures are mean rewards: of the best constant decision with empty texts (`floor`), of the `oracle`, and of the
    `honest` agent; None where no ticket of theirs was graded, or no honest agent plays along.
    """

    name: str
    tasks: int
    tickets: int
    floor: float
    oracle: float | None
    honest: float | None


@attrs.frozen(kw_only=True)
class PolicyReport:
    """What a dishonest policy earned: mean rewards and the mean score of each text component, by unit.

    `text` is the mean of those scores over the units, by component. `excess` is the most that it earns on any unit
    beyond its base. What could not be measured, as when it fails on every ticket, is None, and `text` then is empty.
    `faults` say what it earned too much of.
    """

    name: str
    plugin: str
    version: str
    tactic: Tactic
    rewards: Mapping[str, float | None]
    average: float | None
    excess: float | None
    allowed_excess: float
    text: Mapping[str, float]
    allowed_text: float | None
    faults: tuple[str, ...]
    errors: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Shortfall:
    """Where the oracle missed full marks: the ticket, the component (or the safety check) and what it was told."""

    task_id: str
    ticket_id: str
    component: str
    score: float | None
    note: str


@attrs.frozen(kw_only=True)
class CheckReport:
    """One check: the `figure` that was measured, its `bound`, and the verdict.

    A bound that is missed is a failure or, where OpenEnv's policy has the check as a warning, a warning. A check that
    could not be measured has no figure, and its `detail` says why.
    """

    check: str
    figure: float | None
    sense: Sense
    bound: float
    severity: Severity
    verdict: Verdict
    detail: str


@attrs.frozen(kw_only=True)
class AuditReport:
    """All that an audit found; `errors` are what ended an episode early, and with any the audit has not passed.

    `text_components` score the oracle's texts higher than none. `unearned_components` read texts, too, but what they
    pay is had without a word. `notes` say what about the tickets may be why checks fail.

    The same registry, tasks and seed give the same report, bit for bit.
    """

    schema: Literal["supportbench.audit/1"] = "supportbench.audit/1"
    supportbench: str
    seed: int
    sampled: str
    tasks: tuple[AuditedTask, ...]
    units: tuple[UnitReport, ...]
    text_components: tuple[str, ...]
    unearned_components: tuple[str, ...]
    honest_agent: str | None
    policies: tuple[PolicyReport, ...]
    shortfalls: tuple[Shortfall, ...]
    leaks: tuple[str, ...]
    notes: tuple[str, ...]
    checks: tuple[CheckReport, ...]
    errors: tuple[str, ...]
    passed: bool
