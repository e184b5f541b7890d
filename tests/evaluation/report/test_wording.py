"""Figures and the text of others, in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from supportbench.evaluation.report.markdown import code
from supportbench.evaluation.report.wording import clean, repeats_told


@given(st.text(alphabet=st.one_of(st.sampled_from("|\\`*_<>@#[]!\n "), st.characters(codec="utf-8")), max_size=30))
def test_whatever_stands_in_a_cell_is_one_code_span_in_one_cell(text: str) -> None:
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(f"| a | b |\n|---|---|\n| {code(text)} | end |\n")
    cells = [tokens[place + 1] for place, token in enumerate(tokens) if token.type == "td_open"]
    assert len(cells) == 2
    assert cells[1].content == "end"
    assert [child.type for child in cells[0].children or ()] in (["code_inline"], ["text"])
    if [child.type for child in cells[0].children or ()] == ["text"]:
        assert cells[0].content == "–"


@pytest.mark.parametrize(
    ("repeats", "told"),
    [((0,), "repeat 1"), ((0, 1, 2), "repeats 1–3"), ((0, 2, 3, 7), "repeats 1, 3–4, 8")],
)
def test_repeats_are_counted_from_one(repeats: tuple[int, ...], told: str) -> None:
    assert repeats_told(repeats) == told


def test_control_characters_are_shown_as_such_and_lines_stay() -> None:
    assert clean("a\x00b\x1b[0m\r\nc\td") == "a\ufffdb\ufffd[0m\nc\td"
