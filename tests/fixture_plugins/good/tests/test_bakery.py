"""The pack as its users meet it: installed, beside whatever else is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from supportbench import Grade, SupportQueueAction, SupportQueueEnvironment, load_registry


async def _grade_of(**changes: Any) -> Grade:
    action: Mapping[str, Any] = {
        "priority": "now",
        "queue": "oven",
        "disposition": "fix",
        "summary": "Burnt rolls after the burner was replaced.",
        "response": "We are baking them again.",
        "confidence": 0.9,
    }
    environment = SupportQueueEnvironment(load_registry({}).check())
    await environment.reset(provider="bakery", index=0)
    await environment.step(SupportQueueAction(**{**action, **changes}))
    assert environment.last_grade is not None
    return environment.last_grade


def test_the_right_decision_earns_all() -> None:
    assert asyncio.run(_grade_of()).reward == 1.0


def test_the_area_next_door_earns_half_of_its_weight() -> None:
    grade = asyncio.run(_grade_of(queue="counter"))
    assert grade.components["area"].score == 0.5
    assert grade.reward == 0.7


def test_shouting_costs_a_quarter_and_an_exclamation_nothing() -> None:
    grade = asyncio.run(_grade_of(response="CALM DOWN PLEASE, it is only a VAT receipt!!"))
    assert [(finding.rule, finding.excerpt) for finding in grade.findings] == [
        ("capitals", "CALM DOWN PLEASE"),
        ("exclamation", "!!"),
    ]
    assert grade.reward == 0.75
