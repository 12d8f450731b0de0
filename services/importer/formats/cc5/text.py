"""Reads cc5 sync files: a header of rows 00 to 03, rows 10 and 90, and the footer with its control total.

How we read what the vendor leaves open is in docs/appfile.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import repeat

from services.importer.formats.cc5.header import HeaderRows
from services.importer.formats.cc5.lines import Lines, Portion
from services.importer.formats.cc5.many import ManyRows
from services.importer.formats.cc5.rows import Layout, read
from services.importer.formats.cc5.totals import Totals
from services.importer.formats.kit.format import RECORDS, ByteStream, DamagedFile, Format, Item, Position, WrongFormat
from services.importer.formats.kit.looks import describe, text_of
from services.importer.targets.records.demands import Demands
from services.importer.targets.records.records import Caution, RecordsRecord

_FIRST_ROW = re.compile(r"\s*00\|")
# The beginnings of rows that the control total counts.
_COUNTED = frozenset({"10|", "90|", "10", "90"})
_FOOTER = "99"


def sniff(head: bytes) -> bool:
    return _FIRST_ROW.match(text_of(head)) is not None


def walk(stream: ByteStream, demands: Demands) -> Iterator[Item]:
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
        self._body: ManyRows
        self._has_begun = False
        self._footer: list[RecordsRecord] = []
        self._here = Position()

    def items(self, portion: Portion) -> Iterable[Item]:
        """Whatever stands in these lines; to be gone through before the next are asked for."""
        self._here = Position(portion.first + len(portion.lines) - 1)
        if not self._has_begun:
            return self._beginning(portion)
        odd = _odd(portion.lines)
        return self._mixed(portion, odd) if odd or self._footer else self._rows(portion)

    def _beginning(self, portion: Portion) -> Iterator[Item]:
        lines, first, is_plain = portion
        for at, line in enumerate(lines):
            if line.strip() and not self._is_of_header(line, first + at):
                yield self._begin()
                yield from self.items(Portion(lines[at:], first + at, is_plain))
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
        self._body = ManyRows(Layout(header, self._demands))
        self._has_begun = True
        return Item((header, *self._header.cautions), Position(self._header.line))

    def _mixed(self, portion: Portion, odd: Sequence[int]) -> Iterator[Item]:
        """Rows with blank lines, rows of no meaning and the footer among them, at these places."""
        lines, first, is_plain = portion
        begin = 0
        for at in (*odd, len(lines)):
            if begin < at:
                yield from self._rows(Portion(lines[begin:at], first + begin, is_plain))
            if at < len(lines):
                yield from self._odd_row(lines[at], first + at)
            begin = at + 1

    def _rows(self, portion: Portion) -> Iterable[Item]:
        """Rows 10 and 90 alone."""
        lines, first, is_plain = portion
        self._refuse_after_footer(first)
        self._totals.count += len(lines)
        numbers = range(first, first + len(lines))
        raws = self._body.read(lines, first) if is_plain else map(self._body.layout.row, lines, numbers)
        # Items are made without a line of Python for each: that would be a tenth of the time of a row.
        positions = map(tuple.__new__, repeat(Position), zip(numbers, repeat(0), repeat(""), strict=False))
        return map(tuple.__new__, repeat(Item), zip(raws, positions, strict=False))

    def _odd_row(self, line: str, number: int) -> Iterator[Item]:
        if not line.strip():
            return
        self._refuse_after_footer(number)
        if line.partition("|")[0] == _FOOTER:
            self._close(line, number)
        else:
            yield Item(self._body.layout.row(line, number), Position(number))

    def _close(self, line: str, number: int) -> None:
        self._here = Position(number)
        # What is behind the validation code has no meaning.
        count, validation = [*line.split("|")[1:], "", ""][:2]
        self._footer = self._totals.compared(
            count.strip(), validation.strip(), partial(self.lines.checksum, number=number), self._here
        )

    def _refuse_after_footer(self, number: int) -> None:
        if self._footer:
            message = "Something follows the footer (row 99), which must be the last row."
            raise DamagedFile("FOOTER_NOT_LAST", message, Position(number))


def _odd(lines: Sequence[str]) -> list[int]:
    """The places of all lines that are no rows 10 and 90."""
    return [at for at, line in enumerate(lines) if line[:3] not in _COUNTED]


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
