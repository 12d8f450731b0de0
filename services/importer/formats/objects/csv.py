"""Reads tables of any columns: what is in them says the mapping of the import source, by the names in the header.

Unlike the reports of tools, nothing is guessed: encoding, delimiter and quote are those that are set, the header is the
first row, and its names are taken as they are written.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import NamedTuple

from services.importer.formats.kit.csv import CELL_LIMIT, Lines
from services.importer.formats.kit.encoding import Note, Utf8Blocks
from services.importer.formats.kit.format import (
    ByteStream,
    DamagedFile,
    Item,
    Position,
    WrongFormat,
)
from services.importer.formats.kit.looks import describe
from services.importer.formats.kit.redaction import shown_value
from services.importer.formats.kit.values import NAME_LIMIT
from services.importer.formats.objects.mapped import PORTION_CHARACTERS, PORTION_RECORDS, compiled, mapped_format
from services.importer.formats.objects.mapping.plans import table_reader
from services.importer.formats.objects.mapping.records import Raw, RecordReader
from services.importer.formats.objects.mapping.settings import Dialect, dialect_of
from services.importer.targets.objects.plan import ObjectPlan
from services.importer.targets.objects.records import Remark

COLUMNS = 2_000
_SHOWN_COLUMNS, _SHOWN_CHARACTERS = 20, 60


class _Portion(NamedTuple):
    """Some rows, the lines that they begin on, and the number of the first, from 1 below the header."""

    rows: list[list[str]]
    lines: list[int]
    first: int


def walk(stream: ByteStream, plan: ObjectPlan) -> Iterator[Item]:
    """The rows below the header. Those without any text are passed over, and so is a header that comes again."""
    reader = compiled(table_reader, plan)
    table = _Table(stream, compiled(dialect_of, plan))
    columns = _Columns(table.header, reader)
    columns.check(table.blocks.head)
    for portion in table.portions():
        # Items are made without a line of Python for each.
        places = map("row {}".format, range(portion.first, portion.first + len(portion.rows)))
        positions = map(tuple.__new__, repeat(Position), zip(portion.lines, repeat(0), places, strict=False))
        yield from map(tuple.__new__, repeat(Item), zip(columns.read(portion), positions, strict=True))
    remarks = tuple(Remark(*note) for note in (*table.blocks.notes, *columns.notes))
    if remarks:
        yield Item(remarks, Position())


class _Columns:
    """Which columns the mapping takes."""

    def __init__(self, header: Sequence[str], reader: RecordReader) -> None:
        self._header, self._reader = header, reader
        self._places = [header.index(each) if each in header else None for each in reader.locators]
        missing = [each for each, place in zip(reader.locators, self._places, strict=True) if place is None]
        told = _named(missing)
        self.notes = (
            [Note("COLUMN_MISSING", f"The mapping reads columns that are not there: {told}.")] if missing else []
        )

    def check(self, head: bytes) -> None:
        """Raises `WrongFormat` where no row could be used, `DamagedFile` for a header that cannot be understood."""
        missing = [each for each in self._reader.needed_locators if each not in self._header]
        if missing:
            told = f"it has {_named(self._header)}" if len(self._header) > 1 else f"it looks like {describe(head)}"
            raise WrongFormat(f"The file has no header with the columns {_named(missing)}; {told}.")
        for each in self._reader.locators:
            if self._header.count(each) > 1:
                message = f'The column "{each[:_SHOWN_CHARACTERS]}" comes twice, and the mapping reads it.'
                raise DamagedFile("HEADER_COLUMN_REPEATED", message, Position(1))

    def read(self, portion: _Portion) -> Iterable[Raw]:
        """What each row becomes."""
        width = len(self._header)
        if set(map(len, portion.rows)) == {width}:
            return self._read(portion.rows, portion.lines)
        fitting = [_fitted(cells, width) for cells in portion.rows]
        rows = [cells for cells in fitting if cells is not None]
        made = iter(self._read(rows, [line for line, fits in zip(portion.lines, fitting, strict=True) if fits]))
        both = zip(portion.rows, fitting, strict=True)
        return (self._refusal(cells) if fits is None else next(made) for cells, fits in both)

    def _read(self, rows: Sequence[Sequence[str]], lines: Sequence[int]) -> Iterable[Raw]:
        if not rows:
            return ()
        cells = list(zip(*rows, strict=True))
        nothing = ("",) * len(rows)
        return self._reader.read([nothing if at is None else cells[at] for at in self._places], lines)

    def _refusal(self, cells: Sequence[str]) -> Raw:
        count, more = len(self._header), len(cells) - len(self._header)
        message = f"The row has {more} cells more than the header, which has {count}."
        return self._reader.cannot_be_read("TOO_MANY_CELLS", "row", message, "".join(cells[count:]).strip())


class _Table:
    """One file. Raises `DamagedFile`."""

    def __init__(self, stream: ByteStream, dialect: Dialect) -> None:
        csv.field_size_limit(CELL_LIMIT)
        self.blocks = Utf8Blocks(stream, codec=dialect.codec)
        self._lines = Lines("", self._texts())
        self._reader = csv.reader(
            self._lines,
            delimiter=dialect.delimiter,
            quotechar=dialect.quote or None,
            quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
        )
        self.header = self._read_header()

    def portions(self) -> Iterator[_Portion]:
        """The rows below the header, many at a time; those before damage come out before the error."""
        portion = _Portion([], [], 1)
        characters = 0
        try:
            for cells, line in self._rows():
                portion.rows.append(cells)
                portion.lines.append(line)
                characters += self._lines.held
                if len(portion.rows) >= PORTION_RECORDS or characters >= PORTION_CHARACTERS:
                    yield portion
                    portion, characters = _Portion([], [], portion.first + len(portion.rows)), 0
        except DamagedFile:
            yield portion
            raise
        yield portion

    def _rows(self) -> Iterator[tuple[list[str], int]]:
        fewest, first = len(self.header), self.header[0]
        while (found := self._next()) is not None:
            cells, line = found
            if not any(map(str.strip, cells)) or (cells[0].strip() == first and self._is_header(cells)):
                continue
            if len(cells) < fewest:
                if self._lines.is_unfinished:
                    raise DamagedFile("TRUNCATED", "The file ends in the middle of its last row.", Position(line))
                fewest = len(cells)
            yield found

    def _next(self) -> tuple[list[str], int] | None:
        lines = self._lines
        lines.held = 0
        begins = lines.row_line = self._reader.line_num + 1
        try:
            cells = next(self._reader, None)
        except csv.Error:  # Of a reader that is not strict the only one.
            message = f"A cell has more than {CELL_LIMIT} characters."
            raise DamagedFile("TEXT_TOO_LARGE", message, Position(begins)) from None
        # A row that is whole is given before the reader asks for another line.
        if cells is not None and lines.is_over:
            raise DamagedFile("TRUNCATED", "The file ends within a quoted cell.", Position(begins))
        return None if cells is None else (cells, begins)

    def _read_header(self) -> list[str]:
        while (found := self._next()) is not None:
            cells, line = found
            if any(map(str.strip, cells)):
                return self._checked([cell.strip() for cell in cells], Position(line))
        raise DamagedFile("EMPTY_FILE", "The file is empty.")

    def _checked(self, header: list[str], at: Position) -> list[str]:
        if len(header) > COLUMNS:
            raise DamagedFile("TOO_MANY_COLUMNS", f"The file has more than {COLUMNS} columns.", at)
        if not all(header):
            message = f"Column {header.index('') + 1} of the header has no name."
            raise DamagedFile("HEADER_INVALID", message, at)
        if max(map(len, header)) > NAME_LIMIT:
            raise DamagedFile("HEADER_INVALID", f"A name in the header has more than {NAME_LIMIT} characters.", at)
        return header

    def _is_header(self, cells: Sequence[str]) -> bool:
        return [cell.strip() for cell in cells] == self.header

    def _texts(self) -> Iterator[str]:
        for block in self.blocks:
            if text := self.blocks.mend(block).decode():
                yield text


def _fitted(cells: list[str], width: int) -> list[str] | None:
    """The cells as many as there are columns; None for a row with more of them, unless they are empty."""
    count = len(cells)
    if count < width:
        return [*cells, *([""] * (width - count))]
    if count > width:
        return None if any(map(str.strip, cells[width:])) else cells[:width]
    return cells


def _named(columns: Sequence[str]) -> str:
    # Of a table without a header these are values.
    shown = ", ".join(f'"{shown_value(each)[:_SHOWN_CHARACTERS]}"' for each in columns[:_SHOWN_COLUMNS])
    more = len(columns) - _SHOWN_COLUMNS
    return f"{shown} and {more} more" if more > 0 else shown


def _is_anything(head: bytes) -> bool:
    """Nothing in a table of any columns tells that it is one; who sends it says so."""
    return bool(head)


FORMAT = mapped_format(
    name="objects_csv",
    title="a table (CSV)",
    syntax="csv",
    extensions=(".csv", ".txt", ".tsv"),
    sniff=_is_anything,
    walk=walk,
)
