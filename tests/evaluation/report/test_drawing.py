"""What matplotlib draws, made fit for a page: its text is text, and its colours are the page's."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import matplotlib as mpl
from matplotlib.figure import Figure

from supportbench.evaluation.report.drawing import INK, RUNS, Sheet, shortened_label, svg_of

_HOSTILE = "</svg><script>1</script> $\\frac{x$ 票 \x00 --> &amp;"


def draw(figure: Figure) -> None:
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], "o-", color=RUNS[0])
    axes.set_yticks([0], [shortened_label(_HOSTILE, 80)])
    axes.text(0.5, 0.5, "in the middle", color=INK)


def drawn(name: str, sheet: Sheet) -> str:
    return svg_of(draw, size=(9, 3), name=name, title="A line <up>", sheet=sheet)


def test_a_figure_is_the_same_every_time_whatever_a_persons_settings_are() -> None:
    once = drawn("a", Sheet())
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path"}):
        assert drawn("a", Sheet()) == once


def test_text_is_text_and_no_markup() -> None:
    root = ET.fromstring(drawn("a", Sheet()))  # noqa: S314
    texts = [element.text for element in root.iter("text")]
    assert "</svg><script>1</script> $\\frac{x$ 票 \ufffd --> &amp;" in texts
    assert "in the middle" in texts
    assert not list(root.iter("script"))


def test_styles_stand_in_the_sheet_and_colours_are_the_pages() -> None:
    sheet = Sheet()
    svg = drawn("a", sheet)
    assert "style=" not in svg
    assert not re.search("#0[0-9a-f]{5}", svg + sheet.css)
    assert "var(--ink)" in sheet.css
    assert "var(--run-1)" in sheet.css
    assert "font-family" not in sheet.css
    classes = set(re.findall('class="(m[0-9]+)"', svg))
    assert classes == set(re.findall(r"^\.(m\d+)\{", sheet.css, re.MULTILINE))


def test_two_figures_in_a_page_share_no_id() -> None:
    sheet = Sheet()
    first, second = (set(re.findall(' id="([^"]+)"', drawn(name, sheet))) for name in ("a", "b"))
    assert first
    assert first.isdisjoint(second)
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', drawn("a", sheet))) <= first


def test_a_figure_says_what_it_is() -> None:
    root = ET.fromstring(drawn("a", Sheet()))  # noqa: S314
    assert root.attrib["role"] == "img"
    title = root.find("title")
    assert title is not None
    assert (title.text, title.attrib["id"]) == ("A line <up>", root.attrib["aria-labelledby"])
