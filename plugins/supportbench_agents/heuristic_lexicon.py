"""How the `heuristic` agent finds the phrases of its cues in a text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, pairwise, product
from typing import Final, TypeAlias

from supportbench import fold
from supportbench_agents.heuristic_rules import Rules

# A phrase's stems, None where any word may stand.
_Stems: TypeAlias = tuple[str | None, ...]

_PART: Final = re.compile(r"\(([^()]*)\)|\*|[^\s()*]+")
_GAPS: Final[tuple[_Stems, ...]] = ((), (None,), (None, None))


class _Node:
    """A place in the tree of phrases: what may follow, by stem or behind any word; the cues that end here."""

    __slots__ = ("cues", "following", "gap")

    def __init__(self) -> None:
        self.following: dict[str, _Node] = {}
        self.gap: _Node | None = None
        self.cues: tuple[str, ...] = ()

    def after(self, stem: str | None) -> _Node:
        """Return the place behind the stem, a new one if there is none."""
        if stem is not None:
            return self.following.setdefault(stem, _Node())
        self.gap = self.gap or _Node()
        return self.gap


class Lexicon:
    """Finds cues in a text. The phrases of all cues are one tree of stems: the cost is linear in the text."""

    def __init__(self, rules: Rules) -> None:
        self._negations = frozenset(fold(" ".join(rules.negations)).split())
        self._between = frozenset(fold(" ".join(rules.between)).split())
        self._ignored = tuple(map(fold, rules.ignored))
        self._endings_ignored = frozenset(phrase.split()[-1] for phrase in self._ignored)
        self._root = _Node()
        for cue, phrases in rules.cues.items():
            for phrase in phrases:
                for stems in expanded(phrase):
                    node = self._root
                    for stem in stems:
                        node = node.after(stem)
                    if cue not in node.cues:
                        node.cues += (cue,)

    def stems_of(self, text: str) -> list[str]:
        """Return the stems of the text's words without the phrases that are ignored."""
        folded = fold(text)
        stems = folded.split()
        if self._endings_ignored.isdisjoint(stems):
            return stems
        for phrase in self._ignored:
            folded = folded.replace(phrase, " ")
        return folded.split()

    def found(self, stems: Sequence[str]) -> set[str]:
        """Return the names of the cues in the text, and `no:` and the name of those that stand behind a negation."""
        cues: set[str] = set()
        beginnings = self._root.following
        for place, (stem, following) in enumerate(pairwise((*stems, ""))):
            node = beginnings.get(stem)
            if node is None or not (node.cues or node.gap or following in node.following):
                continue
            ended = _ended(node, stems, place + 1)
            if ended:
                cues.update([f"no:{cue}" for cue in ended] if self._negated(stems, place) else ended)
        return cues

    def _negated(self, stems: Sequence[str], place: int) -> bool:
        before = place - 1
        if before > 0 and stems[before] in self._between:
            before -= 1
        return before >= 0 and stems[before] in self._negations


def _ended(node: _Node, stems: Sequence[str], place: int) -> list[str]:
    """Return the cues of all phrases that lead on from the node by the stems from `place` on."""
    ended: list[str] = []
    reached = [node]
    while reached:
        ahead: list[_Node] = []
        stem = stems[place] if place < len(stems) else None
        place += 1
        for here in reached:
            ended += here.cues
            if stem is not None:
                follower = here.following.get(stem)
                if follower is not None:
                    ahead.append(follower)
                if here.gap is not None:
                    ahead.append(here.gap)
        reached = ahead
    return ended


def expanded(phrase: str) -> Iterator[_Stems]:
    """Yield every sequence of stems that the phrase stands for: `(a|b)` is a choice, `*` a gap of up to two words."""
    parts: list[tuple[_Stems, ...]] = []
    for part in _PART.finditer(phrase):
        if part[0] == "*":
            parts.append(_GAPS)
        else:
            parts.append(tuple(map(_stems, (part[1] or part[0]).split("|"))))
    for chosen in product(*parts):
        yield tuple(chain.from_iterable(chosen))


@lru_cache(maxsize=4096)
def _stems(words: str) -> _Stems:
    return tuple(fold(words).split())
