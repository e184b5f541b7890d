"""Patterns of words, as `rules.toml` writes them, and how they are found.

A pattern is words with blanks between, each met in any inflection: `send|share_with` is one of these (`_` for a blank
within), `=sent` is met as it is written, `{secret}` is any entry of that list, `...4` up to four words of any kind,
`word?` may be missing, `!word` must not follow, `^` is where a sentence begins or goes on after a pause, `$` where it
ends or pauses. What stands elsewhere: `@{secret}` is a pronoun for which the reply has an entry of the list before it,
`~{secret}` an entry anywhere in the reply or the ticket. Contractions are written out: "do not" finds "don't". The
entries of lists are patterns as well, without what stands elsewhere.

All single words and fixed phrases are looked for at once, in one pass over a sentence, by a tree of their words; a
pattern then joins what was found, which costs next to nothing and is linear in the sentence whatever it says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Final, Literal

import attrs

from supportbench import RubricError, fold

Spans = Sequence[tuple[int, int]]
"""Where something stands in a sentence: the place of its first word, and the one behind its last."""

Word = tuple[str, str, int, int]  # its stem, how it is written with a "=" before it, and where it stands

_PRONOUNS: Final = "=it|=them|=that|=this|=those|=these|=one|=both|=its|=everything|=ones|=same"
_STARTS: Final = (
    "=,|=:|=-|=(|=and|=or|=then|=please|=just|=so|=simply|=but|=to|=you|=instead|=first"
    "|=now|=also|=rather|=kindly|=always"
)
_ENDS: Final = "=,|=:|=-|=(|=and|=or|=but|=so|=as"
_TOKEN: Final = re.compile(
    r"(?P<edge>[\^$])|\.\.\.(?P<gap>\d+)|(?P<far>[@~])\{(?P<list>\w+)\}"
    r"|(?P<not>!)?(?P<words>[^\s?!~@]+)(?P<maybe>\?)?"
)
_NAME: Final = re.compile(r"\{(\w+)\}")


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

    def may_stand_in(self, stems: AbstractSet[str]) -> bool:
        """Return whether a text of these stems has all that a match needs."""
        return not any(map(stems.isdisjoint, self.needs))


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

    def stems_of(self, number: int) -> frozenset[str]:
        """Return stems of which a text has at least one if it has an entry of the list."""
        return frozenset(self._stems[number])

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
        for word in text.split():
            token = _TOKEN.fullmatch(word)
            if token is None:
                raise RubricError(f"{word!r} in {text!r} is none of the things that a pattern is made of.")
            if token["gap"]:
                gap += int(token["gap"])
            elif token["edge"]:
                steps.append(Step(-1, 0, "start" if token["edge"] == "^" else "end"))
            elif token["far"] == "~":
                anywhere.append(self.named(token["list"]))
            else:
                if token["far"]:
                    before.append(self.named(token["list"]))
                    number = self._pronouns
                else:
                    number = self._alternatives(token["words"])
                steps.append(Step(number, gap, "not" if token["not"] else "may" if token["maybe"] else "must"))
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
            raise RubricError(f"The pattern {text!r} has no word that must be there.")
        rarest_first = sorted(needs, key=lambda stems: (len(stems & self._common), len(stems)))
        return Pattern(steps=tuple(steps), needs=tuple(rarest_first), before=tuple(before), anywhere=tuple(anywhere))

    def phrases_of(self, number: int) -> set[tuple[str, ...]]:
        """Return the stems of each word and fixed phrase of the list, the rarest of each first."""
        found = (phrase for phrases in self._phrases[number].values() for phrase in phrases)
        return {tuple(sorted({_stem(key) for key in phrase}, key=self._by_rarity)) for phrase in found}

    def _by_rarity(self, stem: str) -> tuple[bool, int]:
        return stem in self._common, -len(stem)

    def rarity(self, number: int) -> tuple[int, int]:
        """Return what lists are ordered by that a text is looked at for, the rarest first."""
        stems = self._stems[number]
        return len(stems & self._common), len(stems)

    def depth(self, number: int) -> int:
        """Return how many lists deep the list's entries go: 0 where all are words and fixed phrases."""
        entries = self._composed[number]
        return 1 + max(self.depth(each) for entry in entries for each in entry.lists) if entries else 0

    def phrases(self, number: int) -> Mapping[str, Sequence[tuple[str, ...]]]:
        """Return the list's words and fixed phrases, by the first word of each."""
        return self._phrases[number]

    def _new(self) -> int:
        self._stems.append(set())
        self._composed.append([])
        self._phrases.append({})
        return len(self._stems) - 1

    def _alternatives(self, words: str) -> int:
        name = _NAME.fullmatch(words)
        return self.named(name[1]) if name else self.list_of([words])

    def _fill(self, number: int, entries: Iterable[str]) -> None:
        for entry in entries:
            if len(entry.split()) == 1 and not entry.startswith(("^", "$", "!", "~", "@", "...")):
                for alternative in entry.split("|"):
                    self._add(number, alternative, entry)
            else:
                self._compose(number, self.pattern(entry), entry)

    def _add(self, number: int, alternative: str, entry: str) -> None:
        if name := _NAME.fullmatch(alternative):
            self._compose(number, self._pattern([Step(self.named(name[1]))], (), (), entry), entry)
            return
        keys = _keys(alternative)
        if not keys:
            raise RubricError(f"{alternative!r} in {entry!r} is no word.")
        stem = min(map(_stem, keys), key=self._by_rarity)
        for one in (number, self._plain.setdefault(number, len(self._stems))):
            if one == len(self._stems):
                self._new()
            self._phrases[one].setdefault(keys[0], []).append(keys)
            self._stems[one].add(stem)

    def _compose(self, number: int, pattern: Pattern, entry: str) -> None:
        if pattern.before or pattern.anywhere:
            raise RubricError(f"{entry!r} looks elsewhere, which an entry of a list cannot.")
        self._composed[number].append(pattern)
        self._stems[number] |= pattern.needs[0]


class Found:
    """What of a vocabulary stands in a sentence."""

    def __init__(self, vocabulary: Vocabulary, tokens: Sequence[Word]) -> None:
        self._vocabulary = vocabulary
        self._tokens = tokens
        self._stems = frozenset([token[0] for token in tokens])
        self._places: dict[str, list[int]] = {}
        for place, token in enumerate(tokens):
            self._places.setdefault(token[0], []).append(place)
            self._places.setdefault(token[1], []).append(place)
        self._known: dict[int, Spans] = {}

    def spans(self, number: int) -> Spans:
        """Return where entries of the list stand, from left to right."""
        if number not in self._known:
            found = set(self._phrases(number))
            self._known[number] = ()  # what is made of itself is not found
            for pattern in self._vocabulary.composed(number):
                found.update(self.matches(pattern))
            self._known[number] = sorted(found)
        return self._known[number]

    def _phrases(self, number: int) -> Iterator[tuple[int, int]]:
        phrases = self._vocabulary.phrases(number)
        for first in phrases.keys() & self._places.keys():
            for place in self._places[first]:
                for phrase in phrases[first]:
                    if len(phrase) == 1 or self._goes_on(phrase, place):
                        yield place, place + len(phrase)

    def _goes_on(self, phrase: tuple[str, ...], place: int) -> bool:
        words = self._tokens[place : place + len(phrase)]
        return len(words) == len(phrase) and all(key in word[:2] for key, word in zip(phrase, words, strict=True))

    def matches(self, pattern: Pattern) -> Spans:
        """Return where the pattern stands: for each place that it ends at, the shortest way there."""
        if not pattern.may_stand_in(self._stems):
            return ()
        states: dict[int, int] | None = None  # where it may have ended so far, and where it then began
        for step in pattern.steps:
            match step.kind:
                case "start":
                    begins = {0, *(end for _, end in self.spans(self._vocabulary.starts))}
                    states = {place: place for place in begins}
                case "end":
                    closes = {len(self._tokens), *(start for start, _ in self.spans(self._vocabulary.ends))}
                    states = {place: begin for place, begin in (states or {}).items() if place in closes}
                case "not":
                    refused = {start for start, _ in self.spans(step.list)}
                    states = {place: begin for place, begin in (states or {}).items() if place not in refused}
                case "may" if states is not None:
                    states = {**_joined(states, self.spans(step.list), step.gap), **states}
                case "must":
                    states = _joined(states, self.spans(step.list), step.gap)
            if states is not None and not states:
                return ()
        return [(begin, place) for place, begin in (states or {}).items()]


def _joined(states: Mapping[int, int] | None, spans: Spans, gap: int) -> dict[int, int]:
    if states is None:
        return {end: start for start, end in spans}
    reached: dict[int, int] = {}
    for start, end in spans:
        for before in range(start, max(start - gap, 0) - 1, -1):
            if before in states:
                reached[end] = max(states[before], reached.get(end, -1))
                break
    return reached


def _keys(alternative: str) -> tuple[str, ...]:
    """Return what the words of an alternative are found by: stems, or with a "=" before them as they are written."""
    plain = alternative.removeprefix("=").replace("_", " ").lower()
    return tuple(f"={word}" for word in plain.split()) if alternative.startswith("=") else tuple(fold(plain).split())


@lru_cache(maxsize=4096)
def _stem(key: str) -> str:
    return fold(key[1:]).strip() or key[1:] if key.startswith("=") else key
