"""Texts graded for what they say, or nearly say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from supportbench import (
    AnswerKey,
    Case,
    ComponentScore,
    GradingComponent,
    Registry,
    Rubric,
    RubricComponent,
    Submission,
    Ticket,
)
from supportbench.rubrics import bind
from tests.offering import a_task, an_action

Concepts = Sequence[str | Sequence[str]]


def component(registry: Registry, use: str = "fuzzy_coverage", **options: Any) -> GradingComponent:
    """Return the component as a rubric with these options has it."""
    part = RubricComponent(use=use, weight=1.0, options={"field": "summary", **options})
    return bind(Rubric(name="r", components=[part]), registry).components[0].component


def a_case(concepts: Concepts, body: str = "", number: int = 0) -> Case:
    """Return a case whose summary must express these concepts."""
    ticket = Ticket(ticket_id=f"T-{number}", subject="", body=body)
    return Case(ticket=ticket, answer_key=AnswerKey(priority="P3", summary_concepts=concepts))


def summarised(text: str, *cases: Case) -> Submission:
    """Return the submission of this summary for the first of a task's cases."""
    return Submission(task=a_task(cases=list(cases)), case=cases[0], action=an_action(summary=text))


async def fuzzily(
    registry: Registry, concepts: Concepts, text: str, *, body: str = "", **options: Any
) -> ComponentScore:
    """Return what a summary earns for these concepts."""
    return await component(registry, **options).score(summarised(text, a_case(concepts, body)))
