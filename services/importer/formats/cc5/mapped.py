"""What the JSON twin says in the terms of a sync file: its header as rows 00 to 03, its records as values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from services.importer.formats.cc5.header import Columns, check_columns, check_keys, check_place, schema_cautions
from services.importer.formats.cc5.rows import Column, Ready
from services.importer.formats.cc5.values import BadValue, json_text
from services.importer.formats.cc5.values import number as shortest
from services.importer.formats.kit import syncfile
from services.importer.formats.kit.format import DamagedFile, RecordError
from services.importer.formats.kit.values import NAME_LIMIT
from services.importer.targets.records.demands import Demands
from services.importer.targets.records.records import Caution, Header


class Number(str):
    """A number as it is written."""

    __slots__ = ()


DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=lambda _: None, strict=False)


class MappedHeader:
    """The member `header`. Raises `DamagedFile` for one that is no header of a sync file."""

    def __init__(self, value: Any, reference: str, demands: Demands) -> None:
        self._dictionaries: dict[str, dict[str, Any]] = {}
        header = insensitive(value)
        metadata = insensitive(header.get("metadata"))
        columns = self._columns(_object(header.get("fieldmappings")))
        found = metadata.get("keys")
        keys = [as_text(key) for key in found] if isinstance(found, list) else []
        told = {
            "customer": _name(header, "customer"),
            "file_type": _name(header, "filetype"),
            "create_time": _name(metadata, "filecreatetime"),
            "reference_id": reference[:NAME_LIMIT],
            "entity_type": _name(metadata, "entitytype"),
            "workspace": _name(metadata, "workspaceid"),
            "bucket": _name(metadata, "bucketid"),
            "data_source": _name(metadata, "datasource"),
            "action": _name(metadata, "flowtype"),
        }
        if not told["entity_type"]:
            raise DamagedFile("HEADER_INVALID", "The header has no entity type.")
        check_place(told["workspace"], told["bucket"], demands)
        self.cautions: list[Caution] = check_columns(columns) + check_keys(keys, columns)
        self.cautions += schema_cautions(told["entity_type"], told["data_source"], columns, demands)
        self.record = Header(**told, keys=tuple(keys), columns=columns, text=_rows_of(told, keys, columns))

    def values(self, columns: Sequence[Column], value: Any) -> list[tuple[str, str]]:
        """The values of a record as the layout reads them, each with how a row would have it."""
        if not isinstance(value, dict):
            raise RecordError("NOT_AN_OBJECT", "", "The record is no JSON object.", as_text(value))
        return [self._value(column, value.get(column.code)) for column in columns]

    def key_values(self, columns: Sequence[Column], value: Any) -> list[tuple[str, str]]:
        """The same of a key: an object of its columns, an array of their values, or a value alone."""
        if isinstance(value, dict):
            return self.values(columns, value)
        found = value if isinstance(value, list) else [value]
        if len(found) != len(columns):
            message = f"The key has {len(found)} values where {len(columns)} are declared."
            raise RecordError("FIELD_COUNT_MISMATCH", "", message)
        return [self._value(column, each) for column, each in zip(columns, found, strict=True)]

    def _columns(self, mappings: Mapping[str, Any]) -> Columns:
        columns = []
        for name, said in mappings.items():
            mapping = insensitive(said)
            code = as_text(mapping.get("code")) or name
            columns.append((code, as_text(mapping.get("type")).strip() or "string"))
            if isinstance(dictionary := mapping.get("dictionary"), dict) and dictionary:
                self._dictionaries[code] = dictionary
        if not columns:
            raise DamagedFile("HEADER_INVALID", "The header declares no columns (FieldMappings).")
        return tuple(columns)

    def _value(self, column: Column, value: Any) -> tuple[str, str]:
        if dictionary := self._dictionaries.get(column.code):
            value = dictionary.get(as_text(value), value)
        if isinstance(value, list) and column.type == "array":
            # Its items may have commas, which a row cannot say.
            items = [each if isinstance(each, str) else _json(each) for each in value]
            return (Ready("[" + ",".join(map(json_text, items)) + "]") if items else "", ",".join(items))
        text = _json(value) if isinstance(value, list | dict) else as_text(value)
        return text, text


def insensitive(value: Any) -> dict[str, Any]:
    """An object's members by their names in small letters."""
    return {name.lower(): each for name, each in _object(value).items()}


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _name(members: Mapping[str, Any], name: str) -> str:
    text = as_text(members.get(name))
    if len(text) > NAME_LIMIT:
        raise DamagedFile("HEADER_INVALID", f'"{name}" has more than {NAME_LIMIT} characters.')
    return text


def as_text(value: Any) -> str:
    """A text or number as it is, a truth as `true` or `false`, "" for all else."""
    if isinstance(value, str):
        return str(value)
    return str(value).lower() if isinstance(value, bool) else ""


def _json(value: Any) -> str:
    """A value as JSON text, its numbers as they were written."""
    if isinstance(value, Number):
        try:
            return shortest(value)
        except BadValue:
            # No number that could be stored: what reads it refuses it.
            return str(value)
    if isinstance(value, str):
        return json_text(value)
    if isinstance(value, list):
        return "[" + ",".join(map(_json, value)) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{json_text(name)}:{_json(each)}" for name, each in value.items()) + "}"
    return json.dumps(value)


def _rows_of(told: Mapping[str, str], keys: list[str], columns: Columns) -> str:
    """The header as the rows 00 to 03 that it would be in a cc5 file."""
    written = {name: syncfile.escaped(value) for name, value in told.items()}
    about_file = ("customer", "file_type", "create_time", "reference_id")
    about_target = ("entity_type", "workspace", "bucket", "data_source", "action")
    return (
        syncfile.row("00", *(written[name] for name in about_file))
        + syncfile.row("01", *(written[name] for name in about_target))
        + syncfile.row("02", *keys)
        + syncfile.row("03", *(f"{code}: {type_}" for code, type_ in columns))
    )
