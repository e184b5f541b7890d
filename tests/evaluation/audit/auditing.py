"""Audits of parts made for a test, beside the gallery that is installed."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any

from supportbench import (
    Agent,
    ComponentScore,
    Registry,
    Rubric,
    RubricComponent,
    SafetyCheck,
    SafetyPolicy,
    StaticTasks,
    Submission,
    Task,
    hookimpl,
)
from supportbench.evaluation.audit.auditing import audit
from supportbench.evaluation.audit.playing import honest_agent
from supportbench.evaluation.audit.report import AuditReport, CheckReport
from supportbench.evaluation.audit.subject import Audit, choose
from supportbench.interfaces import GradingComponent
from supportbench.plugins import Plugin, PluginSet
from supportbench_agents import supportbench_agents as agents_hook
from supportbench_gallery import supportbench_agents as gallery_hook
from supportbench_keyword.exact import DispositionMatch, PriorityMatch, QueueMatch


class Substrings:
    """The grader that one would write in ten lines: the share of concepts of which a phrase stands in the text."""

    name = "substrings"

    async def score(self, submission: Submission) -> ComponentScore:
        text = f"{submission.action.summary} {submission.action.response}".lower()
        key = submission.case.answer_key
        wanted = [*key.summary_concepts, *key.response_concepts]
        if not wanted:
            return ComponentScore(score=None)
        found = sum(any(phrase.lower() in text for phrase in concept.phrases) for concept in wanted)
        return ComponentScore(score=found / len(wanted))


def rubric_of(text_component: str | None = None, *, checks: Iterable[str] = (), **changes: Any) -> Rubric:
    """Return a rubric of the three decisions, and of a component that reads texts for a quarter of the reward."""
    share = 1.0 if text_component is None else 0.75
    lines = [
        RubricComponent(use=name, weight=share * weight)
        for name, weight in (("priority", 0.4), ("queue", 0.35), ("disposition", 0.25))
    ]
    if text_component is not None:
        lines.append(RubricComponent(use=text_component, as_="text", weight=0.25))
    return Rubric(name="made", components=lines, safety=SafetyPolicy(checks=tuple(checks)), **changes)


def registry_with(
    tasks: Iterable[Task],
    *,
    rubric: Rubric | None = None,
    components: Iterable[GradingComponent] = (),
    checks: Iterable[SafetyCheck] = (),
    agents: Iterable[Agent] = (),
    with_gallery: bool = True,
    with_agents: bool = True,
) -> Registry:
    """Return what is offered by a plugin of these parts, the three decisions among them, and by the gallery."""
    house = ModuleType("house")
    offers: dict[str, tuple[Any, ...]] = {
        "supportbench_task_providers": (StaticTasks(name="house", splits={"test": tuple(tasks)}),),
        "supportbench_grading_components": (PriorityMatch(), QueueMatch(), DispositionMatch(), *components),
        "supportbench_safety_checks": tuple(checks),
        "supportbench_rubrics": (rubric or rubric_of(),),
        "supportbench_agents": (
            *agents,
            *(agents_hook({}) if with_agents else ()),
            *(gallery_hook() if with_gallery else ()),
        ),
    }
    for hook, values in offers.items():

        def offer(values: tuple[Any, ...] = values) -> tuple[Any, ...]:
            return values

        setattr(house, hook, hookimpl(_without_parameters(offer, hook)))
    plugin = Plugin(name="house", distribution="house", version="1", module=house)
    return Registry.from_plugins(PluginSet(plugins=(plugin,)), {}).check()


def _without_parameters(offer: Any, name: str) -> Any:
    def hook() -> Any:
        return offer()

    hook.__name__ = name
    return hook


async def audited(
    registry: Registry,
    provider: str = "house",
    *,
    rubric: Rubric | None = None,
    honest: str = "heuristic",
    **asked: Any,
) -> AuditReport:
    """Return the report of an audit of the provider's tasks."""
    subject = choose(Audit(provider=provider, **asked), registry, rubric)
    return await audit(subject, honest_agent(registry, honest))


def check_of(report: AuditReport, name: str) -> CheckReport:
    """Return the report's check of that name."""
    (found,) = [check for check in report.checks if check.check == name]
    return found
