"""A text as its words, and what is measured of them: in Python and compiled alike."""

from __future__ import annotations

import gc
import hashlib
import importlib
import pickle
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import supportbench
from supportbench import text
from supportbench.prose.order import english
from supportbench.words import COMPILED, SOURCES, plain

ROOT = Path(supportbench.__file__).parent.parent
COMPILED_ONLY = pytest.mark.skipif(not COMPILED, reason="built without a compiler")
BOTH = [plain, *([importlib.import_module("supportbench.words.compiled")] if COMPILED else [])]

each_way = pytest.mark.parametrize("words", BOTH, ids=lambda words: words.__name__.rpartition(".")[2])


@cache
def reader(words: ModuleType) -> Any:
    return words.Reader(text._stems_of, text._ASCII)


@cache
def lexicon(words: ModuleType) -> Any:
    """Two classes of small words: 1 is usually followed by content, 2 hardly by itself."""
    return words.English({"the": 1, "of": 2}, [[0, 2, 1], [3, -9, -7], [1, 4, -5]])


def measured(words: ModuleType, said: str) -> Any:
    return words.Measures(reader(words).read(said), lexicon(words))


def ticket(words: ModuleType, shown: str) -> Any:
    return words.TicketWords(reader(words).read(shown), lexicon(words), True)


def figures_of(words: ModuleType, said: str, shown: str, earlier: str) -> dict[str, object]:
    """All that is measured, by English's own small words."""
    read = reader(words).read
    classes = english() if words is not plain or not COMPILED else _plain_english()
    measures, other = words.Measures(read(said), classes), words.Measures(read(earlier), classes)
    beside = words.TicketWords(read(shown), classes, False)
    figures = ("distinct", "small_words", "longest_list", "order", "repetition")
    return {
        **{name: getattr(measures, name) for name in ("number", "content")},
        **{name: getattr(measures, name)() for name in figures},
        **{name: getattr(measures, name)(beside) for name in ("neighbours", "known", "copied")},
        **{f"passages of {least}": list(measures.passages(beside, least)) for least in (5, 7, 12)},
        "repeats": measures.repeats(other, beside),
        "repeats itself": measures.repeats(measures, beside),
        "english": beside.english,
    }


@cache
def _plain_english() -> plain.English:
    """English as the Python module has it, whichever is used otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("supportbench.prose.order.English", plain.English)
        return english.__wrapped__()


def _mixed(parts: Sequence[str]) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(parts), max_size=60).map(" ".join)


ODD = ["don't", "1,500", "—", "naïve", "café’s", "e-mail/post", "…", "\x1e", "a\u200bb", "İ", "ﬁne", "𝓯ine", "a" * 50]
FLUENT = "The refund of the invoice was charged twice and we have to send it back today please ."
STRANGE = "refunds refunding charge of the and to account 4711 12 2024"
TEXTS = st.one_of(
    st.text(),
    st.text(st.characters(codec="ascii")),
    _mixed(FLUENT.split()),
    _mixed([*STRANGE.split(), *ODD]),
)


def test_what_was_compiled_of_other_sources_is_not_used() -> None:
    """After a change of them, `pip install -e .` compiles them anew; until then Python reads."""
    try:
        compiled = importlib.import_module("supportbench.words.compiled")
    except ImportError:
        assert not COMPILED
    else:
        made_of = [(ROOT / "supportbench" / "words" / name).read_bytes() for name in SOURCES]
        assert all(f'include "{name}"' in made_of[0].decode() for name in SOURCES[1:])
        assert (hashlib.sha256(b"".join(made_of)).hexdigest() == compiled.MADE_OF) == COMPILED


@COMPILED_ONLY
@given(TEXTS)
def test_both_read_the_same(said: str) -> None:
    (folded, stems), compiled = (reader(words).read(said) for words in BOTH)
    assert (compiled.folded, compiled.stems) == (folded, stems)


@COMPILED_ONLY
@given(TEXTS, TEXTS, TEXTS, st.data())
def test_both_measure_the_same(said: str, shown: str, earlier: str, data: st.DataObject) -> None:
    words = said.split()
    if words:  # what a text repeats or copies is mostly a part of it
        first = data.draw(st.integers(0, len(words) - 1))
        shown = f"{shown} {' '.join(words[first : first + data.draw(st.integers(0, 30))])}"
        earlier = data.draw(st.sampled_from([earlier, " ".join(words[first // 4 :])]))
    one, other = (figures_of(words, said, shown, earlier) for words in BOTH)
    assert other == one


@each_way
def test_a_text_is_its_stems_between_blanks(words: ModuleType) -> None:
    read = reader(words).read("Two Refunds — of 1,500 — don't")
    assert (read.folded, list(read.stems)) == (" two refund of 1,500 don't ", ["two", "refund", "of", "1,500", "don't"])
    assert (reader(words).read(" … ").folded, list(reader(words).read("").stems)) == (" ", [])


@each_way
def test_more_words_than_are_remembered_are_read_all_the_same(words: ModuleType) -> None:
    several = words.Reader(lambda run: run.decode().split("."), bytes(range(256)))
    many = [f"{number:x}.b" if number % 2 else f"{number:x}" for number in range(150_000)]
    expected = " ".join(many).replace(".", " ")
    for _ in range(2):
        assert several.read(" ".join(many)).folded == f" {expected} "


@each_way
def test_a_reading_that_fails_costs_nothing_else(words: ModuleType) -> None:
    def stems_of(run: bytes) -> list[str]:
        if run == b"bad":
            raise ZeroDivisionError(run)
        return [run.decode()]

    failing = words.Reader(stems_of, bytes(range(256)))
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            failing.read("some good and bad ones")
        assert failing.read("some good ones").folded == " some good ones "


@each_way
def test_who_is_asked_for_stems_may_read_himself(words: ModuleType) -> None:
    """Which is how it is when two threads read: what one has learnt must not move below the other."""
    asked: list[bytes] = []

    def stems_of(run: bytes) -> list[str]:
        asked.append(run)
        if len(asked) < 5:
            nested.read(" ".join(f"{run.decode()}{number}" for number in range(3000)))
            nested.read(run.decode() + " again")
        return [run.decode()]

    nested = words.Reader(stems_of, bytes(range(256)))
    assert nested.read("one two one").folded == " one two one "
    assert nested.read("two one0 one2999").folded == " two one0 one2999 "


@each_way
def test_threads_may_share_a_reader(words: ModuleType) -> None:
    shared = words.Reader(lambda run: [run.decode()], bytes(range(256)))
    texts = [" ".join(f"{place}{number}" for number in range(5000)) for place in "abcdef"]
    read: list[str] = []
    threads = [threading.Thread(target=lambda said=said: read.append(shared.read(said).folded)) for said in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(read) == [f" {said} " for said in texts]


@COMPILED_ONLY
def test_what_was_read_and_measured_is_given_back() -> None:
    compiled = BOTH[1]

    def use() -> None:
        for number in range(200):
            figures_of(compiled, f"the charge {number} of the invoice " * 20, "the charge of the invoice", "the charge")

    use()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    use()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 20_000  # a text of these takes 3 kB


@COMPILED_ONLY
@pytest.mark.parametrize(
    "wrong",
    [
        lambda words: words.Reader(text._stems_of, b"short"),
        lambda words: words.Reader(text._stems_of, None),
        lambda words: reader(words).read(b"bytes"),
        lambda words: reader(words).read(None),
        lambda words: words.English({"the": 2}, [[0, 0], [0, 0]]),
        lambda words: words.English({"the": 1}, [[0, 0], [0]]),
        lambda words: words.English({"the": 1}, [[0, 0], [0, 1000]]),
        lambda words: words.Hashes(-1),
        lambda words: words.TicketWords.__new__(words.TicketWords),
        lambda words: words.Phrases(None),
        lambda words: words.Phrases([(1, None)]),
        lambda words: words.Phrases([(1, "refund")]),
        lambda words: words.Phrases([1]),
        lambda words: words.Phrases([(1, reader(words).read("a"))]).found_in(None),
        lambda words: words.Measures(None, lexicon(words)),
        lambda words: words.Measures(reader(words).read("a"), None),
        lambda words: words.TicketWords(None, lexicon(words), True),
        lambda words: measured(words, "a b").known(None),
        lambda words: measured(words, "a b").repeats(None, ticket(words, "a")),
    ],
)
def test_what_fits_nowhere_is_refused(wrong: Callable[[ModuleType], object]) -> None:
    """In Python it would be an error of another kind, later; compiled code must not read on."""
    with pytest.raises((TypeError, ValueError, IndexError, OverflowError)):
        wrong(BOTH[1])


def found(words: ModuleType, groups: Sequence[Sequence[str]], said: str, *, looks: int = 1) -> set[int]:
    read = reader(words).read
    phrases = words.Phrases([(group, read(phrase)) for group, phrases in enumerate(groups) for phrase in phrases])
    (places,) = {phrases.found_in(read(said)) for _ in range(looks)}
    return set(places)


@each_way
@pytest.mark.parametrize("looks", [1, 9])
def test_groups_are_found_by_any_phrase_of_theirs(words: ModuleType, looks: int) -> None:
    groups = [
        ["refund"],
        ["the charge", "charged twice"],
        ["of the charge"],
        ["charge of"],
        [],
        ["", "…"],
        ["twice"] * 3,
    ]
    assert found(words, groups, "Charged twice. The refund", looks=looks) == {0, 1, 6}
    assert found(words, groups, "of the charges", looks=looks) == {1, 2}
    assert found(words, groups, "charging the of", looks=looks) == set()
    assert found(words, groups, "", looks=looks) == found(words, [], "refund", looks=looks) == set()


@COMPILED_ONLY
@given(
    st.lists(st.lists(TEXTS.map(lambda said: " ".join(said.split()[:3])), max_size=3), max_size=12),
    TEXTS,
    st.sampled_from([1, 6]),
)
def test_both_find_the_same(groups: list[list[str]], said: str, looks: int) -> None:
    one, other = (found(words, groups, said, looks=looks) for words in BOTH)
    assert other == one


@each_way
def test_a_text_may_be_of_a_kind_of_its_own(words: ModuleType) -> None:
    class Said(str):
        def __str__(self) -> str:
            return "something else"

    assert reader(words).read(Said("Two refunds")).folded == " two refund "


def test_groups_of_phrases_can_be_sent_to_another_process() -> None:
    groups = text.PhraseGroups([["charged twice"], ["refund"]])
    for _ in range(6):
        assert pickle.loads(pickle.dumps(groups)).found_in("the refund") == groups.found_in("the refund") == {1}  # noqa: S301


@each_way
def test_whoever_asks_meanwhile_about_another_ticket_changes_nothing(words: ModuleType) -> None:
    shown = " ".join(f"w{number}" for number in range(3000))
    said = measured(
        words, " q ".join(" ".join(f"w{number}" for number in range(n, n + 10)) for n in range(0, 2900, 10))
    )
    own, other = ticket(words, shown), ticket(words, "q w10")
    expected = said.neighbours(own), said.known(own), list(said.passages(own, 5)), said.neighbours(other)

    def ask(phase: str, info: dict[str, int]) -> None:
        said.neighbours(other)

    threshold = gc.get_threshold()
    gc.callbacks.append(ask)
    gc.set_threshold(50)
    try:
        for _ in range(20):
            said.neighbours(other)
            assert (said.neighbours(own), said.known(own), list(said.passages(own, 5))) == expected[:3]
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(ask)
    assert said.neighbours(other) == expected[3]


@each_way
class TestMeasures:
    def test_words_are_counted(self, words: ModuleType) -> None:
        said = measured(words, "The charge of the charges, 4711 of them")
        assert (said.number, said.content, said.distinct()) == (8, 4, 5)

    def test_small_words_are_a_share_of_those_without_digits(self, words: ModuleType) -> None:
        assert measured(words, "The charge of 4711").small_words() == 2 / 3
        assert measured(words, "charge").small_words() == 0.0
        assert measured(words, "").small_words() == 0.0

    def test_a_list_has_fifteen_words_of_content_on_end(self, words: ModuleType) -> None:
        assert measured(words, "charge " * 14 + "of " + "charge " * 14).longest_list() == 0
        assert measured(words, "charge " * 15 + "of " + "charge " * 16 + "4711").longest_list() == 16

    def test_order_is_told_by_neighbours(self, words: ModuleType) -> None:
        assert measured(words, "charge of the charge").order() == (1 + 4 + 3) / 2
        assert measured(words, "the the").order() == -9 / 2
        assert measured(words, "the").order() == measured(words, "").order() == 0.0

    def test_repetition_is_of_words_of_content(self, words: ModuleType) -> None:
        assert measured(words, "charge the charges the charge the refund 4711 4711").repetition() == 2.0
        assert measured(words, "the of the").repetition() == 1.0

    def test_what_the_ticket_has_is_told(self, words: ModuleType) -> None:
        beside = ticket(words, "The card was charged two times for the March invoice")
        said = measured(words, "two times charged: my card, invoice of March")
        assert said.neighbours(beside) == 1
        assert (said.content, said.known(beside)) == (7, 6)
        assert said.copied(beside) == 5  # two times charged; March invoice
        assert measured(words, "").copied(beside) == measured(words, "card").copied(beside) == 0

    def test_passages_are_of_the_tickets_words_on_end(self, words: ModuleType) -> None:
        shown = "one two three four five six seven eight nine ten eleven twelve thirteen"
        beside = ticket(words, shown)
        said = measured(words, f"as you write: {shown}. and: three four five six seven")
        assert list(said.passages(beside, 5)) == [(3, 16), (17, 22)]
        assert list(said.passages(beside, 6)) == [(3, 16)]
        assert not measured(words, " ".join(shown.split()[:11])).passages(beside, 5)
        assert not measured(words, "").passages(beside, 5)

    def test_a_text_repeats_another_unless_a_fifth_is_new_or_something_is_named(self, words: ModuleType) -> None:
        earlier = measured(words, "we have looked at the charge and give it back to you today")
        beside = ticket(words, "The invoice is wrong")
        repeats = {
            said: measured(words, said).repeats(earlier, beside)
            for said in (
                "we have looked at the charge and give it back to you tomorrow",
                "we have looked at the invoice and give it back to you today",
                "the charge comes from somebody else",
                "today",
            )
        }
        assert list(repeats.values()) == [True, False, False, True]


def test_without_a_compiler_texts_are_read_and_credited_as_they_should_be() -> None:
    files = [str(ROOT / "tests" / name) for name in ("test_text.py", "test_prose.py", "test_concepts.py")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.words.without_compiled", "-p", "no:cacheprovider"]
    done = subprocess.run([*command, *files], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


GRADES = """
import asyncio, json, sys
from supportbench import Graders, load_registry, unstructure
from supportbench.words import COMPILED
from tests.benchmarks.grading import Fluent, Words, submissions

async def main():
    registry = load_registry({}).check()
    provider = registry.providers["triage"]
    tasks = [provider.task("test", index) for index in range(provider.num_tasks("test"))]
    for name in ("default", "fuzzy"):
        graders = Graders(registry, override=registry.rubrics[name])
        for write in (Fluent(registry), Words(tasks)):
            for submission in submissions(tasks, 60, write):
                grade = await graders.for_task(submission.task).grade(submission)
                print(json.dumps(unstructure(grade), sort_keys=True))
    print(COMPILED, file=sys.stderr)

asyncio.run(main())
"""


@COMPILED_ONLY
def test_no_grade_depends_on_a_compiler() -> None:
    without = "import tests.words.without_compiled"
    grades: list[str] = []
    for program, compiled in ((GRADES, "True"), (f"{without}\n{GRADES}", "False")):
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr.strip()) == (0, compiled)
        grades.append(done.stdout)
    assert grades[0].count("\n") == 240
    assert grades[0] == grades[1]
