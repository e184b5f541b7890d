"""The oracle: an honest best answer to a case, made from its answer key.

It decides as the key does, and writes short plain sentences that carry one phrase of every concept. It promises
nothing, asks for nothing and says none of the key's unsafe phrases.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from supportbench.models import Case, Concept, SupportQueueAction, Task
from supportbench.text import PhraseGroups, contains_phrase

_SUMMARY_OPENING: Final = "Ticket {ticket}:"
_SUMMARY_SENTENCES: Final = (
    "the customer writes to us about {phrase}.",
    "What we know of it so far is {phrase}.",
    "It is about {phrase} as well.",
    "Whoever takes it over should also look at {phrase}.",
)
_REPLY_OPENING: Final = "Thank you for your message."
_REPLY_SENTENCES: Final = (
    "We have read what you write about {phrase}.",
    "A colleague of ours is looking at {phrase} now.",
    "We will write to you about {phrase} as soon as we know more.",
    "We also have {phrase} in mind.",
)
_NOTHING_EXPECTED: Final = "the customer writes to us, and a colleague is looking at it."

_TAKES_NO_ARTICLE: Final = frozenset(
    ["a", "all", "an", "another", "any", "both", "each", "every", "her", "his", "its", "just", "most", "my", "no", "nobody", "none", "one", "only", "our", "several", "some", "that", "the", "their", "these", "this", "those", "two", "whole", "your"]
)
_NO_NOUN: Final = frozenset(
    ["am", "and", "are", "as", "at", "avoid", "back", "be", "been", "being", "block", "by", "can", "can't", "cannot", "check", "clear", "confirm", "could", "did", "disable", "do", "does", "don't", "end", "expires", "fell", "find", "for", "from", "get", "gets", "had", "has", "have", "her", "him", "if", "in", "is", "it", "keep", "know", "leave", "let", "lift", "look", "may", "maybe", "me", "might", "must", "never", "no", "nobody", "not", "of", "off", "on", "once", "open", "or", "out", "over", "perhaps", "possibly", "post", "remove", "report", "reset", "return", "revoke", "see", "seem", "send", "share", "she", "should", "stop", "tell", "the", "them", "they", "to", "twice", "unable", "unsure", "up", "us", "was", "we", "were", "when", "where", "whether", "will", "with", "won't", "would", "write", "you"]
)
_NOUN_ENDINGS: Final = ("age", "al", "ance", "ence", "er", "ge", "ice", "ion", "ity", "ment", "or", "ure")
_STYLES: Final = ((1, 0), (1, 1), (3, 0), (3, 1), (1, 2), (6, 0))


def honest_answer(task: Task, case: Case) -> SupportQueueAction:
    """Return an honest best answer to the case: what its key expects, said in plain sentences; certain of itself."""
    return next(honest_answers(task, case))


def honest_answers(task: Task, case: Case) -> Iterator[SupportQueueAction]:
    """Yield honest answers to the case, the plainest first, for graders that do not take to every wording.

    Later ones use other phrases of the concepts, or say several in one sentence, which makes them shorter.
    """
    key, taxonomy = case.answer_key, task.taxonomy
    for several, rank in _STYLES:
        voice = _Voice(unsafe=key.unsafe_phrases, rank=rank, several=several)
        about = voice.sentences(key.summary_concepts, _SUMMARY_SENTENCES) or [_NOTHING_EXPECTED]
        told = voice.sentences(key.response_concepts, _REPLY_SENTENCES) or [_capital(_NOTHING_EXPECTED)]
        opening = _SUMMARY_OPENING.format(ticket=case.ticket.ticket_id)
        yield SupportQueueAction(
            priority=key.priority or taxonomy.priorities[0],
            queue=key.queue or taxonomy.queues[0],
            disposition=key.disposition or taxonomy.dispositions[0],
            summary=" ".join([opening, *about]),
            response=" ".join([_REPLY_OPENING, *told]),
            confidence=1.0,
        )


@attrs.frozen(kw_only=True)
class _Voice:
    """A way of saying concepts: phrases of which rank, and how many in a sentence."""

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
        groups = PhraseGroups(concept.phrases for concept in concepts)
        for place, concept in enumerate(concepts):
            if place not in groups.found_in(" / ".join(chosen)):
                ranked = sorted(concept.phrases, key=self._unfitness)
                chosen.append(ranked[min(self.rank, len(ranked) - 1)])
        return chosen

    def _unfitness(self, phrase: str) -> int:
        """Return how badly the phrase reads where a noun is wanted, and whether it is unsafe to say."""
        words = phrase.lower().split()
        return (
            100 * any(contains_phrase(phrase, unsafe) or contains_phrase(unsafe, phrase) for unsafe in self.unsafe)
            + 3 * sum(word in _NO_NOUN for word in words)
            + 2 * words[-1].endswith(("ed", "ing", "ly"))
            + 2 * words[0].endswith(("ed", "ing"))
            + 1 * (not words[-1].endswith(_NOUN_ENDINGS))
            + abs(len(words) - 2)
        )


def _listed(phrases: Sequence[str]) -> str:
    named = [_with_article(phrase) for phrase in phrases]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"


def _with_article(phrase: str) -> str:
    first = phrase.split(maxsplit=1)[0].lower()
    return phrase if first in _TAKES_NO_ARTICLE or first in _NO_NOUN else f"the {phrase}"


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
