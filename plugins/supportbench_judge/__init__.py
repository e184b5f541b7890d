"""Texts graded by a language model: the components `judged_summary` and `judged_response`, and the rubric `judge`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files

from supportbench import GradingComponent, Rubric, decode_toml, hookimpl
from supportbench_judge.bench import Bench
from supportbench_judge.judged_text import JudgedText

supportbench_api = 1


@hookimpl
def supportbench_grading_components(environ: Mapping[str, str]) -> Iterator[GradingComponent]:
    """Offer the two components; both sit on one bench, so that they can share a call."""
    bench = Bench(environ)
    yield JudgedText(bench, "summary")
    yield JudgedText(bench, "response")


@hookimpl
def supportbench_rubrics() -> Iterator[Rubric]:
    """Offer the rubric in the `rubrics` folder."""
    yield decode_toml((files(__name__) / "rubrics" / "judge.toml").read_text(encoding="utf-8"), Rubric)
