"""The components: what a judge's verdicts on a summary or a response come to."""

from __future__ import annotations

import math
from collections.abc import Mapping

from supportbench import (
    ComponentScore,
    Credit,
    Submission,
    TextField,
    concepts_of,
    coverage_credit,
    credit,
    fingerprint,
    fold,
    readable,
)
from supportbench_judge.bench import Bench
from supportbench_judge.judge import Judge, Judgement
from supportbench_judge.options import JudgeOptions
from supportbench_judge.place import VARIABLES
from supportbench_judge.prompt import prompt_fingerprint
from supportbench_judge.sittings import Sittings


class JudgedText:
    """A judge's verdicts on one of the two texts, each mapped to a score, multiplied, in [0, 1].

    Multiplied, since a text has to be good at everything: a faithful note that says nothing of the matter is worth
    nothing, and so is a complete one that is made up. What was not written about this ticket counts in part or not at
    all, as it does for `concept_coverage`, whatever the judge says; where it counts for nothing, no judge is asked.

    `details` has the median verdicts by criterion (`verdicts`), the single votes, their agreement and the reasons.
    """

    version = "1"
    variables = VARIABLES
    Options = JudgeOptions

    def __init__(
        self,
        bench: Bench,
        text: TextField,
        options: JudgeOptions | None = None,
        seat: tuple[Judge, Sittings] | None = None,
    ) -> None:
        self.name = f"judged_{text}"
        self._bench = bench
        self._text: TextField = text
        self._options = options
        self._seat = seat

    @property
    def scales(self) -> Mapping[str, tuple[str, ...]]:
        """Each criterion's verdicts, the worst first."""
        return {} if self._options is None else self._options.scales

    @property
    def data_fingerprint(self) -> str:
        """A string that changes with the prompt and with the model, wherever that was named."""
        return fingerprint(
            {"prompt": prompt_fingerprint(), "model": None if self._seat is None else self._seat[0].model}
        )

    def configured(self, options: JudgeOptions) -> JudgedText:
        """Return the component with these criteria; raises ValueError where no judge can be asked."""
        return JudgedText(self._bench, self._text, options, self._bench.seat(options))

    async def score(self, submission: Submission) -> ComponentScore:
        """Return what the verdicts come to; an empty text, and one that says nothing, is 0 without a judge.

        Raises:
            UnscoredError: the judge gave no answer that can be used.
        """
        if self._options is None or self._seat is None:
            raise ValueError(f"{self.name} needs criteria: give it options in a rubric, as rubric 'judge' does")
        allowed = _credit(submission, self._text)
        if allowed.value == 0.0:
            return ComponentScore(score=0.0, note=f"not judged: {allowed.reason}")
        judgement, usage = await self._seat[1].judge(submission, self._text, self._options.criteria)
        judged = math.prod(
            criterion.score_of(judgement.verdicts[criterion.name]) for criterion in self._options.criteria
        )
        return ComponentScore(
            score=judged * allowed.value, note=self._note(judgement, allowed), usage=usage, details=_details(judgement)
        )

    async def aclose(self) -> None:
        """Close the judge's connections."""
        if self._seat is not None:
            await self._seat[0].aclose()

    def _note(self, judgement: Judgement, allowed: Credit) -> str:
        """Return the verdicts; the reasons may say what the answer key holds, and are in the details alone."""
        parts = [f"{name}: {verdict}" for name, verdict in judgement.verdicts.items()]
        votes = len(next(iter(judgement.votes.values())))
        if votes > 1:
            parts.append(f"agreement {judgement.agreement:.2f} of {votes} votes")
        if allowed.value < 1.0:
            parts.append(f"counts for {allowed.value:.2f}: {allowed.reason}")
        return ", ".join(parts)


def _credit(submission: Submission, text: TextField) -> Credit:
    """Return how much a judge's word on the text may count."""
    said = readable(getattr(submission.action, text))
    words = fold(said).split()
    if not words:
        return Credit(0.0, "there is no word in it")
    if len(words) > 1 and len(set(words)) == 1:
        return Credit(0.0, "it is one word over and over")
    concepts = concepts_of(submission, text)
    return credit(submission, text) if concepts is None else coverage_credit(submission, text, said, concepts)


def _details(judgement: Judgement) -> Mapping[str, object]:
    return {
        "verdicts": dict(judgement.verdicts),
        "votes": {name: list(votes) for name, votes in judgement.votes.items()},
        "agreement": judgement.agreement,
        "reasons": {name: list(reasons) for name, reasons in judgement.reasons.items()},
    }
