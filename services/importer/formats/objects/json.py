"""Reads JSON of any members: where the records are in it, and what is in those, says the mapping of the import source.

A file is one document, or several, as lines or not. The body of a data chunk holds such a document as its member
`data`; nothing else of it is read here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from services.importer.formats.kit.format import (
    ByteStream,
    DamagedFile,
    Item,
    Position,
    WrongFormat,
)
from services.importer.formats.kit.jsontext import JsonText
from services.importer.formats.kit.looks import describe, text_of
from services.importer.formats.objects.mapped import PORTION_CHARACTERS, PORTION_RECORDS, compiled, mapped_format
from services.importer.formats.objects.mapping.invalid import BadValue
from services.importer.formats.objects.mapping.plans import array_readers
from services.importer.formats.objects.mapping.records import Raw
from services.importer.formats.objects.places import Found, Place, place_of
from services.importer.targets.objects.plan import ObjectPlan
from services.importer.targets.objects.records import Remark

_DATA = "data"
_SHOWN_SELECTORS = 20


def walk_documents(stream: ByteStream, plan: ObjectPlan) -> Iterator[Item]:
    """The records of all documents, outer ones before those within them."""
    walking = _Walk(stream, plan)
    yield from _items(_of_documents(walking), walking.text)
    yield from walking.remarks()


def _of_documents(walking: _Walk) -> Iterator[_Record]:
    while walking.text.peek():
        yield from walking.value(walking.root, "")


def walk_chunk(stream: ByteStream, plan: ObjectPlan) -> Iterator[Item]:
    """The records of what is in the member `data`; a body without it has none."""
    walking = _Walk(stream, plan)
    yield from _items(_of_chunk(walking), walking.text)
    yield from walking.remarks(is_chunk=True)


def _of_chunk(walking: _Walk) -> Iterator[_Record]:
    text = walking.text
    if text.peek() != "{":
        raise WrongFormat("A data chunk must be a JSON object.")
    for name in walking.members(""):
        if name == _DATA:
            yield from walking.value(walking.root, _DATA)
        else:
            text.skip()
    if text.peek():
        message = "The document is not valid JSON: something follows its end."
        raise DamagedFile("MALFORMED_JSON", message, Position(text.line()))


class _Record(NamedTuple):
    """One that was found, and the line that it begins on, or what it is found in."""

    found: Found
    line: int


class _Walk:
    """The state of one pass."""

    def __init__(self, stream: ByteStream, plan: ObjectPlan) -> None:
        self.text = JsonText(stream)
        self.root = compiled(lambda each: place_of(array_readers(each)), plan)
        first = self.text.peek()
        if not first:
            raise DamagedFile("EMPTY_FILE", "The file is empty.")
        if first not in "{[":
            raise WrongFormat(f"The file is no JSON of records; it looks like {describe(self.text.head)}.")

    def value(self, place: Place, path: str) -> Iterator[_Record]:
        """The records in the value that begins here."""
        opening = self.text.peek()
        place.is_met = True
        if opening == "[":
            yield from self._array(place, path)
        elif opening == "{" and place.reader is None:
            yield from self._object(place, path)
        else:
            yield from self._records(place.found, path)

    def members(self, path: str) -> Iterator[str]:
        """The names of the object that begins here; whoever is given one passes over its value."""
        text = self.text
        text.take("{")
        end = "" if text.peek() == '"' else text.take("}", '"')
        while end != "}":
            text.path = path
            yield text.name()
            end = text.take(",", "}")

    def remarks(self, *, is_chunk: bool = False) -> Iterator[Item]:
        """What a person should know of the file."""
        remarks = [Remark(*note) for note in self.text.notes]
        missing = [] if is_chunk else [each or "(the document)" for each in self.root.never_met()]
        if missing:
            told = ", ".join(missing[:_SHOWN_SELECTORS])
            remarks.append(Remark("SELECTOR_NOT_FOUND", f"There is nothing at these selectors: {told}."))
        if remarks:
            yield Item(tuple(remarks), Position())

    def _array(self, place: Place, path: str) -> Iterator[_Record]:
        text = self.text
        text.take("[")
        index, end = 0, text.peek()
        while end != "]":
            inner = f"{path}[{index}]"
            # An array in it is decoded: how deep they go, only the document says.
            if place.reader is None and text.peek() == "{":
                yield from self._object(place, inner)
            else:
                yield from self._records(place.found_in, inner)
            index += 1
            end = text.take(",", "]")
        if not index:
            text.take("]")

    def _object(self, place: Place, path: str) -> Iterator[_Record]:
        for name in self.members(path):
            if name in place.members:
                yield from self.value(place.members[name], f"{path}.{name}" if path else name)
            else:
                self.text.skip()

    def _records(self, find: Callable[[Any, str], Iterator[Found]], path: str) -> Iterator[_Record]:
        text = self.text
        text.path = path
        text.peek()
        line = text.line()
        for found in find(text.value(), path):
            yield _Record(found, line)


def _items(records: Iterator[_Record], text: JsonText) -> Iterator[Item]:
    """The items of all records, mapped many at a time; those before damage come out before the error."""
    portion: list[_Record] = []
    begin = 0
    try:
        for record in records:
            portion.append(record)
            if len(portion) >= PORTION_RECORDS or text.offset() - begin >= PORTION_CHARACTERS:
                yield from _mapped(portion)
                portion, begin = [], text.offset()
    except DamagedFile:
        yield from _mapped(portion)
        raise
    yield from _mapped(portion)


def _mapped(portion: Sequence[_Record]) -> Iterator[Item]:
    by_place: dict[Place, list[_Record]] = {}
    for record in portion:
        by_place.setdefault(record.found.place, []).append(record)
    made = {place: iter(_read(place, records)) for place, records in by_place.items()}
    for (place, _, path), line in portion:
        yield Item(next(made[place]), Position(line, 0, path))


def _read(place: Place, records: Sequence[_Record]) -> Iterable[Raw]:
    """What each of these becomes, which are all of one place."""
    reader = place.reader
    if reader is None:
        raise AssertionError(place.selector)
    values = [each.found.record for each in records]
    if {each.__class__ for each in values} == {dict}:
        try:
            return reader.read([each.column(values) for each in place.locators], [each.line for each in records])
        except BadValue as error:
            if len(records) == 1:
                return (reader.cannot_be_read(error.code, "", error.message, error.value),)
    elif len(records) == 1:
        shown = values[0] if isinstance(values[0], str) else ""
        return (reader.cannot_be_read("NOT_AN_OBJECT", "", "In the place of a record there is none.", shown),)
    return chain.from_iterable(_read(place, (each,)) for each in records)


def _is_json(head: bytes) -> bool:
    """Nothing but its syntax tells JSON of any members; who sends it says so."""
    return text_of(head).lstrip()[:1] in {"{", "["}


DOCUMENTS = mapped_format(
    name="objects_json",
    title="JSON",
    syntax="json",
    extensions=(".json", ".jsonl", ".ndjson"),
    sniff=_is_json,
    walk=walk_documents,
)
CHUNKS = mapped_format(
    name="objects_chunk",
    title="a data chunk (JSON)",
    syntax="json",
    extensions=(".json",),
    sniff=_is_json,
    walk=walk_chunk,
)
