"""Whether what an agent sees holds what only graders may see."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

import attrs

from supportbench import codec
from supportbench.choosing import ChosenTask
from supportbench.environment import SupportQueueEnvironment
from supportbench.errors import GradingError
from supportbench.evaluation.audit.subject import Subject
from supportbench.graders import Graders
from supportbench.interfaces import StaticTasks
from supportbench.models import AnswerKey, Case, Concept, SupportQueueAction, Task
from supportbench.text import contains_phrase

_PRIVATE_NAMES = ("answer_key", *(field.name for field in attrs.fields(AnswerKey) if "_" in field.name))
_DECISION = ("priority", "queue", "disposition")
_NEAR = 60
_MOST_OF_A_LIST = 0.75
_LIST = 6
_CANARY = "zanzicanary"


def leaks_in_texts(subject: Subject) -> Iterator[str]:
    """Yield where the public half of a task gives its private half away.

    That is where a ticket names a field of an answer key, states the expected decision (two of its parts with the names
    of their fields, or all three close together), or holds three quarters of the phrases of a concept, or of the unsafe
    ones, of which there are six at least: so many ways to say one thing stand together only in a key.
    """
    for opened in subject.tasks:
        task = opened.chosen.task
        about = "\n".join((task.title, task.description, task.instructions))
        for case in subject.cases(opened):
            where = f"ticket {case.ticket.ticket_id!r} of task {task.task_id!r}"
            ticket = "\n".join(_strings(codec.unstructure(case.ticket)))
            for told in (*_decision_told(ticket, case.answer_key), *_lists_told(ticket, case.answer_key)):
                yield f"{where}: its public fields {told}"
            for told in _lists_told(about, case.answer_key):
                yield f"{where}: the task's title, description or instructions {told}"


async def leaks_in_answers(subject: Subject, answers: Mapping[tuple[str, str], SupportQueueAction]) -> list[str]:
    """Return where marks put into copies of the answer keys come out again in an episode at the feedback `scores`.

    What is read: every observation, the state and the task's card.
    """
    leaks: list[str] = []
    graders = Graders(subject.registry, subject.rubric)
    for opened in subject.tasks:
        marked = _marked(opened.chosen.task)
        provider = StaticTasks(name=f"{_CANARY}s", splits={opened.card.split: [marked]})
        registry = subject.registry.with_provider(provider)
        environment = SupportQueueEnvironment(registry, graders=graders)
        seen = [await environment.reset(provider=provider.name, split=opened.card.split, index=0)]
        with suppress(GradingError):  # what was seen until then is looked at all the same
            for case in marked.cases[: subject.most_tickets]:
                seen.append(await environment.step(answers[marked.task_id, case.ticket.ticket_id]))  # noqa: PERF401
        card = ChosenTask(provider=provider.name, split=opened.card.split, index=0, task=marked).card
        told = {"an observation": seen, "the state": environment.state, "the task's card": card}
        leaks.extend(
            f"task {marked.task_id!r}: {what} holds a part of an answer key"
            for what, values in told.items()
            if re.search(rf"{_CANARY}\d", codec.encode(values).decode())
        )
    return leaks


def _marked(task: Task) -> Task:
    """Return the task with a mark of its own in every list of its answer keys."""
    numbers = itertools.count()

    def marks(concepts: Sequence[Concept]) -> tuple[Concept, ...]:
        return tuple(Concept(phrases=(f"{_CANARY}{next(numbers)}", *concept.phrases)) for concept in concepts)

    cases = [
        Case(
            ticket=case.ticket,
            answer_key=attrs.evolve(
                case.answer_key,
                summary_concepts=marks(case.answer_key.summary_concepts),
                response_concepts=marks(case.answer_key.response_concepts),
                unsafe_phrases=(*case.answer_key.unsafe_phrases, f"{_CANARY}{next(numbers)}"),
            ),
        )
        for case in task.cases
    ]
    return attrs.evolve(task, cases=cases)


def _decision_told(text: str, key: AnswerKey) -> Iterator[str]:
    expected = {name: value for name in _DECISION if (value := getattr(key, name)) is not None}
    stated = [
        name
        for name, value in expected.items()
        if re.search(rf"\b{name}\b(?:\W|is|should|be|must){{0,8}}\b{re.escape(value)}\b", text, re.IGNORECASE)
    ]
    if len(stated) >= 2:
        yield f"state the expected {' and '.join(stated)}"
    elif len(expected) == len(_DECISION) and _stand_together(text, list(expected.values())):
        yield "hold the expected priority, queue and disposition close together"


def _stand_together(text: str, values: Sequence[str]) -> bool:
    places = [
        [match.start() for match in re.finditer(rf"(?<![^\W_]){re.escape(value)}(?![^\W_])", text)] for value in values
    ]
    if not all(places):
        return False
    first = min(places, key=len)
    return any(all(any(abs(place - other) <= _NEAR for other in others) for others in places) for place in first)


def _lists_told(text: str, key: AnswerKey) -> Iterator[str]:
    for name in _PRIVATE_NAMES:
        if re.search(rf"\b{name}\b", text):
            yield f"name {name!r}"
    for concept in (*key.summary_concepts, *key.response_concepts):
        if _holds_list(text, concept.phrases):
            yield f"hold most phrases of the concept {concept.phrases[0]!r}"
    if _holds_list(text, key.unsafe_phrases):
        yield "hold most of the unsafe phrases"


def _holds_list(text: str, phrases: Sequence[str]) -> bool:
    if len(phrases) < _LIST:
        return False
    return sum(contains_phrase(text, phrase) for phrase in phrases) >= _MOST_OF_A_LIST * len(phrases)


def _strings(value: object) -> Iterator[str]:
    """Yield every text of a JSON value, the names of fields with the plain values behind them."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield str(name)
            yield from (f"{name}: {text}" for text in _strings(inner))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)
    elif value is not None:
        yield str(value)
