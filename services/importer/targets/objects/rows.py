"""From records to staging rows, and what is counted of each object type while they are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import Table

from schema import staging
from services.importer.engine.frames import Rejected
from services.importer.engine.target import Job, Tally
from services.importer.targets.objects.counters import BY_REASON, NO_TYPE, Counter, count, tell
from services.importer.targets.objects.records import Caution, Lookup, ObjectRecord, Remark, Skipped, SkipReason

SLICE = 0
ROW_BYTES = 80
# Rows of a file refer to the same few objects again and again.
KNOWN_LOOKUPS = 50_000

_REASONS = frozenset(SkipReason)


class ObjectsStager:
    """Collects the rows of a chunk. `weight` is their size in bytes, about."""

    def __init__(self, job: Job, tally: Tally) -> None:
        self._tenant_id = job.tenant_id
        self._tally = tally
        self._rows: list[tuple[Any, ...]] = []
        self._lookups: dict[tuple[Lookup, ...], str | None] = {(): None}
        self._encoder = msgspec.json.Encoder()
        self.weight = 0
        self.facts: Mapping[str, Any] = {}

    def take(self) -> Mapping[Table, list[tuple[Any, ...]]]:
        """The rows of the only table there is."""
        rows, self._rows, self.weight = self._rows, [], 0
        return {staging.objects: rows}

    def add(self, ordinal: int, records: Iterable[Any]) -> bool:
        """Takes the objects of an item; False when it has none."""
        has_rows = False
        for record in records:
            match record:
                case ObjectRecord():
                    self._add(ordinal, record)
                    has_rows = True
                case Skipped():
                    count(self._tally, record.type_id, Counter.ENTRIES)
                    count(self._tally, record.type_id, BY_REASON[record.reason])
                case Caution():
                    self._tally.caution(record.code, record.message)
                case Remark() if record.code not in self._tally.cautions:
                    # Once, of however many inputs it is true; and an attempt that goes on is told again.
                    self._tally.caution(record.code, record.message)
        return has_rows

    def _add(self, ordinal: int, record: ObjectRecord) -> None:
        count(self._tally, record.type_id, Counter.ENTRIES)
        lookups = self._text_of(record.lookups)
        self.weight += ROW_BYTES + len(record.key) + len(record.label) + len(record.document) + len(lookups or "")
        self._rows.append(
            (
                *(self._tenant_id, SLICE, ordinal, record.number, record.type_id, record.key, record.label),
                *(record.document, list(record.cleared) or None, lookups, record.line),
            )
        )

    def _text_of(self, lookups: tuple[Lookup, ...]) -> str | None:
        """As it stands in staging; null for none."""
        if lookups not in self._lookups:
            if len(self._lookups) >= KNOWN_LOOKUPS:
                self._lookups = {(): None}
            self._lookups[lookups] = self._encoder.encode(lookups).decode()
        return self._lookups[lookups]

    def reject(self, rejected: Rejected) -> None:
        """Counts it for every type that it would have become, and keeps what was wrong."""
        message = f"{rejected.field}: {rejected.message}" if rejected.field else rejected.message
        counter = BY_REASON[SkipReason(rejected.code)] if rejected.code in _REASONS else Counter.ERRORS
        for type_id in rejected.types or (NO_TYPE,):
            count(self._tally, type_id, Counter.ENTRIES)
            count(self._tally, type_id, counter)
            tell(self._tally, type_id, rejected.code, message)
