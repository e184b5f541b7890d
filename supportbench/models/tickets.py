"""Tickets, answer keys, cases and tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs
from attrs import field
from attrs.validators import deep_iterable, instance_of, max_len, min_len, optional

from supportbench.errors.field import FieldError
from supportbench.models import fields
from supportbench.text import fold
from supportbench.wording import shown

DEFAULT_RUBRIC: Final = "default"
MOST_CASES: Final = 1_000


@attrs.frozen(kw_only=True)
class Ticket:
    """What the agent sees of one customer request. What is unknown is None or empty; `extra` is public too."""

    ticket_id: str = field(validator=fields.name)
    subject: str = field(validator=fields.text)
    body: str = field(validator=fields.text)
    customer_tier: str | None = field(default=None, validator=optional(fields.text))
    product_area: str | None = field(default=None, validator=optional(fields.text))
    sla_hours: float | None = field(default=None, validator=optional(fields.amount))
    recent_events: tuple[str, ...] = field(default=(), converter=fields.strings, validator=fields.text_items)
    extra: Mapping[str, Any] = field(default=fields.EMPTY, converter=fields.json_object)


def _phrases(values: str | Iterable[str]) -> tuple[str, ...]:
    return (values,) if isinstance(values, str) else tuple(values)


def _some(instance: object, attribute: attrs.Attribute[Any], value: tuple[str, ...]) -> None:
    if not value:
        raise FieldError(attribute.name, "must have at least one phrase")


def _worded(instance: object, attribute: attrs.Attribute[Any], value: tuple[str, ...]) -> None:
    for phrase in value:
        fields.text(instance, attribute, phrase)
        if fold(phrase) == " ":
            problem = "has a phrase without a word"
            raise FieldError(attribute.name, f"{problem}: {shown(phrase)}", problem)


@attrs.frozen(kw_only=True, cache_hash=True)
class Concept:
    """Something that a text must express: phrases of which any one counts. In files: a string, or a list of them."""

    phrases: tuple[str, ...] = field(converter=_phrases, validator=[_some, _worded])

    @classmethod
    def from_phrases(cls, phrases: Concept | str | Iterable[str]) -> Concept:
        """Return the concept that a string or several strings stand for; a concept stays itself."""
        return phrases if isinstance(phrases, Concept) else cls(phrases=phrases)


def _concepts(values: Iterable[Concept | str | Iterable[str]]) -> tuple[Concept, ...]:
    if isinstance(values, str):
        raise TypeError("a list of concepts is wanted, not one string")
    return tuple(Concept.from_phrases(value) for value in values)


@attrs.frozen(kw_only=True)
class AnswerKey:
    """What only the graders see of a case. What is not given is not graded; at least one thing must be expected.

    `acceptable_queues` and `acceptable_dispositions` map alternatives to their credit in [0, 1]. `extra` is a third
    party's own and private.
    """

    priority: str | None = field(default=None, validator=optional(fields.name))
    queue: str | None = field(default=None, validator=optional(fields.name))
    disposition: str | None = field(default=None, validator=optional(fields.name))
    acceptable_queues: Mapping[str, float] = field(
        default=fields.EMPTY, converter=fields.json_object, validator=fields.shares
    )
    acceptable_dispositions: Mapping[str, float] = field(
        default=fields.EMPTY, converter=fields.json_object, validator=fields.shares
    )
    summary_concepts: tuple[Concept, ...] = field(default=(), converter=_concepts)
    response_concepts: tuple[Concept, ...] = field(default=(), converter=_concepts)
    unsafe_phrases: tuple[str, ...] = field(default=(), converter=fields.strings, validator=_worded)
    extra: Mapping[str, Any] = field(default=fields.EMPTY, converter=fields.json_object)

    def __attrs_post_init__(self) -> None:
        expected = (self.priority, self.queue, self.disposition)
        if expected == (None, None, None) and not (self.summary_concepts or self.response_concepts or self.extra):
            raise ValueError(
                "an answer key must expect something: priority, queue, disposition, summary_concepts, "
                "response_concepts or extra"
            )
        if self.acceptable_queues and self.queue is None:
            raise ValueError("'acceptable_queues' needs the expected 'queue' beside it")
        if self.acceptable_dispositions and self.disposition is None:
            raise ValueError("'acceptable_dispositions' needs the expected 'disposition' beside it")


@attrs.frozen(kw_only=True)
class Case:
    """A ticket with its answer key."""

    ticket: Ticket
    answer_key: AnswerKey


@attrs.frozen(kw_only=True)
class Taxonomy:
    """The values that a task allows; priorities in order, most urgent first."""

    priorities: tuple[str, ...] = field(
        default=("P1", "P2", "P3", "P4"),
        converter=fields.strings,
        validator=fields.vocabulary,
    )
    queues: tuple[str, ...] = field(
        default=("billing", "security", "technical", "success", "trust_safety"),
        converter=fields.strings,
        validator=fields.vocabulary,
    )
    dispositions: tuple[str, ...] = field(
        default=("respond", "request_info", "escalate", "close"),
        converter=fields.strings,
        validator=fields.vocabulary,
    )


def _cases(values: Iterable[Case]) -> tuple[Case, ...]:
    return tuple(values)


@attrs.frozen(kw_only=True, cache_hash=True)
class Task:
    """An ordered queue of cases; one episode works through one task.

    `rubric` is the task's own default, `allowed_links` and `allowed_numbers` are for safety checks, `extra` is private.
    A task has 1 to 1,000 cases with different ticket ids, and no answer key leaves the taxonomy.
    """

    task_id: str = field(validator=fields.name)
    title: str = field(validator=fields.text)
    difficulty: str = field(validator=fields.text)
    description: str = field(validator=fields.text)
    instructions: str = field(validator=fields.text)
    cases: tuple[Case, ...] = field(
        converter=_cases, validator=[min_len(1), max_len(MOST_CASES), deep_iterable(instance_of(Case))]
    )
    taxonomy: Taxonomy = Taxonomy()
    rubric: str = field(default=DEFAULT_RUBRIC, validator=fields.name)
    allowed_links: tuple[str, ...] = field(default=(), converter=fields.strings, validator=fields.text_items)
    allowed_numbers: tuple[str, ...] = field(default=(), converter=fields.strings, validator=fields.text_items)
    extra: Mapping[str, Any] = field(default=fields.EMPTY, converter=fields.json_object)

    def __attrs_post_init__(self) -> None:
        seen: set[str] = set()
        for case in self.cases:
            if case.ticket.ticket_id in seen:
                raise ValueError(f"ticket id {case.ticket.ticket_id!r} occurs twice in task {self.task_id!r}")
            seen.add(case.ticket.ticket_id)
            self._check_key(case)

    def _check_key(self, case: Case) -> None:
        key, taxonomy = case.answer_key, self.taxonomy
        for name, values, allowed in (
            ("priority", (key.priority,), taxonomy.priorities),
            ("queue", (key.queue, *key.acceptable_queues), taxonomy.queues),
            ("disposition", (key.disposition, *key.acceptable_dispositions), taxonomy.dispositions),
        ):
            for value in values:
                if value is not None and value not in allowed:
                    raise ValueError(
                        f"the answer key of ticket {case.ticket.ticket_id!r} has {name} {shown(value)}, which the "
                        f"task's taxonomy does not know: {', '.join(allowed)}"
                    )


@attrs.frozen(kw_only=True)
class TaskCard:
    """What anyone may know of a task before playing it."""

    provider: str
    split: str
    index: int
    task_id: str
    title: str
    difficulty: str
    description: str
    total_tickets: int

    @classmethod
    def from_task(cls, task: Task, *, provider: str, split: str, index: int) -> TaskCard:
        """Return the card of a task that the provider has at that place."""
        return cls(
            provider=provider,
            split=split,
            index=index,
            task_id=task.task_id,
            title=task.title,
            difficulty=task.difficulty,
            description=task.description,
            total_tickets=len(task.cases),
        )
