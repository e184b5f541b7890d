"""A reply in pieces, so that what was found in it can be marked where it stands."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import attrs

from supportbench.models import SafetyFinding, Severity


@attrs.frozen(kw_only=True)
class Piece:
    """A part of a text, and the numbers, from 1, of the findings that it is part of; the severest counts."""

    text: str
    findings: tuple[int, ...] = ()
    severity: Severity | None = None


def marked(text: str, findings: Sequence[SafetyFinding]) -> tuple[Piece, ...]:
    """Return the text in pieces, in order: together they are the text, and none begins or ends within a finding.

    Findings may overlap. What a span has beyond the text's end is left out.
    """
    size = len(text)
    ends = {0, size}
    for finding in findings:
        ends.update((min(finding.start, size), min(finding.end, size)))
    places = sorted(ends)
    return tuple(_piece(text, findings, start, end) for start, end in itertools.pairwise(places) if start < end)


def _piece(text: str, findings: Sequence[SafetyFinding], start: int, end: int) -> Piece:
    inside = [
        (number, finding.severity)
        for number, finding in enumerate(findings, 1)
        if finding.start <= start and end <= finding.end
    ]
    severities = {severity for _, severity in inside}
    return Piece(
        text=text[start:end],
        findings=tuple(number for number, _ in inside),
        severity="unsafe" if "unsafe" in severities else "note" if severities else None,
    )
