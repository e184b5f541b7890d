"""Words as the rules are read in: contractions spelt out, with the pauses between them."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from supportbench import fold, word_spans

PAUSES: Final = ("=,", "=:", "=-", "=(")
"""The forms of what stands between the parts of a sentence."""

SENTENCE_ENDS: Final = re.compile(r"[.!?;][^\w\s]*\s")
_MOST_CHUNKS: Final = 1 << 16
_LONGEST_CHUNK: Final = 40

# What a contraction is read as; "'s" only behind words that own nothing.
_SHORT: Final = re.compile(
    r"(?P<not>(?:do|does|did|is|are|was|were|would|should|could|must|have|has|had|need|might)n'?t)"
    r"|(?P<who>[a-z]+)'(?P<verb>ll|ve|re|d|m)|(?P<it>it|that|what|there|here|he|she|who|how|where|everything|nothing)'s"
)
_WHOLE: Final = {
    "can't": "can not", "cannot": "can not", "cant": "can not", "won't": "will not", "wont": "will not",
    "shan't": "shall not", "let's": "let us", "im": "i am", "ive": "i have", "youre": "you are", "thats": "that is",
    "dont": "do not", "ain't": "is not", "whats": "what is", "gonna": "going to", "wanna": "want to", "pls": "please",
    "plz": "please", "ur": "your", "u": "you", "e-mail": "email", "nope": "no",
}  # fmt: skip
_VERBS: Final[Mapping[str, str]] = {"ll": "will", "ve": "have", "re": "are", "d": "would", "m": "am"}
_CURRENCIES: Final[Mapping[str, str]] = {"€": "eur", "$": "usd", "£": "gbp"}
"""What the sign before an amount is read as."""


class Token(NamedTuple):
    """A word, or a mark between words: its stem, how it is written with a "=" before it, and where it stands."""

    stem: str
    form: str
    start: int
    end: int


@lru_cache(maxsize=16384)
def spelt_out(word: str) -> tuple[tuple[str, str], ...]:
    """Return the (stem, "=" and the form) of each word that a word stands for: "don't" is "do not"."""
    whole = _WHOLE.get(word)
    if whole is None:
        whole = word
        if "'" in word and (short := _SHORT.fullmatch(word)):
            if short["not"]:
                whole = f"{word.removesuffix('t').rstrip(chr(39)).removesuffix('n')} not"
            elif short["verb"]:
                whole = f"{short['who']} {_VERBS[short['verb']]}"
            else:
                whole = f"{short['it']} is"
        elif short := _SHORT.fullmatch(word):
            whole = f"{word[:-2]} not"
    return tuple((fold(part).strip() or part, f"={part}") for part in whole.split())


class Chunk(NamedTuple):
    """A run of characters between blanks: its tokens, by where they stand in it, and whether a sentence may end."""

    tokens: tuple[Token, ...]
    ends: bool


class Chunks(dict[str, Chunk]):
    """From runs of characters between blanks to what they are read as; emptied when it has grown too large."""

    def __missing__(self, text: str) -> Chunk:
        word = text.strip(string.punctuation)
        if word.isascii() and word.isalnum():  # as most are
            begin = text.index(word)
            spans = [(begin, begin + len(word))]
        else:
            spans = [(start, end) for _, start, end in word_spans(text)]
        tokens: list[Token] = []
        behind = 0
        for start, end in spans:
            tokens.extend(_pauses(text, behind, start))
            if start and text[start].isdigit() and (name := _CURRENCIES.get(text[start - 1])):
                tokens.append(Token(name, f"={name}", start - 1, start))
            tokens.extend([Token(stem, form, start, end) for stem, form in spelt_out(text[start:end].lower())])
            behind = end
        tokens.extend(_pauses(text, behind, len(text)))
        chunk = Chunk(tuple(tokens), behind < len(text) and SENTENCE_ENDS.search(f"{text} ") is not None)
        if len(text) <= _LONGEST_CHUNK:
            if len(self) >= _MOST_CHUNKS:
                self.clear()
            self[text] = chunk
        return chunk


def _pauses(text: str, start: int, end: int) -> Iterator[Token]:
    for place in range(start, end):
        if (mark := text[place]) in ",:(" or (mark == "-" and len(text) <= 2):
            yield Token(mark, f"={mark}", place, place + 1)
            return
