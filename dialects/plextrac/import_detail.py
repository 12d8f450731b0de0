"""One import with everything that is known of it: an answer of ours, in the words of the published ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp

from dialects.plextrac.imports import import_job, iso_time, my_import_row
from hythe.importer.v1 import importer_pb2
from hythe.status.v1 import status_pb2

OUTCOMES = ("read", "inserted", "updated", "unchanged", "deleted", "skipped", "rejected")


def my_import_detail(imported: importer_pb2.Import, errors: Sequence[status_pb2.RowError]) -> dict[str, Any]:
    """The row of `my-imports`, the `importJob` as it is now, and ours: outcomes, cautions, the first errors, times."""
    return {
        **my_import_row(imported),
        "importJob": MessageToDict(import_job(imported), always_print_fields_with_no_presence=True),
        "phase": imported.phase,
        "attempt": imported.attempt,
        "cancelRequested": imported.cancel_requested,
        "counters": {name: getattr(imported.counters, name) for name in OUTCOMES},
        "cautions": [
            {"code": caution.code, "message": caution.message, "count": caution.count} for caution in imported.cautions
        ],
        "rowErrors": [
            {
                "recordNumber": error.record_number,
                "position": error.position,
                "field": error.field,
                "code": error.code,
                "message": error.message,
                "value": error.value,
            }
            for error in errors
        ],
        "createdAt": _time_or_none(imported, "create_time"),
        "updatedAt": _time_or_none(imported, "update_time"),
        "startedAt": _time_or_none(imported, "start_time"),
        "endedAt": _time_or_none(imported, "end_time"),
    }


def _time_or_none(imported: importer_pb2.Import, name: str) -> str | None:
    moment: Timestamp = getattr(imported, name)
    return iso_time(moment) if imported.HasField(name) else None  # type: ignore[arg-type]
