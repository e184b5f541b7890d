"""Which patterns may stand in a reply, by looks that get closer: at its words, then at their order.

All patterns are looked for at once in a sentence, by bits: a word, or two words next to each other, has a bit for each
pattern that needs it, and a pattern of which all needs are met is tried as a regex. What this lets through is what the
reader finds and little more; what the reader finds is never kept from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, reduce
from itertools import chain
from operator import add, or_
from typing import Final, NamedTuple

import attrs

from supportbench_safety.alphabet import Spelling
from supportbench_safety.patterns import Vocabulary
from supportbench_safety.plain import plain
from supportbench_safety.rules import Saying
from supportbench_safety.screens import Screens
from supportbench_safety.signs import EDGE, Needs, Signs

_LOOKS: Final = 3  # so many of a pattern's needs are looked for by bits, the rarest first
_MOST_SENTENCES: Final = 1 << 13
_LONGEST_KEPT: Final = 200


class _Skimmed(NamedTuple):
    """What is known of a sentence: bits of patterns, those of which all needs are met, and of wanted lists."""

    needs_met: int
    wanted: int
    untried: int
    passed: int = 0


@attrs.define
class _Elsewhere:
    """The bits of the patterns for which a list has to have an entry before them, or anywhere."""

    before: int = 0
    anywhere: int = 0


class Wakers:
    """Finds which sayings may be said in which sentences of a reply.

    `may_be_said` is asked, of what its screen lets through, whether the sentence by itself leaves it unsafe.

    Cost: about 0.3 µs a word, and one regex or two a sentence; a sentence that was read before, but for words that no
    pattern names, one look-up.
    """

    def __init__(
        self,
        needs: Needs,
        screens: Screens,
        spelling: Spelling,
        sayings: Sequence[Saying],
        may_be_said: Callable[[Saying, str], bool],
    ) -> None:
        self._spelling = spelling
        self._may_be_said = may_be_said
        self._screens = screens
        self._sayings = sayings
        self._tried: dict[int, Callable[[str], object]] = {}
        self._skimmed: dict[str, _Skimmed] = {}
        self._bits: dict[str, int] = {}
        self._every = (1 << len(sayings)) - 1
        self._always = 0
        self._elsewhere: dict[int, _Elsewhere] = {}
        self._learn(needs)
        self._allowed = lru_cache(maxsize=1 << 10)(self._with)
        self._told = lru_cache(maxsize=1 << 10)(self._wanted_in)

    def _learn(self, needs: Needs) -> None:
        count = len(self._sayings)
        for place, saying in enumerate(self._sayings):
            wanted = needs.of_pattern(saying.pattern)[:_LOOKS]
            for look, signs in enumerate(wanted):
                self._mark(signs, 1 << (look * count + place))
            for look in range(len(wanted), _LOOKS):
                self._always |= 1 << (look * count + place)
            for number in saying.pattern.before:
                self._elsewhere.setdefault(number, _Elsewhere()).before |= 1 << place
            for number in saying.pattern.anywhere:
                self._elsewhere.setdefault(number, _Elsewhere()).anywhere |= 1 << place
        for place, number in enumerate(self._elsewhere):
            self._mark(needs.of_list(number), 1 << (_LOOKS * count + place))
        one_each: dict[int, int] = {}
        self._bits = {sign: one_each.setdefault(bits, bits) for sign, bits in self._bits.items()}

    def _mark(self, signs: Signs, bit: int) -> None:
        for sign in signs:
            self._bits[sign] = self._bits.get(sign, 0) | bit

    def woken_by(self, text: str, told: str) -> tuple[Sequence[str], Sequence[tuple[Saying, int]]]:
        """Return how the sentences of a plain text are spelt, and what each may say, by its place among them.

        `told` is the text of the ticket that it answers. Of what breaks one rule in one sentence that comes first which
        has all its words in the earliest sentence.
        """
        spelt = self._spelling.sentences(text)
        known = self._skimmed
        skimmed = [known.get(sentence) or self._skim(sentence) for sentence in spelt]
        wanted = reduce(or_, [each.wanted for each in skimmed], 0)
        allowed = self._allowed(wanted, wanted | self._told(told))
        woken: list[tuple[int, int]] = []
        for number, each in enumerate(skimmed):
            passed = (self._try(spelt[number], each, allowed) if each.untried & allowed else each).passed & allowed
            if passed:
                woken.extend((place, number) for place in _places(passed))
        if len(woken) > 1:
            woken.sort(key=lambda one: (self._first_met(one[0], skimmed), one))
        return spelt, [(self._sayings[place], number) for place, number in woken]

    def _skim(self, spelt: str) -> _Skimmed:
        pairs = map(add, EDGE + spelt, spelt + EDGE)
        bits = reduce(or_, filter(None, map(self._bits.get, chain(spelt, pairs))), self._always)
        count = len(self._sayings)
        met = bits & self._every
        for look in range(1, _LOOKS):
            met &= bits >> look * count
        return self._keep(spelt, _Skimmed(met, bits >> _LOOKS * count, met))

    def _try(self, spelt: str, skimmed: _Skimmed, allowed: int) -> _Skimmed:
        met, wanted, untried, passed = skimmed
        for place in _places(untried & allowed):
            screen = self._tried.get(place) or self._screen_of(place)
            if screen(spelt) and self._may_be_said(self._sayings[place], spelt):
                passed |= 1 << place
        return self._keep(spelt, _Skimmed(met, wanted, untried & ~allowed, passed))

    def _screen_of(self, place: int) -> Callable[[str], object]:
        self._tried[place] = self._screens.of_pattern(self._sayings[place].pattern)
        return self._tried[place]

    def _keep(self, spelt: str, skimmed: _Skimmed) -> _Skimmed:
        if len(spelt) <= _LONGEST_KEPT:
            if len(self._skimmed) >= _MOST_SENTENCES:
                self._skimmed.clear()
            self._skimmed[spelt] = skimmed
        return skimmed

    def _first_met(self, place: int, skimmed: Sequence[_Skimmed]) -> int:
        return next(number for number, each in enumerate(skimmed) if each.needs_met >> place & 1)

    def _wanted_in(self, told: str) -> int:
        sentences = self._spelling.sentences(plain(told).text)
        return reduce(or_, [self._skim(sentence).wanted for sentence in sentences], 0)

    def _with(self, said: int, known: int) -> int:
        """Return the bits of the patterns that lack nothing elsewhere: `said` has the lists that the reply may have an
        entry of, `known` those that the reply or the ticket may have."""
        allowed = self._every
        for place, patterns in enumerate(self._elsewhere.values()):
            if not said >> place & 1:
                allowed &= ~patterns.before
            if not known >> place & 1:
                allowed &= ~patterns.anywhere
        return allowed


def _places(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        bits ^= lowest
        yield lowest.bit_length() - 1


def by_rarest_list(sayings: Sequence[Saying], vocabulary: Vocabulary) -> Sequence[Saying]:
    """Return the sayings in the order in which the rarest list of each is first used by any."""
    used: dict[int, int] = {}

    def use(numbers: Iterable[int]) -> None:
        for number in numbers:
            if number not in used:
                used[number] = len(used)
                for entry in vocabulary.composed(number):
                    use(sorted(entry.lists, key=vocabulary.rarity))

    for saying in sayings:
        use((*saying.pattern.before, *saying.pattern.anywhere, *sorted(saying.pattern.lists, key=vocabulary.rarity)))
    return sorted(sayings, key=lambda saying: used[min(saying.pattern.lists, key=vocabulary.rarity)])
