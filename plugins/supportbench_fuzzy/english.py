"""Which words are English: a misspelling is no word, and only a word can be misspelt."""

from __future__ import annotations

import re
import tomllib
from functools import cache, lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import Final

import attrs

from supportbench import fold

_LIST: Final = "frequency_dictionary_en_82_765.txt"
_COMMON = 10_000
_SHORT = 7
_SHORTEST_BASE = 4

# How English inflects: what a word may end in, what stood there before, and what the rest must look like for it.
_ENDINGS: Final = tuple(
    (ending, restored, re.compile(rest))
    for ending, restored, rest in (
        ("s", "", r"[^sxzy]$|[aeiou]y$"),
        ("es", "", r"(?:s|x|z|ch|sh|o)$"),
        ("ies", "y", r"[^aeiou]$"),
        ("ied", "y", r"[^aeiou]$"),
        ("d", "", r"e$"),
        ("ly", "", r"[^y]$"),
        *((ending, "e", r"[^aeiou]$") for ending in ("ing", "er", "ers", "able")),
        # A short word doubles its last letter: "logged", not "loged".
        *((ending, "", r"^(?![^aeiou]*[aeiou][^aeiouywx]$).*[^e]$") for ending in ("ed", "ing", "er", "ers", "able")),
    )
)
_SUFFIXES: Final = ("", "e", "s", "es", "ies", "d", "ed", "ied", "ing", "ly", "er", "ers", "or", "ors", "y", "able")
_DOUBLING: Final = ("ed", "ing", "er", "ers")
_LONGEST_SUFFIX = 3


@attrs.frozen
class English:
    """Words as they are written, in lower case, and what makes further ones of them.

    The list is the 82,834 words that symspellpy ships, the commonest first: those of SCOWL that occur in Google's book
    n-grams. `words.toml` adds words of the trade. Short words, and words with something before them, are made of common
    ones alone, since with a rare one it is mostly a misspelling ("loge" and "d", "trans" and "Acton").
    """

    words: frozenset[str]
    common: frozenset[str]
    prefixes: tuple[str, ...]

    def has(self, word: str) -> bool:
        """Return whether this is a word: it is listed, or made regularly of one that is ("defund", "unsubscribers")."""
        if word in self.words or self._is_made(word, self.common if _like_a_slip(word) else self.words):
            return True
        bases = (word.removeprefix(prefix) for prefix in self.prefixes if word.startswith(prefix))
        return any(len(base) >= _SHORTEST_BASE and self._is_made(base, self.common) for base in bases)

    def _is_made(self, word: str, known: frozenset[str]) -> bool:
        return word in known or any(
            word.endswith(ending)
            and len(base := word.removesuffix(ending)) + len(restored) >= _SHORTEST_BASE
            and base + restored in known
            and rest.search(base) is not None
            for ending, restored, rest in _ENDINGS
        )


def _like_a_slip(word: str) -> bool:
    """Return whether an ending of the word may as well be a letter left out of a longer one, as in "biling"."""
    return len(word) <= _SHORT and not word.endswith("s")


@cache
def english() -> English:
    """Return the list, read once: some 50 ms, and 18 MB at the peak."""
    listed = _listed().decode("utf-8-sig").split()[::2]
    trade = own_words("trade")
    return English(frozenset([*listed, *trade]), frozenset([*listed[:_COMMON], *trade]), own_words("prefixes"))


def _listed() -> bytes:
    return (files("symspellpy") / _LIST).read_bytes()


def _own() -> bytes:
    return (files(__package__) / "words.toml").read_bytes()


@cache
def words_fingerprint() -> str:
    """Return a hash of all that the plugin knows of English."""
    return sha256(_listed() + _own()).hexdigest()


@cache
def own_words(name: str) -> tuple[str, ...]:
    """Return the words of one entry of `words.toml`."""
    data: dict[str, str] = tomllib.loads(_own().decode())
    return tuple(data[name].split())


@lru_cache(maxsize=1 << 14)
def forms(word: str) -> tuple[str, ...]:
    """Return the word and its regular inflections; none if it is no English word."""
    known = english()
    if not known.has(word):
        return ()
    stem = fold(word)
    bases = {word[: len(word) - cut] for cut in range(_LONGEST_SUFFIX + 1) if len(word) - cut > 2} | {word}
    others = {base + suffix for base in bases for suffix in _SUFFIXES} | {word + word[-1] + end for end in _DOUBLING}
    return (word, *sorted(form for form in others - {word} if form in known.words and fold(form) == stem))
