"""Makes a cc5 sync file of a table, row by row, with a control total and a checksum that are right."""

from __future__ import annotations

import csv
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from cli.errors import CliError, ExitCode
from services.importer.formats.kit.syncfile import escaped, is_writable, row

CELL_CHARACTERS = 1 << 20


@dataclass(frozen=True)
class Sheet:
    """What the header of the file says. `types` are those of columns that are no strings."""

    entity: str
    data_source: str
    keys: Sequence[str]
    workspace: str
    bucket: str
    customer: str
    reference: str
    create_time: str
    action: str = "upsert"
    file_type: str = "cc5"
    types: Mapping[str, str] = field(default_factory=dict)
    delimiter: str = ","
    encoding: str = "utf-8-sig"


@dataclass(slots=True)
class Written:
    """How many rows there are, and where values stand that a sync file cannot say: line of the table, column."""

    rows: int = 0
    unwritable: int = 0
    places: list[tuple[int, str]] = field(default_factory=list)


def write(table: Path, out: Path, sheet: Sheet, *, shown: int) -> Written:
    """Writes `out` whole or not at all. CliError for a table that makes no such file."""
    written = Written()
    handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file, table.open(encoding=sheet.encoding, newline="") as source:
            _copy(source, file, sheet, written, shown)
        partial.chmod(0o644)
        partial.replace(out)
    except UnicodeDecodeError as error:
        raise CliError(f"{table.name} is not {sheet.encoding}: {error.reason}; name its --encoding.") from None
    except csv.Error as error:
        raise CliError(f"{table.name} is no table: {error}.") from None
    finally:
        partial.unlink(missing_ok=True)
    return written


def _copy(source: IO[str], file: IO[bytes], sheet: Sheet, written: Written, shown: int) -> None:
    csv.field_size_limit(CELL_CHARACTERS)
    reader = csv.reader(source, delimiter=sheet.delimiter, strict=True)
    names = [name.strip() for name in next(reader, [])]
    order = _order(names, sheet)
    digest = hashlib.sha256()
    for line in _lines(reader, names, order, sheet, written, shown):
        data = line.encode()
        digest.update(data)
        file.write(data)
    file.write(row("99", str(written.rows), f"sha256:{digest.hexdigest()}").encode())


def _order(names: Sequence[str], sheet: Sheet) -> list[int]:
    """The places of the columns, those of the key first."""
    if not any(names):
        raise CliError("The table is empty.", ExitCode.USAGE)
    for wanted in (*sheet.keys, *sheet.types):
        if wanted not in names:
            raise CliError(f"The table has no column {wanted!r}. It has: {', '.join(names)}.", ExitCode.USAGE)
    keys = [names.index(key) for key in sheet.keys]
    return keys + [at for at in range(len(names)) if at not in keys]


def _lines(
    reader: Iterator[list[str]],
    names: Sequence[str],
    order: Sequence[int],
    sheet: Sheet,
    written: Written,
    shown: int,
) -> Iterator[str]:
    about_file = (sheet.customer, sheet.file_type, sheet.create_time, sheet.reference)
    yield row("00", *map(escaped, about_file))
    about_target = (sheet.entity, sheet.workspace, sheet.bucket, sheet.data_source, sheet.action)
    yield row("01", *map(escaped, about_target))
    yield row("02", *sheet.keys)
    yield row("03", *(f"{names[at]}: {sheet.types.get(names[at], 'string')}" for at in order))
    for cells in reader:
        if not any(cells):
            continue
        line = reader.line_num  # type: ignore[attr-defined]  # a reader of csv
        if len(cells) != len(names):
            raise CliError(f"Line {line} has {len(cells)} cells where the table has {len(names)} columns.")
        for at in order:
            if not is_writable(cells[at]):
                written.unwritable += 1
                if len(written.places) < shown:
                    written.places.append((line, names[at]))
        written.rows += 1
        yield row("10", *(escaped(cells[at]) for at in order))
