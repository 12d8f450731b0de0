"""The header of a sync file, rows 00 to 09: what it must have, and what it says of the rows below it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NoReturn

from services.importer.formats.cc5.values import TYPES, is_fit
from services.importer.formats.kit.format import DamagedFile, Position
from services.importer.formats.kit.values import NAME_LIMIT
from services.importer.targets.records.demands import Demands
from services.importer.targets.records.records import Caution, Header

COLUMNS = 2_000
CODE_LIMIT = 128

ROWS = ("00", "01", "02", "03")
METADATA = frozenset({"04", "05", "06", "07", "08", "09"})
_ABOUT_FILE, _ABOUT_TARGET = 4, 5
# Source: the vendor's page `model/data-model`, of the names of fields. A pipe or a colon could not stand in a row 03,
# which the error file of the JSON twin begins with.
_UNFIT_CODE = re.compile(r"[$.|:\x00-\x1f\ud800-\udfff]|^_")
_RESERVED = "_id"
_SHOWN = 10

Columns = tuple[tuple[str, str], ...]


class HeaderRows:
    """Takes the rows of a header as they come. `cautions` collects what people should know of it."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._values: list[list[str]] = []
        self._places: list[int] = []
        self.cautions: list[Caution] = []

    @property
    def is_empty(self) -> bool:
        return not self._lines

    @property
    def is_whole(self) -> bool:
        return len(self._lines) == len(ROWS)

    @property
    def line(self) -> int:
        """The number of the line of row 00."""
        return self._places[0]

    def take(self, line: str, number: int) -> bool:
        """Whether the line is one of the header. Raises `DamagedFile` for one that cannot stand here."""
        row_type, *values = line.split("|")
        if self.is_whole:
            if row_type in METADATA:
                self.cautions.append(
                    Caution("METADATA_ROW_IGNORED", "Rows 04 to 09 have no meaning; they are ignored.")
                )
                return True
            return False
        wanted = ROWS[len(self._lines)]
        if row_type != wanted:
            _refuse("HEADER_INVALID", f"Row {wanted} is missing: the file must begin with rows 00, 01, 02, 03.", number)
        if not is_fit(line):
            _refuse("HEADER_INVALID", f"Row {wanted} is not valid UTF-8, or has a NUL character.", number)
        if len(values) > 1 and not values[-1]:
            # A trailing pipe; an empty Reference Id or Action Code looks the same.
            wanted_count = {"00": _ABOUT_FILE, "01": _ABOUT_TARGET}.get(wanted, 0)
            if len(values) != wanted_count:
                values.pop()
        self._lines.append(line)
        self._values.append(values)
        self._places.append(number)
        return True

    def header(self, demands: Demands) -> Header:
        """What the rows say. Raises `DamagedFile`."""
        about_file, about_target, keys, definitions = self._values
        if len(about_file) != _ABOUT_FILE:
            self._refuse(0, "HEADER_INVALID", "Row 00 must have 4 values: customer, file type, time, reference.")
        if len(about_target) != _ABOUT_TARGET:
            told = "entity type, workspace, bucket, data source, action"
            self._refuse(1, "HEADER_INVALID", f"Row 01 must have 5 values: {told}.")
        for at, values in enumerate((about_file, about_target)):
            if max(map(len, values)) > NAME_LIMIT:
                self._refuse(at, "HEADER_INVALID", f"A value of row 0{at} has more than {NAME_LIMIT} characters.")
        customer, file_type, create_time, reference = about_file
        entity, workspace, bucket, source, action = about_target
        if not entity:
            self._refuse(1, "HEADER_INVALID", "Row 01 has no entity type.")
        columns = self._columns(definitions)
        self._check_keys(keys, columns)
        check_place(workspace, bucket, demands, Position(self._places[1]))
        self.cautions += schema_cautions(entity, source, columns, demands, Position(self._places[3]))
        return Header(
            entity_type=entity,
            data_source=source,
            customer=customer,
            file_type=file_type,
            create_time=create_time,
            reference_id=reference,
            action=action,
            workspace=workspace,
            bucket=bucket,
            keys=tuple(keys),
            columns=columns,
            text="".join(f"{line}\n" for line in self._lines),
        )

    def _columns(self, definitions: Sequence[str]) -> Columns:
        columns = []
        for definition in definitions:
            code, _, type_ = definition.partition(":")
            columns.append((code, type_.strip() or "string"))
        try:
            self.cautions += check_columns(columns)
        except DamagedFile as error:
            self._refuse(3, error.code, error.message)
        return tuple(columns)

    def _check_keys(self, keys: Sequence[str], columns: Columns) -> None:
        try:
            self.cautions += check_keys(keys, columns)
        except DamagedFile as error:
            self._refuse(2, error.code, error.message)

    def _refuse(self, row: int, code: str, message: str) -> NoReturn:
        _refuse(code, message, self._places[row])


def check_columns(columns: Sequence[tuple[str, str]]) -> list[Caution]:
    """Raises `DamagedFile` for columns that no file can have."""
    if len(columns) > COLUMNS:
        raise DamagedFile("TOO_MANY_COLUMNS", f"The file declares more than {COLUMNS} columns.")
    seen: set[str] = set()
    for code, type_ in columns:
        if not code or len(code) > CODE_LIMIT or _UNFIT_CODE.search(code):
            told = f"1 to {CODE_LIMIT} characters without $, |, colons and full stops, no underscore at the beginning"
            raise DamagedFile("HEADER_COLUMN_INVALID", f'"{code[:CODE_LIMIT]}" is no column code: {told}.')
        if code in seen:
            raise DamagedFile("HEADER_COLUMN_REPEATED", f'The column "{code}" is declared twice.')
        if type_ not in TYPES:
            known = ", ".join(TYPES)
            raise DamagedFile("HEADER_TYPE_UNKNOWN", f'The column "{code}" has no type of {known}: "{type_[:40]}".')
        seen.add(code)
    return [
        Caution("COLUMN_RESERVED", f'The column "{code}" has a name that the system keeps for itself (…_id).')
        for code in seen
        if code.endswith(_RESERVED)
    ][:1]


def check_keys(keys: Sequence[str], columns: Sequence[tuple[str, str]]) -> list[Caution]:
    """Raises `DamagedFile` for a primary key that the columns do not have."""
    if not keys or not all(keys) or len(set(keys)) != len(keys):
        raise DamagedFile("HEADER_INVALID", "The primary key (row 02) must name one or more columns, each once.")
    codes = [code for code, _ in columns]
    missing = [key for key in keys if key not in codes]
    if missing:
        message = f'The key "{missing[0][:CODE_LIMIT]}" of row 02 is not declared in row 03.'
        raise DamagedFile("HEADER_KEY_NOT_DECLARED", message)
    if set(codes[: len(keys)]) != set(keys):
        return [Caution("KEY_NOT_FIRST", "The columns of the primary key do not come first in row 03.")]
    return []


def check_place(workspace: str, bucket: str, demands: Demands, position: Position | None = None) -> None:
    """Raises `DamagedFile` (`WORKSPACE_MISMATCH`) for a file of another workspace or bucket than the job's."""
    if demands.workspaces and workspace not in demands.workspaces:
        message = f'Row 01 is for the workspace "{workspace}", the file was sent to another.'
        raise DamagedFile("WORKSPACE_MISMATCH", message, position)
    if demands.bucket and bucket != demands.bucket:
        message = f'Row 01 is for the bucket "{bucket}", the file was sent to another.'
        raise DamagedFile("WORKSPACE_MISMATCH", message, position)


def schema_cautions(
    entity: str, source: str, columns: Columns, demands: Demands, position: Position | None = None
) -> list[Caution]:
    """What the schema has to say of these columns. Raises `DamagedFile` (`HEADER_COLUMN_MISSING`)."""
    schema = demands.schema_of(entity, source)
    if schema is None:
        return []
    expected = schema.expectations(columns)
    if expected.missing:
        names = ", ".join(expected.missing[:_SHOWN]) + (", …" if len(expected.missing) > _SHOWN else "")
        message = f"Row 03 lacks columns that {entity} of {source} must have: {names}."
        raise DamagedFile("HEADER_COLUMN_MISSING", message, position)
    return [
        Caution("COLUMN_TYPE_DIFFERS", f'"{code}" is declared as {declared} and known as {known}; the file counts.')
        for code, declared, known in expected.retyped[:1]
    ]


def _refuse(code: str, message: str, line: int) -> NoReturn:
    raise DamagedFile(code, message, Position(line))
