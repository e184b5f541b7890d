"""Words that are not what they look like: letters of other alphabets or styles, characters that nobody sees."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final

# Alphabets with letters that look like Latin ones (Unicode's confusables, https://www.unicode.org/reports/tr39/).
_LOOKALIKES: Final = ("GREEK", "CYRILLIC", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU")
_UNITS: Final = frozenset("µμΩ\u2126")  # micro and ohm stand beside Latin letters: "250 µs", "kΩ"
# Beside the format characters (category Cf), what shows as nothing although it counts as a letter or a mark.
_UNSEEN: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")


def readable(text: str) -> str:
    """Return the text without words of Latin letters that are disguised.

    Such a word holds a character that nobody sees, a letter of an alphabet that looks like Latin, or a Latin letter in
    a mathematical or enclosed style. Words in other alphabets, accents, emoji and typographic marks stay.
    """
    return text if text.isascii() else _readable(text)


@lru_cache(maxsize=1024)  # a text is read for each rule, and again at the tickets that follow
def _readable(text: str) -> str:
    return " ".join([chunk for chunk in text.split() if chunk.isascii() or not _disguised(chunk)])


@lru_cache(maxsize=4096)
def _disguised(chunk: str) -> bool:
    letters = [char for char in chunk if char.isalpha() and char not in _UNITS]
    if any(_styled(char) for char in letters):
        return True
    names = [unicodedata.name(char, "") for char in letters]
    if not any(name.startswith("LATIN") for name in names):
        return False
    return any(name.startswith(_LOOKALIKES) for name in names) or any(
        char in _UNSEEN or unicodedata.category(char) == "Cf" for char in chunk
    )


def _styled(letter: str) -> bool:
    plain = unicodedata.normalize("NFKC", letter)
    return plain != letter and len(plain) == 1 and plain.isascii()
