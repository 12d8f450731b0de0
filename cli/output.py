"""Everything a command prints: tables and lines for people, or one JSON object.

Names, titles and messages may come from a scan file, so no text reaches the terminal with a control character in it.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.errors import CliError

# Control, format (among them the bidirectional overrides) and surrogate characters, line and paragraph separators.
UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# A pipe has no width; tables are not to be folded to 80 columns there.
PIPE_WIDTH = 200


def visible(value: object) -> str:
    """`value` as text that a terminal shows and never obeys: unsafe characters are written as in a Python literal."""
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if unicodedata.category(character) in UNSAFE_CATEGORIES
        else character
        for character in str(value)
    )


def size(count: int) -> str:
    """Bytes as people say them."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":  # noqa: PLR2004 - the step between decimal units
            break
        amount /= 1000
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"


def make_console(file: TextIO | None = None, *, stderr: bool = False) -> Console:
    console = Console(file=file, stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = max(console.width, PIPE_WIDTH)
    return console


class Output:
    """Results go to stdout; bars, hints and errors to stderr. With `json_mode` there is one JSON object on stdout."""

    def __init__(self, console: Console | None = None, bars: Console | None = None) -> None:
        self.console = console or make_console()
        self.bars = bars or make_console(stderr=True)
        self.json_mode = False

    def line(self, text: str = "", style: str = "") -> None:
        if not self.json_mode:
            self.console.print(Text(visible(text), style=style), soft_wrap=True)

    def hint(self, text: str) -> None:
        if not self.json_mode:
            self.bars.print(Text(visible(text), style="dim"), soft_wrap=True)

    def error(self, error: CliError) -> None:
        if self.json_mode:
            self.document({"error": {"message": error.message, **error.details}})
        else:
            self.bars.print(Text(f"Error: {visible(error.message)}", style="red"), soft_wrap=True)

    def document(self, document: Any) -> None:
        """The one JSON object. ASCII only, so that it is as safe to look at as a table."""
        self.console.file.write(json.dumps(document, indent=2, default=str).replace("\x7f", "\\u007f") + "\n")
        self.console.file.flush()

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
        """The first column names the thing and is never folded. A column whose name ends in a blank holds numbers."""
        if self.json_mode:
            return
        table = Table(title=Text(visible(title)) if title else None, title_justify="left", header_style="bold")
        for number, column in enumerate(columns):
            table.add_column(
                column.strip(),
                justify="right" if column.endswith(" ") else "left",
                no_wrap=number == 0,
                overflow="fold",
            )
        for row in rows:
            table.add_row(*(Text("" if cell is None else visible(cell)) for cell in row))
        self.console.print(table)

    def facts(self, pairs: Iterable[tuple[str, object]], *, title: str = "") -> None:
        """Names and values below each other; a pair whose value is empty is left out."""
        if self.json_mode:
            return
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bold", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in pairs:
            if value not in {None, ""}:
                grid.add_row(Text(name), Text(visible(value)))
        if title:
            self.console.print(Text(visible(title), style="bold underline"))
        self.console.print(grid)
