"""Reading a text as words."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from supportbench.words.runs import OfRuns

# Control characters that Python counts among the blanks, so that no word can hold them: for a run of characters that
# has no word, and between the words of one that has several.
_NO_WORD: Final = "\x1e"
_AND: Final = "\x1f"

_LONGEST_KEPT_NUMBER: Final = 3  # numbers are many


class Words(NamedTuple):
    """A text as its words: their stems, in order; `folded` has a space before each and one at the end."""

    folded: str
    stems: Sequence[str]


class Reader:
    """Reads texts as words; remembers the runs of characters between blanks that it met.

    `stems_of` returns a list of the stems of a run's words, none of them empty, with blanks or with half characters. It
    is given the run in UTF-8, with its bytes replaced by those of the table `lower`.
    """

    def __init__(self, stems_of: Callable[[bytes], list[str]], lower: bytes) -> None:
        self._known = _Runs(stems_of)
        self._lower = lower

    def read(self, text: str) -> Words:
        """Return the text as its words."""
        runs = text.encode("utf-8", "surrogatepass").translate(self._lower).split()
        stems = list(map(self._known.__getitem__, runs))
        folded = f" {' '.join(stems)} " if stems else " "
        if _AND in folded:
            folded = folded.replace(f" {_NO_WORD}", "").replace(_AND, " ")
            stems = folded.split()
        elif _NO_WORD in folded:
            folded = folded.replace(f" {_NO_WORD}", "")
            stems = [stem for stem in stems if stem is not _NO_WORD]
        return Words(folded, stems)


class _Runs(OfRuns[bytes, str]):
    """From a run to its stem; `_NO_WORD` if it has none, `_AND` between several.

    Stems are interned, so that most comparisons of equal ones are of one object with itself.
    """

    def __init__(self, stems_of: Callable[[bytes], list[str]]) -> None:
        super().__init__()
        self._stems_of = stems_of

    def __missing__(self, run: bytes) -> str:
        stems = self._stems_of(run)
        if len(stems) == 1:
            (stem,) = stems
            if len(stem) > _LONGEST_KEPT_NUMBER and stem.isdigit():
                return stem
            return self.keep(run, sys.intern(stem))
        return self.keep(run, _AND.join(stems) or _NO_WORD)
