"""Which rules a reply may break, by one look at its words."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from supportbench_safety.rules import Saying
from supportbench_safety.tokens import Chunks

_END: Final = 1  # the bit of a word behind which a sentence may end


class Wakers:
    """Which patterns a text may match, by one look at its words.

    Every set of stems that patterns need has a bit. A sentence has the bits of its words; only patterns that need no
    others are woken, and of those only such are looked at whose rarest bit the sentence has.
    """

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self._bits: dict[frozenset[str], int] = {}
        self._of_stem: dict[str, int] = {}
        self._by_rarest: dict[int, list[tuple[int, Saying]]] = {}
        self._rarest = 0
        self._of_chunk: dict[str, int] = {}

    def add(self, saying: Saying) -> None:
        """Wake this one as well."""
        bits = [self._bit(stems) for stems in saying.pattern.needs]
        self._by_rarest.setdefault(bits[0], []).append((sum(set(bits)), saying))
        self._rarest |= bits[0]

    def woken_by(self, text: str) -> Collection[Saying]:
        """Return what may stand in the text, in no sentence of which it is known to lack a word."""
        woken: dict[Saying, None] = {}
        has_list = "\n" in text and ":" in text  # an item is read with the line above its list
        known, mask = self._of_chunk, 0
        for run in text.split():
            bits = known.get(run)
            if bits is None:
                bits = self._learn(run)
            mask |= bits
            if bits & _END and not has_list:
                if mask & self._rarest:
                    self._wake(mask, woken)
                mask = 0
        if mask & self._rarest:
            self._wake(mask, woken)
        return woken

    def _wake(self, mask: int, woken: dict[Saying, None]) -> None:
        rarest = mask & self._rarest
        while rarest:
            bit = rarest & -rarest
            rarest ^= bit
            for needs, saying in self._by_rarest[bit]:
                if needs & mask == needs:
                    woken[saying] = None

    def _bit(self, stems: frozenset[str]) -> int:
        if stems not in self._bits:
            bit = self._bits[stems] = _END << (1 + len(self._bits))
            for stem in stems:
                self._of_stem[stem] = self._of_stem.get(stem, 0) | bit
        return self._bits[stems]

    def _learn(self, run: str) -> int:
        chunk = self._chunks[run]
        bits = _END if chunk.ends else 0
        for token in chunk.tokens:
            bits |= self._of_stem.get(token.stem, 0)
        if run in self._chunks:
            if len(self._of_chunk) > len(self._chunks):
                self._of_chunk.clear()
            self._of_chunk[run] = bits
        return bits
