"""From records to staging rows, and what a file's header and footer say of the import."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from itertools import count
from typing import Any

from sqlalchemy import Table

from schema import staging
from services.importer.engine.failures import ImportFailure
from services.importer.engine.frames import Rejected
from services.importer.engine.target import Job, Tally
from services.importer.targets.records.records import Caution, Delete, Footer, Header, Upsert, Upserts

SLICE = 0
ROW_BYTES = 80
MAX_KEY = 255
# Both stand in the index of records beside the key.
MAX_NAME = 255


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

    def reject(self, rejected: Rejected) -> None:
        """Nothing here is counted by what it would have become."""
        del rejected

    def add(self, ordinal: int, records: Iterable[Any]) -> int:
        """Takes the record of one row, or of several; none for what is no row: header, footer, a caution."""
        rows = 0
        for record in records:
            match record:
                case Upsert():
                    self.weight += ROW_BYTES + len(record.key) + len(record.document)
                    self._add(ordinal, record.key, record.document, record.line)
                    rows += 1
                case Upserts():
                    rows += self._add_run(ordinal, record)
                case Delete():
                    self.weight += ROW_BYTES + len(record.key)
                    self._add(ordinal, record.key, None, record.line)
                    rows += 1
                case Caution():
                    self._tally.caution(record.code, record.message)
                case Header():
                    self._begin(record)
                case Footer():
                    self.facts["validation_code"] = record.validation or None
        return rows

    def _add(self, ordinal: int, key: str, document: str | None, line: int) -> None:
        self._rows.append((self._tenant_id, SLICE, ordinal, bounded(key), document, None, line))

    def _add_run(self, ordinal: int, run: Upserts) -> int:
        keys, documents = run.keys.split("\n"), run.documents.split("\n")
        numbers = zip(count(ordinal), keys, documents, count(run.line), strict=False)
        self._rows += [
            (self._tenant_id, SLICE, at, bounded(key), document, None, line) for at, key, document, line in numbers
        ]
        self.weight += ROW_BYTES * len(keys) + len(run.keys) + len(run.documents)
        return len(keys)

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


def bounded(key: str) -> str:
    """An index entry has a limit; a digest of a longer key is as good."""
    return key if len(key) <= MAX_KEY else sha256(key.encode()).hexdigest()
