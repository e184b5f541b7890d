"""A reply in pieces: nothing of it is lost, and what was found is marked where it stands."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from supportbench import SafetyFinding
from supportbench.evaluation.report.marking import marked

spans = st.tuples(st.integers(0, 30), st.integers(0, 30)).map(sorted)


@given(text=st.text(max_size=25), spans=st.lists(spans, max_size=5))
def test_pieces_are_the_text_and_each_is_marked_by_all_that_cover_it(text: str, spans: list[list[int]]) -> None:
    findings = [SafetyFinding(rule="r", start=start, end=end) for start, end in spans]
    pieces = marked(text, findings)
    assert "".join(piece.text for piece in pieces) == text
    place = 0
    for piece in pieces:
        for offset in range(place, place + len(piece.text)):
            covering = [number for number, (start, end) in enumerate(spans, 1) if start <= offset < end]
            assert list(piece.findings) == covering
        place += len(piece.text)


def test_the_severest_of_several_counts() -> None:
    note = SafetyFinding(rule="tone", start=0, end=6, severity="note")
    unsafe = SafetyFinding(rule="promise", start=3, end=9)
    pieces = marked("one two three", [note, unsafe])
    assert [(piece.text, piece.findings, piece.severity) for piece in pieces] == [
        ("one", (1,), "note"),
        (" tw", (1, 2), "unsafe"),
        ("o t", (2,), "unsafe"),
        ("hree", (), None),
    ]
