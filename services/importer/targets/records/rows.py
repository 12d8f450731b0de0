"""From records to staging rows, and what a file's header and footer say of the import."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any

from sqlalchemy import Table

from schema import staging
from services.importer.engine.failures import ImportFailure
from services.importer.engine.target import Job, Tally
from services.importer.targets.records.records import Caution, Delete, Footer, Header, Upsert

SLICE = 0
ROW_BYTES = 80
MAX_KEY = 255
# Both stand in the index of records beside the key.
MAX_NAME = 255
# Between the codes in staging.records.cleared. Arrays would cost more than all the rest of a row.
SEPARATOR = "\x1f"


class RecordsStager:
    """Collects the rows of a chunk. `weight` is their size in bytes, about."""

    def __init__(self, job: Job, tally: Tally) -> None:
        self._tenant_id = job.tenant_id
        self._tally = tally
        self._rows: list[tuple[Any, ...]] = []
        self._shape: tuple[Any, ...] | None = None
        self.weight = 0
        self.facts: dict[str, Any] = {}

    def take(self) -> Mapping[Table, list[tuple[Any, ...]]]:
        """The rows of the only table there is."""
        rows, self._rows, self.weight = self._rows, [], 0
        return {staging.records: rows}

    def add(self, ordinal: int, records: Iterable[Any]) -> bool:
        """Takes the record of one row; False for what is none: header, footer, a caution."""
        has_rows = False
        for record in records:
            match record:
                case Upsert():
                    self.weight += ROW_BYTES + len(record.key) + len(record.document)
                    cleared = joined(record.cleared) if record.cleared else None
                    self._add(ordinal, record.key, record.document, cleared, record.line)
                    has_rows = True
                case Delete():
                    self.weight += ROW_BYTES + len(record.key)
                    self._add(ordinal, record.key, None, None, record.line)
                    has_rows = True
                case Caution():
                    self._tally.caution(record.code, record.message)
                case Header():
                    self._begin(record)
                case Footer():
                    self.facts["validation_code"] = record.validation or None
        return has_rows

    def _add(self, ordinal: int, key: str, document: str | None, cleared: str | None, line: int) -> None:
        self._rows.append((self._tenant_id, SLICE, ordinal, bounded(key), document, cleared, line))

    def _begin(self, header: Header) -> None:
        """Raises ImportFailure for files of one archive that are not of one kind: an import has one error file."""
        shape = (header.entity_type, header.data_source, header.keys, header.columns)
        if self._shape not in (None, shape):
            raise ImportFailure("ARCHIVE_MIXED", "The files of the archive have different headers.")
        if max(len(header.entity_type), len(header.data_source)) > MAX_NAME:
            raise ImportFailure("HEADER_INVALID", f"Entity type and data source may have {MAX_NAME} characters.")
        self._shape = shape
        if "file_header" not in self.facts:
            self.facts |= {
                "entity_type": header.entity_type,
                "data_source": header.data_source,
                "columns": [code for code, _ in header.columns],
                "reference_id": header.reference_id or None,
                "file_header": header.text,
            }


@lru_cache(maxsize=4096)
def joined(codes: tuple[str, ...]) -> str:
    """As it stands in staging."""
    return SEPARATOR.join(codes)


def bounded(key: str) -> str:
    """An index entry has a limit; a digest of a longer key is as good."""
    return key if len(key) <= MAX_KEY else sha256(key.encode()).hexdigest()
