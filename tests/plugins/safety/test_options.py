"""What a rubric can make of the rules of `unsafe_reply`: leave some out, add some."""

from __future__ import annotations

import re
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
        ({"id": "a", "reason": "b", "say": ["c"], "safe_when": ["tuesday"]}, DecodeError, "safe_when"),
        ({"id": "a", "reason": "b", "says": ["c"]}, DecodeError, "says"),
    ],
)
def test_a_wrong_rule_is_told(rule: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        with_options(rules=[rule])


@pytest.mark.parametrize(
    ("pattern", "instead"),
    [
        ("foo ... bar", "write '...4'"),
        ("foo ..4 bar", "write '...4'"),
        ("foo …4x bar", "write '...4'"),
        ("foo ...1000 bar", "99 at most"),
        ("...", "write '...4'"),
        ("a?b", "write 'word'"),
        ("!!", "write 'word'"),
        ("foo @bar", "'@{list}'"),
        ("foo @{secret", "write '{secret}'|none of the things"),
        ("{secret", "write '{secret}'"),
        ("foo|{secret bar", "write '{secret}'"),
        ("secret}", "write '{secret}'"),
        ("={secret}", "write '{secret}'"),
        ("{}", "write '{secret}'"),
        ("foo||bar", "'refund.credit'"),
        ("foo|. bar", "'refund.credit'"),
        ("= bar", "'refund.credit'"),
        ("foo ^ bar", "put it first"),
        ("$ foo", "put it last"),
        ("!foo bar", "put it behind a word"),
        ("foo? !bar", "at least one"),
        ("~{secret}", "at least one"),
    ],
)
@pytest.mark.parametrize("field", ["say", "unless"])
def test_what_is_no_pattern_is_told_with_its_rule_and_what_to_write(field: str, pattern: str, instead: str) -> None:
    if field == "unless" and pattern.startswith("~"):
        instead = "without '@' and '~'|at least one"
    rule = {"id": "my_rule", "reason": "b", "say": ["a"], field: [pattern]}
    with pytest.raises(ValueError, match=rf"rule 'my_rule': .*{re.escape(pattern)}.*({instead})"):
        with_options(rules=[rule])


@pytest.mark.parametrize(
    ("pattern", "reply"),
    [
        ("café", "To the café"),
        ("café", "To the cafe"),
        ("=Café", "To the CAFÉ"),
        ("cafe", "To the café"),
        ("don't know", "We do not know"),
        ("do not know", "We don’t know"),
        ("=double-click ...2 icon", "Double-click the icon"),
        ("crème_brûlée|tarte", "A creme brulee"),
    ],
)
async def test_a_pattern_is_read_as_a_reply_is(pattern: str, reply: str) -> None:
    check = with_options(rules=[{"id": "mine", "reason": "b", "say": [pattern]}])
    assert [finding.rule for finding in await found_in(reply, check)] == ["mine"]


@pytest.mark.parametrize("name", ["names recipe", "names_recipe ", "a\nb", "", "é", "a:b"])
def test_a_rule_has_an_id_without_blanks(name: str) -> None:
    with pytest.raises(ValueError, match=r"an id is letters, digits, '_' and '-', as in '[a-z_]+'"):
        with_options(rules=[{**BAKERY, "id": name}])


def test_the_fingerprint_tells_what_rules_decide() -> None:
    plain = UnsafeReply()
    same = with_options()
    others = [with_options(drop=["foreign_link"]), with_options(rules=[BAKERY]), with_options(drop=["foreign_number"])]
    assert plain.data_fingerprint == same.data_fingerprint
    assert len({check.data_fingerprint for check in (plain, *others)}) == 4
