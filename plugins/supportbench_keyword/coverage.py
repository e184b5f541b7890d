"""Concept coverage: the share of the expected concepts that a text expresses."""

from __future__ import annotations

from typing import Literal

import attrs

from supportbench import ComponentScore, Submission, TicketConcepts, beyond_others, concepts_of, credit, readable

_MOST_KEPT_SCORES = 1024
_NOT_EXPECTED = ComponentScore(score=None, note="does not apply: the answer key has no concepts")


class ConceptCoverage:
    """The share of the answer key's concepts that the summary or the response says, in [0, 1].

    A concept counts once any of its phrases stands in the text as whole words next to each other, in any inflection,
    whatever the case, spacing, hyphens or quotes. What is said counts whole or in part as `supportbench.prose` has it
    (lists of words, copies of the ticket, repeated texts and disguised words earn nothing), and less the more the text
    would cover the task's other tickets as well (`supportbench.concepts`). An empty text earns 0.
    """

    name = "concept_coverage"
    version = "2"

    @attrs.frozen(kw_only=True)
    class Options:
        """Which text is read, against which of the key's two lists."""

        field: Literal["summary", "response"]

    def __init__(self, field: Literal["summary", "response"] = "summary") -> None:
        self._field: Literal["summary", "response"] = field
        self._scores: dict[tuple[TicketConcepts, frozenset[int], str], ComponentScore] = {}

    def configured(self, options: Options) -> ConceptCoverage:
        """Return the component that reads the field of these options."""
        return ConceptCoverage(options.field)

    async def score(self, submission: Submission) -> ComponentScore:
        """Return the share of concepts expressed; it does not apply where the key has none."""
        concepts = concepts_of(submission, self._field)
        if concepts is None:
            return _NOT_EXPECTED
        action = submission.action
        text = readable(action.summary if self._field == "summary" else action.response)
        found, counts, reason = concepts.found_in(text), 1.0, ""
        if found:
            allowed = credit(submission, self._field)
            counts, reason = allowed.value, allowed.reason
            if counts > 0.0 and (others := beyond_others(concepts.elsewhere(text))) < counts:
                counts, reason = others, "it would answer the other tickets as well"
        if 0.0 < counts < 1.0:
            return _score(concepts, found, counts, reason)
        answer = concepts, found, reason
        score = self._scores.get(answer)
        if score is None:
            if len(self._scores) >= _MOST_KEPT_SCORES:
                self._scores.clear()
            score = self._scores[answer] = _score(concepts, found, counts, reason)
        return score


def _score(concepts: TicketConcepts, found: frozenset[int], counts: float, reason: str) -> ComponentScore:
    names = concepts.names
    note = f"{len(found)} of {len(names)} concepts"
    return ComponentScore(
        score=counts * len(found) / len(names),
        note=f"{note}, of which {counts:.0%} counts: {reason}" if reason else note,
        details={
            "matched": [name for place, name in enumerate(names) if place in found],
            "missed": [name for place, name in enumerate(names) if place not in found],
        },
    )
