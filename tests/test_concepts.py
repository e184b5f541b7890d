"""What a ticket's texts must express, and what the task's other tickets ask for."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supportbench import AnswerKey, Case, Submission, Ticket, TicketConcepts, beyond_others, concepts_of
from tests.offering import a_task, an_action

Keys = Sequence[Sequence[str | Sequence[str]]]


def concepts(keys: Keys, place: int = 0) -> TicketConcepts:
    cases = [
        Case(
            ticket=Ticket(ticket_id=f"T-{number}", subject="", body=""),
            answer_key=AnswerKey(priority="P3", response_concepts=key),
        )
        for number, key in enumerate(keys)
    ]
    found = concepts_of(Submission(task=a_task(cases=cases), case=cases[place], action=an_action()), "response")
    assert found is not None
    return found


def test_a_tickets_own_concepts_are_found_by_their_places() -> None:
    own = concepts([[["duplicate", "charged twice"], "invoice", "refund"]])
    assert own.names == ("duplicate", "invoice", "refund")
    assert own.found_in("Charged twice; wants a refund") == {0, 2}
    assert own.elsewhere("Charged twice; wants a refund") == 0.0


def test_concepts_of_a_later_ticket_have_places_of_their_own() -> None:
    keys: Keys = [["refund", "invoice"], [], [["locked out", "shut out"], "reset link"]]
    assert concepts(keys, place=2).found_in("A refund for whom we shut out? Use the reset link") == {0, 1}
    assert concepts(keys, place=2).found_in("Send the reset link") == {1}
    assert concepts(keys, place=2).said_in("A refund of the invoice") == frozenset()


def test_a_case_that_its_task_does_not_have_stands_beside_the_tasks_own() -> None:
    known, strange = (
        Case(
            ticket=Ticket(ticket_id=name, subject="", body=""),
            answer_key=AnswerKey(priority="P3", response_concepts=[name, "refund"]),
        )
        for name in ("known", "strange")
    )
    found = concepts_of(Submission(task=a_task(cases=[known]), case=strange, action=an_action()), "response")
    assert found is not None
    assert found.found_in("A strange refund, known to us") == {0, 1}
    assert found.elsewhere("A strange refund, known to us") == 0.5


def test_a_ticket_without_concepts_has_none() -> None:
    case = Case(ticket=Ticket(ticket_id="T", subject="", body=""), answer_key=AnswerKey(priority="P3"))
    submission = Submission(task=a_task(cases=[case]), case=case, action=an_action())
    assert concepts_of(submission, "summary") is None


def test_what_the_other_tickets_ask_for_is_found_as_a_share() -> None:
    keys = [["refund"], ["locked out", "reset link"], ["outage", "status page"]]
    assert concepts(keys).elsewhere("Locked out? Use the reset link.") == 0.5
    assert concepts(keys).elsewhere("We know of the outage.") == 0.25
    assert concepts(keys, place=1).elsewhere("We know of the outage.") == 0.25
    assert concepts(keys, place=2).elsewhere("We know of the outage.") == 0.0


def test_what_the_ticket_asks_for_itself_belongs_to_no_other() -> None:
    keys = [["refund", ["keep you posted", "update you"]], [["let you know", "update you"], "reset link"]]
    assert concepts(keys).elsewhere("We let you know and keep you posted") == 0.0
    assert concepts(keys).elsewhere("Use the reset link") == 0.5


def test_of_a_long_task_sixteen_others_stand_for_all() -> None:
    keys = [[f"concept{number}"] for number in range(1_000)]
    everything = " ".join(f"concept{number}" for number in range(1_000))
    found = concepts(keys, place=500)
    assert found.elsewhere(everything) == 1.0
    assert sum(found.elsewhere(f"concept{number}") > 0.0 for number in range(1_000)) == 16


@pytest.mark.parametrize(("elsewhere", "left"), [(0.0, 1.0), (1 / 3, 1.0), (0.5, 0.5), (2 / 3, 0.0), (1.0, 0.0)])
def test_a_third_of_the_others_is_usual_and_two_thirds_are_too_much(elsewhere: float, left: float) -> None:
    assert beyond_others(elsewhere) == pytest.approx(left)


@given(
    keys=st.lists(
        st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=6, unique=True), min_size=1, max_size=30
    ),
    text=st.text(alphabet="abcdefghij ", max_size=60),
)
def test_shares_lie_between_0_and_1(keys: list[list[str]], text: str) -> None:
    found = concepts(keys)
    assert found.found_in(text) <= set(range(len(keys[0])))
    assert 0.0 <= found.elsewhere(text) <= 1.0
    assert 0.0 <= beyond_others(found.elsewhere(text)) <= 1.0
