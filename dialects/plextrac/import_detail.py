"""One import with everything that is known of it: answers of ours, in the words of the published ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp

from dialects.plextrac.imports import import_job, iso_time, my_import_row
from dialects.plextrac.times import iso_or_none
from hythe.importer.v1 import importer_pb2
from hythe.status.v1 import status_pb2

OUTCOMES = ("read", "inserted", "updated", "unchanged", "deleted", "skipped", "rejected")
ACTIONS = ("ignored", "forced", "linked", "learned")
KINDS = {importer_pb2.KIND_UNDO: "undo"}
ON_ERROR = {
    importer_pb2.ON_ERROR_ABORT: "abort",
    importer_pb2.ON_ERROR_ABORT_ABOVE: "abortAbove",
    importer_pb2.ON_ERROR_ALL_OR_NOTHING: "allOrNothing",
}


def my_import_detail(imported: importer_pb2.Import, errors: Sequence[status_pb2.RowError]) -> dict[str, Any]:
    """The row of `my-imports`, the `importJob` as it is now, and ours: outcomes, cautions, the first errors, times."""
    return {
        **my_import_row(imported),
        "importJob": MessageToDict(import_job(imported), always_print_fields_with_no_presence=True),
        "phase": imported.phase,
        "attempt": imported.attempt,
        "cancelRequested": imported.cancel_requested,
        "pauseRequested": imported.pause_requested,
        "counters": {name: getattr(imported.counters, name) for name in OUTCOMES},
        "parserActions": {name: getattr(imported.counters, name) for name in ACTIONS},
        "cautions": [
            {"code": caution.code, "message": caution.message, "count": caution.count} for caution in imported.cautions
        ],
        "rowErrors": [row_error(error) for error in errors],
        "createdAt": _time_or_none(imported, "create_time"),
        "updatedAt": _time_or_none(imported, "update_time"),
        "startedAt": _time_or_none(imported, "start_time"),
        "endedAt": _time_or_none(imported, "end_time"),
        "kind": KINDS.get(imported.kind, "import"),
        "options": import_options(imported.options),
        "sha256": imported.content_sha256 or None,
        "origin": imported.origin or None,
        "originImportId": imported.origin_import_id or None,
        "undoneAt": _time_or_none(imported, "undone_time"),
        "resumableUntil": _time_or_none(imported, "resumable_until_time"),
        "undo": [
            {"kind": count.kind, "action": count.action, "reason": count.reason, "count": count.count}
            for count in imported.undo
        ],
    }


def import_options(options: importer_pb2.ImportOptions) -> dict[str, Any]:
    """Named as the trigger takes them; what was not set is null."""
    policy = options.policy
    return {
        "dryRun": options.dry_run,
        "force": options.force,
        "onError": ON_ERROR.get(policy.on_error, "continue"),
        "maxErrors": policy.max_errors if policy.HasField("max_errors") else None,
        "maxErrorPercent": policy.max_error_percent if policy.HasField("max_error_percent") else None,
        "expectedRecords": options.expected_records if options.HasField("expected_records") else None,
        "sha256": options.expected_sha256 or None,
    }


def row_error(error: status_pb2.RowError) -> dict[str, Any]:
    return {
        "recordNumber": error.record_number,
        "position": error.position,
        "field": error.field,
        "code": error.code,
        "message": error.message,
        "value": error.value,
    }


def row_error_page(errors: Sequence[status_pb2.RowError], next_page_token: str, total: int) -> dict[str, Any]:
    """`total` counts all rejected items, also those that are not kept as rows."""
    return {
        "status": "success",
        "totalRejected": total,
        "errors": [row_error(error) for error in errors],
        "nextPageToken": next_page_token or None,
    }


def undo_item_page(items: Sequence[status_pb2.UndoItem], next_page_token: str) -> dict[str, Any]:
    return {
        "status": "success",
        "items": [
            {
                "kind": item.kind,
                "action": item.action,
                "reason": item.reason,
                "name": item.name,
                "byImportId": item.by_import_id or None,
            }
            for item in items
        ],
        "nextPageToken": next_page_token or None,
    }


def report_url(url: str, expires_at: datetime) -> dict[str, Any]:
    """The URL is a credential for the report, for as long as it says."""
    return {"status": "success", "url": url, "expiresAt": iso_or_none(expires_at)}


def _time_or_none(imported: importer_pb2.Import, name: str) -> str | None:
    moment: Timestamp = getattr(imported, name)
    return iso_time(moment) if imported.HasField(name) else None  # type: ignore[arg-type]
