"""Concept coverage that forgives misspelling and word order, and the rubric `fuzzy`."""

from __future__ import annotations

from collections.abc import Iterator

from supportbench import GradingComponent, hookimpl

supportbench_api = 1


@hookimpl
def supportbench_grading_components() -> Iterator[GradingComponent]:
    """Offer the component."""
    yield from ()
