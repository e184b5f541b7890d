"""The rules of the `heuristic` agent: the shape of `heuristic.toml`, its conditions and its sentences."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Set
from functools import lru_cache
from importlib.resources import files
from typing import Final, TypeAlias

import attrs
from attrs import field

from supportbench import decode_toml, fold

_CONDITIONS: Final = re.compile(r"\[([^\]]*)\] ?")
_SLOT: Final = re.compile(r"\{(\w+)\}")


@attrs.frozen(kw_only=True)
class Condition:
    """Facts that must all hold, of which one must hold, of which none may hold; an empty condition holds."""

    all_of: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()

    def holds(self, facts: Set[str]) -> bool:
        """Return whether the facts fulfil the condition."""
        return (
            all(fact in facts for fact in self.all_of)
            and (not self.any_of or any(fact in facts for fact in self.any_of))
            and not any(fact in facts for fact in self.none_of)
        )


@attrs.frozen(kw_only=True)
class Conclusion:
    """A fact that follows from others."""

    fact: str
    when: Condition


@attrs.frozen(kw_only=True)
class Decision:
    """What to do when the condition holds: priority from 1, the most urgent, to 4; and the disposition."""

    priority: int
    disposition: str
    sure: float
    when: Condition = Condition()


@attrs.frozen(kw_only=True)
class Slot:
    """A detail that sentences can name: what a pattern captures, the name of a cue's thing, or a record with a cue.

    Only what is `safe` may stand in a reply: codes, numbers and our own words, never free text of the ticket.
    """

    name: str
    pattern: str = ""
    hint: str = ""  # without it in the text, the pattern need not be tried
    names: tuple[tuple[str, str], ...] = ()
    record_with: str = ""
    safe: bool = False
    regex: re.Pattern[str] = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "regex", re.compile(self.pattern))


@attrs.frozen
class Version:
    """One way to say a sentence: the facts it needs and forbids, and its text with slots."""

    needs: frozenset[str]
    forbids: frozenset[str]
    slots: tuple[str, ...]
    text: str

    @classmethod
    def from_text(cls, text: str) -> Version:
        """Return the version that `[fact !other] words with a {slot}` describes."""
        conditions = _CONDITIONS.match(text)
        facts = conditions[1].split() if conditions else []
        words = text[conditions.end() :] if conditions else text
        return cls(
            needs=frozenset(fact for fact in facts if not fact.startswith("!")),
            forbids=frozenset(fact[1:] for fact in facts if fact.startswith("!")),
            slots=tuple(_SLOT.findall(words)),
            text=words,
        )

    def fits(self, facts: Set[str], details: Mapping[str, str]) -> bool:
        """Return whether its facts hold and all its slots can be filled."""
        return self.needs <= facts and self.forbids.isdisjoint(facts) and all(slot in details for slot in self.slots)


Sentences: TypeAlias = tuple[tuple[Version, ...], ...]


def compose(sentences: Iterable[tuple[Version, ...]], facts: Set[str], details: Mapping[str, str]) -> str:
    """Return the sentences, each in its first version that fits; a sentence of which none fits is left out."""
    said = []
    for versions in sentences:
        for version in versions:
            if version.fits(facts, details):
                said.append(version.text.format_map(details) if version.slots else version.text)
                break
    return " ".join(said)


def _sentences(texts: Iterable[Iterable[str]]) -> Sentences:
    return tuple(tuple(Version.from_text(text) for text in versions) for versions in texts)


@attrs.frozen(kw_only=True)
class Area:
    """One area of support, which becomes a queue: what product areas and cues point to it, and its other names."""

    name: str
    product_areas: tuple[str, ...]
    signals: Mapping[str, float]
    also_called: tuple[str, ...]
    product_stems: frozenset[str] = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "product_stems", frozenset(" ".join(map(fold, self.product_areas)).split()))


@attrs.frozen(kw_only=True)
class Matter:
    """A kind of matter: needs one of `needs` and, if given, one of `context`; what speaks for it; its words."""

    name: str
    area: str
    needs: tuple[str, ...]
    context: tuple[str, ...] = ()
    signals: Mapping[str, float]
    summary: tuple[tuple[str, ...], ...]
    reply: tuple[tuple[str, ...], ...]
    summary_sentences: Sentences = field(init=False, repr=False, eq=False)
    reply_sentences: Sentences = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "summary_sentences", _sentences(self.summary))
        object.__setattr__(self, "reply_sentences", _sentences(self.reply))

    def possible(self, said: Container[str]) -> bool:
        """Return whether what is said allows this matter at all."""
        return any(cue in said for cue in self.needs) and (not self.context or any(cue in said for cue in self.context))


@attrs.frozen(kw_only=True)
class Weights:
    """How much a signal counts by where it stands, and the bounds that the facts and the confidence use."""

    subject: float
    body: float
    recent_events: float
    product_area: float
    short_sla_hours: float
    unknown_matter: float
    few_words: int


@attrs.frozen(kw_only=True)
class Frame:
    """The sentences around those of the matter."""

    summary_end: tuple[tuple[str, ...], ...]
    reply_begin: tuple[tuple[str, ...], ...]
    reply_end: tuple[tuple[str, ...], ...]
    summary_end_sentences: Sentences = field(init=False, repr=False, eq=False)
    reply_begin_sentences: Sentences = field(init=False, repr=False, eq=False)
    reply_end_sentences: Sentences = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "summary_end_sentences", _sentences(self.summary_end))
        object.__setattr__(self, "reply_begin_sentences", _sentences(self.reply_begin))
        object.__setattr__(self, "reply_end_sentences", _sentences(self.reply_end))


@attrs.frozen(kw_only=True)
class Rules:
    """The whole of `heuristic.toml`, which says what each part is for."""

    weights: Weights
    negations: tuple[str, ...]
    ignored: tuple[str, ...]
    between: tuple[str, ...]
    cues: Mapping[str, tuple[str, ...]]
    slot: tuple[Slot, ...]
    area: tuple[Area, ...]
    conclusion: tuple[Conclusion, ...]
    decision: tuple[Decision, ...]
    dispositions: Mapping[str, tuple[str, ...]]
    frame: Frame
    matter: tuple[Matter, ...]


@lru_cache(maxsize=1)
def load_rules() -> Rules:
    """Return the rules in `heuristic.toml`, read once, when an agent first needs them."""
    return decode_toml((files(__package__) / "heuristic.toml").read_text(encoding="utf-8"), Rules)
