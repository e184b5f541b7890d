"""Measuring a text's words.

What is counted here is what dictionaries, sets and strings do in C, so that a word costs little more than its look-ups.
"""

from __future__ import annotations

import re
import sys
from array import array
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import compress, islice, pairwise, repeat
from typing import Final

from supportbench.words.plain.reading import Words

_CONTENT: Final = 0
_HAS_CONTENT: Final = bytes(kind == _CONTENT for kind in range(256))
_LIST: Final = bytes([_CONTENT]) * 15
_LISTED: Final = re.compile(_LIST + b"+")
_LEAST_PASSAGE: Final = 5
_PASSAGES: Final = 12
_COPIED: Final = re.compile(rb"\x01+")


class English:
    """The class of each small word, a number from 1 on, and in half bits how likely each class is to be followed by
    each; 0 is the class of all words of content."""

    def __init__(self, classes: dict[str, int], half_bits: list[list[int]]) -> None:
        self.class_of: Final = classes.get
        self._half_bits = half_bits

    @cached_property
    def half_bits_of(self) -> Callable[[int], int]:
        """What returns the half bits of the number that two classes make in memory, a byte each."""
        pairs = {
            int.from_bytes((first, second), sys.byteorder): half_bits
            for first, row in enumerate(self._half_bits)
            for second, half_bits in enumerate(row)
        }
        return [pairs.get(pair, 0) for pair in range(max(pairs) + 1)].__getitem__


class TicketWords:
    """A ticket as its words; `english` says whether its customer may be expected to read English."""

    def __init__(self, shown: Words, lexicon: English, english: bool) -> None:
        self.english: Final = english
        self._stems = shown.stems
        self._lexicon = lexicon

    @cached_property
    def words(self) -> frozenset[str]:
        """The words, each once."""
        return frozenset(self._stems)

    @cached_property
    def neighbours(self) -> frozenset[tuple[str, str]]:
        """The pairs of words that stand next to each other."""
        return frozenset(pairwise(self._stems))

    @cached_property
    def near(self) -> frozenset[tuple[str, str]]:
        """The pairs of words of content with one other at most between them, small words aside, in either order."""
        content = _content_of(self._stems, _kinds_of(self._stems, self._lexicon))
        pairs = {*pairwise(content), *zip(content, content[2:], strict=False)}
        return frozenset(pairs).union((second, first) for first, second in pairs)


class Measures:
    """A text's words, measured; what is not asked for is not counted.

    Words of content are those that are no small ones; names and figures (words with digits) are neither small words nor
    spelt ones. `number` counts the words, `content` those of content.
    """

    __slots__ = (
        *("_content", "_english", "_kinds", "_pairs", "_quotes", "_set", "_stems"),
        *("content", "number"),
    )

    def __init__(self, words: Words, english: English) -> None:
        self._stems = stems = words.stems
        self._english = english
        self._kinds = kinds = _kinds_of(stems, english)
        self._content = _content_of(stems, kinds)
        self._set: frozenset[str] | None = None
        # Beside the last ticket; with it in one value, since threads may share a text.
        self._quotes: tuple[TicketWords, bool] | None = None
        self._pairs: tuple[TicketWords, bytes] | None = None
        self.number: Final = len(stems)
        self.content: Final = len(self._content)

    @property
    def words(self) -> frozenset[str]:
        """The words, each once."""
        if self._set is None:
            self._set = frozenset(self._stems)
        return self._set

    def distinct(self) -> int:
        """Return the number of different words."""
        return len(self.words)

    def small_words(self) -> float:
        """Return the share of the small words among these and the spelt words of content, in [0, 1]."""
        small = self.number - self.content
        return small / (small + sum(map(str.isalpha, self._content))) if small else 0.0

    def longest_list(self) -> int:
        """Return the most spelt words of content without a small word between; 0 where no fifteen words stand so."""
        if _LIST not in self._kinds:
            return 0
        runs = [run.span() for run in _LISTED.finditer(self._kinds)]
        return max([sum(map(str.isalpha, self._stems[first:behind])) for first, behind in runs])

    def order(self) -> float:
        """Return how much likelier than chance, in bits, the words follow each other by their classes."""
        # Each two neighbours are one number: those that begin at even places, and those that begin at odd ones.
        kinds = self._kinds
        even, odd = len(kinds) // 2 * 2, (len(kinds) - 1) // 2 * 2 + 1
        pairs = array("H", kinds[:even] + kinds[1:odd])
        return sum(map(self._english.half_bits_of, pairs)) / 2

    def repetition(self) -> float:
        """Return how often each spelt word of content is said, 1 or more on average."""
        spelt = list(filter(str.isalpha, self._content))
        return max(1.0, len(spelt) / max(1, len(frozenset(spelt))))

    def neighbours(self, ticket: TicketWords) -> int:
        """Return how many of the text's pairs of neighbouring words are neighbours in the ticket too."""
        return self._neighbours(ticket).count(1)

    def known(self, ticket: TicketWords) -> int:
        """Return how many of the words of content the ticket has."""
        return sum(map(ticket.words.__contains__, self._content))

    def copied(self, ticket: TicketWords) -> int:
        """Return how many words of content stand beside one that is near them in the ticket too, small words aside."""
        copied = bytes(map(ticket.near.__contains__, pairwise(self._content)))
        return copied.count(1) + (b"\x00" + copied).count(b"\x00\x01")  # of each run of pairs one more than pairs

    def passages(self, ticket: TicketWords, least: int) -> Sequence[tuple[int, int]]:
        """Return where passages of the ticket stand, [first, behind) by words, of so many words on end at least.

        `least` is 5 or more. None is returned where they have fewer than twelve words together.
        """
        if not self._may_have_passages(ticket):
            return ()
        runs = [run.span() for run in _COPIED.finditer(self._neighbours(ticket))]
        passages = [(first, behind + 1) for first, behind in runs if behind + 1 - first >= least]
        return passages if sum([behind - first for first, behind in passages]) >= _PASSAGES else ()

    def repeats(self, earlier: Measures, ticket: TicketWords) -> bool:
        """Return whether under a fifth of the words are not in the earlier text, and none of those is the ticket's."""
        words, known = self.words, earlier.words
        others = -(-len(words) // 5)
        some = list(islice(words, 2 * others))  # mostly enough of them are others
        if len(some) - sum(map(known.__contains__, some)) >= others:
            return False
        new = words - known
        return len(new) < others and ticket.words.isdisjoint(new)

    def _may_have_passages(self, ticket: TicketWords) -> bool:
        """Return whether there may be more than one passage of the ticket, or a long one.

        Every fourth pair of neighbours is looked at: each passage of five words has one of those, a longer one more.
        """
        kept = self._quotes
        if kept is None or kept[0] is not ticket:
            said, step, known = self._stems, _LEAST_PASSAGE - 1, ticket.neighbours
            pairs = zip(said[step - 1 :: step], said[step::step])  # noqa: B905 - the keyword costs as much again
            # The second look begins behind the first find.
            may_have = not (known.isdisjoint(pairs) or known.isdisjoint(pairs))
            kept = self._quotes = ticket, may_have
        return kept[1]

    def _neighbours(self, ticket: TicketWords) -> bytes:
        """Return for each two neighbouring words, as 1 or 0, whether they are neighbours in the ticket too."""
        kept = self._pairs
        if kept is None or kept[0] is not ticket:
            kept = self._pairs = ticket, bytes(map(ticket.neighbours.__contains__, pairwise(self._stems)))
        return kept[1]


def _kinds_of(stems: Sequence[str], english: English) -> bytes:
    return bytes(map(english.class_of, stems, repeat(_CONTENT)))


def _content_of(stems: Sequence[str], kinds: bytes) -> list[str]:
    return list(compress(stems, kinds.translate(_HAS_CONTENT)))
