"""Walks tables: files of delimited rows below a header, of any size, one row in memory.

The standard `csv` module knows the dialects. Here are found: the header, by the names in it, wherever it stands; the
delimiter, by that header; the encoding. Column names are the same whatever their case, spaces and signs: `Plugin ID`,
`plugin_id`, `PluginID`.

A table has no end mark. A file that was cut shows it only by a quote that is not closed, or by a last row that is
shorter than all others and has no line end.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from io import StringIO
from itertools import islice
from typing import NamedTuple

from services.importer.formats.kit.encoding import Note, Utf8Blocks
from services.importer.formats.kit.format import ByteStream, DamagedFile, Item, Position, RecordError, WrongFormat
from services.importer.formats.kit.looks import describe, text_of
from services.importer.formats.kit.node import Node, Once
from services.importer.formats.kit.values import FIELD_COUNT, FIELD_LIMIT, NAME_LIMIT, line

CELL_LIMIT = 4 << 20
ROW_LIMIT = 16 << 20
HEADER_ROWS = 50

_DELIMITERS = ",;\t|"
_SHOWN_COLUMNS, _SHOWN_CHARACTERS = 20, 60

Wanted = Sequence[Collection[str]]
Check = Callable[[frozenset[str]], bool]


def walk_csv(
    stream: ByteStream, wanted: Wanted, known: Collection[str], *, check: Check | None = None, kept: str = "as fields"
) -> Iterator[Item]:
    """The rows below the header, each with a `Node` whose value is a `Row`.

    The header is the first row that has all columns of one of the alternatives in `wanted`, and whose plain names pass
    `check`, within the first 50 rows and 64 KiB. `known` are the names of all columns that the format reads: the first
    item has a note about others, which the format keeps by `Row.extra`; `kept` says where. A header that comes again
    and rows without any text are passed over. A row with more cells than the header is an item, and its error is
    raised by whoever reads it.

    Raises `WrongFormat` where there is no such header; `DamagedFile` for an empty or a cut file and too large a cell.
    """
    csv.field_size_limit(CELL_LIMIT)
    blocks = Utf8Blocks(stream)
    texts = _texts(blocks)
    head = next(texts, "")
    header = _find_header(head, wanted, check)
    if header is None:
        if not head.strip():
            raise DamagedFile("EMPTY_FILE", "The file is empty.")
        names = ", ".join(sorted(wanted[0])[:_SHOWN_COLUMNS])
        raise WrongFormat(f"The file has no header with the columns {names}; it looks like {describe(blocks.head)}.")
    columns = Columns(header.cells, known)
    blocks.notes += columns.notes(kept)
    once = Once()
    for number, (cells, at_line) in enumerate(_rows(Lines(head, texts), header), 1):
        notes, blocks.notes[:] = tuple(blocks.notes), []
        yield Item(Node(Row(cells, columns), (), once, notes), Position(at_line, 0, f"row {number}"))


def header_of(head: bytes, wanted: Wanted, check: Check | None = None) -> tuple[str, ...]:
    """The column names, as they are written, of a table that begins with `head`; empty where there is no such header.

    For `sniff`; what `wanted` and `check` are says `walk_csv`.
    """
    header = _find_header(text_of(head), wanted, check)
    return tuple(header.cells) if header else ()


def plain_name(name: str) -> str:
    """A column name without case, spaces and signs; a name of signs alone stays."""
    return "".join(filter(str.isalnum, name.casefold())) or name.strip()


class Columns:
    """The columns of one table, to be asked for by name."""

    def __init__(self, cells: Sequence[str], known: Collection[str]) -> None:
        self.count = len(cells)
        self._at: dict[str, tuple[int, ...]] = {}
        for at, cell in enumerate(cells):
            name = plain_name(cell)
            self._at[name] = (*self._at.get(name, ()), at)
        self.found: dict[tuple[str, ...], tuple[int, ...]] = {}
        all_known = set(map(plain_name, known))
        extra = [(at, line(cell, NAME_LIMIT)) for at, cell in enumerate(cells) if plain_name(cell) not in all_known]
        self._unknown = [label for _, label in extra if label]
        # A column without a name may have values all the same.
        self.extra = tuple((at, label or f"Column {at + 1}") for at, label in extra)

    def places(self, names: tuple[str, ...]) -> tuple[int, ...]:
        """The indices of all columns with one of these names, in the order of the names."""
        found = self.found.get(names)
        if found is None:
            plain = dict.fromkeys(map(plain_name, names))
            found = self.found[names] = tuple(at for name in plain for at in self._at.get(name, ()))
        return found

    def notes(self, kept: str) -> list[Note]:
        """What a person should know about the header."""
        if not self._unknown:
            return []
        shown = ", ".join(f'"{label[:_SHOWN_CHARACTERS]}"' for label in self._unknown[:_SHOWN_COLUMNS])
        more = len(self._unknown) - _SHOWN_COLUMNS
        which = f"the values of {FIELD_COUNT} in each row" if len(self._unknown) > FIELD_COUNT else "their values"
        and_more = f" and {more} more" if more > 0 else ""
        return [Note("UNKNOWN_COLUMNS", f"These columns are not known; {which} are kept {kept}: {shown}{and_more}.")]


class Row:
    """One row below the header. Asking a row that has more cells than the header raises its `RecordError`."""

    __slots__ = ("_cells", "_columns", "_surplus")

    def __init__(self, cells: list[str], columns: Columns) -> None:
        missing = columns.count - len(cells)
        self._surplus = ""
        if missing > 0:
            cells += [""] * missing
        elif missing < 0:
            self._surplus = "".join(cells[columns.count :]).strip()
        self._cells, self._columns = cells, columns

    def get(self, *names: str) -> str:
        """The text of the first of these columns that has any, trimmed; "" where none has."""
        if self._surplus:
            self._refuse()
        # Asked for every column of every row, so a further call would be most of it.
        places = self._columns.found.get(names)
        for at in self._columns.places(names) if places is None else places:
            if text := self._cells[at].strip():
                return text
        return ""

    def exact(self, *names: str) -> str:
        """The same with the white space around it."""
        if self._surplus:
            self._refuse()
        cells = self._cells
        for at in self._columns.places(names):
            if (text := cells[at]) and not text.isspace():
                return text
        return ""

    def cells(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """The cells of all these columns as they are, in one order for the whole table: a key for `Once`."""
        if self._surplus:
            self._refuse()
        cells = self._cells
        return tuple([cells[at] for at in self._columns.places(names)])

    def has(self, *names: str) -> bool:
        """Does the table have one of these columns?"""
        return bool(self._columns.places(names))

    def extra(self) -> dict[str, str]:
        """What the columns have that nobody knows, by their names; at most 100 of 16,384 characters."""
        if self._surplus:
            self._refuse()
        found: dict[str, str] = {}
        for at, label in self._columns.extra:
            if (text := self._cells[at].strip()) and (label in found or len(found) < FIELD_COUNT):
                text = f"{found[label]}\n{text}" if label in found else text
                found[label] = text if len(text) <= FIELD_LIMIT else f"{text[: FIELD_LIMIT - 1]}…"
        return found

    def _refuse(self) -> None:
        count, more = self._columns.count, len(self._cells) - self._columns.count
        message = f"The row has {more} cells more than the header, which has {count}."
        raise RecordError("TOO_MANY_CELLS", "row", message, self._surplus)


class _Header(NamedTuple):
    """A header and how to read what follows: `row` is its index, empty rows included."""

    cells: list[str]
    row: int
    delimiter: str
    skips_spaces: bool


def _find_header(head: str, wanted: Wanted, check: Check | None) -> _Header | None:
    """The first header under any delimiter; of several the one with the most columns."""
    if head.lstrip()[:1] in {"<", "{", "["}:  # What begins as XML or JSON may have lines that look like a header.
        return None
    plain = [set(map(plain_name, names)) for names in wanted]
    found: list[_Header] = []
    for delimiter in _DELIMITERS:
        rows = csv.reader(StringIO(head, newline=""), delimiter=delimiter)
        for number, cells in enumerate(islice(rows, HEADER_ROWS)):
            names = frozenset(map(plain_name, cells))
            if any(each <= names for each in plain) and (check is None or check(names)):
                spaced = len(cells) > 1 and all(cell.startswith(" ") for cell in cells[1:])
                found.append(_Header([cell.strip() for cell in cells], number, delimiter, spaced))
                break
    return min(found, key=lambda each: (each.row, -len(each.cells)), default=None)


def _rows(lines: Lines, header: _Header) -> Iterator[tuple[list[str], int]]:
    """The rows below the header that have any text, each with the line it begins on."""
    reader = csv.reader(lines, delimiter=header.delimiter, skipinitialspace=header.skips_spaces)
    fewest = len(header.cells)
    number = -1
    while True:
        lines.held = 0
        begins = lines.row_line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error:  # Of a reader that is not strict the only one.
            message = f"A cell has more than {CELL_LIMIT} characters."
            raise DamagedFile("TEXT_TOO_LARGE", message, Position(begins)) from None
        if cells is None:
            return
        # A row that is whole is given before the reader asks for another line.
        if lines.is_over:
            raise DamagedFile("TRUNCATED", "The file ends within a quoted cell.", Position(begins))
        number += 1
        if number <= header.row or not any(map(str.strip, cells)) or _is_header(cells, header):
            continue
        if len(cells) < fewest:
            if lines.is_unfinished:
                raise DamagedFile("TRUNCATED", "The file ends in the middle of its last row.", Position(begins))
            fewest = len(cells)
        yield cells, begins


def _is_header(cells: list[str], header: _Header) -> bool:
    return cells[0].strip() == header.cells[0] and [cell.strip() for cell in cells] == header.cells


class Lines:
    """The lines of a text, with their ends, for `csv.reader`.

    `held` counts the characters of the row that is being read, which begins on `row_line`. `is_unfinished` tells that
    the line given last has no end, `is_over` that one more was asked for after the last.
    """

    def __init__(self, head: str, texts: Iterable[str]) -> None:
        self._head, self._texts = head, texts
        self.held = self.row_line = 0
        self.is_unfinished = self.is_over = False

    def __iter__(self) -> Iterator[str]:
        parts: list[str] = []
        for text in self._pieces():
            self.held += len(text)
            if self.held > ROW_LIMIT:
                message = f"A row has more than {ROW_LIMIT} characters."
                raise DamagedFile("RECORD_TOO_LARGE", message, Position(self.row_line))
            # A carriage return at the very end may be half of a line end.
            end = text.rfind("\n") + 1 or text.rfind("\r", 0, len(text) - 1) + 1
            if end:
                yield from StringIO("".join((*parts, text[:end])), newline="")
                parts.clear()
            if end < len(text):
                parts.append(text[end:])
        if parts:
            last = "".join(parts)
            *whole, last = StringIO(last, newline="")
            yield from whole
            self.is_unfinished = not last.endswith(("\r", "\n"))
            yield last
        self.is_over = True

    def _pieces(self) -> Iterator[str]:
        yield self._head
        yield from self._texts


def _texts(blocks: Utf8Blocks) -> Iterator[str]:
    """The input as text. Without a mark it is UTF-8, or Windows-1252 where its first special characters say so."""
    codec = ""
    for block in blocks:
        if not codec and not block.isascii():
            codec = "utf-8" if blocks.mark or blocks.altered else _codec(block)
            if codec == "cp1252":
                blocks.notes.append(Note("ASSUMED_ENCODING", "The file is not UTF-8; it was read as Windows-1252."))
        data = block.decode(codec, "replace").encode() if codec == "cp1252" else block
        if text := blocks.mend(data).decode():
            yield text


def _codec(block: bytes) -> str:
    """UTF-8, unless more bytes are wrong in it than characters are right."""
    text = block.decode("utf-8", "replace")
    wrong = text.count("\ufffd")
    right = sum(1 for character in text if character > "\x7f") - wrong
    return "cp1252" if wrong > right else "utf-8"
