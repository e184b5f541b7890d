"""Fuzzy coverage: what `concept_coverage` gives and more for slips, but nothing more for texts that say nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supportbench import (
    Case,
    Concept,
    Graders,
    Registry,
    Rubric,
    RubricComponent,
    RubricError,
    Submission,
    SupportQueueAction,
    SupportQueueEnvironment,
    Task,
    Ticket,
    honest_answer,
)
from supportbench.rubrics import bind
from tests.offering import an_action
from tests.plugins.fuzzy.grading import a_case, component, fuzzily, summarised

HAIR = 0.06
"""How much more of a text component a dishonest text may earn than by exact matching, on average."""

DUPLICATE = ("duplicate", "charged twice")


async def test_says_for_evaluators_what_was_found_and_what_of_it_nearly(registry: Registry) -> None:
    answer = await fuzzily(registry, [DUPLICATE, "invoice", "refund"], "Chraged twice for one invoice")
    assert answer.score == pytest.approx(2 / 3)
    assert answer.note == "2 of 3 concepts, 1 of them nearly"
    assert list(answer.details["matched"]) == ["duplicate", "invoice"]
    assert list(answer.details["missed"]) == ["refund"]
    assert list(answer.details["nearly"]) == ["duplicate"]


async def test_what_is_found_exactly_is_told_as_by_exact_matching(registry: Registry) -> None:
    submission = summarised("A duplicate invoice.", a_case([DUPLICATE, "invoice", "refund"]))
    exact = await component(registry, "concept_coverage").score(submission)
    assert await component(registry).score(submission) == exact


@pytest.mark.parametrize("text", ["", " ", ".", "\n", "¿", "\U0001f642", "a"])
async def test_a_text_without_anything_earns_nothing(registry: Registry, text: str) -> None:
    assert (await fuzzily(registry, ["invoice"], text, threshold=0)).score == 0.0


async def test_does_not_apply_where_the_key_has_no_concepts(registry: Registry) -> None:
    assert (await fuzzily(registry, [], "anything")).score is None


@pytest.mark.parametrize(
    "options",
    [
        {"field": "body"},
        {"threshold": -1},
        {"threshold": 101},
        {"threshold": "high"},
        {"threshold": None},
        {"window": 3},
    ],
)
def test_wrong_options_are_refused(registry: Registry, options: dict[str, Any]) -> None:
    with pytest.raises(RubricError):
        component(registry, **options)


def test_the_field_must_be_said(registry: Registry) -> None:
    with pytest.raises(RubricError):
        bind(Rubric(name="r", components=[RubricComponent(use="fuzzy_coverage", weight=1.0)]), registry)


def test_threshold_words_and_rubric_show_in_the_fingerprint(registry: Registry) -> None:
    def fingerprint(use: str, **options: Any) -> str:
        part = RubricComponent(use=use, weight=1.0, options={"field": "summary", **options})
        return bind(Rubric(name="r", components=[part]), registry).fingerprint

    assert fingerprint("fuzzy_coverage") == fingerprint("fuzzy_coverage", threshold=80)
    assert len({fingerprint("concept_coverage"), *(fingerprint("fuzzy_coverage", threshold=t) for t in (80, 88))}) == 3
    assert (
        bind(registry.rubrics["fuzzy"], registry).fingerprint != bind(registry.rubrics["default"], registry).fingerprint
    )


async def test_a_catch_all_gains_nothing_by_misspelling(registry: Registry) -> None:
    cases = [
        a_case(["duplicate", "refund"]),
        a_case(["outage", "status page"], number=1),
        a_case(["password", "lockout"], number=2),
    ]
    exact, fuzzy = component(registry, "concept_coverage"), component(registry)
    right = "The duplicate goes with a refund, the outage is on our status page, a password ends the lockout."
    misspelt = right
    for word in ("duplicate", "outage", "password", "lockout"):
        misspelt = misspelt.replace(word, f"{word[:3]}{word[4]}{word[3]}{word[5:]}")
    assert (await fuzzy.score(summarised(right, *cases))).score == 0.0
    as_written = (await exact.score(summarised(misspelt, *cases))).score  # the refund alone
    assert (await fuzzy.score(summarised(misspelt, *cases))).score == as_written == pytest.approx(0.5)


async def test_a_pasted_ticket_gains_nothing_by_misspelling(registry: Registry) -> None:
    body = "We were charged twice for the duplicate invoice of March and want the refund before the quarter ends today."
    garbled = body.replace("duplicate", "duplciate").replace("invoice", "invocie").replace("refund", "refudn")
    case = a_case(["duplicate", "invoice", "refund"], body)
    assert (await component(registry).score(summarised(garbled, case))).score == 0.0


async def test_a_text_misspelt_throughout_is_not_read_for_what_it_may_have_meant(registry: Registry) -> None:
    concepts = ["duplicate", "invoice", "refund", "payment"]
    assert (await fuzzily(registry, concepts, "Duplciate invocie, refudn asked for")).score == pytest.approx(3 / 4)
    assert (await fuzzily(registry, concepts, "Duplciate invocie, refudn, pament")).score == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "invocie " * 12_500,
        "x" * 100_000,
        "invocie-" * 12_500,
        "! " * 50_000,
        "twice charged " * 7_000,
        " ".join(f"invo{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}ie" for n in range(12_500)),
    ],
)
async def test_a_hostile_text_is_not_read_at_length(
    registry: Registry, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bounded by construction: of a text of more words than count at all, no word is compared with any other."""
    compared: list[str] = []

    def counting(word: str, *_: object, **__: object) -> list[object]:
        compared.append(word)
        return []

    monkeypatch.setattr("rapidfuzz.process.extract", counting)
    answer = await fuzzily(registry, ["invoice", "charged by hand"], text, threshold=0)
    assert answer.score == 0.0
    assert len(compared) <= 2 * 500


WORDS = st.sampled_from(
    [
        *(
            "we",
            "charged",
            "the",
            "customer",
            "twice",
            "invoice",
            "invocie",
            "refund",
            "refudn",
            "duplicate",
            "duplciate",
        ),
        *("not", ",", ".", ";", "locked", "blocked", "account", "acount", "password", "passwrod", "reset", "88213"),
        *("paymnet", "payment", "very", "verify", "on", "out", "page", "status", "lockout", "to", "it"),
    ]
)
TEXTS = st.lists(WORDS, max_size=24).map(" ".join)
PHRASES = ["charged twice", "invoice", "refund", "duplicate payment", "password reset", "locked out", "status page"]


@given(text=TEXTS, wanted=st.lists(st.sampled_from(PHRASES), min_size=1, max_size=4, unique=True), data=st.data())
async def test_never_less_than_exact_matching_and_never_less_at_a_lower_threshold(
    registry: Registry, text: str, wanted: list[str], data: st.DataObject
) -> None:
    others = [phrase for phrase in PHRASES if phrase not in wanted] or ["outage"]
    body = data.draw(st.sampled_from(["", "We were charged twice. Please reset the password and refund the payment."]))
    submission = summarised(text, a_case(wanted, body), a_case(others, number=1))
    scores = [
        (await component(registry, "concept_coverage").score(submission)).score,
        *[(await component(registry, threshold=t).score(submission)).score for t in (100, 90, 85, 80, 70, 0)],
    ]
    known = [score for score in scores if score is not None]
    assert known == sorted(known)
    assert len(known) == len(scores)
    assert all(0.0 <= score <= 1.0 for score in known)


def tasks_of(registry: Registry) -> Iterator[Task]:
    provider = registry.providers["triage"]
    return (provider.task("test", index) for index in range(provider.num_tasks("test")))


async def test_an_honest_answer_is_full_marks_with_slips_too(registry: Registry) -> None:
    """Every seventh word of five letters or more has two letters swapped; exact matching no longer finds it all."""
    graders = {name: Graders(registry, override=registry.rubrics[name]) for name in ("default", "fuzzy")}
    earned: dict[str, list[float]] = {"default": [], "fuzzy": []}
    for task in tasks_of(registry):
        for case in task.cases:
            honest = honest_answer(task, case)
            slipped = attrs.evolve(honest, summary=_slipped(honest.summary), response=_slipped(honest.response))
            for name, grader in graders.items():
                bound = grader.for_task(task)
                assert (await bound.grade(Submission(task=task, case=case, action=honest))).reward == pytest.approx(1.0)
                earned[name].append((await bound.grade(Submission(task=task, case=case, action=slipped))).reward)
    assert sum(earned["fuzzy"]) > sum(earned["default"])
    assert sum(earned["fuzzy"]) / len(earned["fuzzy"]) > 0.97


def _slipped(text: str) -> str:
    written, long = text.split(), 0
    for place, word in enumerate(written):
        if len(word) > 4 and word.isalpha():
            long += 1
            if long % 7 == 2:
                written[place] = word[:2] + word[3] + word[2] + word[4:]
    return " ".join(written)


async def test_the_baseline_scores_no_less_than_by_the_default_rubric(registry: Registry) -> None:
    agent = registry.agents["heuristic"]
    scores = {}
    for name in ("default", "fuzzy"):
        environment = SupportQueueEnvironment(registry, graders=Graders(registry, override=registry.rubrics[name]))
        for task in tasks_of(registry):
            observation = await environment.reset(task_id=task.task_id)
            while not observation.done:
                answer = await agent.act(observation)
                assert isinstance(answer, SupportQueueAction)
                observation = await environment.step(answer)
            scores[name, task.task_id] = environment.state.average_reward
    for task in tasks_of(registry):
        assert scores["fuzzy", task.task_id] >= scores["default", task.task_id]


def _phrases(concepts: tuple[Concept, ...], rng: random.Random) -> list[str]:
    return [rng.choice(concept.phrases) for concept in concepts]


def _shuffled_ticket(task: Task, case: Case, rng: random.Random) -> str:
    return " ".join(rng.sample(case.ticket.body.split(), 30))


def _note_of_ticket_words(task: Task, case: Case, rng: random.Random) -> str:
    return " ".join(rng.sample(case.ticket.body.split(), 12))


def _list_of_all(task: Task, case: Case, rng: random.Random) -> str:
    return ", ".join(phrase for other in task.cases for phrase in _phrases(other.answer_key.summary_concepts, rng))


def _shuffled_all(task: Task, case: Case, rng: random.Random) -> str:
    words = _list_of_all(task, case, rng).replace(",", "").split()
    return " ".join(rng.sample(words, len(words)))


def _misspelt_paste(task: Task, case: Case, rng: random.Random) -> str:
    return " ".join(
        word[:2] + word[3:2:-1] + word[2] + word[4:] if len(word) > 5 and rng.random() < 0.2 else word
        for word in case.ticket.body.split()[:60]
    )


@pytest.mark.parametrize(
    "write", [_shuffled_ticket, _note_of_ticket_words, _list_of_all, _shuffled_all, _misspelt_paste]
)
async def test_shuffled_listed_and_pasted_texts_earn_no_more_than_a_hair_beyond_exact_matching(
    registry: Registry, write: Any
) -> None:
    rng = random.Random(7)  # noqa: S311 - texts to grade, no secrets
    exact, fuzzy = component(registry, "concept_coverage"), component(registry)
    gained = []
    for task in tasks_of(registry):
        for case in task.cases:
            for _ in range(12):
                action = an_action(summary=write(task, case, rng))
                submission = Submission(task=task, case=case, action=action)
                more, less = (await fuzzy.score(submission)).score, (await exact.score(submission)).score
                assert more is not None
                assert less is not None
                gained.append(more - less)
    assert sum(gained) / len(gained) <= HAIR


async def test_the_ticket_is_read_wherever_it_says_something(registry: Registry) -> None:
    case = a_case(["invoice"])
    told = Ticket(
        ticket_id="T-0", subject="Invocie", body="", recent_events=["Invocie signed in"], extra={"notes": [{"by": "x"}]}
    )
    named = attrs.evolve(case, ticket=told)
    assert (await component(registry).score(summarised("The invocie account.", named))).score == 0.0
