"""A plain text taken apart into sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from supportbench_safety.tokens import PAUSES, SENTENCE_ENDS, Chunks, Token

ITEM: Final = re.compile(r"\n\s*(?:[-*]|\d+[.)])\s")
"""Where an item of a list begins."""

_ABBREVIATIONS: Final = frozenset(("mr", "mrs", "ms", "dr", "prof", "no", "approx", "st", "vs", "resp", "incl", "cust"))


@attrs.frozen
class Words:
    """The words and pauses of one sentence; for each the place in the text from which its own places count."""

    tokens: Sequence[Token]
    offsets: Sequence[int]
    lead: int = 0
    """So many of them are the line above a list, of which this is an item."""
    asks: bool = False
    """Whether it ends with a question mark."""

    def span(self, first: int, behind: int) -> tuple[int, int]:
        """Return the characters of the text that the words [first, behind) stand for."""
        return self.offsets[first] + self.tokens[first].start, self.offsets[behind - 1] + self.tokens[behind - 1].end


def sentences_of(text: str, chunks: Chunks) -> Iterator[Words]:
    """Yield the sentences that have words, from first to last; an item of a list has the line above it for a lead."""
    tokens: list[Token] = []
    offsets: list[int] = []
    lead = 0  # so many of the tokens
    last_word = behind = 0
    may_end = False
    for run in text.split():
        offset = text.find(run, behind)
        chunk = chunks[run]
        may_end = may_end or offset - behind > 1 or text[behind:offset] == "\n"
        behind = offset + len(run)
        for token in chunk.tokens:
            if token.form in PAUSES:
                if len(tokens) > lead:
                    tokens.append(token)
                    offsets.append(offset)
                continue
            first = offset + token.start
            if may_end:
                gap = text[last_word:first]
                if "\n" in gap and token.stem.isdecimal() and ITEM.match(f"\n{text[first : offset + token.end + 2]}"):
                    continue  # the number of a list's item
                if len(tokens) > lead and is_end(gap, text[first], tokens[-1].form[1:]):
                    yield Words(tokens, offsets, lead, "?" in gap[:3])
                    tokens, offsets, lead = _lead_of(gap, tokens, offsets, lead)
                may_end = False
            tokens.append(token)
            offsets.append(offset)
            last_word = offset + token.end
        may_end = may_end or chunk.ends or not chunk.tokens
    if len(tokens) > lead:
        yield Words(tokens, offsets, lead, "?" in text[last_word : last_word + 3])


def _lead_of(
    gap: str, tokens: Sequence[Token], offsets: Sequence[int], lead: int
) -> tuple[list[Token], list[int], int]:
    """Return what the sentence behind a gap begins with: the line above its list, if it is an item of one."""
    if ITEM.search(gap) is None:
        return [], [], 0
    line = slice(lead, None) if ":" in gap else slice(lead)
    return list(tokens[line]), list(offsets[line]), len(tokens[line])


def is_end(gap: str, then: str, last: str) -> bool:
    """Return whether a sentence ends in the gap between the word `last` and one that begins with the letter `then`.

    A line may also break within a sentence.
    """
    if "\n" in gap and (then.isupper() or ":" in gap or "\n\n" in gap or ITEM.search(gap)):
        return True
    if SENTENCE_ENDS.search(gap) is None or (gap.startswith(". ") and last in _ABBREVIATIONS):
        return False
    return not ('"' in gap and then.islower())
