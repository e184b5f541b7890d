"""A misspelt word counts as what it was meant to be; another word, however near, does not."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from supportbench import Registry, fold
from tests.plugins.fuzzy.grading import fuzzily

WORDS = tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))
MISSPELT, OTHER_WORDS = WORDS["misspelt"].split(), WORDS["other"].split()


@pytest.mark.parametrize("pair", MISSPELT)
async def test_a_misspelling_counts(registry: Registry, pair: str) -> None:
    written, meant = pair.split(":")
    answer = await fuzzily(registry, [meant], f"The matter of {written} is open.")
    assert answer.score == 1.0
    assert fold(written) == fold(meant) or list(answer.details["nearly"]) == [meant]


@pytest.mark.parametrize("pair", OTHER_WORDS)
async def test_another_word_does_not_count_whichever_of_the_two_is_looked_for(registry: Registry, pair: str) -> None:
    one, other = pair.split(":")
    for written, wanted in ((one, other), (other, one)):
        if fold(written) != fold(wanted):
            answer = await fuzzily(registry, [wanted], f"The matter of {written} is open.", threshold=0)
            assert answer.score == 0.0, (written, wanted)


def test_the_table_of_other_words_is_long_enough_to_mean_something() -> None:
    assert len(set(OTHER_WORDS)) >= 60


@pytest.mark.parametrize(
    ("wanted", "written"),
    [
        ("88213", "88123"),
        ("INV-4481", "INV-4418"),
        ("quote QH-90417", "quote QH-90471"),
        ("4.12", "4.21"),
        ("Quillharbor", "Quilharbor"),  # a name is no word, so nobody can tell which names are near it
        ("invoice", "invocie.example"),
        ("invoice", "jo@invocie.example"),
        ("invoice", "invocie_7"),
        ("invoice", "inVocie"),
        ("invoice", "invocie7"),
    ],
)
async def test_numbers_names_and_identifiers_are_never_fuzzy(registry: Registry, wanted: str, written: str) -> None:
    assert (await fuzzily(registry, [wanted], f"It is about {written} again.", threshold=0)).score == 0.0


@pytest.mark.parametrize("written", ["paln", "plna", "rfeudnn", "nivoice", "onvoice", "invvoicce"])
async def test_short_words_first_letters_and_words_wide_off_the_mark_are_not_guessed(
    registry: Registry, written: str
) -> None:
    wanted = ["plan", "refund", "invoice"]
    assert (await fuzzily(registry, [wanted], f"About the {written} here.", threshold=0)).score == 0.0


@pytest.mark.parametrize("written", ["INVOCIE", "Invocie", "“invocie”,", "invocie's", "invocie-copy", "(invocie)"])
async def test_case_and_the_marks_around_a_word_make_no_difference(registry: Registry, written: str) -> None:
    assert (await fuzzily(registry, ["invoice"], f"About the {written} here.")).score == 1.0


async def test_a_word_of_the_ticket_or_of_the_task_is_no_misspelling_of_another(registry: Registry) -> None:
    said = "The Invocie account is locked."
    assert (await fuzzily(registry, ["invoice"], said)).score == 1.0
    assert (await fuzzily(registry, ["invoice"], said, body="We are Invocie, a bakery.")).score == 0.0
    assert (await fuzzily(registry, ["invoice", "Invocie bakery"], said)).score == 0.0


async def test_as_near_to_two_words_it_is_taken_for_neither(registry: Registry) -> None:
    assert (await fuzzily(registry, ["charge"], "A chage was made.")).score == 1.0
    assert (await fuzzily(registry, ["charge"], "A chage was made.", body="I want a change.")).score == 0.0
    assert (await fuzzily(registry, ["refund"], "It was refuned.")).score == 0.0  # or was it refused?


@pytest.mark.parametrize(
    ("written", "wanted", "similarity"),
    [
        ("pament", "payment", 100 * 6 / 7),
        ("logn", "login", 80),
        ("invocie", "invoice", 100 * 6 / 7),
        ("unauthorzed", "unauthorized", 100 * 11 / 12),
        ("authentification", "authentication", 100 * 14 / 16),
        ("reimbursmnt", "reimbursement", 100 * 11 / 13),
    ],
)
async def test_the_threshold_is_the_share_of_letters_that_are_right(
    registry: Registry, written: str, wanted: str, similarity: float
) -> None:
    said = f"It is about the {written} of May."
    assert (await fuzzily(registry, [wanted], said, threshold=int(similarity))).score == 1.0
    assert (await fuzzily(registry, [wanted], said, threshold=int(similarity) + 1)).score == 0.0
    assert (await fuzzily(registry, [wanted], said.replace(written, wanted), threshold=100)).score == 1.0


async def test_no_threshold_allows_more_edits_than_a_words_length_does(registry: Registry) -> None:
    assert (await fuzzily(registry, ["invoice"], "About the imvocie here.", threshold=0)).score == 0.0
    assert (await fuzzily(registry, ["reimbursement"], "About the reimbrsmnt here.", threshold=0)).score == 0.0
