"""The one line that matters of what Ray says, which is often a page."""

from __future__ import annotations

import re
from typing import Final

_RAISED: Final = re.compile(r"^(?:\w+\.)*(\w+(?:Error|Exception): .*)$", re.MULTILINE)
_AT: Final = re.compile(r"\bip=([\w.:]+)")


def raised_in(text: str) -> str | None:
    """Return the last exception that a traceback ends with, None where the text has none."""
    raised = _RAISED.findall(text)
    return raised[-1].rstrip(". ") if raised else None


def said_of(error: Exception) -> str:
    """Return what happened: the exception that ended a worker where it was one, else how Ray's message begins."""
    text = str(error)
    first = next((line.strip().rstrip(".") for line in text.splitlines() if line.strip()), type(error).__name__)
    raised, place = raised_in(text), _AT.search(text)
    return first if raised is None else raised + (f" (at {place[1]})" if place else "")
