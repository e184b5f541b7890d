"""Concept coverage: the share of the expected concepts that a text expresses."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import attrs
from frozendict import frozendict

from supportbench import ComponentScore, Concept, PhraseGroups, Submission

_MOST_KEPT_SCORES = 256  # all that eight concepts can come to
_NOT_EXPECTED = ComponentScore(score=None, note="does not apply: the answer key has no concepts")


class ConceptCoverage:
    """The share of the answer key's concepts that stand in the summary or the response, in [0, 1].

    A concept counts once any of its phrases stands in the text as whole words next to each other, in any inflection,
    whatever the case, Unicode form, spacing, hyphens or quotes. An empty text earns 0.
    """

    name = "concept_coverage"
    version = "1"

    @attrs.frozen(kw_only=True)
    class Options:
        """Which text is read, against which of the key's two lists."""

        field: Literal["summary", "response"]

    def __init__(self, field: Literal["summary", "response"] = "summary") -> None:
        self._of_summary = field == "summary"

    def configured(self, options: Options) -> ConceptCoverage:
        """Return the component that reads the field of these options."""
        return ConceptCoverage(options.field)

    async def score(self, submission: Submission) -> ComponentScore:
        """Return the share of concepts expressed; it does not apply where the key has none."""
        action, key = submission.action, submission.case.answer_key
        if self._of_summary:
            text, concepts = action.summary, key.summary_concepts
        else:
            text, concepts = action.response, key.response_concepts
        if not concepts:
            return _NOT_EXPECTED
        return _expected(concepts).score_of(text)


class _ExpectedConcepts:
    """An answer key's concepts, compiled; the scores that they can come to are made once each."""

    __slots__ = ("_groups", "_names", "_scores")

    def __init__(self, concepts: tuple[Concept, ...]) -> None:
        self._names = [concept.phrases[0] for concept in concepts]
        self._groups = PhraseGroups(concept.phrases for concept in concepts)
        self._scores: dict[frozenset[int], ComponentScore] = {}

    def score_of(self, text: str) -> ComponentScore:
        found = self._groups.found_in(text)
        score = self._scores.get(found)
        if score is None:
            score = self._score(found)
            if len(self._scores) < _MOST_KEPT_SCORES:
                self._scores[found] = score
        return score

    def _score(self, found: frozenset[int]) -> ComponentScore:
        names = self._names
        return ComponentScore(
            score=len(found) / len(names),
            note=f"{len(found)} of {len(names)} concepts",
            details=frozendict(
                matched=tuple(name for place, name in enumerate(names) if place in found),
                missed=tuple(name for place, name in enumerate(names) if place not in found),
            ),
        )


@lru_cache(maxsize=4096)
def _expected(concepts: tuple[Concept, ...]) -> _ExpectedConcepts:
    return _ExpectedConcepts(concepts)
