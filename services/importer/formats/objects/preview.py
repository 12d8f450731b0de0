"""What a mapping makes of the first records of a source, for somebody who is writing it."""

from __future__ import annotations

from itertools import islice
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from services.importer.formats.kit.format import (
    ByteStream,
    DamagedFile,
    Format,
    Position,
    RecordError,
    WrongFormat,
)
from services.importer.formats.objects import csv, json
from services.importer.targets.objects.plan import ObjectPlan
from services.importer.targets.objects.records import Caution, Lookup, ObjectRecord, ObjectsRecord, Remark, Skipped

LIMIT = 1_000

Syntax = Literal["csv", "json", "chunk"]


class PreviewedObject(msgspec.Struct, frozen=True):
    """One object. `values` are its attributes by id, each as it would be stored, without references."""

    type_id: int
    key: str
    label: str
    values: dict[int, Any]
    cleared: tuple[int, ...]
    lookups: tuple[Lookup, ...]


class PreviewedError(msgspec.Struct, frozen=True):
    """Why a record, or the whole source, cannot be used. `field` is the name of an attribute, where it is about one."""

    code: str
    message: str
    field: str = ""
    value: str = ""


class PreviewedRecord(msgspec.Struct, frozen=True):
    """One record of the source: what it becomes, or its error."""

    position: Position
    objects: tuple[PreviewedObject, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    cautions: tuple[Caution, ...] = ()
    error: PreviewedError | None = None


class Preview(msgspec.Struct, frozen=True):
    """`damage` is set where the source itself ends before the records do; a sample that was cut looks like that."""

    records: tuple[PreviewedRecord, ...]
    remarks: tuple[Remark, ...] = ()
    damage: PreviewedError | None = None


def preview(syntax: Syntax, plan: ObjectPlan, stream: ByteStream, limit: int) -> Preview:
    """What becomes of so many records, 1,000 at most. Nothing is raised for what is wrong with source or mapping."""
    records: list[PreviewedRecord] = []
    remarks: tuple[Remark, ...] = ()
    damage = None
    format_ = _FORMATS[syntax]
    if format_.adapt is not None:
        format_ = format_.adapt(plan)
    try:
        for raw, position in islice(format_.walk(stream), min(limit, LIMIT)):
            record = _previewed(format_, raw, position)
            if isinstance(record, tuple):
                remarks = record
            else:
                records.append(record)
    except WrongFormat as error:
        damage = PreviewedError("WRONG_FORMAT", str(error))
    except DamagedFile as error:
        damage = PreviewedError(error.code, error.message)
    return Preview(tuple(records), remarks, damage)


_FORMATS: MappingProxyType[Syntax, Format] = MappingProxyType(
    {"csv": csv.FORMAT, "json": json.DOCUMENTS, "chunk": json.CHUNKS}
)


def _previewed(format_: Format, raw: Any, position: Position) -> PreviewedRecord | tuple[Remark, ...]:
    try:
        records: list[ObjectsRecord] = list(format_.read(raw))
    except RecordError as error:
        told = PreviewedError(error.code, error.message, error.field, error.value)
        return PreviewedRecord(position, error=told)
    if isinstance(records[0], Remark):
        return tuple(each for each in records if isinstance(each, Remark))
    return PreviewedRecord(
        position,
        tuple(_object(each) for each in records if isinstance(each, ObjectRecord)),
        tuple(each for each in records if isinstance(each, Skipped)),
        tuple(each for each in records if isinstance(each, Caution)),
    )


def _object(record: ObjectRecord) -> PreviewedObject:
    values: dict[str, Any] = msgspec.json.decode(record.document)
    by_id = {int(name): value for name, value in values.items()}
    return PreviewedObject(record.type_id, record.key, record.label, by_id, record.cleared, record.lookups)
