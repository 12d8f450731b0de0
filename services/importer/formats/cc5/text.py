"""Reads cc5 sync files: a header of rows 00 to 03, rows 10 and 90, and the footer with its control total.

How we read what the vendor leaves open is in docs/appfile.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from services.importer.formats.cc5.header import HeaderRows
from services.importer.formats.cc5.lines import Lines, Portion
from services.importer.formats.cc5.many import ManyRows
from services.importer.formats.cc5.rows import COUNTED, Layout, read
from services.importer.formats.cc5.totals import Totals
from services.importer.formats.kit.format import (
    RECORDS,
    ByteStream,
    DamagedFile,
    Format,
    Item,
    Items,
    Position,
    WrongFormat,
)
from services.importer.formats.kit.looks import describe, text_of
from services.importer.targets.records.demands import Demands
from services.importer.targets.records.records import Caution, RecordsRecord

_FIRST_ROW = re.compile(r"\s*00\|")
_FOOTER = "99"
_PLAIN = b"10|"
# Fewer rows are not worth the arrangements of many.
FEW = 8


def sniff(head: bytes) -> bool:
    return _FIRST_ROW.match(text_of(head)) is not None


def walk(stream: ByteStream, demands: Demands) -> Iterator[Item | Items]:
    """The header, each row, and the footer. Blank lines are passed over."""
    walking = _Walk(stream, demands)
    for portion in walking.lines:
        yield from walking.items(portion)
    yield from walking.end()


class _Walk:
    """The state of one pass."""

    def __init__(self, stream: ByteStream, demands: Demands) -> None:
        self.lines = Lines(stream)
        self._demands = demands
        self._header = HeaderRows()
        self._totals = Totals(demands)
        self._layout: Layout
        self._many: ManyRows
        self._has_begun = False
        self._footer: list[RecordsRecord] = []
        self._here = Position()

    def items(self, portion: Portion) -> Iterator[Item | Items]:
        """Whatever stands in these lines; to be gone through before the next are asked for."""
        self._here = Position(portion.last)
        return self._rows(portion) if self._has_begun else self._beginning(portion)

    def _beginning(self, portion: Portion) -> Iterator[Item | Items]:
        for at, line in enumerate(portion.texts()):
            if line.strip() and not self._is_of_header(line, portion.first + at):
                yield self._begin()
                yield from self._rows(portion.behind(at))
                return

    def end(self) -> Iterator[Item]:
        """After the last line. Raises `DamagedFile` for what is missing."""
        if self._header.is_empty:
            raise DamagedFile("EMPTY_FILE", "The file is empty.")
        if not self._header.is_whole:
            raise DamagedFile("TRUNCATED", "The file ends within its header, rows 00 to 03.", self._here)
        if not self._has_begun:
            yield self._begin()
        footer = self._footer or self._totals.missing(self._here)
        yield Item((*footer, *(Caution(*note) for note in self.lines.notes)), self._here)

    def _is_of_header(self, line: str, number: int) -> bool:
        if self._header.is_empty and not line.lstrip().startswith("00|"):
            raise WrongFormat(f"The file does not begin with a row 00; it looks like {describe(self.lines.head)}.")
        return self._header.take(line, number)

    def _begin(self) -> Item:
        header = self._header.header(self._demands)
        self._layout = Layout(header, self._demands)
        self._many = ManyRows(self._layout)
        self._has_begun = True
        return Item((header, *self._header.cautions), Position(self._header.line))

    def _rows(self, portion: Portion) -> Iterator[Item | Items]:
        """As many at once as can be: what is not plain is halved until it stands alone, or among a few."""
        if portion.line_count < FEW or self._footer:
            for number, line in enumerate(portion.texts(), portion.first):
                if line.strip():
                    yield from self._row(line, number)
        elif portion.data.startswith(_PLAIN) and (run := self._many.read(portion)):
            self._totals.count += portion.line_count
            yield Items(run, Position(portion.first))
        else:
            for half in portion.halves():
                yield from self._rows(half)

    def _row(self, line: str, number: int) -> Iterator[Item]:
        if self._footer:
            message = "Something follows the footer (row 99), which must be the last row."
            raise DamagedFile("FOOTER_NOT_LAST", message, Position(number))
        row_type = line.partition("|")[0]
        if row_type == _FOOTER:
            self._close(line, number)
            return
        self._totals.count += row_type in COUNTED
        yield Item(self._layout.row(line, number), Position(number))

    def _close(self, line: str, number: int) -> None:
        self._here = Position(number)
        # What is behind the validation code has no meaning.
        count, validation = [*line.split("|")[1:], "", ""][:2]
        self._footer = self._totals.compared(
            count.strip(), validation.strip(), partial(self.lines.checksum, number=number), self._here
        )


def _for(demands: Demands) -> Format:
    return Format(
        name="cc5",
        title="a cc5 sync file",
        family="cc5",
        syntax="cc5",
        extensions=(".cc5txt", ".txt"),
        record_sources=("cc5",),
        target=RECORDS,
        sniff=sniff,
        walk=partial(walk, demands=demands),
        read=read,
        adapt=_for,
    )


FORMAT = _for(Demands())
