"""Figures of matplotlib as SVG that lives in a page: its text is text, its colours are the page's, light or dark.

Imports matplotlib: whoever imports this asks `extra` first.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from xml.etree import ElementTree as ET

import matplotlib as mpl
from matplotlib.figure import Figure

from supportbench.evaluation.report.wording import clean

INK, SOFT, LINE, PAPER, SHADE = "#010101", "#020202", "#030303", "#040404", "#050505"
RUNS: Final = ("#060601", "#060602", "#060603", "#060604", "#060605", "#060606")
"""The colours to draw with. None is ever seen: each stands for one of the page's."""

MARKERS: Final = ("o", "s", "^", "D", "v", "P")
"""Beside its colour, what a run is told by."""

_OF_THE_PAGE: Final = {
    INK: "--ink",
    SOFT: "--soft",
    LINE: "--line",
    PAPER: "--paper",
    SHADE: "--shade",
    **{color: f"--run-{number}" for number, color in enumerate(RUNS, 1)},
}
_SETTINGS: Final[Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "supportbench",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.sans-serif": "DejaVu Sans",  # comes with matplotlib: text is measured the same everywhere
    "font.size": 10.0,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "axes.labelcolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "figure.facecolor": "none",
    "legend.frameon": False,
}
_NO_METADATA: Final = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_FONT: Final = re.compile(r"font: ([\d.]+px) [^;]*")
_FAMILY: Final = re.compile(r"font-family: [^;]*;? ?")
_LINK: Final = re.compile(r"^#(.*)$|^url\(#(.*)\)$")


class Sheet:
    """The classes of a page's charts: what matplotlib writes into each element stands in one style sheet instead.

    A page that allows no style but its own sheet has no style attributes.
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def name_of(self, style: str) -> str:
        """Return the class for that style."""
        style = _FAMILY.sub("", _FONT.sub(r"font-size: \1", style))  # the page's own font
        for color, variable in _OF_THE_PAGE.items():
            style = style.replace(color, f"var({variable})")
        return self._names.setdefault(style, f"m{len(self._names)}")

    @property
    def css(self) -> str:
        """The rules of all classes so far."""
        return "".join(f".{name}{{{style}}}\n" for style, name in self._names.items())


@contextmanager
def drawing() -> Iterator[None]:
    """Within the block, figures are drawn with the page's settings, whatever a person's own are."""
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)  # the browser has other fonts
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


def svg_of(draw: Callable[[Figure], None], *, size: tuple[float, float], name: str, title: str, sheet: Sheet) -> str:
    """Return what `draw` draws as an SVG element of that size in inches; the same every time.

    `name` is what its ids begin with, and the title is what a screen reader says of it.
    """
    with drawing():
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata=_NO_METADATA)
    root = ET.fromstring(buffer.getvalue())  # noqa: S314 - matplotlib has just written it
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}metadata", "}style")):
                parent.remove(child)
    linked = {link for element in root.iter() for value in element.attrib.values() if (link := _linked(value))}
    for element in root.iter():
        element.tag = element.tag.partition("}")[2] or element.tag
        element.attrib = dict(_attributes(element, linked, name, sheet))
    width, height = (round(inches * 72) for inches in size)
    root.attrib = {
        "class": "chart",
        "viewBox": f"0 0 {width} {height}",
        "width": str(width),
        "role": "img",
        "aria-labelledby": f"{name}-title",
    }
    told = ET.Element("title", {"id": f"{name}-title"})
    told.text = title
    root.insert(0, told)
    return ET.tostring(root, encoding="unicode")


def shortened_label(text: str, most: int) -> str:
    """Return a label of that many characters at most, without what XML or a line of text has no place for."""
    line = " ".join(clean(text).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _attributes(element: ET.Element, linked: set[str], name: str, sheet: Sheet) -> Iterator[tuple[str, str]]:
    for key, value in element.attrib.items():
        plain = key.rpartition("}")[2]
        if plain == "style":
            if value:
                yield "class", sheet.name_of(value)
        elif plain == "id":
            if value in linked:
                yield "id", f"{name}-{value}"
        elif (link := _linked(value)) is not None:
            yield plain, value.replace(f"#{link}", f"#{name}-{link}")
        else:
            yield plain, value


def _linked(value: str) -> str | None:
    found = _LINK.match(value)
    return found and (found[1] or found[2])
