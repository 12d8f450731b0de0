"""Reads many rows 10 at once, column by column, with as little work for each as Python allows.

Only plain rows: all of one shape, nothing wrong with any, no escapes. Where one of them is not, the portion is halved
until it stands alone, and `rows.py` reads it. What comes out is the same either way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, repeat

import msgspec

from services.importer.formats.cc5.rows import UPSERT, Column, Layout, Raw
from services.importer.formats.cc5.values import DECODER, ENCODER, BadValue, json_text
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.syncfile import unescaped
from services.importer.targets.records.records import Upsert

# Fewer are not worth the arrangements.
FEW = 8
_KNOWN_VALUES = 4_096

Pieces = Iterable[str]


class _NotPlain(Exception):
    """These rows have to be read one by one, or fewer at a time."""


class _Known(dict[str, str]):
    """Values of a column as members of a document: what has been read before is looked up."""

    def __init__(self, make: Callable[[str], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, text: str) -> str:
        if len(self) >= _KNOWN_VALUES:
            self.clear()
        made = self[text] = self._make(text)
        return made


class _Cleared(dict[tuple[bool, ...], tuple[str, ...]]):
    """The codes of what is empty in a row, sorted, by whether it has values of those columns that are empty in some."""

    def __init__(self, layout: Layout, sparse: Sequence[int], empty: Sequence[int]) -> None:
        super().__init__()
        self._sparse = [layout.columns[at].code for at in sparse]
        self._empty = [layout.columns[at].code for at in empty]

    def __missing__(self, has: tuple[bool, ...]) -> tuple[str, ...]:
        if len(self) >= _KNOWN_VALUES:
            self.clear()
        missing = [code for code, is_there in zip(self._sparse, has, strict=True) if not is_there]
        codes = self[has] = tuple(sorted(self._empty + missing))
        return codes


class ManyRows:
    """Reads the rows of one file."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._width = len(layout.columns)
        # A member with an anchor needs no look at its neighbours for its comma: a key is never empty.
        self._anchor = layout.keys[0]
        self._known = [_Known(self._maker(at, column)) for at, column in enumerate(layout.columns)]
        self._keys = [_Known(self._key_maker(layout.columns[at])) for at in layout.keys]
        self._cleared: dict[tuple[tuple[int, ...], ...], _Cleared] = {}

    def read(self, lines: Sequence[str], first: int) -> Iterable[Raw]:
        """One for each line, none of which is blank or the footer; the numbers of the lines go on from `first`."""
        if len(lines) < FEW:
            return map(self.layout.row, lines, range(first, first + len(lines)))
        try:
            return self._plain(lines, first)
        except (_NotPlain, BadValue, RecordError, ValueError):
            half = len(lines) // 2
            return chain(self.read(lines[:half], first), self.read(lines[half:], first + half))

    def _plain(self, lines: Sequence[str], first: int) -> list[Raw]:
        # Rows of different lengths are a ValueError.
        row_types, *columns = zip(*map(str.split, lines, repeat("|")), strict=True)
        if set(row_types) != {UPSERT}:
            raise _NotPlain
        if len(columns) == self._width + 1 and not any(columns[-1]):
            columns.pop()
        if len(columns) != self._width:
            raise _NotPlain
        documents, cleared = self._documents(columns)
        numbers = range(first, first + len(lines))
        # A tuple of one record each.
        return list(zip(map(Upsert, self._key_texts(columns), documents, cleared, numbers)))

    def _key_texts(self, columns: Sequence[Sequence[str]]) -> Pieces:
        layout = self.layout
        if len(layout.keys) == 1 and _is_text(layout.columns[self._anchor]):
            return map('["{}"]'.format, _within_quotes(columns[self._anchor]))
        parts = [map(known.__getitem__, columns[at]) for at, known in zip(layout.keys, self._keys, strict=True)]
        return map("[{}]".format, map(",".join, zip(*parts, strict=True)))

    def _documents(self, columns: Sequence[Sequence[str]]) -> tuple[Pieces, Iterable[tuple[str, ...]]]:
        """The documents, and the codes of what is empty in each row."""
        pieces: list[Pieces] = []
        sparse: list[int] = []
        empty: list[int] = []
        # What is the same in all rows and stands between the last piece and the next.
        between = "{"
        place = -1
        for place in self.layout.ordered:
            column, values = self.layout.columns[place], columns[place]
            has_empty = not all(values)
            if has_empty and (column.is_required or place in self.layout.keys):
                raise _NotPlain
            if has_empty and not any(values):
                empty.append(place)
                continue
            before, after = ("", "") if place == self._anchor else (",", "") if self._is_behind(place) else ("", ",")
            if _is_text(column):
                values = _within_quotes(values)
                if has_empty:
                    begin, end = before + column.name + '"', '"' + after
                    pieces += repeat(between), [begin + value + end if value else "" for value in values]
                    between = ""
                else:
                    pieces += repeat(between + before + column.name + '"'), values
                    between = '"' + after
            elif column.type == "object" and (objects := _objects(values)):
                pieces += repeat(between + before + column.name), objects
                between = after
            else:
                if between:
                    pieces.append(repeat(between))
                    between = ""
                pieces.append(list(map(self._known[place].__getitem__, values)))
            if has_empty:
                sparse.append(place)
        pieces.append(repeat(between + "}"))
        documents = map("".join, zip(*pieces, strict=False))
        return documents, self._codes(sparse, empty, columns)

    def _is_behind(self, place: int) -> bool:
        return self.layout.columns[place].code > self.layout.columns[self._anchor].code

    def _codes(
        self, sparse: Sequence[int], empty: Sequence[int], columns: Sequence[Sequence[str]]
    ) -> Iterable[tuple[str, ...]]:
        layout = self.layout
        if layout.keep_empty or not (sparse or empty):
            return repeat(())
        shape = tuple(sparse), tuple(empty)
        known = self._cleared.get(shape)
        if known is None:
            if len(self._cleared) >= _KNOWN_VALUES:
                self._cleared.clear()
            known = self._cleared[shape] = _Cleared(layout, sparse, empty)
        if not sparse:
            return repeat(known[()])
        return map(known.__getitem__, zip(*(map(bool, columns[at]) for at in sparse), strict=True))

    def _maker(self, place: int, column: Column) -> Callable[[str], str]:
        before, after = ("", "") if place == self._anchor else (",", "") if self._is_behind(place) else ("", ",")
        return lambda text: before + column.name + column.value(unescaped(text)) + after if text else ""

    def _key_maker(self, column: Column) -> Callable[[str], str]:
        return lambda text: column.value(unescaped(text))


def _is_text(column: Column) -> bool:
    """Any text will do."""
    return column.type == "string" and not column.is_closed


def _within_quotes(values: Sequence[str]) -> Sequence[str]:
    """Texts as they stand between quotes in JSON: most as they are."""
    joined = "".join(values)
    if '"' in joined or "\\" in joined or "#" in joined:
        return [json_text(unescaped(value))[1:-1] for value in values]
    return values


def _objects(values: Sequence[str]) -> list[str]:
    """A column of objects is decoded and encoded as JSON lines, in two calls. None where each has to be looked at."""
    joined = "\n".join(values)
    # Empty values are no lines. An escape of a character may be one that no text can have.
    if "" in values or "\\u" in joined or "#" in joined:
        return []
    try:
        found = DECODER.decode_lines(joined)
        texts = ENCODER.encode_lines(found).decode().split("\n")
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return []
    # A value that went over the end of its line makes fewer, and nothing makes more.
    is_exact = len(found) == len(values) and set(map(type, found)) == {dict}
    return texts[: len(values)] if is_exact else []
