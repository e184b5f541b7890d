"""A phrase of several words counts when they stand near each other, unless its meaning hangs on their order."""

from __future__ import annotations

import pytest

from supportbench import Registry
from tests.plugins.fuzzy.grading import fuzzily


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("charged twice", "We charged the customer twice."),
        ("charged twice", "They were twice charged for May."),
        ("charged twice", "Twice was charged the same fee."),
        ("charged twice", "We charged them twice."),
        ("password reset", "Please reset the password."),
        ("reset the password", "The password was reset."),
        ("date and amount", "Tell us the amount and the date."),
        ("orders are blocked", "Blocked orders since Monday."),
        ("duplicate charge", "The charge is a duplicate."),
        ("security incident team", "The team for this security incident looks."),
        ("charged twice", "The custmer was chraged agian twice."),
        ("duplicate charge", "A duplicate card charge."),
        ("duplicate charge", "a duplicate\u00a0card\tcharge"),
    ],
)
async def test_words_near_each_other_count(registry: Registry, phrase: str, text: str) -> None:
    assert (await fuzzily(registry, [phrase], text)).score == 1.0


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("charged twice", "They were charged. Then twice they wrote."),
        ("charged twice", "They were charged; then twice they wrote."),
        ("charged twice", "They were charged\nThen twice they wrote."),
        ("charged twice", "Charged, locked out, twice"),
        ("charged twice", "They charged us but never did so twice."),
        ("charged twice", "They charged us, not twice."),
        ("charged twice", "Nobody charged us not twice."),
        ("charged twice", "They charged our whole small team of five twice."),
        ("charged twice", "Twice this month our card here was charged."),
        ("charged twice", "They charged and they charged."),
        ("very very slow", "It is slow and very old."),
        ("refund invoice", "The invoice address, a refund"),
    ],
)
async def test_words_apart_in_other_clauses_or_denied_do_not(registry: Registry, phrase: str, text: str) -> None:
    assert (await fuzzily(registry, [phrase], text, threshold=0)).score == 0.0


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("not click", "Click there, not here."),
        ("not click", "Click not."),
        ("not sure", "Sure it is not."),
        ("no second charge", "The second charge was no mistake."),
        ("update you", "If you update the app it works."),
        ("signed in on", "On Monday it was signed in."),
        ("after the update", "The update came after."),
        ("two charges", "It charges for two of them."),
        ("may have paid", "Paid they may have."),
        ("look into", "Into the look of it."),
        ("locked out", "Out of stock and locked."),
        ("cannot ship", "Ship what you cannot."),
        ("upgrade from Basic to Pro", "Upgrade from Pro to Basic."),
    ],
)
async def test_a_phrase_with_a_word_that_keeps_order_counts_as_it_is_written(
    registry: Registry, phrase: str, text: str
) -> None:
    assert (await fuzzily(registry, [phrase], text, threshold=0)).score == 0.0
    assert (await fuzzily(registry, [phrase], f"So it is: {phrase}.", threshold=100)).score == 1.0


async def test_a_negation_between_is_one_when_misspelt_too(registry: Registry) -> None:
    assert (await fuzzily(registry, ["charged twice"], "We charged neevr twice.")).score == 0.0


async def test_order_is_free_at_every_threshold(registry: Registry) -> None:
    assert (await fuzzily(registry, ["charged twice"], "They were twice charged.", threshold=100)).score == 1.0
