"""How patterns are written: their parts one by one, and what is told an author who wrote none.

`patterns.py` says what each part means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, Literal

import attrs

from supportbench import RubricError
from supportbench_safety.plain import plain
from supportbench_safety.tokens import Chunks

PartKind = Literal["must", "may", "not", "gap", "start", "end", "before", "anywhere"]

_GAP: Final = re.compile(r"\.\.\.(\d{1,2})")
_FAR: Final = re.compile(r"([@~])\{(\w+)\}")
_WORDS: Final = re.compile(r"(?P<not>!)?(?P<words>[^\s?!~@^$]+)(?P<maybe>\?)?")
_LIST: Final = re.compile(r"\{(\w+)\}")
_EDGES: Final[dict[str, PartKind]] = {"^": "start", "$": "end"}
_NOT_FIRST: Final = {
    "!": "says what must not follow, and nothing stands before it: put it behind a word, as in 'refund !policy'",
    "$": "is where a sentence ends, and nothing stands before it: put it last, as in 'refund $'",
}


@attrs.frozen
class Part:
    """A part of a pattern: its words or the name of its list, or how many words a gap may have."""

    kind: PartKind
    words: str = ""
    gap: int = 0


def parts_of(pattern: str) -> Iterator[Part]:
    """Yield the parts of a pattern; raises `RubricError` where something is none, telling what to write instead."""
    for place, written in enumerate(pattern.split()):
        part = _part(written, pattern)
        if place and part.kind == "start":
            raise _error(written, pattern, "is where a sentence begins: put it first, as in '^ refund'")
        if not place and written[0] in _NOT_FIRST and part.kind in ("not", "end"):
            raise _error(written, pattern, _NOT_FIRST[written[0]])
        yield part


def list_named(alternative: str) -> str | None:
    """Return the name of the list that an alternative is ("{secret}"), None for words."""
    match = _LIST.fullmatch(alternative)
    return match[1] if match else None


@lru_cache(maxsize=1 << 14)
def keys_of(alternative: str) -> tuple[str, ...]:
    """Return what the words of an alternative are found by: stems, or with a "=" before them as they are written.

    They are read as a reply is: a contraction is several words, and "é" is "e".
    """
    exact = alternative.startswith("=")
    runs = plain(alternative.removeprefix("=").replace("_", " ")).text.split()
    chunks = Chunks()
    return tuple(token.form if exact else token.stem for run in runs for token in chunks[run].tokens)


def _part(written: str, pattern: str) -> Part:
    if written in _EDGES:
        return Part(_EDGES[written])
    if match := _GAP.fullmatch(written):
        return Part("gap", gap=int(match[1]))
    if match := _FAR.fullmatch(written):
        return Part("before" if match[1] == "@" else "anywhere", match[2])
    if ".." in plain(written).text:
        raise _error(written, pattern, "is no gap: write '...4' for up to four words of any kind, 99 at most")
    match = _WORDS.fullmatch(written)
    if match is None:
        raise _error(
            written,
            pattern,
            "is none of the things that a pattern is made of: write 'word', 'one|other', '=exact', '{list}', '...4',"
            " 'word?', '!word', '^', '$', '@{list}' or '~{list}'",
        )
    for alternative in match["words"].split("|"):
        _check(alternative, written, pattern)
    return Part("not" if match["not"] else "may" if match["maybe"] else "must", match["words"])


def _check(alternative: str, written: str, pattern: str) -> None:
    if list_named(alternative):
        return
    if "{" in alternative or "}" in alternative:
        raise _error(
            written, pattern, "has a brace that names no list: write '{secret}', the name alone in both braces"
        )
    if not keys_of(alternative):
        why = f"has no word at {alternative!r}" if alternative else "has nothing on one side of a '|'"
        raise _error(written, pattern, f"{why}: write a word on either side of each '|', as in 'refund|credit'")


def _error(written: str, pattern: str, why: str) -> RubricError:
    where = "" if written == pattern else f" in {pattern!r}"
    return RubricError(f"{written!r}{where} {why}.")
