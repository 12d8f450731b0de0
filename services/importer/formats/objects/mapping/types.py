"""Makes objects of one type of many records at once, column by column.

One record is many of one: there is no other way, so nothing can differ. Where a record cannot be used, none of them
comes out, and `records.py` tries fewer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from itertools import chain, compress, repeat
from json.encoder import encode_basestring
from typing import NamedTuple

from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.values import TITLE_LIMIT
from services.importer.formats.objects.mapping.attributes import Attribute, Known, Reading
from services.importer.formats.objects.mapping.conditions import Holds, Subject, read_condition
from services.importer.formats.objects.mapping.invalid import BadValue, InvalidMapping
from services.importer.formats.objects.mapping.locators import Cell
from services.importer.formats.objects.mapping.settings import Settings
from services.importer.formats.objects.mapping.texts import Values
from services.importer.formats.objects.mapping.values import REFERENCE
from services.importer.targets.objects.plan import AttributePlan, TypePlan
from services.importer.targets.objects.records import Lookup, ObjectRecord, ObjectsRecord, Skipped, SkipReason
from services.importer.targets.objects.rules import Condition

ATTRIBUTES = 2_000
KEY_LIMIT = 255
# A value of JSON in the database may have some more.
DOCUMENT_LIMIT = 64 << 20
_KNOWN_CLEARED = 4_096

Columns = Sequence[Sequence[Cell]]
"""What stands at each locator, for each record."""
Made = Sequence[tuple[ObjectsRecord, ...]]
"""For each record, what it becomes."""


class _Column(NamedTuple):
    """An attribute of many records: its members of their documents, and how it was read where that was needed."""

    pieces: Sequence[str]
    texts: Sequence[str] | None
    readings: Sequence[Reading] | None

    def first_texts(self) -> Sequence[str]:
        """The first value of each; "" where there is none."""
        if self.texts is not None:
            return self.texts
        return [reading.values[0] if reading.values else "" for reading in self.readings or ()]

    def empties(self) -> Sequence[bool]:
        """Which records have none."""
        if self.readings is None:
            return [not piece for piece in self.pieces]
        return [not (reading.piece or reading.lookups) for reading in self.readings]


class _Cleared(dict[tuple[bool, ...], tuple[int, ...]]):
    """The attributes that are empty, by which of them are."""

    def __init__(self, attributes: Sequence[int]) -> None:
        super().__init__()
        self._attributes = attributes

    def __missing__(self, empties: tuple[bool, ...]) -> tuple[int, ...]:
        if len(self) >= _KNOWN_CLEARED:
            self.clear()
        found = self[empties] = tuple(compress(self._attributes, empties))
        return found


class TypeReader:
    """`number` is the place of the type among those that are made of the same records."""

    def __init__(self, plan: TypePlan, number: int, settings: Settings, known: int) -> None:
        """`known` is how many cells of each attribute are remembered. Raises `InvalidMapping`."""
        self.id, self.name, self._number = plan.type_id, plan.name, number
        self._plan = plan
        plans = sorted(plan.attributes, key=lambda each: each.attribute_id)
        if not plans or len(plans) > ATTRIBUTES:
            raise InvalidMapping("ATTRIBUTES_INVALID", "", f"A type must have 1 to {ATTRIBUTES} mapped attributes.")
        self._attributes = [_attribute(each, settings, plan) for each in plans]
        self._places = {each.attribute_id: at for at, each in enumerate(plans)}
        if len(self._places) < len(plans):
            raise InvalidMapping("ATTRIBUTES_INVALID", "", "An attribute is mapped twice.")
        self._identifiers = [self._place(each, plans) for each in plan.identifiers]
        if not self._identifiers or sorted(set(plan.identifiers)) != list(plan.identifiers):
            message = "A type needs identifiers, each once and in the order of their ids."
            raise InvalidMapping("IDENTIFIER_INVALID", "", message)
        self._label = None if plan.label_attribute is None else self._place(plan.label_attribute, plans, is_label=True)
        self._filtered: list[int] = []
        self._filter = self._filter_of(plan, plans, settings)
        self._known = [Known(each, known, _refusal) for each in self._attributes]
        self._bound: list[list[int]] = []
        self._cleared: dict[tuple[int, ...], _Cleared] = {}

    @property
    def locators(self) -> Iterable[str]:
        """All that are needed; the same one may come twice."""
        return chain.from_iterable(each.locators for each in self._attributes)

    @property
    def needed_locators(self) -> Iterable[str]:
        """Those without which no record is an object: of identifiers and label, where there is no other source."""
        needed = {*self._identifiers, *(() if self._label is None else (self._label,))}
        return chain.from_iterable(self._attributes[at].locators for at in needed if self._attributes[at].is_direct)

    def bind(self, columns: Mapping[str, int]) -> None:
        """Says which column each locator has; before anything is read."""
        self._bound = [[columns[each] for each in attribute.locators] for attribute in self._attributes]

    def read(self, columns: Columns, lines: Sequence[int]) -> Made:
        """`lines` are where the records begin. Raises `RecordError` if one of them cannot be used."""
        if self._filter is not None:
            subjects = zip(*(self._values(columns, at, len(lines)) for at in self._filtered), strict=True)
            fitting = list(map(self._filter, subjects))
            if not all(fitting):
                return self._without(fitting, SkipReason.FILTERED, columns, lines)
        identifiers = [self._column(columns, at, len(lines)).first_texts() for at in self._identifiers]
        for texts in identifiers:
            if not all(texts):
                return self._without(list(map(bool, texts)), SkipReason.IDENTIFIER_EMPTY, columns, lines)
        labels: Iterable[str] = repeat("")
        if self._label is not None:
            texts = self._column(columns, self._label, len(lines)).first_texts()
            if not all(texts):
                return self._without(list(map(bool, texts)), SkipReason.LABEL_EMPTY, columns, lines)
            labels = [text[:TITLE_LIMIT] for text in texts]
        return self._objects(columns, lines, self._keys(identifiers), labels)

    def _without(self, fitting: Sequence[bool], reason: SkipReason, columns: Columns, lines: Sequence[int]) -> Made:
        """The same of those that fit alone."""
        skipped = (Skipped(self.id, reason),)
        if not any(fitting):
            return [skipped] * len(lines)
        kept = self.read([list(compress(each, fitting)) for each in columns], list(compress(lines, fitting)))
        made = iter(kept)
        return [next(made) if is_kept else skipped for is_kept in fitting]

    def _objects(self, columns: Columns, lines: Sequence[int], keys: Sequence[str], labels: Iterable[str]) -> Made:
        count = len(lines)
        read = [self._column(columns, at, count) for at in range(len(self._attributes))]
        objects = map(
            ObjectRecord,
            repeat(self.id, count),
            repeat(self._number),
            keys,
            labels,
            _documents(read),
            self._cleared_of(read),
            _lookups(read),
            lines,
        )
        cautious = [column for column, each in zip(read, self._attributes, strict=True) if each.is_cautious]
        return _with_cautions(list(zip(objects)), cautious)

    def _column(self, columns: Columns, at: int, count: int) -> _Column:
        attribute = self._attributes[at]
        if attribute.is_text and set(map(type, cells := columns[self._bound[at][0]])) <= {str}:
            try:
                texts = attribute.texts(cells)  # type: ignore[arg-type]  # they are texts
            except BadValue as error:
                raise _refusal(attribute, error) from None
            piece = attribute.piece
            return _Column([piece(text) if text else "" for text in texts], texts, None)
        readings = self._readings(columns, at, count)
        return _Column([reading.piece for reading in readings], None, readings)

    def _readings(self, columns: Columns, at: int, count: int) -> Sequence[Reading]:
        known, bound = self._known[at], self._bound[at]
        if len(bound) == 1:
            return list(map(known.__getitem__, columns[bound[0]]))
        cells = zip(*(columns[each] for each in bound), strict=True) if bound else repeat((), count)
        return list(map(known.__getitem__, cells))

    def _values(self, columns: Columns, at: int, count: int) -> list[Values]:
        return [reading.values for reading in self._readings(columns, at, count)]

    def _keys(self, identifiers: Sequence[Sequence[str]]) -> list[str]:
        if self._plan.ignores_case:
            identifiers = [list(map(str.casefold, texts)) for texts in identifiers]
        if len(identifiers) == 1:
            keys = [f"[{text}]" for text in map(encode_basestring, identifiers[0])]
        else:
            keys = [f"[{','.join(map(encode_basestring, texts))}]" for texts in zip(*identifiers, strict=True)]
        if max(map(len, keys)) > KEY_LIMIT:
            return [key if len(key) <= KEY_LIMIT else sha256(key.encode()).hexdigest() for key in keys]
        return keys

    def _cleared_of(self, read: Sequence[_Column]) -> Iterable[tuple[int, ...]]:
        if self._plan.empty_values == "IGNORE":
            return repeat(())
        empties = {at: column.empties() for at, column in enumerate(read)}
        sparse = tuple(at for at, each in empties.items() if any(each))
        if not sparse:
            return repeat(())
        if len(self._cleared) >= _KNOWN_CLEARED:
            self._cleared.clear()
        known = self._cleared.setdefault(sparse, _Cleared([self._attributes[at].id for at in sparse]))
        return map(known.__getitem__, zip(*(empties[at] for at in sparse), strict=True))

    def _place(self, attribute_id: int, plans: Sequence[AttributePlan], *, is_label: bool = False) -> int:
        """Of an identifier or the label."""
        at = self._places.get(attribute_id)
        if at is None:
            message = f"The {'label' if is_label else 'identifier'} must be an attribute that is mapped."
            raise InvalidMapping("IDENTIFIER_INVALID", "", message)
        plan = plans[at]
        if plan.type == REFERENCE or (plan.is_array and not is_label):
            message = f'"{plan.name}" tells no objects apart: it is a reference, or may have several values.'
            raise InvalidMapping("IDENTIFIER_INVALID", "", message)
        return at

    def _filter_of(self, plan: TypePlan, plans: Sequence[AttributePlan], settings: Settings) -> Holds | None:
        if plan.filter is None:
            return None

        def subject_of(condition: Condition) -> Subject:
            at = self._places.get(condition.attribute_id)
            if at is None or condition.locator or plans[at].type == REFERENCE:
                message = "A filter must look at attributes that are mapped and are no references."
                raise InvalidMapping("FILTER_INVALID", "", message)
            if at not in self._filtered:
                self._filtered.append(at)
            return Subject(self._filtered.index(at), self._attributes[at].canonical)

        try:
            return read_condition(plan.filter, subject_of)
        except BadValue as error:
            raise InvalidMapping("FILTER_INVALID", "", error.message) from None


def _attribute(plan: AttributePlan, settings: Settings, type_: TypePlan) -> Attribute:
    try:
        return Attribute(plan, settings, type_.unknown_values)
    except InvalidMapping as error:
        raise error.within(plan.name) from None


def _refusal(attribute: Attribute, error: BadValue) -> RecordError:
    return RecordError(error.code, attribute.name, error.message, error.value)


def _documents(read: Sequence[_Column]) -> Iterable[str]:
    filled = [column.pieces for column in read if any(column.pieces)]
    rows = zip(*filled, strict=True)
    if not filled:
        return repeat("{}")
    if all(map(all, filled)):
        documents = [f"{{{text}}}" for text in map(",".join, rows)]
    else:
        documents = [f"{{{','.join(filter(None, row))}}}" for row in rows]
    if max(map(len, documents)) > DOCUMENT_LIMIT:
        raise RecordError(
            "OBJECT_TOO_LARGE", "", f"The values of the object have more than {DOCUMENT_LIMIT} characters."
        )
    return documents


def _lookups(read: Sequence[_Column]) -> Iterable[tuple[Lookup, ...]]:
    found = [
        [reading.lookups for reading in column.readings]
        for column in read
        if column.readings is not None and any(reading.lookups for reading in column.readings)
    ]
    if len(found) > 1:
        return (tuple(chain.from_iterable(row)) for row in zip(*found, strict=True))
    return found[0] if found else repeat(())


def _with_cautions(made: list[tuple[ObjectsRecord, ...]], read: Sequence[_Column]) -> Made:
    for column in read:
        for at, reading in enumerate(column.readings or ()):
            if reading.caution is not None:
                made[at] = (*made[at], reading.caution)
    return made
