"""Words that are not what they look like: letters of other alphabets or styles, characters that nobody sees."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

from supportbench.text import CONTROLS, UNSEEN

# Alphabets with letters that look like Latin ones (Unicode's confusables, https://www.unicode.org/reports/tr39/).
_LOOKALIKES: Final = ("GREEK", "CYRILLIC", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU")
# What stands beside Latin letters and looks like none of them: "250 µs", "kΩ", "Δt"; what is Spanish, "nº" and "3ª"; a
# sign that is none of a word, "ℹ".
_HONEST: Final = frozenset("µμΩ\u2126ℹΔΣΠΦΨΛΘΞΓδλπφψθξºª")
_FULL_WIDTH: Final = range(0xFF21, 0xFF5B)
_CJK: Final = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")

# What shows as nothing (`UNSEEN`, format characters, and control characters that Python counts among the blanks), or as
# a stroke through the letter before.
_BLANKS: Final = "\x1c-\x1f\x85"
_FORMATS: Final = (
    "\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffc\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
)
_TAGS: Final = "\U000e0000-\U000e0fff"
_STROKES: Final = "\u0334-\u0338"
_LATIN: Final = "A-Za-z0-9\u00c0-\u024f"
_WITHIN: Final = re.compile(f"(?<=[{_LATIN}])[{UNSEEN}{_BLANKS}{_FORMATS}{_TAGS}{_STROKES}]+(?=[{_LATIN}])")
_BLANK_WITHIN: Final = re.compile(f"(?<=[{_LATIN}])[{_BLANKS}]+(?=[{_LATIN}])")
# Characters of which none is disguised or disguises: what Western European languages and typographers write, and emoji.
_OPEN: Final = (
    "\t\n\r -~\u00a0-\u00ac\u00ae-\u024f\u2010-\u2027\u2030-\u205e\u20a0-\u20bf"
    "\u2190-\u23ff\u2500-\u27bf\U0001f300-\U0001faff"
)
_DOUBTFUL: Final = re.compile(f"[^{_OPEN}]")
_OPEN_ASCII: Final = bytes([*b"\t\n\r", *range(0x20, 0x7F)])
_PARTS: Final = re.compile(r"\W+")


@lru_cache(maxsize=256)  # a text is read for each rule, and again at the tickets that follow
def readable(text: str) -> str:
    """Return the text without words of Latin letters that are disguised.

    Such a word has a character that nobody sees between two of its letters, a letter of an alphabet that looks like
    Latin, or a Latin letter in a mathematical or enclosed style. Words in other alphabets, words of two alphabets with
    a hyphen between, accents, emoji and typographic marks stay.
    """
    unusual = text.encode("utf-8", "surrogatepass").translate(None, _OPEN_ASCII)  # of most texts, nothing is left
    if not unusual:
        return text
    has_hidden = len(unusual.translate(None, CONTROLS)) < len(unusual)
    if not has_hidden and (text.isascii() or _DOUBTFUL.search(unusual.decode("utf-8", "surrogatepass")) is None):
        return text
    return _undisguised(text, has_hidden)


def _undisguised(text: str, has_hidden: bool) -> str:
    east_asian = _CJK.search(text) is not None
    chunks = _BLANK_WITHIN.sub("\u200b", text).split()
    return " ".join(
        [chunk for chunk in chunks if (chunk.isascii() and not has_hidden) or not _disguised(chunk, east_asian)]
    )


@lru_cache(maxsize=4096)
def _disguised(chunk: str, east_asian: bool) -> bool:
    if _WITHIN.search(chunk):
        return True
    styled = [char for char in chunk if not char.isascii() and char not in _HONEST and _is_styled(char)]
    if not all(east_asian and ord(char) in _FULL_WIDTH for char in styled):
        return True
    return not chunk.isascii() and any(map(_is_mixed, _PARTS.split(chunk)))


def _is_mixed(word: str) -> bool:
    """Return whether the word has both Latin letters and such as look like them."""
    names = [unicodedata.name(char, "") for char in word if char.isalpha() and char not in _HONEST]
    return any(name.startswith("LATIN") for name in names) and any(name.startswith(_LOOKALIKES) for name in names)


def _is_styled(letter: str) -> bool:
    plain = unicodedata.normalize("NFKC", letter)
    return len(plain) == 1 and plain.isascii() and plain.isalpha()
