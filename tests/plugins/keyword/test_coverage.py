"""Concept coverage: the share of concepts expressed, any phrase of each counting, in any shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supportbench import (
    AnswerKey,
    Case,
    ComponentScore,
    Registry,
    Rubric,
    RubricComponent,
    RubricError,
    Submission,
    Ticket,
    contains_phrase,
    readable,
)
from supportbench.rubrics import bind
from tests.offering import a_task, an_action
from tests.strategies import phrases, words

Concepts = Sequence[str | Sequence[str]]
DUPLICATE = ("duplicate", "charged twice")


async def coverage(
    registry: Registry, concepts: Concepts, text: str, field: Literal["summary", "response"] = "summary"
) -> ComponentScore:
    rubric = Rubric(
        name="r", components=[RubricComponent(use="concept_coverage", weight=1.0, options={"field": field})]
    )
    key: dict[str, Any] = {"priority": "P3", f"{field}_concepts": concepts}
    dutch = Ticket(ticket_id="A", subject="Niet ingelogd", body="Ik kan niet inloggen")  # no English is asked of texts
    case = Case(ticket=dutch, answer_key=AnswerKey(**key))
    action = an_action(**{"summary": "", "response": "", field: text})
    (part,) = bind(rubric, registry).components
    return await part.component.score(Submission(task=a_task(cases=[case]), case=case, action=action))


@pytest.mark.parametrize(
    ("text", "earned"),
    [
        ("", 0.0),
        ("Nothing of it.", 0.0),
        ("A DUPLICATE charge.", 1 / 3),
        ("They were charging  twice, for one invoice", 2 / 3),
        ("duplicates, charged twice: a duplicate", 1 / 3),
        ("Duplicate invoices; wants the re\u00adfund", 2 / 3),
        ("Dup charge INV-4481, refund pending check", 1 / 3),
    ],
)
async def test_is_the_share_of_concepts_expressed(registry: Registry, text: str, earned: float) -> None:
    answer = await coverage(registry, [DUPLICATE, "invoice", "refund"], text)
    assert answer.score == pytest.approx(earned)


async def test_reads_the_field_that_it_is_told_to(registry: Registry) -> None:
    assert (await coverage(registry, ["refund"], "refunded", "response")).score == 1.0
    assert (await coverage(registry, ["refund"], "refunded", "summary")).score == 1.0


async def test_text_that_says_nothing_earns_nothing_of_what_it_contains(registry: Registry) -> None:
    listed = "refund invoice charge duplicate payment card account lock password reset quote renewal discount " * 2
    ticket = Ticket(ticket_id="A", subject="Two charges", body="We were charged for the same thing two times in a row.")
    rubric = Rubric(
        name="r", components=[RubricComponent(use="concept_coverage", weight=1.0, options={"field": "summary"})]
    )
    (part,) = bind(rubric, registry).components
    case = Case(ticket=ticket, answer_key=AnswerKey(summary_concepts=["refund", DUPLICATE], priority="P3"))
    submission = Submission(task=a_task(cases=[case]), case=case, action=an_action(summary=listed))
    answer = await part.component.score(submission)
    assert answer.score == 0.0
    assert answer.note == "2 of 2 concepts, of which 0% counts: a list of words"


async def test_what_covers_the_other_tickets_as_well_is_no_answer_to_one(registry: Registry) -> None:
    keys = [["duplicate", "refund"], ["locked out", "reset link"], ["outage", "status page"]]
    cases = [
        Case(
            ticket=Ticket(ticket_id=f"T-{number}", subject="", body=""),
            answer_key=AnswerKey(priority="P3", response_concepts=concepts),
        )
        for number, concepts in enumerate(keys)
    ]
    rubric = Rubric(
        name="r", components=[RubricComponent(use="concept_coverage", weight=1.0, options={"field": "response"})]
    )
    (part,) = bind(rubric, registry).components

    async def score(reply: str) -> float | None:
        action = an_action(response=reply)
        return (await part.component.score(Submission(task=a_task(cases=cases), case=cases[0], action=action))).score

    own = "The duplicate charge goes back to you once billing has checked the refund"
    assert await score(own) == 1.0
    assert await score(f"{own}; see our status page") == 1.0
    assert await score(f"{own}; if you are locked out use the reset link") == pytest.approx(0.5)
    everything = f"{own}; if you are locked out use the reset link, in an outage look at the status page"
    assert await score(everything) == 0.0


async def test_says_for_evaluators_what_matched_and_what_is_missing(registry: Registry) -> None:
    answer = await coverage(registry, [DUPLICATE, "invoice"], "charged twice")
    assert answer.note == "1 of 2 concepts"
    assert list(answer.details["matched"]) == ["duplicate"]
    assert list(answer.details["missed"]) == ["invoice"]


async def test_does_not_apply_where_the_key_has_no_concepts(registry: Registry) -> None:
    assert (await coverage(registry, [], "anything")).score is None


@pytest.mark.parametrize("options", [{}, {"field": "body"}, {"field": "summary", "threshold": 1}])
def test_wrong_options_are_refused(registry: Registry, options: dict[str, Any]) -> None:
    rubric = Rubric(name="r", components=[RubricComponent(use="concept_coverage", weight=1.0, options=options)])
    with pytest.raises(RubricError):
        bind(rubric, registry)


@given(
    concepts=st.lists(st.lists(phrases, min_size=1, max_size=3), min_size=1, max_size=4),
    text=st.lists(words, max_size=6),
    data=st.data(),
)
async def test_agrees_with_reading_phrase_by_phrase(
    registry: Registry, concepts: list[list[str]], text: list[str], data: st.DataObject
) -> None:
    said = data.draw(st.lists(st.sampled_from([phrase for concept in concepts for phrase in concept]), max_size=3))
    written = " ".join([*text, *said])
    expressed = [any(contains_phrase(readable(written), phrase) for phrase in concept) for concept in concepts]
    assert (await coverage(registry, concepts, written)).score == sum(expressed) / len(expressed)
