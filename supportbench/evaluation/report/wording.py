"""Figures in words, the same on the page and in the short form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from supportbench.evaluation.statistics.records import Mean, Rate

_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")


def figure(value: float | None) -> str:
    """Return a number in [0, 1] with two decimals, a dash where there is none."""
    return "–" if value is None else f"{value:.2f}"


def signed(value: float | None, decimals: int = 3) -> str:
    """Return a difference with its sign, a dash where there is none."""
    return "–" if value is None else f"{value:+.{decimals}f}".replace("-", "−")


def interval(mean: Mean | float | None) -> str:
    """Return the ends of a mean's interval in brackets, empty where it has none."""
    if not isinstance(mean, Mean) or mean.low is None or mean.high is None:
        return ""
    return f"({mean.low:.2f}–{mean.high:.2f})"


def share(rate: Rate | None) -> str:
    """Return a rate in percent with its interval, a dash where there is none."""
    return "–" if rate is None else f"{rate.rate:.1%} ({rate.low:.1%}–{rate.high:.1%})"


def dollars(value: float | None) -> str:
    """Return an amount with as many decimals as show it, a dash where there is none."""
    if value is None:
        return "–"
    return f"${value:,.2f}" if value >= 1 or value == 0 else f"${value:.2g}"


def seconds(value: float) -> str:
    """Return how long it took, with two decimals."""
    return "< 0.01" if 0 < value < 0.01 else f"{value:,.2f}"


def clean(text: object) -> str:
    """Return the text without control characters, for which neither HTML nor SVG has a place."""
    return _CONTROL.sub("\ufffd", str(text).replace("\r\n", "\n"))


def repeats_told(repeats: Sequence[int]) -> str:
    """Return in words which repeats these are, counted from 1: "repeats 1–3, 5"."""
    spans: list[list[int]] = []
    for repeat in repeats:
        if spans and repeat == spans[-1][-1] + 1:
            spans[-1][1:] = [repeat]
        else:
            spans.append([repeat])
    told = ", ".join("–".join(str(end + 1) for end in span) for span in spans)
    return f"repeat{'s' if len(repeats) > 1 else ''} {told}"
