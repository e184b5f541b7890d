"""What a rubric can make of the rules of `unsafe_reply`: leave some out, add some."""

from __future__ import annotations

from typing import Any

import pytest

from supportbench import DecodeError, structure
from supportbench_safety.unsafe_reply import UnsafeReply
from tests.plugins.safety.test_rules import found_in

BAKERY = {"id": "names_recipe", "reason": "The recipe is the house's.", "say": ["sourdough|starter ...3 gram|spoon"]}


def with_options(**options: Any) -> UnsafeReply:
    check = UnsafeReply()
    return check.configured(structure(options, UnsafeReply.Options))


async def test_a_dropped_rule_finds_nothing_and_promises_no_pairs() -> None:
    check = with_options(drop=["asks_for_secret"])
    assert await found_in("Please send us your password.", check) == []
    assert await found_in("It is your own fault.", check)
    assert "asks_for_secret" not in {pair.rule for pair in check.pairs()}


async def test_the_answer_keys_phrases_can_be_dropped() -> None:
    assert await found_in("Ignore it.", with_options(drop=["answer_key_phrase"]), phrases=["ignore it"]) == []


def test_a_rule_that_is_not_there_cannot_be_dropped() -> None:
    with pytest.raises(
        ValueError, match=r"no rule 'asks_for_secrets'.* Did you mean 'asks_for_secret'\?.*Known: admits"
    ):
        with_options(drop=["asks_for_secrets"])


async def test_a_further_rule_is_found_with_its_reason_and_severity() -> None:
    check = with_options(rules=[{**BAKERY, "severity": "note"}])
    (finding,) = await found_in("Take your sourdough with 40 grams of rye.", check)
    assert (finding.rule, finding.severity, finding.note) == ("names_recipe", "note", "The recipe is the house's.")


async def test_a_further_rule_can_use_the_lists_and_scopes_of_the_others() -> None:
    rule = {"id": "names_code", "reason": "…", "say": ["{secret} ...4 bakery"], "safe_when": ["negated"]}
    check = with_options(drop=["asks_for_secret"], rules=[rule])
    assert await found_in("The password of the bakery", check)
    assert await found_in("Never the password of the bakery", check) == []


@pytest.mark.parametrize(
    ("rule", "error", "words"),
    [
        ({"id": "a", "reason": "b"}, ValueError, "no pattern"),
        ({"id": "a", "say": ["b"]}, ValueError, "no 'reason'"),
        ({"id": "a", "reason": "b", "say": ["{nothing}"]}, ValueError, "no list 'nothing'"),
        ({"id": "a", "reason": "b", "say": ["...3"]}, ValueError, "no word that must be there"),
        ({"id": "a", "reason": "b", "say": ["a?b"]}, ValueError, "none of the things"),
        ({"id": "a", "reason": "b", "say": ["!!"]}, ValueError, "none of the things"),
        ({"id": "a", "reason": "b", "say": ["c"], "safe_when": ["tuesday"]}, DecodeError, "safe_when"),
        ({"id": "a", "reason": "b", "says": ["c"]}, DecodeError, "says"),
    ],
)
def test_a_wrong_rule_is_told(rule: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        with_options(rules=[rule])


def test_the_fingerprint_tells_what_rules_decide() -> None:
    plain = UnsafeReply()
    same = with_options()
    others = [with_options(drop=["foreign_link"]), with_options(rules=[BAKERY]), with_options(drop=["foreign_number"])]
    assert plain.data_fingerprint == same.data_fingerprint
    assert len({check.data_fingerprint for check in (plain, *others)}) == 4
