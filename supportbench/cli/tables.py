"""Tables on a terminal. Text from tickets, agents and models is printed as text, never as markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from supportbench.cli.printing import printable

_NARROWEST: Final = 8  # a column that gives way keeps that much


def stdout() -> Console:
    """Return a console on standard output."""
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=False)


def stderr() -> Console:
    """Return a console on standard error."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=False)


def table(
    headers: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numbers: Iterable[str] = (),
    folding: Iterable[str] = (),
    title: str = "",
) -> Table:
    """Return a table; columns of `numbers` stand to the right, those of `folding` give way where it gets narrow."""
    right, give_way = set(numbers), set(folding)
    made = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        title=Text(printable(title)) if title else None,
        title_justify="left",
        pad_edge=False,
    )
    for header in headers:
        made.add_column(
            Text(printable(header)),
            justify="right" if header in right else "left",
            overflow="fold",
            no_wrap=header not in give_way,
        )
    for row in rows:
        made.add_row(*(Text(printable(cell)) for cell in row))
    return made


def fits(console: Console, made: Table) -> bool:
    """Return whether the table fits the console without folding a cell."""
    return Measurement.get(console, console.options.update(width=10_000), made).maximum <= console.width


def show(console: Console, made: Table) -> None:
    """Print the table; columns that give way do so within a word, too, rather than leave the console's width.

    Where it is wider all the same, it is printed at its own width, since half a number is a wrong one.
    """
    needed = _narrowest(console, made)
    if needed > console.width:
        Console(width=needed, highlight=False, markup=False, emoji=False).print(made)
    else:
        console.print(made)


def _narrowest(console: Console, made: Table) -> int:
    giving_way = [column for column in made.columns if not column.no_wrap]
    for column in giving_way:
        column.max_width = max(_NARROWEST, cell_len(str(column.header)))
    try:
        return Measurement.get(console, console.options.update(width=10_000), made).minimum
    finally:
        for column in giving_way:
            column.max_width = None


def figure(value: float | None) -> str:
    """Return a score with two decimals, or a dash where there is none."""
    return "–" if value is None else f"{value:.2f}"
