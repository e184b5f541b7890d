"""Two results compare only when the same judge, asked alike, gave the verdicts: the rubric's fingerprint says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from supportbench.rubrics import bind
from supportbench_judge import prompt
from tests.plugins.judge.court import COVERAGE, court, judging


def fingerprint_of(options: Mapping[str, Any] | None = None, **variables: str) -> str:
    registry = court(None, **variables)
    return bind(judging("summary", **(options or {})), registry).fingerprint


@pytest.mark.parametrize(
    "options",
    [
        {"model": "another"},
        {"temperature": 0.3},
        {"seed": 1},
        {"seed": None},
        {"votes": 3},
        {"max_output_tokens": 50},
        {"criteria": [{**COVERAGE, "question": "How much?"}]},
        {"criteria": [{**COVERAGE, "verdicts": [{"name": "none", "score": 0}, {"name": "all", "score": 1}]}]},
    ],
)
def test_what_decides_a_verdict_is_part_of_it(options: Mapping[str, Any]) -> None:
    assert fingerprint_of(options) != fingerprint_of()


def test_so_is_a_model_that_the_environment_names() -> None:
    assert fingerprint_of(judge_model="another") != fingerprint_of(judge_model="stub")


def test_the_rubrics_own_model_goes_before_the_environments() -> None:
    named = {"model": "named"}
    assert fingerprint_of(named, judge_model="another") == fingerprint_of(named, judge_model="stub")


@pytest.mark.parametrize(
    "variables",
    [
        {"judge_api_key": "sk-another-key"},
        {"judge_base_url": "http://127.0.0.1:10/v1"},
        {"judge_timeout": "1"},
        {"judge_concurrency": "2"},
        {"judge_price": "1/1"},
        {"cache": "on"},
    ],
)
def test_what_decides_none_is_not(variables: Mapping[str, Any]) -> None:
    assert fingerprint_of(**variables) == fingerprint_of()


def test_the_text_of_the_prompt_is_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint_of()
    monkeypatch.setattr(prompt, "_PROMPTS", ("system", "material"))
    prompt.prompt_fingerprint.cache_clear()
    try:
        assert fingerprint_of() != before
    finally:
        monkeypatch.undo()
        prompt.prompt_fingerprint.cache_clear()
    assert fingerprint_of() == before
