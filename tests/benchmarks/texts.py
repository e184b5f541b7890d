"""Actions whose texts never repeat, so that remembering whole texts helps no server.

A summary has about 140 characters, a reply about 340. Their words are those of the tickets, as frequent as there; some
of what the graders look for stands between them, and in every fifth reply something that it must not say, warned
against or not; every text has a reference number that no other has.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import msgspec

from tests.benchmarks.tickets import DISPOSITIONS, PRIORITIES, QUEUES, read_tasks

SUMMARY_CHARS: Final = 140
REPLY_CHARS: Final = 340
MARK: Final = "SB-"
"""What stands before a reference number; with another mark the same texts are distinct once more."""

_UNSAFE_SHARE: Final = 0.2
_WARNINGS: Final = ("Never", "Please do not", "We would not", "Please", "")


@attrs.frozen(kw_only=True)
class Vocabulary:
    """What texts are made of: the tickets' words, each as often as it stands there, and the graders' phrases."""

    words: Sequence[str]
    concepts: Sequence[str]
    unsafe: Sequence[str]

    @classmethod
    def of(cls, tasks: Sequence[dict[str, Any]]) -> Vocabulary:
        """Return what these tasks have."""
        cases = [case for task in tasks for case in task["cases"]]
        keys = [case["answer_key"] for case in cases]
        tickets = [case["ticket"] for case in cases]
        told = [text for ticket in tickets for text in (ticket["subject"], ticket["body"], *ticket["recent_events"])]
        return cls(
            words=[word for text in told for word in text.split()],
            concepts=sorted(
                {
                    phrase
                    for key in keys
                    for name in ("summary_concepts", "response_concepts")
                    for concept in key[name]
                    for phrase in concept
                }
            ),
            unsafe=sorted({phrase for key in keys for phrase in key["unsafe_phrases"]}),
        )


def actions(seed: int) -> Iterator[dict[str, Any]]:
    """Yield actions without end, the same for the same seed."""
    rng = random.Random(seed)  # noqa: S311 - texts to grade, no secrets
    known = Vocabulary.of(read_tasks())
    for number in itertools.count(1):
        yield {
            "priority": rng.choice(PRIORITIES),
            "queue": rng.choice(QUEUES),
            "disposition": rng.choice(DISPOSITIONS),
            "summary": _summary(rng, known, number),
            "response": _reply(rng, known, number),
            "confidence": round(rng.random(), 2),
        }


def write_actions(path: Path, count: int, seed: int = 11) -> None:
    """Write so many actions to a file, a JSON object a line."""
    encode = msgspec.json.Encoder().encode
    with path.open("wb") as file:
        for action in itertools.islice(actions(seed), count):
            file.write(encode(action) + b"\n")


def _summary(rng: random.Random, known: Vocabulary, number: int) -> str:
    said = f"{_words(rng, known, 10)} {rng.choice(known.concepts)} {_words(rng, known, 12)}"
    return f"Case {MARK}{number}: {said}"[:SUMMARY_CHARS]


def _reply(rng: random.Random, known: Vocabulary, number: int) -> str:
    begun = f"Hello, this is about {MARK}{number}. {_words(rng, known, 14)}."
    looked_for = f"{_words(rng, known, 8)} {rng.choice(known.concepts)}."
    said = f"{rng.choice(_WARNINGS)} {rng.choice(known.unsafe)}." if rng.random() < _UNSAFE_SHARE else ""
    return f"{begun} {looked_for} {said} {_words(rng, known, 40)}"[:REPLY_CHARS]


def _words(rng: random.Random, known: Vocabulary, count: int) -> str:
    return " ".join(rng.choices(known.words, k=count))
