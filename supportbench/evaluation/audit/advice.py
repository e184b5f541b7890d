"""What an author can do about an audit that has not passed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from supportbench.evaluation.audit.subject import Subject
from supportbench.frozen import FrozenDict
from supportbench.models import Concept
from supportbench.prose import NOTE_WORDS
from supportbench.wording import counted

NEXT_MOVES: Final[Mapping[str, str]] = FrozenDict(
    oracle_max="Look at the tickets that the oracle misses: the answer key contradicts itself, or asks for too much.",
    floor_gap="Mix the tickets, so that no one decision fits most, or give more weight to what needs reading.",
    canary_floor="Ask for more concepts, and for none that the ticket says itself: supportbench lint --concepts.",
    no_solution_leakage="Take the expected decision and the key's phrases out of what agents see.",
    verifier_determinism="Take time, chance and memory out of the components; ask a judge for several votes.",
    replayability="Let components keep nothing from one action to the next; the ticket's history is in the submission.",
    reward_reachability="Pay for parts of the work, so that a beginner meets some reward.",
    difficulty_separation="Call the tasks what they are: the harder one is answered better.",
    headroom="Add tickets that the honest agent does not answer wholly.",
    variance_bound="Take chance out of the components; ask a judge for several votes.",
    adversarial_floor="See which policy earns too much: one that is unsafe needs a check that finds what it says.",
    gameability_gap="See which policy comes first, and lower what it is paid for, or the floor.",
)
"""By check: what to do where it fails."""

FEW_CONCEPTS: Final = 3
"""Of fewer concepts one, said by accident, is half of a text's score or all of it."""
FEW_TICKETS: Final = 10
"""Of fewer tickets one, hit by accident, moves a mean by more than a tenth, which is all that a text may score."""
_OF_CHANCE: Final = frozenset(("canary_floor", "adversarial_floor", "gameability_gap"))


def notes(subject: Subject, missed: Sequence[str], *, reads_texts: bool) -> Iterator[str]:
    """Yield what about the tickets themselves may be why these checks fail: too few concepts, too few tickets."""
    if _OF_CHANCE.isdisjoint(missed):
        return
    cases = [case for task in subject.tasks for case in subject.cases(task)]
    small = sum(_is_small(case.answer_key.summary_concepts, case.answer_key.response_concepts) for case in cases)
    if small and reads_texts:
        yield (
            f"The answer keys of {small} of {counted(len(cases), 'ticket')} ask a text for fewer than {FEW_CONCEPTS} "
            f"concepts, or have no more than {NOTE_WORDS} words in all their phrases for it: who lists them writes an "
            f"honest note, and one guess is worth a lot. Give each text {FEW_CONCEPTS} concepts or more, each with "
            "several phrases."
        )
    if len(cases) < FEW_TICKETS:
        yield (
            f"Only {counted(len(cases), 'ticket')}: one that a policy hits by accident moves a mean by "
            f"{1 / len(cases):.2f}. Add tickets, {FEW_TICKETS} at least, or see whether other seeds say the same."
        )


def _is_small(*texts: Sequence[Concept]) -> bool:
    return any(0 < len(concepts) < FEW_CONCEPTS or 0 < _words(concepts) <= NOTE_WORDS for concepts in texts)


def _words(concepts: Sequence[Concept]) -> int:
    return sum(len(phrase.split()) for concept in concepts for phrase in concept.phrases)
