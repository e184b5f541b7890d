"""Which rules a reply may break, by one look at its words."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import lru_cache, reduce
from operator import or_
from typing import Final, Generic, TypeVar

from supportbench_safety.patterns import Pattern, Vocabulary
from supportbench_safety.rules import Saying
from supportbench_safety.tokens import Chunks

T = TypeVar("T")

_END: Final = 1  # the bit of a word behind which a sentence may end; the bits above it are the lists'


class _Layer(Generic[T]):
    """What follows once all of some bits are there, found by the rarest of them."""

    def __init__(self) -> None:
        self._by_rarest: dict[int, list[tuple[int, T]]] = {}
        self._rarest = 0

    def add(self, bits: list[int], what: T) -> None:
        """Let it follow from these bits, of which the first is the rarest."""
        needs = 0
        for bit in bits:
            needs |= bit
        self._by_rarest.setdefault(bits[0], []).append((needs, what))
        self._rarest |= bits[0]

    def following(self, mask: int) -> Iterator[T]:
        """Yield what follows from the bits of a mask."""
        rarest = mask & self._rarest
        while rarest:
            bit = rarest & -rarest
            rarest ^= bit
            for needs, what in self._by_rarest[bit]:
                if needs & mask == needs:
                    yield what


class Wakers:
    """Which patterns may stand in a text.

    Every list of the vocabulary has a bit. A sentence has the bits of the lists of which it has a word, then those of
    the lists of which it has all the words of an entry, and wakes the patterns of which it has the bits of all lists.
    """

    def __init__(self, vocabulary: Vocabulary, chunks: Chunks) -> None:
        self._vocabulary = vocabulary
        self._chunks = chunks
        self._bits: dict[int, int] = {}
        self._of_stem: dict[str, int] = {}
        self._of_chunk: dict[str, int] = {}
        self._stem_bits: dict[str, int] = {}
        self._layers: list[_Layer[int]] = [_Layer()]  # that of fixed phrases, then of lists as deep as their place
        self._sayings: _Layer[tuple[int, int, Saying]] = _Layer()
        self._told = lru_cache(maxsize=1024)(self._bits_of)

    def add(self, saying: Saying) -> None:
        """Wake this one as well."""
        before, anywhere = (
            reduce(or_, map(self._bit, numbers), 0) for numbers in (saying.pattern.before, saying.pattern.anywhere)
        )
        self._sayings.add(self._needs(saying.pattern), (before, anywhere, saying))

    def woken_by(self, text: str, told: str) -> Collection[Saying]:
        """Return what may stand in the text, in a reply to a ticket that says `told`."""
        woken: dict[Saying, tuple[int, int]] = {}
        total = self._bits_of(text, woken)
        if not woken:
            return ()
        both = total | self._told(told)
        return [
            saying
            for saying, (before, anywhere) in woken.items()
            if before & total == before and anywhere & both == anywhere
        ]

    def _bits_of(self, text: str, woken: dict[Saying, tuple[int, int]] | None = None) -> int:
        has_list = "\n" in text and ":" in text  # an item is read with the line above its list
        known, mask, total = self._of_chunk, 0, 0
        for run in text.split():
            bits = known.get(run)
            if bits is None:
                bits = self._learn(run)
            mask |= bits
            if bits & _END and not has_list:
                total |= self._wake(mask, woken)
                mask = 0
        return total | self._wake(mask, woken)

    def _wake(self, mask: int, woken: dict[Saying, tuple[int, int]] | None) -> int:
        for layer in self._layers:
            for bit in layer.following(mask):
                mask |= bit
        if woken is not None:
            for before, anywhere, saying in self._sayings.following(mask):
                woken[saying] = before, anywhere
        return mask

    def _needs(self, pattern: Pattern) -> list[int]:
        return [self._bit(number) for number in sorted(pattern.lists, key=self._vocabulary.rarity)]

    def _bit(self, number: int) -> int:
        if number not in self._bits:
            bit = self._bits[number] = self._new()
            for stems in self._vocabulary.phrases_of(number):
                if len(stems) == 1:
                    self._of_stem[stems[0]] = self._of_stem.get(stems[0], 0) | bit
                else:
                    self._layers[0].add([self._stem_bit(stem) for stem in stems], bit)
            if entries := self._vocabulary.composed(number):
                depth = self._vocabulary.depth(number)
                self._layers.extend(_Layer() for _ in range(1 + depth - len(self._layers)))
                for entry in entries:
                    self._layers[depth].add(self._needs(entry), bit)
        return self._bits[number]

    def _new(self) -> int:
        return _END << (1 + len(self._bits) + len(self._stem_bits))

    def _stem_bit(self, stem: str) -> int:
        if stem not in self._stem_bits:
            bit = self._stem_bits[stem] = self._new()
            self._of_stem[stem] = self._of_stem.get(stem, 0) | bit
        return self._stem_bits[stem]

    def _learn(self, run: str) -> int:
        chunk = self._chunks[run]
        bits = _END if chunk.ends else 0
        for token in chunk.tokens:
            bits |= self._of_stem.get(token.stem, 0)
        if run in self._chunks:  # which keeps no long ones, and no more than so many
            if len(self._of_chunk) > len(self._chunks):
                self._of_chunk.clear()
            self._of_chunk[run] = bits
        return bits
