"""Sync files made for tests, and what is read of them."""

from __future__ import annotations

from io import BytesIO

from services.importer.formats.cc5.text import FORMAT
from services.importer.formats.kit.format import Format, RecordError
from services.importer.targets.records.demands import Demands
from services.importer.targets.records.records import Caution, Header, RecordsRecord

ROWS = (
    "00|AGENCY01|cc5|20260102030405|ref-1",
    "01|wks_family|ws-demo|bk-demo|cc-test|upsert",
    "02|entityId",
    "03|entityId|name: string|size: int|data: object",
)
ADAPTED = FORMAT.adapt


def sync_file(*rows: str, header: tuple[str, ...] = ROWS, footer: str | None = None, end: str = "\n") -> bytes:
    """A file of these rows; its footer counts them unless another is given ("" for none)."""
    if footer is None:
        footer = f"99|{sum(row[:3] in ('10|', '90|') for row in rows)}"
    return "".join(line + end for line in (*header, *rows, *([footer] if footer else []))).encode()


def adapted(demands: Demands) -> Format:
    assert ADAPTED is not None
    return ADAPTED(demands)


def told(data: bytes, demands: Demands | None = None) -> list[RecordsRecord | tuple[str, str, int]]:
    """The records of a file without its header; code, field and line of a row that is rejected."""
    format_ = adapted(demands or Demands())
    found: list[RecordsRecord | tuple[str, str, int]] = []
    for raw, position in format_.walk(BytesIO(data)):
        try:
            found += [record for record in format_.read(raw) if not isinstance(record, Header)]
        except RecordError as error:
            found.append((error.code, error.field, position.line))
    return found


def cautions(data: bytes, demands: Demands | None = None) -> list[str]:
    return [record.code for record in told(data, demands) if isinstance(record, Caution)]
