"""Reading text as words: one folded form in which every phrase test is a substring test.

`fold` turns a text into its words' stems, each with a space before it and one space at the end:
`fold("Two Refunds were issued")` is `" two refund were issu "`. A phrase stands in a text, as whole words next to each
other, in any inflection, exactly when its folded form is a substring of the text's folded form.

Cost: linear in the text; a word seen before is one dictionary look-up (some 60 ns), a new one 1 to 3 µs.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final

import Stemmer

from supportbench.words import Phrases, Reader
from supportbench.words.runs import OfRuns

# Words are runs of letters and digits; an apostrophe between letters belongs to the word ("don't"), and so does a point
# or comma between digits, so that "500" does not stand in "1,500" or "0.500".
_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)*(?:(?<=\d)[.,]\d[^\W_]*)*")
_APOSTROPHES: Final = str.maketrans(dict.fromkeys("’‘ʼ＇`´′", "'"))

UNSEEN: Final = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef"
)
"""What shows as nothing, beside format characters (category Cf), for the inside of a regex's set: control characters
that are no blanks, selectors of variants, fillers."""

_UNSEEN: Final = re.compile(f"[{UNSEEN}]+")
CONTROLS: Final = bytes([*range(0x09), *range(0x0E, 0x20), 0x7F])

# What most of a text is made of, in one pass over its bytes: ASCII letters in lower case, and a blank for whatever can
# be part of no word. Bytes of other characters stay, for `_plain` to see to.
_BETWEEN_WORDS: Final = "".join(mark for mark in string.punctuation if mark not in "'`.,")
_PUNCTUATION: Final = string.punctuation.encode()
_ASCII: Final = bytes.maketrans(
    f"{string.ascii_uppercase}`{_BETWEEN_WORDS}".encode(),
    f"{string.ascii_lowercase}'{' ' * len(_BETWEEN_WORDS)}".encode(),
)


def _plain(text: str) -> str:
    """Return the text in one Unicode form and one case, without characters that nobody sees."""
    if text.isascii():
        return _UNSEEN.sub("", text.lower().replace("`", "'"))
    normal = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES))
    return _UNSEEN.sub("", "".join(char for char in normal if unicodedata.category(char) != "Cf")).casefold()


_stem: Final = Stemmer.Stemmer("english", 0).stemWord


def _stems_of(run: bytes) -> list[str]:
    """Return the stems of a run of characters between blanks, which `_ASCII` has made small."""
    word = run.strip(_PUNCTUATION)
    if word.isdigit():
        return [word.decode()]  # numbers have no inflection
    if word.isalnum():
        return [_stem(word.decode())]
    return [_stem(word) for word in _WORD.findall(_plain(run.decode("utf-8", "surrogatepass")))]


_read: Final = Reader(_stems_of, _ASCII).read
words_of: Final = lru_cache(maxsize=8)(_read)  # the components and checks of one grade read the same two texts


def fold(text: str) -> str:
    """Return the text's words as stems, a space before each and one at the end; `" "` when it has no word.

    Case, Unicode form (NFKC), invisible characters, hyphens, quotes and punctuation make no difference; inflections of
    one word share a stem (Snowball's English stemmer, https://snowballstem.org/algorithms/english/stemmer.html).
    """
    return words_of(text).folded


def stems(text: str) -> Sequence[str]:
    """Return the text's words as stems, in order."""
    return words_of(text).stems


_words_of_phrase: Final = lru_cache(maxsize=1 << 14)(_read)  # the tickets of a task expect much the same


def fold_phrase(phrase: str) -> str:
    """Return `fold` of a phrase, remembered."""
    return _words_of_phrase(phrase).folded


def contains_phrase(text: str, phrase: str) -> bool:
    """Return whether the phrase's words stand in the text next to each other; a phrase without words never does."""
    folded = fold(phrase)
    return folded != " " and folded in fold(text)


def find_phrase(text: str, phrase: str) -> Iterator[tuple[int, int]]:
    """Yield the character span (start, end) of every place where the phrase stands in the text, from left to right."""
    wanted = fold(phrase).split()
    if not wanted or not contains_phrase(text, phrase):
        return
    spans = word_spans(text)
    said = [stem for stem, _, _ in spans]
    for first in range(len(said) - len(wanted) + 1):
        if said[first : first + len(wanted)] == wanted:
            yield spans[first][1], spans[first + len(wanted) - 1][2]


def has_controls(text: str) -> bool:
    """Return whether the text has ASCII's control characters, but for tabs and line ends."""
    data = text.encode("utf-8", "surrogatepass")
    return len(data.translate(None, CONTROLS)) < len(data)


class PhraseGroups:
    """Groups of phrases, to find which groups a text has any phrase of.

    Cost of a look: the text's words once, and a few nanoseconds for each and for each phrase that begins with the same
    two words.
    """

    __slots__ = ("_groups", "_phrases")

    def __init__(self, groups: Iterable[Iterable[str]]) -> None:
        self._groups = [tuple(phrases) for phrases in groups]
        self._phrases = Phrases(
            [(group, _words_of_phrase(phrase)) for group, phrases in enumerate(self._groups) for phrase in phrases]
        )

    def __reduce__(self) -> tuple[type[PhraseGroups], tuple[list[tuple[str, ...]]]]:
        return type(self), (self._groups,)

    def found_in(self, text: str) -> frozenset[int]:
        """Return the places (from 0) of the groups of which the text contains a phrase."""
        return self._phrases.found_in(words_of(text))


def word_spans(text: str) -> list[tuple[str, int, int]]:
    """Return every word as (stem, start, end), in order, with the character span where it stands.

    Exact for ASCII; elsewhere Unicode normalisation can move characters, so that a word's span is the run between
    blanks that holds it, without the punctuation around.
    """
    if text.isascii() and not has_controls(text):
        spans = map(re.Match.span, _WORD.finditer(text.replace("`", "'")))
        return [(stem, start, end) for stem, (start, end) in zip(stems(text), spans, strict=True)]
    words: list[tuple[str, int, int]] = []
    behind = 0
    for chunk in text.split():
        offset = text.find(chunk, behind)
        behind = offset + len(chunk)
        for stem, start, end in _spans_of[chunk]:
            words.append((stem, offset + start, offset + end))
    return words


class _WordsOfRuns(OfRuns[str, tuple[tuple[str, int, int], ...]]):
    """From a run of characters between blanks to its words, as `word_spans` has them."""

    def __missing__(self, chunk: str) -> tuple[tuple[str, int, int], ...]:
        words = _read(chunk).stems
        if chunk.isascii() and not has_controls(chunk):
            places = [match.span() for match in _WORD.finditer(_plain(chunk))]
        else:
            inner = [index for index, char in enumerate(chunk) if char.isalnum()]
            places = [(inner[0], inner[-1] + 1) if inner else (0, len(chunk))] * len(words)
        return self.keep(chunk, tuple((stem, *place) for stem, place in zip(words, places, strict=True)))


_spans_of: Final = _WordsOfRuns()
