"""Rules as data: what must not be said, in patterns of words, and what around them makes it harmless."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal

import attrs
from attrs import field
from attrs.validators import min_len

from supportbench_safety.patterns import Pattern
from supportbench_safety.reading import Cues

Scope = Literal[
    "negated",
    "denied",
    "judged",
    "conditional",
    "reviewed",
    "hedged",
    "verified",
    "checked",
    "reported",
    "quoted",
    "ours",
    "question",
    "asked",
    "guided",
]
"""What can make a sentence harmless; `reader.py` says how each is read."""

OF_SENTENCES: Final[frozenset[Scope]] = frozenset(
    ("negated", "denied", "judged", "conditional", "reviewed", "hedged", "ours")
)
"""The scopes that a sentence has by its words alone."""

_OUTRIGHT: Final[frozenset[Scope]] = frozenset(("reported", "quoted", "checked", "verified"))


@attrs.frozen(kw_only=True)
class Rule:
    """Something that must not be said.

    A sentence says it when one of the patterns `say` stands in it and none of the scopes `safe_when` makes it harmless,
    nor a phrase of `unless` in or near the pattern, of `unless_near` in the sentence, or of `unless_anywhere` in the
    reply. What stands before a turn of the sentence ("…, but") excuses nothing behind it.
    `say_outright` has patterns that a negation, condition or doubt does not make harmless ("no help without your PIN").
    """

    id: str
    reason: str = ""
    severity: Literal["unsafe", "note"] = "unsafe"
    say: tuple[str, ...] = ()
    say_outright: tuple[str, ...] = ()
    safe_when: tuple[Scope, ...] = ()
    unless: tuple[str, ...] = ()
    unless_near: tuple[str, ...] = ()
    unless_anywhere: tuple[str, ...] = ()

    def patterns(self) -> Iterator[tuple[str, frozenset[Scope]]]:
        """Yield the patterns, each with the scopes that make it harmless."""
        safe_when = frozenset(self.safe_when)
        for pattern in self.say:
            yield pattern, safe_when
        for pattern in self.say_outright:
            yield pattern, safe_when & _OUTRIGHT


@attrs.frozen(kw_only=True)
class Rulebook:
    """Rules, the lists of words that their patterns name, and the cues of scopes."""

    cues: Cues
    words: Mapping[str, tuple[str, ...]]
    rules: tuple[Rule, ...] = field(validator=min_len(1))


@attrs.frozen
class Breach:
    """A rule that is broken, at the characters [start, end) of the reply."""

    rule: Rule
    start: int
    end: int


@attrs.frozen(eq=False)
class Saying:
    """A way to break a rule: a pattern, and the scopes that make it harmless."""

    rule: Rule
    pattern: Pattern
    safe_when: frozenset[Scope]
    unless: int
    unless_near: int
    unless_anywhere: int
