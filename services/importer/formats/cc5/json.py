"""Reads the JSON twin of a sync file: the body of the vendor's `ImportData`, alone or as the member of that name.

Source: the vendor's page `api-import-data`. A record is made of the same columns as a row 10, `delete` holds keys. The
header may come behind the first thousand records, because the API's batches are no larger and JSON has no order.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from services.importer.formats.cc5.lines import LINE_BYTES
from services.importer.formats.cc5.mapped import DECODER, MappedHeader, as_text, insensitive
from services.importer.formats.cc5.rows import DELETE, UPSERT, Layout, Raw, read, rejection
from services.importer.formats.cc5.totals import Totals
from services.importer.formats.kit import syncfile
from services.importer.formats.kit.encoding import Note
from services.importer.formats.kit.format import (
    RECORDS,
    ByteStream,
    DamagedFile,
    Format,
    Item,
    Position,
    RecordError,
    WrongFormat,
)
from services.importer.formats.kit.json import member_paths
from services.importer.formats.kit.jsontext import JsonText
from services.importer.formats.kit.looks import describe
from services.importer.targets.records.demands import Demands
from services.importer.targets.records.records import Caution

HELD = 1_000
_SIGNS = frozenset({"importdata", "header.metadata", "header.fieldmappings"})
_OUTER = "importdata"
_HEADERS = frozenset({"metadata", "fieldmappings"})
_ROWS = frozenset({"data", "delete"})
_ALONE = frozenset({"header", "footer", "instanceid"})


class _Part(NamedTuple):
    """A member of the document, or one record: the member's name in small letters, and where its value begins."""

    name: str
    value: Any
    position: Position


def sniff(head: bytes) -> bool:
    return not _SIGNS.isdisjoint(path.lower() for path in member_paths(head))


def walk(stream: ByteStream, demands: Demands) -> Iterator[Item]:
    """The header, each record and each key to be deleted, and the footer."""
    text = JsonText(stream, DECODER)
    first = text.peek()
    if not first:
        raise DamagedFile("EMPTY_FILE", "The file is empty.")
    if first not in "{[":
        raise WrongFormat(f"The file is {describe(text.head)}.")
    walking = _Walk(demands)
    if first == "[":
        text.skip()
    else:
        for part in _parts(text):
            yield from walking.items(part)
    if text.peek():
        message = "The document is not valid JSON: something follows its end."
        raise DamagedFile("MALFORMED_JSON", message, Position(text.line()))
    yield from walking.end(Position(text.line()), text.notes)


def _parts(text: JsonText, outer: str = _OUTER) -> Iterator[_Part]:
    """What the document is made of. `outer` is the member that may hold it all; it says that there was one."""
    for name in map(str.lower, _members(text)):
        position = Position(text.line(), 0, name)
        if name == outer and text.peek() == "{":
            yield _Part(_OUTER, None, position)
            yield from _parts(text, "")
        elif name in _ROWS and text.peek() == "[":
            for index in _elements(text):
                text.path = f"{name}[{index}]"
                text.peek()
                position = Position(text.line(), 0, text.path)
                yield _Part(name, text.value(), position)
        elif name in _ROWS or name in _ALONE:
            if (value := text.value()) is not None:
                yield _Part(name if name in _ALONE else "unusable", value, position)
        else:
            text.skip()


def _members(text: JsonText) -> Iterator[str]:
    """The names of an object's members; the value of each must have been read when the next is asked for."""
    text.take("{")
    end = "" if text.peek() == '"' else text.take("}", '"')
    while end != "}":
        if text.peek() != '"':
            text.take('"')
        name: str = text.value()
        text.take(":")
        text.peek()
        yield name
        end = text.take(",", "}")


def _elements(text: JsonText) -> Iterator[int]:
    text.take("[")
    index, end = 0, text.peek()
    while end != "]":
        yield index
        index += 1
        end = text.take(",", "]")
    if not index:
        text.take("]")


class _Walk:
    """What is known so far."""

    def __init__(self, demands: Demands) -> None:
        self._demands = demands
        self._totals = Totals(demands)
        self._held: list[_Part] = []
        self._said: dict[str, _Part] = {}
        self._cautions: list[Caution] = []
        self._header: MappedHeader
        self._layout: Layout
        self._has_begun = False

    def items(self, part: _Part) -> Iterator[Item]:
        if part.name not in _ROWS:
            if part.name == "instanceid" and self._has_begun:
                message = "InstanceId stands behind more than a thousand records; it is not kept."
                self._cautions.append(Caution("REFERENCE_ID_LATE", message))
            self._said.setdefault(part.name, part)
            return
        self._totals.count += 1
        if self._has_begun:
            yield Item(self._row(part), part.position)
            return
        self._held.append(part)
        if len(self._held) > HELD:
            yield from self._begin(part.position)

    def end(self, here: Position, notes: list[Note]) -> Iterator[Item]:
        """After the last member. Raises `DamagedFile` for what is missing."""
        if not self._has_begun:
            yield from self._begin(here)
        if footer := self._said.get("footer"):
            total = as_text(insensitive(footer.value).get("total"))
            records = self._totals.compared(total, "", None, footer.position)
        else:
            records = self._totals.missing(here)
        yield Item((*records, *self._cautions, *(Caution(*note) for note in notes)), here)

    def _begin(self, here: Position) -> Iterator[Item]:
        found = self._said.get("header")
        if _OUTER not in self._said and _HEADERS.isdisjoint(insensitive(found and found.value)):
            raise WrongFormat("The file is JSON without a header of a sync file.")
        if found is None:
            raise DamagedFile("HEADER_INVALID", "The document has no header, or only behind its records.", here)
        if unusable := self._said.get("unusable"):
            raise DamagedFile("HEADER_INVALID", "Data and Delete must be arrays.", unusable.position)
        reference = self._said.get("instanceid")
        try:
            self._header = MappedHeader(found.value, as_text(reference.value) if reference else "", self._demands)
        except DamagedFile as error:
            raise DamagedFile(error.code, error.message, found.position) from None
        self._layout = Layout(self._header.record, self._demands)
        self._has_begun = True
        yield Item((self._header.record, *self._header.cautions), found.position)
        held, self._held = self._held, []
        for part in held:
            yield Item(self._row(part), part.position)

    def _row(self, part: _Part) -> Raw:
        columns, number = self._layout.columns, part.position.line
        is_deletion = part.name == "delete"
        texts: list[tuple[str, str]] = []
        try:
            if is_deletion:
                texts = self._header.key_values([columns[at] for at in self._layout.keys], part.value)
                return (self._layout.deletion([text for text, _ in texts], number),)
            texts = self._header.values(columns, part.value)
            _refuse_undeclared(part.value.keys() - {column.code for column in columns})
            return (self._layout.upsert([text for text, _ in texts], number),)
        except RecordError as error:
            written = (syncfile.escaped(text) for _, text in texts)
            row = syncfile.row(DELETE if is_deletion else UPSERT, *written).removesuffix("\n")
            # What no file could have as a line is not repeated.
            return rejection(error, row if len(row.encode("utf-8", "replace")) <= LINE_BYTES else "")


def _refuse_undeclared(codes: set[str]) -> None:
    if codes:
        raise RecordError("COLUMN_NOT_DECLARED", min(codes), "The header does not declare this column.")


def _for(demands: Demands) -> Format:
    return Format(
        name="cc5_json",
        title="the JSON form of a cc5 sync file",
        family="cc5",
        syntax="json",
        extensions=(".json",),
        record_sources=("cc5",),
        target=RECORDS,
        sniff=sniff,
        walk=partial(walk, demands=demands),
        read=read,
        adapt=_for,
    )


FORMAT = _for(Demands())
