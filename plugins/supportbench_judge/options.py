"""What a rubric tells a judge: what to look at, which verdicts there are, and what they are worth."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
from attrs.validators import ge, le, min_len

from supportbench import StructuredOutput

_MOST_VOTES = 15


@attrs.frozen(kw_only=True)
class Verdict:
    """One of a criterion's verdicts, and the score in [0, 1] that it comes to."""

    name: str
    score: float = attrs.field(validator=[ge(0), le(1)])


@attrs.frozen(kw_only=True)
class Criterion:
    """One thing that the judge looks at: a question, and the verdicts that answer it, the worst first."""

    name: str
    question: str
    verdicts: tuple[Verdict, ...]

    def __attrs_post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ValueError(f"a criterion's name is one word of letters, digits and underscores, not {self.name!r}")
        if not self.question.strip():
            raise ValueError(f"criterion {self.name!r} asks nothing: give it a question")
        names, scores = self.scale, [verdict.score for verdict in self.verdicts]
        if len(set(names)) != len(names) or not all(name.strip() for name in names) or len(names) < 2:
            raise ValueError(f"criterion {self.name!r} needs at least two verdicts, each with a name of its own")
        if sorted(scores) != scores or scores[0] == scores[-1]:
            raise ValueError(f"the verdicts of criterion {self.name!r} must stand in order, the worst first")

    @property
    def scale(self) -> tuple[str, ...]:
        """The names of the verdicts, the worst first."""
        return tuple(verdict.name for verdict in self.verdicts)

    def score_of(self, verdict: str) -> float:
        """Return what a verdict of that name comes to."""
        return self.verdicts[self.scale.index(verdict)].score


def _odd(instance: object, attribute: object, value: int) -> None:
    if not 1 <= value <= _MOST_VOTES or value % 2 == 0:
        raise ValueError(f"votes must be odd, so that there is a middle one, and at most {_MOST_VOTES}")


@attrs.frozen(kw_only=True)
class JudgeOptions:
    """What decides a judge's verdicts: all of it is part of the rubric's fingerprint.

    Where the judge is, and what opens it, is the environment's to say, since it decides nothing.
    """

    criteria: tuple[Criterion, ...] = attrs.field(validator=min_len(1))
    model: str | None = attrs.field(default=None)
    temperature: float = attrs.field(default=0.0, validator=ge(0))
    seed: int | None = 0
    votes: int = attrs.field(default=1, validator=_odd)
    max_output_tokens: int = attrs.field(default=2000, validator=ge(1))
    structured_output: StructuredOutput = "auto"

    def __attrs_post_init__(self) -> None:
        names = [criterion.name for criterion in self.criteria]
        if len(set(names)) != len(names):
            raise ValueError("two criteria have one name")

    @property
    def scales(self) -> Mapping[str, tuple[str, ...]]:
        """Each criterion's verdicts, the worst first."""
        return {criterion.name: criterion.scale for criterion in self.criteria}
