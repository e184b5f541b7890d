"""A court for a test: the registry of what is installed, with a judge at a stub; a task, and actions to judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

from supportbench import (
    AnswerKey,
    Case,
    Grade,
    Registry,
    Rubric,
    RubricComponent,
    Submission,
    SupportQueueAction,
    Task,
    Ticket,
    load_registry,
    structure,
)
from supportbench.grading import Grader
from supportbench.offers import closing
from supportbench.rubrics import bind
from tests.stubs.openai_endpoint import OpenAIStub

KEY = "sk-judge-1234567890"

TICKET = Ticket(
    ticket_id="T-1",
    subject="Charged twice",
    body="We were charged twice for invoice INV-4481. Please look into it before Friday, our books close then.",
    product_area="billing",
)
ANSWER_KEY = AnswerKey(
    priority="P2",
    queue="billing",
    disposition="respond",
    summary_concepts=("duplicate charge", "INV-4481"),
    response_concepts=("refund", "check"),
)
CASE = Case(ticket=TICKET, answer_key=ANSWER_KEY)
TASK = Task(
    task_id="desk",
    title="A desk",
    difficulty="easy",
    description="One ticket.",
    instructions="Triage it.",
    rubric="judge",
    cases=(CASE,),
)
GOOD = SupportQueueAction(
    priority="P2",
    queue="billing",
    disposition="respond",
    summary="Duplicate charge on INV-4481, books close Friday.",
    response="We check the second charge and refund it if it is a duplicate.",
    confidence=0.9,
)
COVERAGE = {
    "name": "coverage",
    "question": "How much of it is there?",
    "verdicts": [{"name": "none", "score": 0}, {"name": "half", "score": 0.5}, {"name": "all", "score": 1}],
}


def environ_for(stub: OpenAIStub | None, **variables: str | Path) -> dict[str, str]:
    """Return the environment of a judge at the stub, with a key and no cache, and these variables in upper case."""
    given: dict[str, str | Path] = {
        "judge_model": "stub",
        "judge_base_url": "http://127.0.0.1:9/v1" if stub is None else stub.url,
        "judge_api_key": KEY,
        "judge_retries": "0",
        "cache": "off",
        **variables,
    }
    return {f"SUPPORTBENCH_{name.upper()}": str(value) for name, value in given.items()}


def court(stub: OpenAIStub | None, **variables: str | Path) -> Registry:
    """Return what is installed, with a judge at the stub."""
    return load_registry(environ_for(stub, **variables)).check()


def submission_of(action: SupportQueueAction = GOOD, **changes: Any) -> Submission:
    """Return what graders are given of the action, with these changes, for the one ticket."""
    return Submission(task=TASK, case=CASE, action=attrs.evolve(action, **changes))


def judging(*texts: str, **options: Any) -> Rubric:
    """Return a rubric of the judged texts alone, with one criterion unless the options have others."""
    told = {"criteria": [COVERAGE], **options}
    return Rubric(
        name="judging",
        components=[
            RubricComponent(use=f"judged_{text}", as_=text, weight=1 / len(texts), options=told) for text in texts
        ],
    )


BOTH = ("summary", "response")


async def graded(registry: Registry, submission: Submission, rubric: Rubric | str = "judge") -> Grade:
    """Return the grade by the rubric, with the judge's connections closed behind it."""
    bound = bind(registry.rubrics[rubric] if isinstance(rubric, str) else rubric, registry)
    async with closing(part.component for part in bound.components):
        return await Grader(bound).grade(submission)


def a_rubric(**toml: Any) -> Rubric:
    """Return the rubric that the table describes."""
    return structure(toml, Rubric)
