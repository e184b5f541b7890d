"""Texts as strings over an alphabet of their own, a character for a word, so that a pattern of words is a regex.

A word that a vocabulary names as it is written has a character of its own, one that it names in any inflection has that
of its stem, and all words that it does not name share one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from supportbench_safety.patterns import stem_of
from supportbench_safety.sentences import is_end, sentences_of
from supportbench_safety.tokens import PAUSES, Chunk, Chunks, Token

_END: Final = "\n"  # where a sentence ends
_OTHER: Final = " "
_UNCLEAR: Final = "\t"  # where one may end, by what stands around
_UNLESS_PAUSE: Final = "\v"  # where none ends, unless a pause follows
_FIRST: Final = 0x1000
_WORD_BEGINS: Final = re.compile(r"[^\W_]")
_NUMBER_OF_ITEM: Final = re.compile(r"\d+[.)]\s")
_MARKS_OF_ITEMS: Final = frozenset("-*")
_END_MARKS: Final = frozenset(".!?;")
_ODD_BLANK: Final = re.compile(r"[^\S \n]")


class Alphabet:
    """The characters that stand for words, by what finds them: a stem, or a "=" and the word as it is written."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._chars = {key: chr(_FIRST + place) for place, key in enumerate(dict.fromkeys(keys))}
        self._of_stem: dict[str, set[str]] = {}
        for key, char in self._chars.items():
            self._of_stem.setdefault(stem_of(key), set()).add(char)

    def __getitem__(self, key: str) -> frozenset[str]:
        """Return the characters of the words that a key finds."""
        return frozenset((self._chars[key],)) if key.startswith("=") else self.of_stem(key)

    def of_stem(self, stem: str) -> frozenset[str]:
        """Return the characters of the words of that stem, none where the vocabulary has none."""
        return frozenset(self._of_stem.get(stem, ()))

    def __iter__(self) -> Iterator[str]:
        return iter(self._chars)

    def spell(self, tokens: Iterable[Token]) -> str:
        """Return the words and pauses, a character each."""
        chars = self._chars
        return "".join([chars.get(token.form) or chars.get(token.stem) or _OTHER for token in tokens])


class Spelling(dict[str, str]):
    """From runs of characters between blanks to how their words are spelt; emptied when it has grown too large."""

    def __init__(self, alphabet: Alphabet, chunks: Chunks) -> None:
        super().__init__()
        self._alphabet = alphabet
        self._chunks = chunks
        self._pauses = "".join(char for key in PAUSES for char in alphabet[key])
        marks = _END + _UNLESS_PAUSE
        self._pauses_behind = re.compile(f"[{marks}][{marks}{self._pauses}]*[{self._pauses}]")

    def sentences(self, text: str) -> Sequence[str]:
        """Return how the sentences of a plain text are spelt, those that `sentences_of` has.

        Cost: one look-up for each run, unless lists, quotation marks or lone marks leave it to `sentences_of` to tell
        where sentences end.
        """
        parts = (text,) if text.isprintable() else _paragraphs(text)
        spelt = _END.join(["".join(map(self.__getitem__, part.split())) for part in parts])
        if not parts or _UNCLEAR in spelt or ('"' in text and _may_end_in_quotes(text)):
            return self.exact_sentences(text)
        spelt = self._pauses_behind.sub(_moved, spelt.lstrip(self._pauses + _END))
        return [sentence for sentence in spelt.replace(_UNLESS_PAUSE, "").split(_END) if sentence]

    def exact_sentences(self, text: str) -> Sequence[str]:
        """Return the same, always by way of `sentences_of`."""
        return [self._alphabet.spell(words.tokens) for words in sentences_of(text, self._chunks)]

    def __missing__(self, run: str) -> str:
        chunk = self._chunks[run]
        spelt = self._alphabet.spell(chunk.tokens) + _end_of(run, chunk)
        if run in self._chunks:  # which keeps no long ones, and no more than so many
            if len(self) > len(self._chunks):
                self.clear()
            self[run] = spelt
        return spelt


def _moved(match: re.Match[str]) -> str:
    """Return the pauses behind a sentence as what they are, its last part."""
    return match[0].replace(_END, "").replace(_UNLESS_PAUSE, "") + _END


def _end_of(run: str, chunk: Chunk) -> str:
    if not chunk.ends:
        return ""
    words = [token for token in chunk.tokens if token.form not in PAUSES]
    if not words:
        return _UNCLEAR
    return _END if is_end(f"{run[words[-1].end :]} ", "", chunk.tokens[-1].form[1:]) else _UNLESS_PAUSE


def _may_end_in_quotes(text: str) -> bool:
    """Return whether a quotation mark decides anywhere whether a sentence ends."""
    return any(
        not _END_MARKS.isdisjoint(text[begin:end]) and not text[end : end + 1].isupper()
        for begin, end in _gaps_with('"', text)
    )


def _paragraphs(text: str) -> Sequence[str]:
    """Return the parts of a text between the line breaks at which a sentence ends; none if any is in doubt."""
    if _ODD_BLANK.search(text):
        return ()
    parts: list[str] = []
    cut = 0
    for begin, end in _gaps_with("\n", text):
        gap, then = text[begin:end], text[end : end + 1]
        ends = is_end(gap, then, "")
        if not _MARKS_OF_ITEMS.isdisjoint(gap) or _NUMBER_OF_ITEM.match(text, end) or ends != is_end(gap, then, "no"):
            return ()  # lists and abbreviations are left to who knows the words
        if ends:
            prefix = 0 if gap[-1].isspace() else len(gap.split()[-1])  # of the next run
            parts.append(text[cut : end - prefix])
            cut = end - prefix
    return (*parts, text[cut:])


def _gaps_with(mark: str, text: str) -> Iterator[tuple[int, int]]:
    """Yield where the gaps between words are that have the mark, in time linear in the text."""
    behind = 0
    while (place := text.find(mark, behind)) >= 0:
        begin = place
        while begin > behind and not text[begin - 1].isalnum():
            begin -= 1
        word = _WORD_BEGINS.search(text, place)
        behind = word.start() if word else len(text)
        yield begin, behind
