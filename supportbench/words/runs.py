"""Remembering what is known of runs of characters between blanks, of which a text is made."""

from __future__ import annotations

from typing import Final, TypeVar

Run = TypeVar("Run", str, bytes)
T = TypeVar("T")

_MOST: Final = 1 << 16
_LONGEST: Final = 40


class OfRuns(dict[Run, T]):
    """What is known of runs of characters between blanks; emptied when it has grown too large."""

    def keep(self, run: Run, known: T) -> T:
        """Remember what is known of a run, unless it is too long to come again, and return it."""
        if len(run) <= _LONGEST:
            if len(self) >= _MOST:
                self.clear()
            self[run] = known
        return known
