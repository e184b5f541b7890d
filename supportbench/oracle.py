"""The oracle: an honest best answer to a case, made from its answer key.

It decides as the key does, and writes short plain sentences that carry one phrase of every concept. It promises
nothing, asks for nothing and says none of the key's unsafe phrases.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

import attrs
from attrs import field

from supportbench.models import Case, Concept, SupportQueueAction, Task
from supportbench.text import PhraseGroups, fold

_STYLES: Final = ((1, 0), (1, 1), (3, 0), (3, 1), (1, 2), (6, 0))


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


@attrs.frozen(kw_only=True)
class _Manner:
    """A way to begin and to go on."""

    summary_opening: str
    summary_sentences: tuple[str, ...]
    reply_opening: str
    reply_sentences: tuple[str, ...]


@attrs.frozen(kw_only=True)
class _Speech:
    """The words of `oracle.toml`, which says what each is for."""

    plain: _Manner
    named: _Manner
    others: tuple[_Manner, ...]
    nothing_expected: str
    no_article: frozenset[str] = field(converter=_words)
    no_noun: frozenset[str] = field(converter=_words)
    noun_endings: frozenset[str] = field(converter=_words)


@cache
def _speech() -> _Speech:
    data = tomllib.loads((files(__package__) / "oracle.toml").read_text(encoding="utf-8"))
    return _Speech(
        plain=_Manner(**data["plain"]),
        named=_Manner(**data["named"]),
        others=tuple(_Manner(**other) for other in data["others"]),
        nothing_expected=data["nothing_expected"],
        **data["words"],
    )


def honest_answer(task: Task, case: Case) -> SupportQueueAction:
    """Return an honest best answer to the case: what its key expects, said in plain sentences; certain of itself."""
    return next(honest_answers(task, case))


def honest_answers(task: Task, case: Case) -> Iterator[SupportQueueAction]:
    """Yield honest answers to the case, the plainest first, for graders that do not take to every wording.

    Later ones use other phrases of the concepts, or say several in one sentence, which makes them shorter.
    """
    for several, rank in _STYLES:
        yield _answer(task, case, _speech().plain, several=several, rank=rank)


def reworded_answers(task: Task, case: Case) -> Iterator[SupportQueueAction]:
    """Yield honest answers with the plainest one's phrases in other sentences, for a ticket like an earlier one.

    The first names the ticket's subject; each of the others has words of its own.
    """
    speech = _speech()
    for manner in (speech.named, *speech.others):
        yield _answer(task, case, manner, several=1, rank=0)


def _answer(task: Task, case: Case, manner: _Manner, *, several: int, rank: int) -> SupportQueueAction:
    key, taxonomy, speech = case.answer_key, task.taxonomy, _speech()
    voice = _Voice(unsafe=[fold(phrase) for phrase in key.unsafe_phrases], rank=rank, several=several)
    about = voice.sentences(key.summary_concepts, manner.summary_sentences) or [speech.nothing_expected]
    told = voice.sentences(key.response_concepts, manner.reply_sentences) or [_capital(speech.nothing_expected)]
    ticket = {"ticket": case.ticket.ticket_id, "subject": case.ticket.subject}
    return SupportQueueAction(
        priority=key.priority or taxonomy.priorities[0],
        queue=key.queue or taxonomy.queues[0],
        disposition=key.disposition or taxonomy.dispositions[0],
        summary=" ".join([manner.summary_opening.format(**ticket), *about]),
        response=" ".join([manner.reply_opening.format(**ticket), *told]),
        confidence=1.0,
    )


@attrs.frozen(kw_only=True)
class _Voice:
    """A way of saying concepts: phrases of which rank, how many in a sentence, and what is `unsafe`, folded."""

    unsafe: Sequence[str]
    rank: int
    several: int

    def sentences(self, concepts: Sequence[Concept], frames: Sequence[str]) -> list[str]:
        phrases = self._phrases(concepts)
        said: list[str] = []
        for start in range(0, len(phrases), self.several):
            frame = frames[len(said) % len(frames)]
            said.append(frame.format(phrase=_listed(phrases[start : start + self.several])))
        return said

    def _phrases(self, concepts: Sequence[Concept]) -> list[str]:
        """Return a phrase for each concept that is not said by those before."""
        chosen: list[str] = []
        said: set[int] = set()
        groups = PhraseGroups(concept.phrases for concept in concepts)
        for place, concept in enumerate(concepts):
            if place not in said:
                ranked = sorted(concept.phrases, key=self._unfitness)
                chosen.append(ranked[min(self.rank, len(ranked) - 1)])
                said |= groups.found_in(chosen[-1])
        return chosen

    def _unfitness(self, phrase: str) -> int:
        """Return how badly the phrase reads where a noun is wanted, and whether it is unsafe to say."""
        words, folded, speech = phrase.lower().split(), fold(phrase), _speech()
        return (
            100 * any(unsafe in folded or folded in unsafe for unsafe in self.unsafe)
            + 3 * sum(word in speech.no_noun for word in words)
            + 2 * words[-1].endswith(("ed", "ing", "ly"))
            + 2 * words[0].endswith(("ed", "ing"))
            + 1 * (not words[-1].endswith(tuple(speech.noun_endings)))
            + abs(len(words) - 2)
        )


def _listed(phrases: Sequence[str]) -> str:
    named = [_with_article(phrase) for phrase in phrases]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"


def _with_article(phrase: str) -> str:
    first = phrase.split(maxsplit=1)[0].lower()
    return phrase if first in _speech().no_article or first in _speech().no_noun else f"the {phrase}"


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
