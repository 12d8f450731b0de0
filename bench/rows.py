"""One line of the table that `make bench` prints.

A figure beside the floor of the same work, and the bar it is held against.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """`floor` is the same work done bare (an expat pass, a COPY, a PUT).

    `ratio` relates the two; `bar` is what DESIGN asks for.
    """

    what: str
    figure: str
    floor: str = ""
    ratio: str = ""
    bar: str = ""
    holds: bool | None = None
    """Whether the figure is within the bar; None where there is none to hold."""


def show(title: str, rows: Iterable[Row]) -> None:
    """Prints the rows as a table."""
    table = Table(title=title, title_justify="left")
    for heading in ("What", "Figure", "Floor", "Ratio", "Bar", ""):
        table.add_column(heading, overflow="fold")
    for row in rows:
        mark = {True: "holds", False: "misses", None: ""}[row.holds]
        table.add_row(row.what, row.figure, row.floor, row.ratio, row.bar, mark)
    Console(width=150).print(table)


def percentile(values: Iterable[float], share: float) -> float:
    """The value that `share` (0 to 1) of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
