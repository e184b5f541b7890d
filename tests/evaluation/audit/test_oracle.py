"""The oracle: an honest answer from an answer key, and what an audit says where none can be had."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supportbench import (
    AnswerKey,
    Case,
    ComponentScore,
    Concept,
    PhraseGroups,
    Registry,
    StaticTasks,
    Submission,
    Task,
    contains_phrase,
    honest_answer,
)
from supportbench.oracle import honest_answers, reworded_answers
from tests.evaluation.audit.auditing import Substrings, audited, check_of, registry_with, rubric_of
from tests.evaluation.audit.packs import a_case, a_task
from tests.offering import Swears
from tests.strategies import phrases


def _with_key(case: Case, **changes: Any) -> Case:
    return attrs.evolve(case, answer_key=attrs.evolve(case.answer_key, **changes))


@pytest.mark.parametrize("index", [0, 1, 2])
def test_it_decides_as_the_key_does_and_says_every_concept(registry: Registry, index: int) -> None:
    task = registry.providers["triage"].task("test", index)
    for case in task.cases:
        answer, key = honest_answer(task, case), case.answer_key
        assert (answer.priority, answer.queue, answer.disposition) == (key.priority, key.queue, key.disposition)
        for text, concepts in ((answer.summary, key.summary_concepts), (answer.response, key.response_concepts)):
            assert len(PhraseGroups(concept.phrases for concept in concepts).found_in(text)) == len(concepts)
            assert len(text.split()) <= 60


@pytest.mark.parametrize("rubric", ["default", "exact"])
async def test_it_earns_full_marks_on_every_bundled_ticket(registry: Registry, rubric: str) -> None:
    report = await audited(registry, "triage", rubric=registry.rubrics[rubric])
    assert check_of(report, "oracle_max").figure == 1.0
    assert report.shortfalls == ()


@given(
    about=st.lists(st.lists(phrases, min_size=1, max_size=3), max_size=4),
    told=st.lists(st.lists(phrases, min_size=1, max_size=3), max_size=4),
)
def test_whatever_the_concepts_each_answer_says_them_all(about: list[list[str]], told: list[list[str]]) -> None:
    case = _with_key(
        a_case(0),
        summary_concepts=[Concept(phrases=phrases) for phrases in about],
        response_concepts=[Concept(phrases=phrases) for phrases in told],
        unsafe_phrases=(),
    )
    for answer in honest_answers(a_task("t", case), case):
        for text, concepts in (
            (answer.summary, case.answer_key.summary_concepts),
            (answer.response, case.answer_key.response_concepts),
        ):
            assert len(PhraseGroups(concept.phrases for concept in concepts).found_in(text)) == len(concepts)


@pytest.mark.parametrize("subjects", [("Billed twice", "The card", "May again"), ("Billed twice",) * 5])
async def test_two_tickets_about_one_matter_are_answered_in_different_words(
    registry: Registry, subjects: tuple[str, ...]
) -> None:
    about, told = [Concept(phrases=("duplicate charge",))], [Concept(phrases=("refund",))]
    one = _with_key(a_case(0), summary_concepts=about, response_concepts=told)
    cases = [
        attrs.evolve(one, ticket=attrs.evolve(one.ticket, ticket_id=f"T-{place}", subject=subject))
        for place, subject in enumerate(subjects)
    ]
    task = a_task("monday", *cases, rubric="default")
    report = await audited(registry.with_provider(StaticTasks(name="twins", splits={"test": [task]})), "twins")
    assert report.shortfalls == ()
    assert check_of(report, "oracle_max").verdict == "pass"


def test_reworded_every_concept_is_said_all_the_same(registry: Registry) -> None:
    for index in range(3):
        task = registry.providers["triage"].task("test", index)
        for case in task.cases:
            for answer in reworded_answers(task, case):
                for text, concepts in (
                    (answer.summary, case.answer_key.summary_concepts),
                    (answer.response, case.answer_key.response_concepts),
                ):
                    assert len(PhraseGroups(concept.phrases for concept in concepts).found_in(text)) == len(concepts)


def test_it_decides_what_is_first_allowed_where_the_key_expects_nothing() -> None:
    case = attrs.evolve(a_case(0), answer_key=AnswerKey(disposition="close"))
    answer = honest_answer(a_task("t", case), case)
    assert (answer.priority, answer.queue, answer.disposition) == ("P1", "billing", "close")
    assert answer.summary
    assert answer.response


def test_of_several_phrases_it_says_none_that_is_unsafe() -> None:
    told = [Concept(phrases=("immediate compensation", "compensation", "goodwill gesture"))]
    case = _with_key(a_case(0), response_concepts=told, unsafe_phrases=("immediate compensation", "compensation"))
    answer = honest_answer(a_task("t", case), case)
    assert contains_phrase(answer.response, "goodwill gesture")
    assert not contains_phrase(answer.response, "compensation")


async def test_where_a_key_contradicts_itself_the_ticket_and_the_check_are_named() -> None:
    told = [Concept(phrases=("full refund",))]
    case = _with_key(a_case(1), response_concepts=told, unsafe_phrases=("refund",))
    rubric = rubric_of("substrings", checks=["refund"])
    task = a_task("monday", a_case(0), case)
    report = await audited(registry_with([task], rubric=rubric, components=[Substrings()], checks=[Swears("refund")]))
    assert check_of(report, "oracle_max").verdict == "fail"
    assert "refund of ticket A-1" in check_of(report, "oracle_max").detail
    (missed,) = report.shortfalls
    assert (missed.task_id, missed.ticket_id, missed.component) == ("monday", "A-1", "refund")


async def test_where_a_component_wants_more_than_a_text_may_hold_ticket_and_component_are_named() -> None:
    class Terse(Substrings):
        name = "terse"

        async def score(self, submission: Submission) -> ComponentScore:
            if len(submission.action.response.split()) > 60:
                return ComponentScore(score=0.0, note="longer than 60 words")
            return await super().score(submission)

    many = [Concept(phrases=(f"the {word}{number} matter at hand",)) for number in range(20) for word in ("first",)]
    task = a_task("monday", a_case(0), _with_key(a_case(1), response_concepts=many))
    report = await audited(registry_with([task], rubric=rubric_of("terse"), components=[Terse()]))
    assert [(missed.ticket_id, missed.component, missed.note) for missed in report.shortfalls] == [
        ("A-1", "text", "longer than 60 words")
    ]


async def test_a_component_that_objects_to_one_wording_is_told_in_another() -> None:
    class NoThanks(Substrings):
        name = "no_thanks"

        async def score(self, submission: Submission) -> ComponentScore:
            if "overcharge" in submission.action.summary:
                return ComponentScore(score=0.0)
            return await super().score(submission)

    task: Task = a_task()
    report = await audited(registry_with([task], rubric=rubric_of("no_thanks"), components=[NoThanks()]))
    assert check_of(report, "oracle_max").verdict == "pass"
