"""Words for whoever did something wrong: what was meant perhaps, and what was said, at no great length."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def shown(value: object) -> str:
    """Return the value's repr, shortened to some 80 characters: what is refused is not repeated at full length."""
    text = repr(value[:100] if isinstance(value, str) else value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return a sentence that helps after a wrong name: the nearest known one, then all of them (at most twenty)."""
    names = sorted(map(str, known))
    of_folded = {candidate.casefold(): candidate for candidate in reversed(names)}
    near = difflib.get_close_matches(str(name)[:100].casefold(), of_folded, n=1, cutoff=0.61)
    hint = f"Did you mean {of_folded[near[0]]!r}? " if near else ""
    listed = ", ".join(shown(candidate) for candidate in names[:20]) or "none"
    rest = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return f"{hint}Known: {listed}{rest}."


def shortened(text: str, length: int = 200) -> str:
    """Return the text on one line, with at most that many characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 3]}..."


def counted(number: int, noun: str) -> str:
    """Return the number with its noun: "1 ticket", "2 tickets"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
