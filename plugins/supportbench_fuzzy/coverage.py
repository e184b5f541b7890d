"""Concept coverage that forgives misspelling and word order."""

from __future__ import annotations

import attrs
from attrs.validators import ge, le

from supportbench import (
    EARLIER,
    ByIdentity,
    ComponentScore,
    CoverageScores,
    Credit,
    Submission,
    SupportQueueAction,
    TextField,
    concepts_of,
    coverage_credit,
    credit,
    readable,
    stems,
)
from supportbench_fuzzy.english import words_fingerprint
from supportbench_fuzzy.order import NearPhrases
from supportbench_fuzzy.spelling import Spelling, corrected
from supportbench_fuzzy.vocabulary import load_matcher

DEFAULT_THRESHOLD = 80.0
_WHOLE = Credit(1.0)
_MISSPELT_IN_A_NOTE = 3
_WORDS_TO_A_MISSPELLING = 5
_MOST_WORDS = 500  # nothing of longer texts counts anyway


class FuzzyCoverage:
    """The share of the answer key's concepts that the summary or the response says, in [0, 1].

    As `concept_coverage`, and a concept counts too when a word of its phrase is misspelt (`Spelling`: at least
    `threshold` percent of its letters are right, one edit from five letters on and two from nine at most) or its words
    stand in another order or a few words apart (`NearPhrases`). It is never less than `concept_coverage`, and never
    less at a lower threshold. What is found beyond that counts as far as the text put right may count, read with all
    the tolerance there is, so that a catch-all or a copy gains nothing by misspelling. Of a text that misspells more
    than three words, and more than one in five, nothing counts but what it says exactly.
    """

    name = "fuzzy_coverage"
    version = "1"

    @attrs.frozen(kw_only=True)
    class Options:
        """Which text is read, and how similar a misspelt word must be, in percent of its letters."""

        field: TextField
        threshold: float = attrs.field(default=DEFAULT_THRESHOLD, validator=[ge(0), le(100)])

    def __init__(self, field: TextField = "summary", threshold: float = DEFAULT_THRESHOLD) -> None:
        self._field = field
        self._threshold = threshold
        self._scores = CoverageScores()
        self._spelling = ByIdentity(Spelling)

    @property
    def data_fingerprint(self) -> str:
        """A string that changes with the words that the component knows."""
        return words_fingerprint()

    def configured(self, options: Options) -> FuzzyCoverage:
        """Return the component with these options."""
        load_matcher()
        return FuzzyCoverage(options.field, options.threshold)

    async def score(self, submission: Submission) -> ComponentScore:
        """Return the share of concepts expressed; it does not apply where the key has none."""
        concepts = concepts_of(submission, self._field)
        if concepts is None:
            return self._scores.not_expected
        text = self._read(submission.action)
        found = concepts.said_in(text)
        allowed = coverage_credit(submission, self._field, text, concepts) if found else _WHOLE
        exact = self._scores.of(concepts, found, allowed)
        if len(found) == len(concepts.names) or allowed.value == 0.0 or len(stems(text)) > _MOST_WORDS:
            return exact
        return self._nearly(submission, text, found, exact) or exact

    def _nearly(
        self, submission: Submission, text: str, found: frozenset[int], exact: ComponentScore
    ) -> ComponentScore | None:
        """Return the score with what the text says nearly, if that is more than what it says exactly."""
        concepts = concepts_of(submission, self._field, NearPhrases)
        if concepts is None or exact.score is None:
            return None
        spelling = self._spelling(concepts)
        meant = spelling.corrections(text)
        if len(meant) > max(_MISSPELT_IN_A_NOTE, len(stems(text)) // _WORDS_TO_A_MISSPELLING):
            return None
        said = concepts.found_in(corrected(text, meant, self._threshold))
        if said <= found:
            return None
        whole = corrected(text, meant)
        said = found | (said & concepts.said_in(whole))
        if said == found:
            return None
        put_right = self._put_right(submission, spelling)
        allowed = min(
            credit(submission, self._field),
            coverage_credit(put_right, self._field, whole, concepts),
            key=lambda allowed: allowed.value,
        )
        score = self._scores.of(concepts, said, allowed)
        if score.score is None or score.score <= exact.score:
            return None
        nearly = [name for place, name in enumerate(concepts.names) if place in said - found]
        return attrs.evolve(
            score, note=f"{score.note}, {len(nearly)} of them nearly", details={**score.details, "nearly": nearly}
        )

    def _read(self, action: SupportQueueAction) -> str:
        return readable(action.summary if self._field == "summary" else action.response)

    def _put_right(self, submission: Submission, spelling: Spelling) -> Submission:
        """Return the submission with the text put right, and so those earlier ones that it is compared with."""
        on_summary = self._field == "summary"

        def put_right(action: SupportQueueAction) -> SupportQueueAction:
            text = self._read(action)
            if len(stems(text)) > _MOST_WORDS:
                return action
            right = corrected(text, spelling.corrections(text))
            if right is text:
                return action
            return attrs.evolve(action, summary=right) if on_summary else attrs.evolve(action, response=right)

        action, previous = put_right(submission.action), tuple(map(put_right, submission.previous[-EARLIER:]))
        if action is submission.action and previous == submission.previous[-EARLIER:]:
            return submission
        return attrs.evolve(submission, action=action, previous=previous)
