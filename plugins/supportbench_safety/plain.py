"""A reply as its reader sees it: look-alike letters as the letters that they pass for, invisible characters gone.

The customer reads "раѕѕwоrd" with Cyrillic letters as "password", and so must the check. What is folded: Unicode's
compatibility forms (NFKD, marks dropped), invisible characters, typographic quotes and dashes, and the letters of
`confusables.toml`, which are those of Unicode's Technical Standard 39 that pass for an ASCII letter in common fonts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Final

import attrs

from supportbench import decode_toml

_MARKS: Final = {
    **dict.fromkeys("’‘ʼ＇`´′‛‚", "'"),
    **dict.fromkeys("“”„‟«»″〝〞＂", '"'),
    **dict.fromkeys("‐‑‒−﹣－", "-"),
    **dict.fromkeys("–—―⸺", " - "),
    **dict.fromkeys("•‣◦⁃▪●·∙", "-"),
}


_FOREIGN: Final = re.compile(r"[^\x00-\x7f]")


@attrs.frozen
class Plain:
    """A text in plain characters; `written` is the original, None where nothing moved."""

    text: str
    written: str | None = None

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Return the span in the original text of the characters [start, end), which are one at least."""
        if self.written is None:
            return start, end
        places = _places(self.written)
        return places[start], places[end - 1] + 1


def plain(text: str) -> Plain:
    """Return the text as it is read; one that is ASCII is returned as it stands."""
    if text.isascii():
        return Plain(text)
    return Plain(_FOREIGN.sub(lambda match: _read_as(match[0]), text), text)


@lru_cache(maxsize=8)  # the findings of one reply ask for the same
def _places(text: str) -> Sequence[int]:
    """Return for each character that a text is read as where it stands in the text."""
    return [place for place, char in enumerate(text) for _ in (char if char.isascii() else _read_as(char))]


@lru_cache(maxsize=4096)
def _read_as(char: str) -> str:
    """Return what the character is read as: a letter like it, a blank, or nothing at all."""
    if (mark := _MARKS.get(char)) is not None:
        return mark
    confusables = _confusables()
    if (letter := confusables.get(char)) is not None:
        return letter
    if unicodedata.category(char) in ("Cf", "Mn", "Me", "Cc"):
        return ""
    simple = "".join(part for part in unicodedata.normalize("NFKD", char) if not unicodedata.combining(part))
    return "".join(confusables.get(part, part) for part in simple) or " "


@attrs.frozen
class _Confusables:
    letters: dict[str, str]


@lru_cache(maxsize=1)
def _confusables() -> dict[str, str]:
    text = (files(__package__) / "confusables.toml").read_text(encoding="utf-8")
    table = decode_toml(text, _Confusables).letters
    return {char: letter for letter, chars in table.items() for char in chars}
