"""Hypothesis strategies: every model, in all the shapes that its promises allow."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar

import attrs
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from supportbench import (
    AgentReply,
    AnswerKey,
    Case,
    ComponentGrade,
    ComponentScore,
    Concept,
    Episode,
    EpisodeStep,
    Grade,
    Rubric,
    RubricCard,
    RubricComponent,
    SafetyFinding,
    SafetyPair,
    SafetyPolicy,
    Submission,
    SupportQueueAction,
    SupportQueueObservation,
    SupportQueueState,
    Task,
    TaskCard,
    Taxonomy,
    Ticket,
    Usage,
    contains_phrase,
)
from supportbench.protocol import ResetRequest

T = TypeVar("T")
Json: TypeAlias = Any

_LARGEST: Final = (1 << 63) - 1

# Anything that UTF-8 can write: all but lone surrogates.
characters: Final = st.characters(codec="utf-8")
texts: Final = st.text(characters, max_size=30)
names: Final = st.text(characters, min_size=1, max_size=20).filter(lambda name: bool(name.strip()))
words: Final = st.from_regex(r"[a-z]{1,10}", fullmatch=True)
phrases: Final = st.lists(words, min_size=1, max_size=3).map(" ".join)
units: Final = st.one_of(st.floats(0, 1), st.integers(0, 1))
counts: Final = st.integers(0, _LARGEST)
amounts: Final = st.one_of(st.floats(0, 1e300), st.integers(0, 10_000))
finite: Final = st.floats(allow_nan=False, allow_infinity=False)
scalars: Final = st.one_of(st.none(), st.booleans(), st.integers(-_LARGEST - 1, _LARGEST), finite, texts)
# JSON as a parser gives it: lists and dicts.
jsons: Final[SearchStrategy[Json]] = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)


def _sequences_and_mappings(inner: SearchStrategy[Json]) -> SearchStrategy[Json]:
    lists, dicts = st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)
    return st.one_of(lists, lists.map(tuple), dicts, dicts.map(MappingProxyType))


# JSON as a plugin writes it into a free field: tuples beside lists, any mapping beside a dict.
free_values: Final[SearchStrategy[Json]] = st.recursive(scalars, _sequences_and_mappings, max_leaves=8)
json_objects: Final = st.dictionaries(texts, free_values, max_size=3)


def _tuples(items: SearchStrategy[T], most: int = 3, unique_by: Callable[[T], Any] | None = None) -> Any:
    return st.lists(items, max_size=most, unique_by=unique_by).map(tuple)


def _or_none(values: SearchStrategy[T]) -> SearchStrategy[T | None]:
    return st.one_of(st.none(), values)


usages: Final = st.builds(
    Usage,
    input_tokens=st.integers(0, 1 << 40),
    output_tokens=st.integers(0, 1 << 40),
    calls=st.integers(0, 1 << 40),
    cost_usd=_or_none(amounts),
)
tickets: Final = st.builds(
    Ticket,
    ticket_id=names,
    subject=texts,
    body=texts,
    customer_tier=_or_none(texts),
    product_area=_or_none(texts),
    sla_hours=_or_none(amounts),
    recent_events=_tuples(texts),
    extra=json_objects,
)
concepts: Final = st.builds(Concept, phrases=st.lists(phrases, min_size=1, max_size=3).map(tuple))
vocabularies: Final = st.lists(names, min_size=1, max_size=5, unique=True).map(tuple)
taxonomies: Final = st.builds(Taxonomy, priorities=vocabularies, queues=vocabularies, dispositions=vocabularies)


def answer_keys(taxonomy: Taxonomy | None = None) -> SearchStrategy[AnswerKey]:
    """Answer keys that stay within the taxonomy; within the default one unless another is given."""
    allowed = taxonomy or Taxonomy()

    def alternatives(values: tuple[str, ...]) -> SearchStrategy[dict[str, float]]:
        return st.dictionaries(st.sampled_from(values), units, max_size=2)

    return st.builds(
        AnswerKey,
        priority=st.sampled_from(allowed.priorities),
        queue=st.sampled_from(allowed.queues),
        disposition=st.sampled_from(allowed.dispositions),
        acceptable_queues=alternatives(allowed.queues),
        acceptable_dispositions=alternatives(allowed.dispositions),
        summary_concepts=_tuples(concepts),
        response_concepts=_tuples(concepts),
        unsafe_phrases=_tuples(phrases),
        extra=json_objects,
    ) | st.builds(AnswerKey, summary_concepts=st.tuples(concepts), extra=json_objects)


def cases(taxonomy: Taxonomy | None = None) -> SearchStrategy[Case]:
    """Cases whose answer keys stay within the taxonomy."""
    return st.builds(Case, ticket=tickets, answer_key=answer_keys(taxonomy))


def _tasks_with(taxonomy: Taxonomy) -> SearchStrategy[Task]:
    return st.builds(
        Task,
        task_id=names,
        title=texts,
        difficulty=texts,
        description=texts,
        instructions=texts,
        cases=st.lists(cases(taxonomy), min_size=1, max_size=3, unique_by=lambda case: case.ticket.ticket_id),
        taxonomy=st.just(taxonomy),
        rubric=names,
        allowed_links=_tuples(texts),
        allowed_numbers=_tuples(texts),
        extra=json_objects,
    )


tasks: Final = taxonomies.flatmap(_tasks_with)
task_cards: Final = st.builds(
    TaskCard,
    provider=texts,
    split=texts,
    index=counts,
    task_id=texts,
    title=texts,
    difficulty=texts,
    description=texts,
    total_tickets=counts,
)
actions: Final = st.builds(
    SupportQueueAction,
    priority=texts,
    queue=texts,
    disposition=texts,
    summary=texts,
    response=texts,
    confidence=units,
    metadata=json_objects,
)
agent_replies: Final = st.builds(AgentReply, action=actions, usage=_or_none(usages))
observations: Final = st.builds(
    SupportQueueObservation,
    task_id=texts,
    task_title=texts,
    difficulty=texts,
    instructions=texts,
    current_index=counts,
    total_tickets=counts,
    ticket=_or_none(tickets),
    allowed_priorities=_tuples(texts),
    allowed_queues=_tuples(texts),
    allowed_dispositions=_tuples(texts),
    scoring_weights=st.dictionaries(texts, finite, max_size=3),
    last_feedback=json_objects,
    reward=_or_none(units),
    cumulative_reward=finite,
    done=st.booleans(),
    info=json_objects,
    metadata=json_objects,
)
states: Final = st.builds(
    SupportQueueState,
    episode_id=_or_none(texts),
    step_count=counts,
    seed=_or_none(counts),
    task=_or_none(task_cards),
    current_index=counts,
    total_tickets=counts,
    done=st.booleans(),
    cumulative_reward=finite,
    average_reward=finite,
    processed_ticket_ids=_tuples(texts),
    action_history=_tuples(actions, 2),
    grading_history=_tuples(json_objects, 2),
    rubric=_or_none(texts),
)
findings: Final = st.builds(
    SafetyFinding,
    rule=names,
    start=counts,
    end=counts,
    severity=st.sampled_from(("unsafe", "note")),
    note=texts,
    check=texts,
    excerpt=texts,
)
component_scores: Final = st.builds(
    ComponentScore, score=_or_none(units), note=texts, usage=_or_none(usages), details=json_objects
)
component_grades: Final = st.builds(
    ComponentGrade, score=_or_none(units), weight=units, contribution=units, note=texts, details=json_objects
)
grades: Final = st.builds(
    Grade,
    ticket_id=texts,
    reward=units,
    components=st.dictionaries(texts, component_grades, max_size=3),
    findings=_tuples(findings, 2),
    penalty=finite,
    usage=_or_none(usages),
)
safety_pairs: Final = st.builds(
    SafetyPair,
    rule=names,
    unsafe=texts,
    safe=texts,
    ticket=texts,
    allowed_links=_tuples(texts),
    allowed_numbers=_tuples(texts),
    unsafe_phrases=_tuples(texts),
)


@st.composite
def _safety_policies(draw: st.DrawFn) -> SafetyPolicy:
    checks = draw(_tuples(names, unique_by=lambda name: name))
    optioned = st.dictionaries(st.sampled_from(checks), json_objects, max_size=2) if checks else st.just({})
    return SafetyPolicy(
        checks=checks,
        mode=draw(st.sampled_from(("penalty", "gate"))),
        penalty=draw(units),
        options=draw(optioned),
    )


safety_policies: Final = _safety_policies()


def _weighed(parts: list[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    total = math.fsum(weight for _, weight in parts)
    return tuple((name, weight / total) for name, weight in parts)


weighed_names: Final = st.lists(
    st.tuples(names, st.floats(0.01, 1)), min_size=1, max_size=6, unique_by=lambda part: part[0]
).map(_weighed)


@st.composite
def _rubrics(draw: st.DrawFn) -> Rubric:
    return Rubric(
        name=draw(names),
        components=tuple(
            RubricComponent(use=draw(names), as_=name, weight=min(weight, 1.0), options=draw(json_objects))
            for name, weight in draw(weighed_names)
        ),
        safety=draw(safety_policies),
        reward=draw(st.sampled_from(("weighted", "binary"))),
    )


rubrics: Final = _rubrics()
rubric_components: Final = st.builds(RubricComponent, use=names, as_=names, weight=units, options=json_objects)
rubric_cards: Final = st.builds(RubricCard, name=texts, fingerprint=texts)
episode_steps: Final = st.builds(
    EpisodeStep,
    ticket_id=texts,
    status=st.sampled_from(("graded", "error", "unreached")),
    action=_or_none(actions),
    grade=_or_none(grades),
    error=_or_none(texts),
    usage=_or_none(usages),
    latency_s=amounts,
)
episodes: Final = st.builds(
    Episode,
    episode_id=texts,
    provider=texts,
    split=texts,
    index=counts,
    task_id=texts,
    task_title=texts,
    difficulty=texts,
    task_fingerprint=texts,
    rubric=rubric_cards,
    agent=texts,
    model=_or_none(texts),
    seed=_or_none(counts),
    repeat=counts,
    steps=_tuples(episode_steps, 2),
    started_at=texts,
    duration_s=amounts,
)


@st.composite
def _submissions(draw: st.DrawFn) -> Submission:
    task = draw(tasks)
    return Submission(
        task=task, case=draw(st.sampled_from(task.cases)), action=draw(actions), previous=draw(_tuples(actions, 1))
    )


submissions: Final = _submissions()
reset_requests: Final = st.builds(
    ResetRequest,
    seed=_or_none(counts),
    episode_id=_or_none(names),
    provider=_or_none(names),
    task_id=_or_none(names),
    split=_or_none(names),
    index=_or_none(counts),
)

MODELS: Final[dict[type[Any], SearchStrategy[Any]]] = {
    AgentReply: agent_replies,
    AnswerKey: answer_keys(),
    Case: cases(),
    ComponentGrade: component_grades,
    ComponentScore: component_scores,
    Concept: concepts,
    Episode: episodes,
    EpisodeStep: episode_steps,
    Grade: grades,
    ResetRequest: reset_requests,
    Rubric: rubrics,
    RubricCard: rubric_cards,
    RubricComponent: rubric_components,
    SafetyFinding: findings,
    SafetyPair: safety_pairs,
    SafetyPolicy: safety_policies,
    Submission: submissions,
    SupportQueueAction: actions,
    SupportQueueObservation: observations,
    SupportQueueState: states,
    Task: tasks,
    TaskCard: task_cards,
    Taxonomy: taxonomies,
    Ticket: tickets,
    Usage: usages,
}
"""Every model with its strategy."""


def noise_without(phrase: str) -> SearchStrategy[str]:
    """Words among which the phrase does not stand."""
    return st.lists(words, max_size=8).map(" ".join).filter(lambda text: not contains_phrase(text, phrase))


@st.composite
def allowed_actions(draw: st.DrawFn, taxonomy: Taxonomy) -> SupportQueueAction:
    """Actions that the taxonomy allows."""
    return attrs.evolve(
        draw(actions),
        priority=draw(st.sampled_from(taxonomy.priorities)),
        queue=draw(st.sampled_from(taxonomy.queues)),
        disposition=draw(st.sampled_from(taxonomy.dispositions)),
    )
