"""What a dishonest policy knows of the audited tasks: their answer keys, since packs are public.

It never uses the key of the ticket that it is asked about to decide, for then there would be nothing to measure: its
decision is one for a whole group of tickets, the best that can be had without reading any.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

import attrs

from supportbench import AnswerKey, Case, Concept, PhraseGroups, SupportQueueAction, Task, TextField, honest_answer

Known = tuple[Task, Case]
Phrases = tuple[tuple[str, ...], ...]
Allowed = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]

_MOST_STUDIED = 200
_MOST_LEFT_OUT = 20


@attrs.frozen(kw_only=True)
class Triage:
    """A decision."""

    priority: str
    queue: str
    disposition: str


@attrs.frozen(slots=False)
class Group:
    """Tickets that get one constant decision: a task's, or those of all tasks that have one ticket each."""

    cases: tuple[Known, ...]
    _triages: dict[Allowed, Triage] = attrs.field(init=False, factory=dict, repr=False, eq=False)

    def triage(self, allowed: Allowed) -> Triage:
        """Return the decision that earns most on the whole group, each part by itself; the first allowed at a tie."""
        known = self._triages.get(allowed)
        if known is None:
            known = self._triages[allowed] = self._best_triage(*allowed)
        return known

    def _best_triage(
        self, priorities: tuple[str, ...], queues: tuple[str, ...], dispositions: tuple[str, ...]
    ) -> Triage:
        keys = [case.answer_key for _, case in self.cases]
        return Triage(
            priority=max(priorities, key=lambda value: sum(_priority_credit(key, value, priorities) for key in keys)),
            queue=max(queues, key=lambda value: sum(_credit(key.queue, key.acceptable_queues, value) for key in keys)),
            disposition=max(
                dispositions,
                key=lambda value: sum(_credit(key.disposition, key.acceptable_dispositions, value) for key in keys),
            ),
        )

    @cached_property
    def summary_phrases(self) -> Phrases:
        """What to say in a summary, whatever the ticket: see `best_phrases`."""
        return best_phrases(concepts_of(self.cases, "summary"))

    @cached_property
    def response_phrases(self) -> Phrases:
        """What to say in a reply, whatever the ticket: see `best_phrases`."""
        return best_phrases(concepts_of(self.cases, "response"))

    @cached_property
    def most_reusable(self) -> tuple[str, SupportQueueAction] | None:
        """The ticket whose honest texts express most of what the others expect, and those texts; None for no ticket."""
        answers = [(case.ticket.ticket_id, honest_answer(task, case)) for task, case in self.cases[:_MOST_STUDIED]]
        about = PhraseGroups(concept.phrases for concept in concepts_of(self.cases, "summary"))
        told = PhraseGroups(concept.phrases for concept in concepts_of(self.cases, "response"))
        return max(
            answers,
            key=lambda answer: len(about.found_in(answer[1].summary)) + len(told.found_in(answer[1].response)),
            default=None,
        )


_NOBODY = Group(())


@attrs.frozen(slots=False)
class Study:
    """The audited tasks, looked up by what an observation tells."""

    tasks: tuple[Task, ...] = ()

    def group(self, task_id: str) -> Group:
        """Return the tickets that share a constant decision with those of the task; empty for an unknown one."""
        return self._groups.get(task_id, _NOBODY)

    def known(self, task_id: str, ticket_id: str) -> Known | None:
        """Return the ticket with its answer key: only for policies whose texts are no answer all the same."""
        return self._cases.get((task_id, ticket_id))

    def elsewhere(self, task_id: str) -> Group:
        """Return the tickets of other tasks: of all others, or, where they are many, of half of them."""
        return self._elsewhere[self._fold(task_id)] if task_id in self._groups else _NOBODY

    def _fold(self, task_id: str) -> int:
        folds = len(self.tasks) if len(self.tasks) <= _MOST_LEFT_OUT else 2
        return self._places[task_id] % folds

    @cached_property
    def _places(self) -> Mapping[str, int]:
        return {task.task_id: place for place, task in enumerate(self.tasks)}

    @cached_property
    def _elsewhere(self) -> Mapping[int, Group]:
        folds: dict[int, list[Task]] = {}
        for task in self.tasks:
            folds.setdefault(self._fold(task.task_id), []).append(task)
        return {
            fold: Group(tuple(_known(task for other, tasks in folds.items() if other != fold for task in tasks)))
            for fold in folds
        }

    @cached_property
    def _cases(self) -> Mapping[tuple[str, str], Known]:
        return {(task.task_id, case.ticket.ticket_id): (task, case) for task in self.tasks for case in task.cases}

    @cached_property
    def _groups(self) -> Mapping[str, Group]:
        single = [task for task in self.tasks if len(task.cases) == 1]
        pooled = Group(tuple(_known(single)))
        return {task.task_id: pooled if len(task.cases) == 1 else Group(tuple(_known([task]))) for task in self.tasks}


def concepts_of(cases: Iterable[Known], side: TextField) -> list[Concept]:
    """Return the concepts that the cases expect in their summaries or in their replies."""
    keys = [case.answer_key for _, case in cases]
    return [
        concept for key in keys for concept in (key.summary_concepts if side == "summary" else key.response_concepts)
    ]


def best_phrases(concepts: Sequence[Concept], most: int = 24) -> Phrases:
    """Return the phrases that express most concepts with least, best first, each with others that do the same.

    Greedy: the phrase that expresses most of what is not expressed yet, then the next; at most `most` of them.
    """
    groups = PhraseGroups(concept.phrases for concept in concepts)
    commonest = Counter(phrase for concept in concepts for phrase in concept.phrases).most_common(5_000)
    expressed = {phrase: groups.found_in(phrase) for phrase, _ in commonest}
    left = set(range(len(concepts)))
    chosen: list[tuple[str, ...]] = []
    while left and len(chosen) < most and expressed:
        best = max(expressed, key=lambda phrase: (len(expressed[phrase] & left), -len(phrase)))
        gained = expressed[best] & left
        if not gained:
            break
        alike = [phrase for phrase in expressed if phrase != best and gained <= expressed[phrase]]
        chosen.append((best, *alike))
        left -= gained
    return tuple(chosen)


def _known(tasks: Iterable[Task]) -> Iterator[Known]:
    return ((task, case) for task in tasks for case in task.cases)


def _priority_credit(key: AnswerKey, value: str, order: Sequence[str]) -> float:
    if key.priority not in order:
        return 0.0
    return {0: 1.0, 1: 0.5}.get(abs(order.index(value) - order.index(key.priority)), 0.0)


def _credit(expected: str | None, alternatives: Mapping[str, float], value: str) -> float:
    return 1.0 if value == expected else alternatives.get(value, 0.0)
