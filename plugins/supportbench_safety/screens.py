"""Patterns of words as regexes over an `Alphabet`: what a pattern stands in, its screen lets through.

A screen is exact but for lists that would make it too large, and for what stands elsewhere, which it does not look at.
Each begins with a class of characters, which the regex engine looks for fastest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import attrs

from supportbench_safety.alphabet import Alphabet
from supportbench_safety.patterns import Pattern, Step, Vocabulary

_LONGEST: Final = 20_000


@attrs.frozen
class Part:
    """A regex: one of the characters `first`, then what `rest` says."""

    first: frozenset[str]
    rest: str = ""
    exact: bool = True
    """Whether it finds nothing else than what it stands for."""
    ahead: bool = False
    """Whether it looks at what follows."""

    def __str__(self) -> str:
        return one_of(self.first) + self.rest

    @property
    def behind_first(self) -> str:
        """The same where the first character has just been met."""
        return f"(?<={one_of(self.first)}){self.rest}"


@attrs.frozen
class Screen:
    """Finds whether something stands in a sentence."""

    search: Callable[..., object]
    exact: bool
    """Whether it finds nothing else than what it stands for."""
    within: bool
    """Whether that is so in a part of a sentence as well."""


class Screens:
    """The screens of a vocabulary's lists and patterns."""

    def __init__(self, vocabulary: Vocabulary, alphabet: Alphabet) -> None:
        self.alphabet = alphabet
        self._vocabulary = vocabulary
        self._screens: dict[int, Screen] = {}
        self._lists: dict[int, Part] = {}
        self._starts = f"(?<![^{''.join(sorted(self._edges(vocabulary.starts, last=True)))}].)"
        self._ends = f"(?![^{''.join(sorted(self._edges(vocabulary.ends, last=False)))}])"

    def of_list(self, number: int) -> Screen:
        """Return what finds something in every sentence with an entry of the list."""
        if number not in self._screens:
            part = self._list(number)
            self._screens[number] = Screen(re.compile(str(part)).search, part.exact, part.exact and not part.ahead)
        return self._screens[number]

    def of_pattern(self, pattern: Pattern) -> Callable[[str], object]:
        """Return what finds something in every sentence in which the pattern stands."""
        return re.compile(str(self._pattern(pattern))).search

    def _list(self, number: int) -> Part:
        if number not in self._lists:
            parts = list(self._entries(number))
            first = frozenset[str]().union(*(part.first for part in parts))
            rest = f"(?:{'|'.join(part.behind_first for part in parts)})"
            if not parts:
                part = Part(frozenset(" "), "(?!)")
            elif len(parts) == 1:
                part = parts[0]
            else:
                exact, ahead = all(part.exact for part in parts), any(part.ahead for part in parts)
                part = Part(first, rest, exact=exact, ahead=ahead)
            self._lists[number] = part if len(part.rest) < _LONGEST else Part(part.first, ".*", exact=False)
        return self._lists[number]

    def _entries(self, number: int) -> Iterator[Part]:
        words: set[str] = set()
        phrases: dict[str, list[str]] = {}
        for entries in self._vocabulary.phrases(number).values():
            for first, *others in entries:
                if others:
                    phrases.setdefault(first, []).append("".join(one_of(self.alphabet[key]) for key in others))
                else:
                    words |= self.alphabet[first]
        if words:
            yield Part(frozenset(words))
        for first, rests in phrases.items():
            yield Part(self.alphabet[first], f"(?:{'|'.join(rests)})")
        yield from map(self._pattern, self._vocabulary.composed(number))

    def _pattern(self, pattern: Pattern) -> Part:
        """Return the regex of a pattern; of what stands before a later `^`, which says nothing of its place, none."""
        steps = pattern.steps
        musts = [place for place, step in enumerate(steps) if step.kind == "must"]
        begin = max((place for place, step in enumerate(steps[: musts[-1]]) if step.kind == "start"), default=-1)
        first = next(place for place in musts if place > begin)
        part = self._list(steps[first].list)
        starts = self._starts if first == begin + 1 > 0 == steps[first].gap else ""
        lists = [self._list(step.list) for step in steps if step.list >= 0]
        return Part(
            part.first,
            starts + part.rest + "".join(map(self._step, steps[first + 1 :])),
            exact=(bool(starts) if begin == 0 else all(step.kind == "may" for step in steps[:first]))
            and all(each.exact for each in lists)
            and not any(step.kind == "not" and self._vocabulary.composed(step.list) for step in steps),
            ahead=any(each.ahead for each in lists) or any(step.kind in ("not", "end") for step in steps),
        )

    def _step(self, step: Step) -> str:
        gap = f".{{0,{step.gap}}}" if step.gap else ""
        match step.kind:
            case "must":
                return f"{gap}{self._list(step.list)}"
            case "may":
                return f"(?:{gap}{self._list(step.list)})?"
            case "not":
                return "" if self._vocabulary.composed(step.list) else f"(?!{self._list(step.list)})"
            case _:
                return self._ends

    def _edges(self, number: int, *, last: bool) -> frozenset[str]:
        entries = self._vocabulary.phrases(number).values()
        return frozenset().union(*(self.alphabet[words[-1 if last else 0]] for each in entries for words in each))


def one_of(chars: Iterable[str]) -> str:
    """Return a regex for one of the characters, none of which means anything else in a class."""
    chars = sorted(chars)
    return chars[0] if len(chars) == 1 else f"[{''.join(chars)}]"
