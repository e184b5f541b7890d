"""Words that are not what they look like: letters of other alphabets or styles, characters that nobody sees."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

# Alphabets with letters that look like Latin ones (Unicode's confusables, https://www.unicode.org/reports/tr39/).
_LOOKALIKES: Final = ("GREEK", "CYRILLIC", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU")
# What stands beside Latin letters and looks like none of them: "250 µs", "kΩ", "Δt"; "nº" and "3ª" are Spanish.
_HONEST: Final = frozenset("µμΩ\u2126ΔΣΠΦΨΛΘΞΓδλπφψθξºª")
_FULL_WIDTH: Final = range(0xFF21, 0xFF5B)
_CJK: Final = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")

# What shows as nothing, or as a stroke through the letter before: control and format characters, fillers, selectors of
# variants, overlays. Python counts some of the first among the blanks.
_CONTROLS: Final = bytes([*range(0x09), *range(0x0E, 0x20), 0x7F])
_BLANKS: Final = "\x1c-\x1f\x85"
_UNSEEN: Final = (
    "\\x00-\\x08\\x0e-\\x1f\\x7f-\\x9f\u00ad\u034f\u0334-\u0338\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffc"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_LATIN: Final = "A-Za-z0-9\u00c0-\u024f"
_WITHIN: Final = re.compile(f"(?<=[{_LATIN}])[{_UNSEEN}]+(?=[{_LATIN}])")
_BLANK_WITHIN: Final = re.compile(f"(?<=[{_LATIN}])[{_BLANKS}]+(?=[{_LATIN}])")
_PARTS: Final = re.compile(r"\W+")


def readable(text: str) -> str:
    """Return the text without words of Latin letters that are disguised.

    Such a word has a character that nobody sees between two of its letters, a letter of an alphabet that looks like
    Latin, or a Latin letter in a mathematical or enclosed style. Words in other alphabets, words of two alphabets with
    a hyphen between, accents, emoji and typographic marks stay.
    """
    if text.isascii():
        data = text.encode()
        if len(data.translate(None, _CONTROLS)) == len(data):
            return text
    return _readable(text)


@lru_cache(maxsize=1024)  # a text is read for each rule, and again at the tickets that follow
def _readable(text: str) -> str:
    east_asian = _CJK.search(text) is not None
    chunks = _BLANK_WITHIN.sub("\u200b", text).split()
    return " ".join([chunk for chunk in chunks if not _disguised(chunk, east_asian)])


@lru_cache(maxsize=4096)
def _disguised(chunk: str, east_asian: bool) -> bool:
    if _WITHIN.search(chunk):
        return True
    return not chunk.isascii() and any(_is_mixed(part, east_asian) for part in _PARTS.split(chunk))


def _is_mixed(word: str, east_asian: bool) -> bool:
    """Return whether the word has letters in a style, or both Latin letters and such as look like them."""
    letters = [char for char in word if char.isalpha() and char not in _HONEST]
    if any(_is_styled(char) and not (east_asian and ord(char) in _FULL_WIDTH) for char in letters):
        return True
    names = [unicodedata.name(char, "") for char in letters]
    return any(name.startswith("LATIN") for name in names) and any(name.startswith(_LOOKALIKES) for name in names)


def _is_styled(letter: str) -> bool:
    plain = unicodedata.normalize("NFKC", letter)
    return plain != letter and len(plain) == 1 and plain.isascii()
