"""What `unsafe_reply` looks at before it reads keeps nothing from the reader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from supportbench import SafetyPair
from supportbench_safety.alphabet import Alphabet, Spelling
from supportbench_safety.found import Found, Lists
from supportbench_safety.patterns import Pattern, Vocabulary
from supportbench_safety.plain import plain
from supportbench_safety.reader import Reader
from supportbench_safety.rulebook import shipped_pairs, shipped_rulebook
from supportbench_safety.screens import Screens
from supportbench_safety.signs import EDGE, Needs
from supportbench_safety.tokens import Chunks

BOOK = shipped_rulebook()
READER = Reader(BOOK)
VOCABULARY = Vocabulary(BOOK.words, BOOK.cues.common)
PATTERNS = [VOCABULARY.pattern(text) for rule in BOOK.rules for text, _ in rule.patterns()]
LISTS = [VOCABULARY.named(name) for name in BOOK.words] + [
    VOCABULARY.list_of(entries)
    for entries in (*(rule.unless for rule in BOOK.rules), *(rule.unless_near for rule in BOOK.rules))
]
ALPHABET = Alphabet(VOCABULARY.keys)
SCREENS = Screens(VOCABULARY, ALPHABET)
FOUND_IN = Lists(VOCABULARY, SCREENS)
NEEDS = Needs(VOCABULARY, ALPHABET)
SPELLING = Spelling(ALPHABET, Chunks())

WORDS = sorted({key.removeprefix("=") for key in VOCABULARY.keys})
TELLING = ["send", "us", "your", "password", "code", "refund", "will", "be", "fixed", "by", "friday", "never", "again"]
TELLING += ["turn", "off", "the", "firewall", "ignore", "alert", "we", "are", "liable", "for", "it", "account", "new"]
MARKS = [
    ".",
    "!",
    "?",
    ";",
    ",",
    ":",
    " -",
    " (",
    ")",
    '"',
    "'",
    "...",
    "\n",
    "\n\n",
    "\n- ",
    "\n1. ",
    "\t",
    "\r\n",
    "_",
]
ODD = [
    "no.",
    "Mr.",
    "a.m.",
    "don't",
    "I'll",
    "nope.",
    "12",
    "4.50",
    "é",
    "中文",
    "ж",
    "…",
    "–",
    "“",
    "”",
    " / ",
    "-x",
    "\xa0",
]
WORD = st.sampled_from(TELLING) | st.sampled_from(WORDS)
PART = WORD | WORD.map(str.capitalize) | st.sampled_from(MARKS) | st.sampled_from(ODD)
TEXT = st.lists(st.tuples(PART, st.sampled_from([" ", " ", " ", "", "  "])), max_size=30).map(
    lambda parts: "".join(part + blank for part, blank in parts)
)
SENTENCE = st.lists(
    st.sampled_from(TELLING) | st.sampled_from(WORDS) | st.sampled_from([",", ":", "x"]), max_size=16
).map(" ".join)


def sentences_of(pairs: Sequence[SafetyPair]) -> Iterator[str]:
    for pair in pairs:
        for text in (pair.unsafe, pair.safe):
            yield from SPELLING.sentences(plain(text).text)


PAIRS = shipped_pairs()
SENTENCES = sorted(set(sentences_of(PAIRS)))


def rules_broken(text: str, told: str, *, by_any: bool) -> list[str]:
    read = READER.broken_by_any if by_any else READER.broken_by
    return sorted(breach.rule.id for breach in read(plain(text), told))


@pytest.mark.parametrize("pair", PAIRS[::3], ids=lambda pair: pair.rule)
def test_a_pairs_texts_break_what_they_break_if_all_is_tried(pair: SafetyPair) -> None:
    for text in (pair.unsafe, pair.safe):
        assert rules_broken(text, pair.ticket, by_any=False) == rules_broken(text, pair.ticket, by_any=True)


@given(TEXT, st.sampled_from(["", "A strange alert about my sign-in.", "Please change the email of my account."]))
@settings(max_examples=60, deadline=None)
def test_so_does_any_text_of_the_rules_words(text: str, told: str) -> None:
    assert rules_broken(text, told, by_any=False) == rules_broken(text, told, by_any=True)


@given(TEXT)
@settings(max_examples=500)
@example("The answer is no. (Yes, really.) no. - yes")
@example("Ask Mr. Smith. Then\n\n-wait\nfor: it")
@example('Choose "Reset." then wait. "No." she said')
@example("Send us:\n- your name,\n- your code\n1. now")
def test_sentences_end_where_they_are_read_to_end(text: str) -> None:
    simple = plain(text).text
    assert list(SPELLING.sentences(simple)) == list(SPELLING.exact_sentences(simple))


def test_the_pairs_sentences_end_where_they_are_read_to_end() -> None:
    for pair in PAIRS:
        for text in map(plain, (pair.unsafe, pair.safe, pair.ticket)):
            assert list(SPELLING.sentences(text.text)) == list(SPELLING.exact_sentences(text.text))


def holds(spelt: str) -> None:
    """Assert that where lists and patterns stand there is what is looked for first, and that screens find them."""
    found = Found(spelt, FOUND_IN)
    signs = {*spelt, *(EDGE + spelt)[: len(spelt) + 1]}
    edged = EDGE + spelt + EDGE
    signs |= {edged[place : place + 2] for place in range(len(edged) - 1)}
    for number in LISTS:
        spans, screen = found.spans(number), SCREENS.of_list(number)
        assert not spans or screen.search(spelt)
        assert found.has(number) == bool(spans)
        assert not spans or signs & NEEDS.of_list(number)
        for first, behind in ((0, 4), (2, 7), (5, 11)):
            within = any(first <= start and end <= behind for start, end in spans)
            assert Found(spelt, FOUND_IN).has_within(number, first, behind) == within
    for pattern in PATTERNS:
        if found.matches(pattern):
            assert SCREENS.of_pattern(pattern)(spelt)
            assert all(signs & need for need in NEEDS.of_pattern(pattern))


@given(SENTENCE)
@settings(max_examples=40, deadline=None)
def test_screens_and_needs_let_all_through_that_stands_in_a_sentence(text: str) -> None:
    for spelt in SPELLING.sentences(text):
        holds(spelt)


@pytest.mark.parametrize("share", range(4))
def test_they_let_all_through_that_stands_in_the_pairs(share: int) -> None:
    for spelt in SENTENCES[share::12]:
        holds(spelt)


@pytest.mark.parametrize(
    ("text", "sentence", "stands"),
    [
        ("send ...2 code", "send us your code", True),
        ("send ...1 code", "send us your code", False),
        ("send us? code", "send code", True),
        ("^ send", "please send", True),
        ("^ send", "they send", False),
        ("send $", "send and wait", True),
        ("send $", "send code", False),
        ("send !code", "send code", False),
        ("send !code", "send us code", True),
        ("=sent", "send", False),
        ("=send|sent_to us", "sent to us", True),
    ],
)
def test_a_screen_says_what_the_pattern_says(text: str, sentence: str, stands: bool) -> None:
    vocabulary = Vocabulary({})
    pattern: Pattern = vocabulary.pattern(text)
    alphabet = Alphabet(vocabulary.keys)
    screens = Screens(vocabulary, alphabet)
    (spelt,) = Spelling(alphabet, Chunks()).sentences(sentence)
    assert bool(screens.of_pattern(pattern)(spelt)) is stands
    assert bool(Found(spelt, Lists(vocabulary, screens)).matches(pattern)) is stands
