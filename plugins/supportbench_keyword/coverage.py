"""Concept coverage: the share of the expected concepts that a text expresses."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import attrs

from supportbench import ComponentScore, Concept, Submission, fold


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
            return ComponentScore(score=None, note="does not apply: the answer key has no concepts")
        folded = fold(text)
        matched: list[str] = []
        missed: list[str] = []
        for concept, phrases in zip(concepts, _folded_phrases(concepts), strict=True):
            for phrase in phrases:
                if phrase in folded:
                    matched.append(concept.phrases[0])
                    break
            else:
                missed.append(concept.phrases[0])
        return ComponentScore(
            score=len(matched) / len(concepts),
            note=f"{len(matched)} of {len(concepts)} concepts",
            details={"matched": matched, "missed": missed},
        )


@lru_cache(maxsize=4096)
def _folded_phrases(concepts: tuple[Concept, ...]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(fold(phrase) for phrase in concept.phrases) for concept in concepts)
