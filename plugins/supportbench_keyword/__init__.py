"""Exact match and concept coverage, and the rubrics made of them: `default`, `careful` and `exact`."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

from supportbench import GradingComponent, Rubric, decode_toml, hookimpl
from supportbench_keyword.coverage import ConceptCoverage
from supportbench_keyword.exact import DispositionMatch, PriorityMatch, QueueMatch

supportbench_api = 1


@hookimpl
def supportbench_grading_components() -> Iterator[GradingComponent]:
    """Offer the four components."""
    yield PriorityMatch()
    yield QueueMatch()
    yield DispositionMatch()
    yield ConceptCoverage()


@hookimpl
def supportbench_rubrics() -> Iterator[Rubric]:
    """Offer the rubrics in the `rubrics` folder."""
    for name in ("careful.toml", "default.toml", "exact.toml"):
        yield decode_toml((files(__name__) / "rubrics" / name).read_text(encoding="utf-8"), Rubric)
