"""Patterns of words, as `rules.toml` writes them, and how they are found.

A pattern is words with blanks between, each met in any inflection: `send|share_with` is one of these (`_` for a blank
within), `=sent` is met as it is written, `{secret}` is any entry of that list, `...4` up to four words of any kind,
`word?` may be missing, `!word` must not follow, `^` is where a sentence begins or goes on after a pause, `$` where it
ends or pauses. What stands elsewhere: `@{secret}` is a pronoun for which the reply has an entry of the list before it,
`~{secret}` an entry anywhere in the reply or the ticket. Contractions are written out: "do not" finds "don't". The
entries of lists are patterns as well, without what stands elsewhere.

`screens.py` makes regexes of them, which tell whether a pattern stands in a sentence, and `found.py` tells where.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, Literal

import attrs

from supportbench import RubricError, fold
from supportbench_safety.notation import keys_of, list_named, parts_of

_PRONOUNS: Final = "=it|=them|=that|=this|=those|=these|=one|=both|=its|=everything|=ones|=same"
_STARTS: Final = (
    "=,|=:|=-|=(|=and|=or|=then|=please|=just|=so|=simply|=but|=to|=you|=instead|=first"
    "|=now|=also|=rather|=kindly|=always"
)
_ENDS: Final = "=,|=:|=-|=(|=and|=or|=but|=so|=as"


@attrs.frozen
class Step:
    """A part of a pattern: an entry of list number `list`, after up to `gap` other words."""

    list: int
    gap: int = 0
    kind: Literal["must", "may", "not", "start", "end"] = "must"


@attrs.frozen(kw_only=True)
class Pattern:
    """A pattern, compiled; a match has a stem of each set in `needs`, the rarest first."""

    steps: tuple[Step, ...]
    needs: tuple[frozenset[str], ...]
    before: tuple[int, ...] = ()
    anywhere: tuple[int, ...] = ()

    @property
    def lists(self) -> Iterator[int]:
        """The lists of each of which a match has an entry."""
        return (step.list for step in self.steps if step.kind == "must")


class Vocabulary:
    """All lists of phrases, by number, and the patterns that name them."""

    def __init__(self, lists: Mapping[str, Sequence[str]], common: Iterable[str] = ()) -> None:
        self._sources = lists
        self._common = frozenset(fold(" ".join(common)).split())
        self._named: dict[str, int] = {}
        self._numbers: dict[tuple[str, ...], int] = {}
        self._stems: list[set[str]] = []
        self._composed: list[list[Pattern]] = []
        self._plain: dict[int, int] = {}  # for each list the one of its words and phrases alone
        self._phrases: list[dict[str, list[tuple[str, ...]]]] = []
        self._pronouns = self.list_of([_PRONOUNS])
        self.starts = self.list_of([_STARTS])
        self.ends = self.list_of([_ENDS])

    def composed(self, number: int) -> Sequence[Pattern]:
        """Return the list's entries that are more than words in a row."""
        return self._composed[number]

    def named(self, name: str) -> int:
        """Return the number of the list of that name; raises `RubricError` if there is none."""
        if name not in self._named:
            if name not in self._sources:
                raise RubricError(f"There is no list {name!r} of words. There are: {', '.join(sorted(self._sources))}.")
            self._named[name] = self._new()
            self._fill(self._named[name], self._sources[name])
        return self._named[name]

    def list_of(self, entries: Iterable[str]) -> int:
        """Return the number of a list of these entries."""
        entries = tuple(entries)
        if entries not in self._numbers:
            self._numbers[entries] = self._new()
            self._fill(self._numbers[entries], entries)
        return self._numbers[entries]

    def pattern(self, text: str) -> Pattern:
        """Return the pattern, compiled.

        Raises `RubricError` where it names a list that there is not, or is no pattern.
        """
        steps: list[Step] = []
        before: list[int] = []
        anywhere: list[int] = []
        gap = 0
        for part in parts_of(text):
            match part.kind:
                case "gap":
                    gap += part.gap
                case "start" | "end":
                    steps.append(Step(-1, 0, part.kind))
                case "anywhere":
                    anywhere.append(self.named(part.words))
                case "before":
                    before.append(self.named(part.words))
                    steps.append(Step(self._pronouns, gap))
                    gap = 0
                case _:
                    steps.append(Step(self._alternatives(part.words), gap, part.kind))
                    gap = 0
        return self._pattern(steps, before, anywhere, text)

    def entries(self, pattern: Pattern) -> Sequence[Pattern]:
        """Return a pattern for each entry of the list that it names if it names nothing else, else the pattern."""
        if len(pattern.steps) > 1:
            return (pattern,)
        number = pattern.steps[0].list
        found = [self._pattern([Step(self._plain[number])], (), (), "")] if number in self._plain else []
        for entry in self._composed[number]:
            found.extend(self.entries(entry))
        return [attrs.evolve(entry, before=pattern.before, anywhere=pattern.anywhere) for entry in found]

    def _pattern(self, steps: Sequence[Step], before: Sequence[int], anywhere: Sequence[int], text: str) -> Pattern:
        needs = {frozenset(self._stems[step.list]) for step in steps if step.kind == "must"}
        if not needs:
            raise RubricError(f"{text!r} has no word that must be there: write at least one without '?', '!' and '~'.")
        rarest_first = sorted(needs, key=lambda stems: (len(stems & self._common), len(stems)))
        return Pattern(steps=tuple(steps), needs=tuple(rarest_first), before=tuple(before), anywhere=tuple(anywhere))

    @property
    def keys(self) -> Iterator[str]:
        """Every key that a word or phrase of a list is found by: a stem, or a "=" and a word as it is written."""
        return (
            key for entries in self._phrases for phrases in entries.values() for phrase in phrases for key in phrase
        )

    def is_common(self, key: str) -> bool:
        """Return whether most replies have a word that the key finds."""
        return stem_of(key) in self._common

    def _by_rarity(self, stem: str) -> tuple[bool, int]:
        return stem in self._common, -len(stem)

    def rarity(self, number: int) -> tuple[int, int]:
        """Return what lists are ordered by that a text is looked at for, the rarest first."""
        stems = self._stems[number]
        return len(stems & self._common), len(stems)

    def phrases(self, number: int) -> Mapping[str, Sequence[tuple[str, ...]]]:
        """Return the list's words and fixed phrases, by the first word of each."""
        return self._phrases[number]

    def _new(self) -> int:
        self._stems.append(set())
        self._composed.append([])
        self._phrases.append({})
        return len(self._stems) - 1

    def _alternatives(self, words: str) -> int:
        name = list_named(words)
        return self.named(name) if name else self.list_of([words])

    def _fill(self, number: int, entries: Iterable[str]) -> None:
        for entry in entries:
            parts = tuple(parts_of(entry))
            if len(parts) == 1 and parts[0].kind == "must":
                for alternative in parts[0].words.split("|"):
                    self._add(number, alternative, entry)
            else:
                self._compose(number, self.pattern(entry), entry)

    def _add(self, number: int, alternative: str, entry: str) -> None:
        if name := list_named(alternative):
            self._compose(number, self._pattern([Step(self.named(name))], (), (), entry), entry)
            return
        keys = keys_of(alternative)
        stem = min(map(stem_of, keys), key=self._by_rarity)
        for one in (number, self._plain.setdefault(number, len(self._stems))):
            if one == len(self._stems):
                self._new()
            self._phrases[one].setdefault(keys[0], []).append(keys)
            self._stems[one].add(stem)

    def _compose(self, number: int, pattern: Pattern, entry: str) -> None:
        if pattern.before or pattern.anywhere:
            raise RubricError(f"{entry!r} looks elsewhere, which only 'say' can: write its words without '@' and '~'.")
        self._composed[number].append(pattern)
        self._stems[number] |= pattern.needs[0]


@lru_cache(maxsize=4096)
def stem_of(key: str) -> str:
    """Return the stem of the words that a key finds."""
    return fold(key[1:]).strip() or key[1:] if key.startswith("=") else key
