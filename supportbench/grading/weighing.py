"""From scores and findings to the reward."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any, TypeAlias

from supportbench.errors import GradingError
from supportbench.models import ComponentGrade, ComponentScore, Rubric, SafetyFinding, Usage
from supportbench.rubrics import BoundComponent

Weighed: TypeAlias = tuple[dict[str, ComponentGrade], float, Usage | None]
"""The components' parts in the grade, what they earned together in [0, 1], and what they used."""


class Shares:
    """What each component weighs where some of them apply: together 1, in proportion to their weights in the rubric."""

    __slots__ = ("_all", "_rows", "_total")

    def __init__(self, components: Sequence[BoundComponent], applies: Sequence[bool]) -> None:
        weights = [part.weight if applied else 0.0 for part, applied in zip(components, applies, strict=True)]
        self._all = all(applies)
        if not self._all and (largest := max(weights)) > 0.0:  # a tiny weight that applies alone has to count whole
            weights = [weight / largest for weight in weights]
        self._total = total = math.fsum(weights)
        shares = [weight / total if total > 0.0 else 0.0 for weight in weights]
        self._rows = list(zip(itertools.count(), components, weights, shares, strict=False))

    def weigh(self, answers: Sequence[Any]) -> Weighed | None:
        """Return what the components' answers come to; `answers` may go on behind them.

        None where all are taken to apply and one does not, or where no weight counts.

        Raises:
            GradingError: an answer is no ComponentScore.
        """
        grades, points, usages = {}, [], []
        for place, part, weight, share in self._rows:
            answer = answers[place]
            if not isinstance(answer, ComponentScore):
                raise GradingError(f"{part.who} must return a ComponentScore, it returned {type(answer).__name__}")
            score = answer.score
            if score is not None:
                points.append(weight * score)
            elif self._all:
                return None
            grades[part.name] = answer.weighed.get(share) or answer.weigh(share)
            if answer.usage is not None:
                usages.append(answer.usage)
        if self._total <= 0.0:
            return None
        # Of the exact sum: shares that are rounded one by one may miss a full mark by a hair.
        return grades, math.fsum(points) / self._total, reduce(add, usages) if usages else None


def reward_of(
    rubric: Rubric, components: Mapping[str, ComponentGrade], earned: float, findings: Sequence[SafetyFinding]
) -> tuple[float, float]:
    """Return the reward, in [0, 1], and the penalty, which is never above 0; pure.

    The reward never falls when a score rises.
    """
    if not findings and rubric.reward == "weighted":
        return earned, 0.0
    unsafe = any(finding.severity == "unsafe" for finding in findings)
    gated = unsafe and rubric.safety.mode == "gate"
    penalty = 0.0 - (earned if gated else rubric.safety.penalty) if unsafe else 0.0
    if rubric.reward == "binary":
        full = all(part.score == 1.0 for part in components.values() if part.score is not None)
        return (1.0 if full and not unsafe else 0.0), penalty
    return (0.0 if gated else min(1.0, max(0.0, earned + penalty))), penalty
