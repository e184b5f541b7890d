"""Text as words: what is in what, and where."""

from __future__ import annotations

import re
import unicodedata

import pytest
import Stemmer
from hypothesis import given
from hypothesis import strategies as st

from supportbench import PhraseGroups, contains_phrase, find_phrase, fold, word_spans
from tests.strategies import phrases, texts, words

blanks = st.sampled_from((" ", "  ", "\n", "\t", "\u00a0", " - ", ", ", " … "))


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        # any inflection
        ("refund", "two refunds were issued"),
        ("refund", "We are refunding it."),
        ("refund", "It was refunded."),
        ("charged twice", "They were charging twice."),
        ("duplicate charge", "The duplicates charged to the card"),
        ("customer", "the customer's card"),
        ("customer", "the customers’ cards"),
        # any case
        ("refund", "REFUND"),
        ("OAuth App", "an oauth app"),
        ("straße", "STRASSE"),
        # any Unicode form
        ("café", "cafe\u0301"),
        ("cafe\u0301", "caf\u00e9"),
        ("refund", "ｒｅｆｕｎｄ"),
        ("office", "o\ufb03ce"),
        ("refund", "re\u00adfund"),
        ("refund", "ref\u200dund"),
        ("refund", "ref\ufe0fund"),
        ("refund", "ref\x01und"),
        ("don't share", "don\u2019t share"),
        ("don\u2019t share", "don't share"),
        ("don't share", "don`t share"),
        ("don't share", "don´t share"),
        ("don't share", "don′t share"),
        # any spacing, hyphens, quotes
        ("charged twice", "charged \n  twice"),
        ("charged twice", "charged\u00a0twice"),
        ("charged twice", "charged\u3000twice"),
        ("follow up", "a follow-up"),
        ("follow-up", "a follow up"),
        ("follow up", "a follow\u2011up"),
        ("follow up", "a follow–up"),
        ("refund", "a “refund”"),
        ("refund", "a 'refund'"),
        ("refund", "‘refund’"),
        ("refund now", "«refund now»"),
        ("charged twice", "“charged” twice"),
        ("cannot log in", "cannot log-in!"),
        # numbers
        ("500", "error 500."),
        ("500", "HTTP/500, again"),
        ("500", "$500"),
        ("1,500", "EUR 1,500."),
        ("2.1", "since 2.1, nothing"),
        ("QH-88213", "invoice qh 88213"),
    ],
)
def test_stands_in(phrase: str, text: str) -> None:
    assert contains_phrase(text, phrase)
    assert len(list(find_phrase(text, phrase))) == 1


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("500", "15003"),
        ("500", "1500"),
        ("500", "1,500"),
        ("500", "0.500"),
        ("500", "500ms"),
        ("log", "catalogue"),
        ("log", "login"),
        ("log in", "login"),
        ("refund", "nonrefundable"),
        ("charged twice", "charged not twice"),
        ("charged twice", "twice charged"),
        ("charged twice", "charged"),
        ("", "anything"),
        ("…!?", "anything …!?"),
        ("refund", ""),
        ("a b", "a"),
    ],
)
def test_does_not_stand_in(phrase: str, text: str) -> None:
    assert not contains_phrase(text, phrase)
    assert list(find_phrase(text, phrase)) == []


def test_folded_text_is_stems_between_blanks() -> None:
    assert fold("Two Refunds were issued") == " two refund were issu "
    assert fold("") == fold(" – … ") == " "


# What tickets and replies are made of: words, several words in one run of characters, and runs without any.
runs = st.one_of(
    st.sampled_from(
        ["refunds", "Refund.", "“refund”", "REFUND", "it's", "don’t", "re\u00adfund", "o\ufb03ce", "É", "x'"]
    ),
    st.sampled_from(["follow-up", "a@b.example", "e.g.", "QH-88213.", "14:00", "_x_y_", "drag-and-drop", "a—b"]),
    st.sampled_from(["1,500", "0.5.1", "(500)", "500.", "1st"]),
    st.sampled_from(["—", "&", "…", "->", "'", "``", "\u200d"]),
)
ordinary = st.lists(st.one_of(runs, words, texts), max_size=15).map(" ".join)


UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)


def _stems_plainly(text: str) -> list[str]:
    """Return the text's stems as the module's promises tell it, one rule after another."""
    text = unicodedata.normalize("NFKC", re.sub("[’‘ʼ＇`´′]", "'", text))
    visible = [char for char in text if unicodedata.category(char) != "Cf" and not UNSEEN.match(char)]
    found = re.findall(r"[^\W_]+(?:'[^\W_]+)*(?:(?<=\d)[.,]\d[^\W_]*)*", "".join(visible).casefold())
    return [Stemmer.Stemmer("english").stemWord(word) for word in found]


@given(ordinary)
def test_folding_agrees_with_its_rules_one_after_another(text: str) -> None:
    assert fold(text) == "".join(f" {stem}" for stem in _stems_plainly(text)) + " "


def _found(groups: list[list[str]], text: str) -> frozenset[int]:
    """Return what is found in the text, at the first look as at later ones, which an automaton takes."""
    finder = PhraseGroups(groups)
    (found,) = {finder.found_in(text) for _ in range(8)}
    return found


@given(st.lists(st.lists(st.one_of(runs, phrases), max_size=4), max_size=4), ordinary, st.data())
def test_phrase_groups_agree_with_stems_side_by_side(groups: list[list[str]], text: str, data: st.DataObject) -> None:
    said = data.draw(st.lists(st.sampled_from([phrase for group in groups for phrase in group] or ["x"]), max_size=2))
    text = data.draw(blanks).join([*said, text, *said])
    stems = _stems_plainly(text)

    def stands(phrase: str) -> bool:
        wanted = _stems_plainly(phrase)
        return any(stems[place : place + len(wanted)] == wanted for place in range(len(stems))) if wanted else False

    assert _found(groups, text) == {place for place, group in enumerate(groups) if any(map(stands, group))}


def test_half_characters_are_no_words_and_hide_none() -> None:
    assert _found([["charged twice"], ["twice"], ["refund"]], "\ud800 Charged\udfff twice, \U0001f600") == {0, 1}


@given(texts)
def test_folding_is_the_same_for_every_unicode_form(text: str) -> None:
    folded = fold(text)
    for form in ("NFC", "NFD"):
        assert fold(unicodedata.normalize(form, text)) == folded


@given(texts)
def test_folded_text_begins_and_ends_with_one_blank(text: str) -> None:
    folded = fold(text)
    assert folded == " " or folded == f" {' '.join(folded.split())} "


@given(st.lists(words), st.lists(words), phrases, blanks)
def test_a_phrase_stands_in_any_text_that_it_was_put_into(
    before: list[str], after: list[str], phrase: str, blank: str
) -> None:
    text = blank.join([*before, *phrase.split(), *after])
    assert contains_phrase(text, phrase)
    assert contains_phrase(text.upper(), phrase)


@given(texts, texts, texts)
def test_more_words_around_take_nothing_away(text: str, before: str, after: str) -> None:
    for phrase in text.split():
        if fold(phrase) != " ":
            assert contains_phrase(f"{before} {text} {after}", phrase)


@given(st.lists(words, max_size=12), phrases)
def test_contains_is_to_have_the_stems_side_by_side(text: list[str], phrase: str) -> None:
    stems, wanted = fold(" ".join(text)).split(), fold(phrase).split()
    places = [place for place in range(len(stems)) if stems[place : place + len(wanted)] == wanted]
    assert contains_phrase(" ".join(text), phrase) == bool(places)
    assert len(list(find_phrase(" ".join(text), phrase))) == len(places)


@given(st.text(st.sampled_from("ab '’-.,5éß\u00ad\u0301\ufe0f\x01\x1f\u2011«½ﬃ\n"), max_size=40), st.data())
def test_a_span_cuts_out_text_that_contains_the_phrase(text: str, data: st.DataObject) -> None:
    stems = fold(text).split()
    if not stems:
        return
    first = data.draw(st.integers(0, len(stems) - 1))
    _, start, _ = word_spans(text)[first]
    _, _, end = word_spans(text)[data.draw(st.integers(first, min(first + 2, len(stems) - 1)))]
    phrase = text[start:end]
    spans = list(find_phrase(text, phrase))
    for found_start, found_end in spans:
        assert 0 <= found_start < found_end <= len(text)
        assert contains_phrase(text[found_start:found_end], phrase)
    assert spans == sorted(spans)


@given(texts)
def test_word_spans_are_in_order_within_the_text_and_agree_with_folding(text: str) -> None:
    spans = word_spans(text)
    assert [stem for stem, _, _ in spans] == fold(text).split()
    assert all(0 <= start < end <= len(text) for _, start, end in spans)
    assert [start for _, start, _ in spans] == sorted(start for _, start, _ in spans)


def test_spans_are_exact_for_ascii() -> None:
    text = "We issued two refunds; a refund, that is."
    assert [text[start:end] for start, end in find_phrase(text, "refund")] == ["refunds", "refund"]


def test_spans_are_the_words_without_the_marks_around_elsewhere() -> None:
    text = "Please “don’t share” it"
    assert [text[start:end] for start, end in find_phrase(text, "don't share")] == ["don’t share"]


def test_places_that_overlap_are_all_found() -> None:
    assert list(find_phrase("a a a", "a a")) == [(0, 3), (2, 5)]


@given(st.lists(st.lists(phrases, max_size=3), max_size=4), st.lists(words, max_size=10), st.data())
def test_phrase_groups_find_what_each_phrase_by_itself_finds(
    groups: list[list[str]], noise: list[str], data: st.DataObject
) -> None:
    said = data.draw(st.lists(st.sampled_from([phrase for group in groups for phrase in group] or ["x"]), max_size=3))
    text = " ".join(data.draw(st.permutations([*noise, *said])))
    expected = {place for place, group in enumerate(groups) if any(contains_phrase(text, one) for one in group)}
    assert _found(groups, text) == expected


@given(st.lists(texts, max_size=4), texts)
def test_phrase_groups_agree_on_any_text(group: list[str], text: str) -> None:
    for phrase in (*group, text):
        assert _found([[phrase]], text) == ({0} if contains_phrase(text, phrase) else set())
