"""Figures of agreement between two who judged the same: shares, kappas, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from supportbench.errors import RunError


@attrs.frozen(kw_only=True)
class Agreement:
    """How far two agree on `pairs` verdicts of one scale; every figure but `pairs` is None where there are none.

    `same` is the share of equal verdicts. `kappa` is Cohen's (agreement beyond chance, 1 at most, 0 for chance), and
    `weighted_kappa` counts a disagreement by the square of its distance on the scale (Cohen 1968). Both are None, too,
    where both gave one and the same verdict throughout, since chance alone would have them agree.
    """

    pairs: int
    same: float | None
    kappa: float | None
    weighted_kappa: float | None


@attrs.frozen(kw_only=True)
class CriterionAgreement:
    """One criterion: people against the judge, and the judge against itself.

    `confusion` has a row for each verdict of people and a column for each of the judge, both in the order of `scale`,
    the worst first. `retest` is None where the judge was asked once.
    """

    component: str
    criterion: str
    scale: tuple[str, ...]
    agreement: Agreement
    confusion: tuple[tuple[int, ...], ...]
    retest: Agreement | None


def need_figures() -> None:
    """Raise `RunError` unless the library that computes kappas is there: better now than when a judge has been paid."""
    try:
        import sklearn.metrics  # noqa: F401, PLC0415 - takes a second, and is in an extra
    except ImportError as error:
        raise RunError(
            f"judge-agreement needs supportbench[agreement]: pip install 'supportbench[agreement]' ({error})"
        ) from error


def agreement_of(scale: Sequence[str], first: Sequence[str], second: Sequence[str]) -> Agreement:
    """Return how far two sequences of verdicts, pair by pair, agree."""
    from sklearn.metrics import cohen_kappa_score  # noqa: PLC0415 - takes a second, and is in an extra

    pairs = len(first)
    if not pairs:
        return Agreement(pairs=0, same=None, kappa=None, weighted_kappa=None)
    same = sum(one == other for one, other in zip(first, second, strict=True)) / pairs
    if len({*first, *second}) == 1:
        return Agreement(pairs=pairs, same=same, kappa=None, weighted_kappa=None)
    one, other = _places(scale, first), _places(scale, second)
    labels = list(range(len(scale)))
    return Agreement(
        pairs=pairs,
        same=same,
        kappa=float(cohen_kappa_score(one, other, labels=labels)),
        weighted_kappa=float(cohen_kappa_score(one, other, labels=labels, weights="quadratic")),
    )


def confusion_of(scale: Sequence[str], first: Sequence[str], second: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Return how often each pair of verdicts occurs: rows are the first's, columns the second's."""
    counts = [[0] * len(scale) for _ in scale]
    for one, other in zip(_places(scale, first), _places(scale, second), strict=True):
        counts[one][other] += 1
    return tuple(map(tuple, counts))


def _places(scale: Sequence[str], verdicts: Sequence[str]) -> list[int]:
    return [scale.index(verdict) for verdict in verdicts]
