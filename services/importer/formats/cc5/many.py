"""Reads many rows 10 at once, column by column, with as little work for each as Python allows.

Only plain rows: all of one shape, and nothing wrong with any. What comes out is what `rows.py` makes of each.
Values stay bytes until all documents are one text, because bytes are cut and joined faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from services.importer.formats.cc5.lines import Portion
from services.importer.formats.cc5.rows import Layout
from services.importer.formats.cc5.values import BadValue, are_objects
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.syncfile import unescaped
from services.importer.targets.records.records import Upserts

_NEXT_ROW = b"\n10"
_CONTROLS = bytes(byte for byte in range(0x20) if byte != ord("\n"))
# What stands otherwise between the quotes of JSON, or may begin an escape.
_SIGNS = (b'"', b"\\", b"#")
_KNOWN_VALUES, _KNOWN_BYTES = 4_096, 256

Values = Sequence[bytes]


class _NotPlain(Exception):
    """These rows have to be read one by one, or fewer at a time."""


class _Known(dict[bytes, bytes]):
    """What is made of the values of a column: what has been read before is looked up."""

    def __init__(self, make: Callable[[str], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, value: bytes) -> bytes:
        made = self._make(unescaped(value.decode())).encode()
        if len(value) <= _KNOWN_BYTES:
            if len(self) >= _KNOWN_VALUES:
                self.clear()
            self[value] = made
        return made


class _Parts(NamedTuple):
    """What a column is in some documents: the same in all of them but for what is `different` (None: nothing)."""

    before: bytes
    different: Iterable[bytes] | None = None
    behind: bytes = b""


class _Member:
    """A column as a member of documents. `begin` is all of it before its value."""

    def __init__(self, layout: Layout, place: int) -> None:
        column = layout.columns[place]
        begin = column.name if place == layout.keys[0] else "," + column.name
        self.place = place
        self.begin = begin.encode()
        self.known = _Known(lambda text: begin + column.value(text) if text else "")
        self.is_text = column.type == "string" and not column.is_closed
        self.is_object = column.type == "object"
        self.is_needed = column.is_required or place in layout.keys

    def parts(self, values: Values, signs: Sequence[bytes]) -> _Parts:
        """Of the values in some rows. `signs` are those that are in any of them."""
        first = values[0]
        is_same = first == values[-1] and values.count(first) == len(values)
        has_empty = not first if is_same else (self.is_text or self.is_needed) and not all(values)
        if has_empty and self.is_needed:
            raise _NotPlain
        if is_same:
            return _Parts(self.known[first])
        if (self.is_text and not has_empty) or self.is_object:
            lines = b"\n".join(values)
            found = [sign for sign in signs if sign in lines]
            if self.is_text and not found and len(lines.translate(None, _CONTROLS)) == len(lines):
                return _Parts(self.begin + b'"', values, b'"')
            if self.is_object and b"#" not in found and are_objects(lines, len(values)):
                return _Parts(self.begin, values)
        return _Parts(b"", map(self.known.__getitem__, values))


class ManyRows:
    """Reads the rows of one file."""

    def __init__(self, layout: Layout) -> None:
        self._width = len(layout.columns)
        self._members = [_Member(layout, place) for place in layout.ordered]
        self._keys = [(place, _Known(layout.columns[place].key)) for place in layout.keys]
        # The key is one text, which stands in a document as it does in the key.
        self._has_text_key = len(layout.keys) == 1 and self._members[0].is_text

    def read(self, portion: Portion) -> Upserts | None:
        """All of the lines, the first of which is a row 10; None where they are not all plain."""
        data = portion.data
        if b"\0" in data:
            return None
        signs = [sign for sign in _SIGNS if sign in data]
        try:
            columns = self._columns(data, portion.line_count)
            parts = [member.parts(columns[member.place], signs) for member in self._members]
            keys, documents = self._key_texts(columns, parts[0]), _documents(parts, portion.line_count)
            return Upserts(keys.decode(), documents.decode(), portion.first)
        except (_NotPlain, BadValue, RecordError, UnicodeDecodeError):
            return None

    def _columns(self, data: bytes, rows: int) -> list[Values]:
        """The values of each column."""
        # The row type and the values of each row, and the last line feed.
        values = data.split(b"|")
        step, rest = divmod(len(values) - 1, rows)
        # No value has a line feed then, because there are no more of them.
        if rest or values[step:-1:step].count(_NEXT_ROW) != rows - 1:
            raise _NotPlain
        has_trailing_pipes = step == self._width + 2 and not any(values[step - 1 : -1 : step])
        if step != self._width + 1 and not has_trailing_pipes:
            raise _NotPlain
        return [values[place:-1:step] for place in range(1, 1 + self._width)]

    def _key_texts(self, columns: Sequence[Values], first: _Parts) -> bytes:
        """One on each line. `first` is what the first column of the key is in the documents."""
        place = self._keys[0][0]
        if self._has_text_key and first.different is columns[place]:
            return b'["' + b'"]\n["'.join(columns[place]) + b'"]'
        parts = [map(known.__getitem__, columns[place]) for place, known in self._keys]
        return b"[" + b"]\n[".join(map(b",".join, zip(*parts, strict=True))) + b"]"


def _documents(members: Sequence[_Parts], rows: int) -> bytes:
    """One on each line."""
    # What every document is made of, with an empty place for each part that differs.
    document: list[bytes] = []
    different: list[tuple[int, Iterable[bytes]]] = []
    between = b"\n{"
    for member in members:
        between += member.before
        if member.different is not None:
            document += between, b""
            different.append((len(document) - 1, member.different))
            between = member.behind
    document.append(between + b"}")
    parts = document * rows
    for place, values in different:
        parts[place :: len(document)] = values
    return b"".join(parts)[1:]
