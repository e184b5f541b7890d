"""Concept coverage that forgives misspelling and word order, and the rubric `fuzzy`."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

from supportbench import GradingComponent, Rubric, decode_toml, hookimpl
from supportbench_fuzzy.coverage import FuzzyCoverage

supportbench_api = 1


@hookimpl
def supportbench_grading_components() -> Iterator[GradingComponent]:
    """Offer the component."""
    yield FuzzyCoverage()


@hookimpl
def supportbench_rubrics() -> Iterator[Rubric]:
    """Offer the rubric in the `rubrics` folder."""
    yield decode_toml((files(__name__) / "rubrics" / "fuzzy.toml").read_text(encoding="utf-8"), Rubric)
