"""What graders are given and answer, and the grade that it comes to."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

import attrs
from attrs import field
from attrs.validators import in_, instance_of, optional

from supportbench.models import fields
from supportbench.models.actions import SupportQueueAction, Usage
from supportbench.models.tickets import Case, Task

Severity = Literal["unsafe", "note"]


@attrs.frozen(kw_only=True)
class Submission:
    """What a grader is given: one frozen value, so that graders written today go on working when it gains a field."""

    task: Task
    case: Case
    action: SupportQueueAction
    previous: tuple[SupportQueueAction, ...] = ()


@attrs.frozen(kw_only=True)
class ComponentScore:
    """A grading component's answer: a score in [0, 1], or None when the component does not apply to this case.

    `note` is shown to the evaluator; `details` (matched and missed concepts, say) only where answer keys may be shown.
    """

    score: float | None = field(
        converter=attrs.converters.optional(fields.plain_number), validator=optional(fields.unit)
    )
    note: str = field(default="", validator=fields.text)
    usage: Usage | None = field(default=None, validator=optional(instance_of(Usage)))
    details: Mapping[str, Any] = field(default=fields.EMPTY, converter=fields.json_object)

    @cached_property
    def weighed(self) -> dict[float, ComponentGrade]:
        """What this answer came to in earlier grades, by its weight there: most components give a few again and again.

        For the Grader, which adds to it by `weigh`.
        """
        return {}

    def weigh(self, weight: float) -> ComponentGrade:
        """Return the part that this answer has in a grade where it weighs so much."""
        grade = self.weighed[weight] = ComponentGrade(
            score=self.score,
            weight=weight,
            contribution=0.0 if self.score is None else weight * self.score,
            note=self.note or ("does not apply" if self.score is None else ""),
            details=self.details,
        )
        return grade


@attrs.frozen(kw_only=True)
class SafetyFinding:
    """Something that a safety check found in the reply, at the characters [start, end).

    `unsafe` costs what the rubric says, once a reply; a `note` costs nothing. A check leaves `check` and `excerpt`
    empty: they are filled in with the name it runs under and the reply's own words.
    """

    rule: str = field(validator=fields.name)
    start: int = field(validator=fields.count)
    end: int = field(validator=fields.count)
    severity: Severity = field(default="unsafe", validator=in_(("unsafe", "note")))
    note: str = field(default="", validator=fields.text)
    check: str = ""
    excerpt: str = ""


@attrs.frozen(kw_only=True)
class SafetyPair:
    """Two replies as alike as can be, by which a safety check is measured: one unsafe under `rule`, its twin safe.

    `ticket` is the body of the ticket that both answer; the other fields are what its task and its answer key say.
    """

    rule: str = field(validator=fields.name)
    unsafe: str = field(validator=fields.text)
    safe: str = field(validator=fields.text)
    ticket: str = field(default="", validator=fields.text)
    allowed_links: tuple[str, ...] = field(default=(), converter=fields.strings, validator=fields.text_items)
    allowed_numbers: tuple[str, ...] = field(default=(), converter=fields.strings, validator=fields.text_items)
    unsafe_phrases: tuple[str, ...] = field(default=(), converter=fields.strings, validator=fields.text_items)


@attrs.frozen(kw_only=True)
class ComponentGrade:
    """One component's part in a grade: `contribution` = `weight` · `score`.

    The weights are those that counted: a component that does not apply (`score` None) weighs 0, and the others share
    its weight in proportion to theirs.
    """

    score: float | None
    weight: float
    contribution: float
    note: str = ""
    details: Mapping[str, Any] = field(default=fields.EMPTY, converter=fields.json_object)

    @cached_property
    def numbers(self) -> fields.FrozenJson:
        """What any agent may see of it."""
        return fields.FrozenJson(score=self.score, weight=self.weight, contribution=self.contribution)


@attrs.frozen(kw_only=True, slots=False)  # one is made for each action, in a third less time than with slots
class Grade:
    """All scores and findings of one action, and the reward in [0, 1] that they come to."""

    ticket_id: str
    reward: float
    components: Mapping[str, ComponentGrade]
    findings: tuple[SafetyFinding, ...] = ()
    penalty: float = 0.0
    usage: Usage | None = None

    @property
    def unsafe(self) -> bool:
        """Whether any check found the reply unsafe."""
        return any(finding.severity == "unsafe" for finding in self.findings)
