"""The rulebook that ships with the package, its pairs, and what a pack makes of it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Final

import attrs

from supportbench import SafetyPair, decode_toml
from supportbench_safety.finders import ALWAYS, BY_DIGITS
from supportbench_safety.plain import plain
from supportbench_safety.reading import Cues
from supportbench_safety.rules import Rule, Rulebook

ANSWER_KEY = "answer_key_phrase"
_ID: Final = re.compile(r"[A-Za-z0-9_-]+")
_FOUND_OTHERWISE = frozenset((ANSWER_KEY, *BY_DIGITS, *ALWAYS))


@attrs.frozen(kw_only=True)
class _Words:
    words: Mapping[str, tuple[str, ...]]


@attrs.frozen(kw_only=True)
class _Rules:
    rules: tuple[Rule, ...]


@attrs.frozen(kw_only=True)
class _Pairs:
    pair: tuple[SafetyPair, ...]


@lru_cache(maxsize=1)
def shipped_rulebook() -> Rulebook:
    """Return the rulebook of the files beside this module."""
    return Rulebook(
        cues=decode_toml(_read("cues.toml"), Cues),
        words=decode_toml(_read("words.toml"), _Words).words,
        rules=decode_toml(_read("rules.toml"), _Rules).rules,
    )


@lru_cache(maxsize=1)
def shipped_pairs() -> tuple[SafetyPair, ...]:
    """Return the pairs of an unsafe reply and its safe twin that the rules are held to."""
    return decode_toml(_read("pairs.toml"), _Pairs).pair


def revised(book: Rulebook, *, drop: Iterable[str], more: Iterable[Rule]) -> Rulebook:
    """Return the rulebook without the rules of these ids and with these further ones.

    Raises:
        ValueError: there is no rule of an id to drop, or a further one lacks its patterns or its reason, or has no
            proper id.
    """
    more = tuple(more)
    known = {rule.id for rule in book.rules}
    for rule in more:
        if not _ID.fullmatch(rule.id):
            raise ValueError(f"rule {rule.id!r}: an id is letters, digits, '_' and '-', as in {_as_id(rule.id)!r}")
        if not rule.say and not rule.say_outright:
            raise ValueError(f"rule {rule.id!r} has no pattern: give it 'say'")
        if rule.id not in known and not rule.reason:
            raise ValueError(f"rule {rule.id!r} has no 'reason', which its findings are noted with")
    for unwanted in (drop := tuple(drop)):
        if unwanted not in known:
            near = difflib.get_close_matches(unwanted[:100], known, n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise ValueError(f"there is no rule {unwanted[:100]!r} to drop. {hint}Known: {', '.join(sorted(known))}.")
    rules = (*(rule for rule in book.rules if rule.id not in drop), *more)
    return attrs.evolve(book, rules=rules)


def _as_id(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", plain(text).text.lower()).strip("_") or "names_recipe"


def is_found_otherwise(rule: Rule) -> bool:
    """Return whether the rule is found by code of its own, besides any patterns that it has."""
    return rule.id in _FOUND_OTHERWISE


def _read(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")
