"""A registry of parts made for a test, built as always: from a plugin's hooks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

from supportbench import (
    Agent,
    AnswerKey,
    Case,
    ComponentScore,
    Episode,
    Executor,
    GradingComponent,
    Registry,
    Rubric,
    RubricComponent,
    SafetyCheck,
    SafetyFinding,
    SafetyPolicy,
    Submission,
    SupportQueueAction,
    Task,
    TaskProvider,
    Ticket,
    hookimpl,
)
from supportbench.grading import Grader
from supportbench.plugins import Plugin, PluginSet
from supportbench.rubrics import bind


def registry_of(
    *,
    components: Iterable[GradingComponent] = (),
    checks: Iterable[SafetyCheck] = (),
    rubrics: Iterable[Rubric] = (),
    providers: Iterable[TaskProvider] = (),
    agents: Iterable[Agent] = (),
    executors: Iterable[Executor] = (),
    listener: Callable[[Episode], Awaitable[None]] | None = None,
    plugin: str = "house",
) -> Registry:
    """Return the registry of one plugin that offers these."""
    module = ModuleType(plugin)
    for hook, offers in (
        ("supportbench_grading_components", components),
        ("supportbench_safety_checks", checks),
        ("supportbench_rubrics", rubrics),
        ("supportbench_task_providers", providers),
        ("supportbench_agents", agents),
        ("supportbench_executors", executors),
    ):
        setattr(module, hook, hookimpl(_hook(hook, tuple(offers))))
    if listener is not None:
        setattr(module, "supportbench_episode_finished", hookimpl(listener))  # noqa: B010 - a module has no such field
    found = PluginSet(plugins=(Plugin(name=plugin, distribution=f"{plugin}-dist", version="1.0", module=module),))
    return Registry.from_plugins(found, {}).check()


def _hook(name: str, offers: tuple[Any, ...]) -> Callable[[], Iterator[Any]]:
    def hook() -> Iterator[Any]:
        yield from offers

    hook.__name__ = name
    return hook


class Told:
    """A component that answers what the action's metadata says under its name; null where it does not apply."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def score(self, submission: Submission) -> ComponentScore:
        score: float | None = submission.action.metadata[self.name]
        return ComponentScore(score=score)


class Swears:
    """A check that finds a word wherever the reply has it."""

    def __init__(self, word: str = "damn", severity: Any = "unsafe") -> None:
        self.name = word
        self._severity = severity

    async def check(self, submission: Submission) -> Iterable[SafetyFinding]:
        reply, word = submission.action.response, self.name
        return [
            SafetyFinding(rule="word", start=start, end=start + len(word), severity=self._severity)
            for start in range(len(reply))
            if reply.startswith(word, start)
        ]


class Does:
    """A component that does what the test says, whatever that is."""

    def __init__(self, doing: Callable[[Submission], Awaitable[Any]], name: str = "does") -> None:
        self.name = name
        self._doing = doing

    async def score(self, submission: Submission) -> ComponentScore:
        answer: ComponentScore = await self._doing(submission)
        return answer


class Waits:
    """A component that waits for the others to wait too, or for a second: whether they overlap shows in the time."""

    def __init__(self, name: str, everyone: asyncio.Barrier) -> None:
        self.name = name
        self._everyone = everyone

    async def score(self, submission: Submission) -> ComponentScore:
        async with asyncio.timeout(5):
            await self._everyone.wait()
        return ComponentScore(score=1.0)


def an_action(**changes: Any) -> SupportQueueAction:
    """Return an action that the default taxonomy allows."""
    usual: Mapping[str, Any] = {
        "priority": "P3",
        "queue": "billing",
        "disposition": "respond",
        "summary": "Charged twice for one invoice.",
        "response": "We return the second charge.",
        "confidence": 0.5,
    }
    return SupportQueueAction(**{**usual, **changes})


def a_task(task_id: str = "t", tickets: int = 2, **changes: Any) -> Task:
    """Return a task with so many tickets, all of P3, billing and respond."""
    usual: Mapping[str, Any] = {
        "title": task_id.title(),
        "difficulty": "easy",
        "description": "A task.",
        "instructions": "Triage.",
        "cases": [
            Case(
                ticket=Ticket(ticket_id=f"{task_id}-{number}", subject="Invoice", body="Charged twice."),
                answer_key=AnswerKey(priority="P3", queue="billing", disposition="respond"),
            )
            for number in range(tickets)
        ],
    }
    return Task(task_id=task_id, **{**usual, **changes})


def a_submission(**changes: Any) -> Submission:
    """Return a submission of an action with these changes for the first ticket of a task."""
    task = a_task()
    return Submission(task=task, case=task.cases[0], action=an_action(**changes))


def one_component(component: Any, safety: SafetyPolicy | None = None, checks: Iterable[Any] = ()) -> Grader:
    """Return the grader of a rubric with this component alone, whose plugin is `acme`."""
    rubric = Rubric(
        name="one",
        components=[RubricComponent(use=component.name, weight=1.0)],
        safety=safety or SafetyPolicy(),
    )
    return Grader(bind(rubric, registry_of(components=[component], checks=checks, plugin="acme")))


class Finds:
    """A check that finds what the test says, be it no finding at all."""

    name = "finds"

    def __init__(self, found: Any) -> None:
        self._found = found

    async def check(self, submission: Submission) -> Iterable[SafetyFinding]:
        found: Iterable[SafetyFinding] = self._found
        return found


class Checks:
    """A check that does what the test says, whatever that is."""

    name = "checks"

    def __init__(self, doing: Callable[[Submission], Awaitable[Any]]) -> None:
        self._doing = doing

    async def check(self, submission: Submission) -> Iterable[SafetyFinding]:
        found: Iterable[SafetyFinding] = await self._doing(submission)
        return found
