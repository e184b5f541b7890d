"""Measuring a judge: every labelled text is judged, twice if asked for, and compared with what people said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Literal, TypeAlias

import attrs

from supportbench.errors import GradingError, RubricError, UnscoredError
from supportbench.evaluation.agreement.figures import CriterionAgreement, agreement_of, confusion_of
from supportbench.evaluation.agreement.labels import Labelled
from supportbench.evaluation.ordering import in_order
from supportbench.grading import Grader
from supportbench.models import Grade, RubricCard, Usage
from supportbench.rubrics import BoundRubric

_Place: TypeAlias = tuple[str, str]
Scales: TypeAlias = Mapping[_Place, tuple[str, ...]]
"""By component and criterion: the verdicts that there are, the worst first."""


@attrs.frozen(kw_only=True)
class UnscoredLabel:
    """A labelled answer that the judge gave no verdict on, and why."""

    where: str
    ticket_id: str
    error: str


@attrs.frozen(kw_only=True)
class MeanUsage:
    """What a hundred judged answers take on average; the cost where the price is known."""

    input_tokens: float
    output_tokens: float
    calls: float
    cost_usd: float | None


@attrs.frozen(kw_only=True)
class AgreementReport:
    """What `supportbench judge-agreement --json` prints.

    `labelled` answers were read; the `unscored` ones enter no figure. `not_judged` labels are of texts that were graded
    without the judge, since they say nothing. `usage` is what all asking took.
    """

    schema: Literal["supportbench.judge-agreement/1"] = "supportbench.judge-agreement/1"
    rubric: RubricCard
    labelled: int
    not_judged: int
    unscored: tuple[UnscoredLabel, ...]
    criteria: tuple[CriterionAgreement, ...]
    usage: Usage | None
    per_hundred: MeanUsage | None

    @property
    def measured(self) -> tuple[CriterionAgreement, ...]:
        """The criteria that have labels."""
        return tuple(each for each in self.criteria if each.agreement.pairs)

    def below(self, kappa: float) -> tuple[CriterionAgreement, ...]:
        """Return the criteria with labels whose weighted kappa is lower, or undefined."""
        return tuple(
            each
            for each in self.measured
            if each.agreement.weighted_kappa is None or each.agreement.weighted_kappa < kappa
        )


def judges_of(bound: BoundRubric) -> tuple[BoundRubric, Scales]:
    """Return the rubric with its judging components alone, and what they can say.

    Raises:
        RubricError: none of its components judges.
    """
    said = bound.scales
    scales = {(name, criterion): scale for name, of_one in said.items() for criterion, scale in of_one.items()}
    judging = [part for part in bound.components if part.name in said]
    if not judging:
        raise RubricError(f"No component of rubric {bound.rubric.name!r} gives verdicts: there is no judge to measure.")
    equally = tuple(attrs.evolve(part, weight=1 / len(judging)) for part in judging)
    return attrs.evolve(bound, components=equally, checks=()), scales


async def measure(
    bound: BoundRubric,
    scales: Scales,
    labels: Sequence[Labelled],
    *,
    rounds: int,
    concurrency: int,
    advance: Callable[[], None] = lambda: None,
) -> AgreementReport:
    """Have every labelled answer judged `rounds` times (once, or twice for the retest) and return the figures.

    `bound` is what `judges_of` returns, whose judge must not repeat answers that it has kept.
    """
    grader = Grader(bound)

    async def judged(labelled: Labelled) -> Grade | GradingError:
        try:
            return await grader.grade(labelled.submission)
        except GradingError as error:
            return error
        finally:
            advance()

    answers: list[list[Grade | GradingError]] = []
    for _ in range(rounds):
        async with aclosing(in_order(judged, labels, concurrency=concurrency)) as grades:
            answers.append([grade async for grade in grades])
    first, again = answers[0], answers[-1] if rounds > 1 else None
    criteria = tuple(
        _criterion(place, scale, labels, *(_verdicts(place, grades) for grades in (first, again)))
        for place, scale in scales.items()
    )
    return AgreementReport(
        rubric=bound.card,
        labelled=len(labels),
        not_judged=sum(
            isinstance(grade, Grade) and _verdict(place, grade) is None
            for grade, labelled in zip(first, labels, strict=True)
            for place in labelled.verdicts
        ),
        unscored=tuple(
            UnscoredLabel(
                where=labelled.where, ticket_id=labelled.submission.case.ticket.ticket_id, error=str(of_one[0])
            )
            for labelled, *grades in zip(labels, *answers, strict=True)
            if (of_one := [grade for grade in grades if isinstance(grade, GradingError)])
        ),
        criteria=criteria,
        usage=_used([grade for of_round in answers for grade in of_round]),
        per_hundred=_per_hundred(first),
    )


def _criterion(
    place: _Place,
    scale: tuple[str, ...],
    labels: Sequence[Labelled],
    first: Sequence[str | None],
    again: Sequence[str | None],
) -> CriterionAgreement:
    human = [labelled.verdicts.get(place) for labelled in labels]
    people, judge = _paired(human, first)
    before, after = _paired(first, again)
    return CriterionAgreement(
        component=place[0],
        criterion=place[1],
        scale=scale,
        agreement=agreement_of(scale, people, judge),
        confusion=confusion_of(scale, people, judge),
        retest=agreement_of(scale, before, after) if again else None,
    )


def _verdicts(place: _Place, grades: Sequence[Grade | GradingError] | None) -> list[str | None]:
    return [_verdict(place, grade) for grade in grades or ()]


def _verdict(place: _Place, grade: Grade | GradingError) -> str | None:
    """Return the verdict on a criterion: None where the ticket is unscored, or the text was not judged."""
    if isinstance(grade, GradingError):
        return None
    component, criterion = place
    verdict = grade.components[component].details.get("verdicts", {}).get(criterion)
    return None if verdict is None else str(verdict)


def _paired(one: Sequence[str | None], other: Sequence[str | None]) -> tuple[list[str], list[str]]:
    """Return the pairs in which both have a verdict."""
    pairs = [(a, b) for a, b in zip(one, other, strict=False) if a is not None and b is not None]
    return [a for a, _ in pairs], [b for _, b in pairs]


def _used(grades: Sequence[Grade | GradingError]) -> Usage | None:
    total: Usage | None = None
    for grade in grades:
        usage = grade.usage if isinstance(grade, Grade | UnscoredError) else None
        if usage is not None:
            total = usage if total is None else total + usage
    return total


def _per_hundred(grades: Sequence[Grade | GradingError]) -> MeanUsage | None:
    usage = _used(grades)
    if usage is None:
        return None
    factor = 100 / len(grades)
    return MeanUsage(
        input_tokens=usage.input_tokens * factor,
        output_tokens=usage.output_tokens * factor,
        calls=usage.calls * factor,
        cost_usd=None if usage.cost_usd is None else usage.cost_usd * factor,
    )
