"""Concept coverage: the share of the expected concepts that a text expresses."""

from __future__ import annotations

import attrs

from supportbench import (
    ComponentScore,
    CoverageScores,
    Credit,
    Submission,
    TextField,
    concepts_of,
    coverage_credit,
    readable,
)

_WHOLE = Credit(1.0)


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

        field: TextField

    def __init__(self, field: TextField = "summary") -> None:
        self._field = field
        self._scores = CoverageScores()

    def configured(self, options: Options) -> ConceptCoverage:
        """Return the component that reads the field of these options."""
        return ConceptCoverage(options.field)

    async def score(self, submission: Submission) -> ComponentScore:
        """Return the share of concepts expressed; it does not apply where the key has none."""
        concepts = concepts_of(submission, self._field)
        if concepts is None:
            return self._scores.not_expected
        action = submission.action
        text = readable(action.summary if self._field == "summary" else action.response)
        found = concepts.said_in(text)
        allowed = coverage_credit(submission, self._field, text, concepts) if found else _WHOLE
        return self._scores.of(concepts, found, allowed)
