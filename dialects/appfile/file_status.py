"""What has become of a file, as `GET /appfile/file/{FileId}` tells it.

The vendor publishes the route and none of its answers: the shape is ours (docs/appfile.md), and `PortalStatus` has the
three words that its portal shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from dialects.appfile.envelope import coded
from hythe.importer.v1 import importer_pb2
from hythe.status.v1 import status_pb2

PENDING, SUCCESSFUL, FAILED = "pending", "successful", "failed"
STATUS = {
    status_pb2.RECORD_FILE_STATE_PENDING_UPLOAD: ("PendingUpload", PENDING),
    status_pb2.RECORD_FILE_STATE_UPLOADED: ("Uploaded", PENDING),
    status_pb2.RECORD_FILE_STATE_QUEUED: ("Queued", PENDING),
    status_pb2.RECORD_FILE_STATE_VALIDATING: ("Validating", PENDING),
    status_pb2.RECORD_FILE_STATE_IMPORTING: ("Importing", PENDING),
    status_pb2.RECORD_FILE_STATE_IMPORTED: ("Imported", SUCCESSFUL),
    status_pb2.RECORD_FILE_STATE_IMPORTED_WITH_ERRORS: ("ImportedWithErrors", SUCCESSFUL),
    status_pb2.RECORD_FILE_STATE_FAILED: ("Failed", FAILED),
    status_pb2.RECORD_FILE_STATE_CANCELLED: ("Cancelled", FAILED),
    status_pb2.RECORD_FILE_STATE_EXPIRED: ("Expired", FAILED),
}
INFO, WARNING, ERROR = "Info", "Warning", "Error"


def status_members(
    file: status_pb2.RecordFile, path: str, errors: Sequence[status_pb2.RowError], errors_url: str
) -> dict[str, Any]:
    """Members of `File`. Times are ISO 8601 in UTC, null where there is none; `errors_url` is a credential."""
    imported = getattr(file, "import")
    status, portal_status = STATUS[file.state]
    return {
        "Size": file.size_bytes,
        "Sha256": imported.content_sha256,
        "FileType": imported.source,
        "Status": status,
        "PortalStatus": portal_status,
        "Progress": progress(imported),
        "CreatedAt": time_or_none(file, "create_time"),
        "UploadedAt": time_or_none(file, "upload_time"),
        "StartedAt": time_or_none(imported, "start_time"),
        "FinishedAt": time_or_none(imported, "end_time"),
        "Attempts": imported.attempt,
        "ErrorsUrl": errors_url,
        "Logs": list(logs(file, imported, path)),
        **own_members(imported, errors),
    }


def own_members(imported: importer_pb2.Import, errors: Sequence[status_pb2.RowError]) -> dict[str, Any]:
    """What is known of the last import beside what is proposed for any server of this API."""
    error = None
    if imported.error_code:
        error = {
            "ErrorCode": coded(imported.error_code),
            "Message": imported.error_message,
            "Position": imported.error_position,
        }
    return {
        "ImportId": imported.import_id,
        "DataSource": imported.data_source,
        "ReferenceId": imported.reference_id,
        "DryRun": imported.options.dry_run,
        "Force": imported.options.force,
        "DuplicateOf": imported.duplicate_of,
        "UndoneAt": time_or_none(imported, "undone_time"),
        "Error": error,
        "RowErrors": [row_error(each) for each in errors],
    }


def progress(imported: importer_pb2.Import) -> dict[str, int]:
    """`RowsApplied`: rows 10 that the records now agree with. `RowsSkipped`: rows that a later one made superfluous."""
    counters = imported.counters
    return {
        "Percent": imported.progress,
        "BytesRead": counters.processed_bytes,
        "RowsRead": counters.read,
        "RowsApplied": counters.inserted + counters.updated + counters.unchanged,
        "RowsDeleted": counters.deleted,
        "RowsFailed": counters.rejected,
        "RowsInserted": counters.inserted,
        "RowsUpdated": counters.updated,
        "RowsUnchanged": counters.unchanged,
        "RowsSkipped": counters.skipped,
    }


def row_error(error: status_pb2.RowError) -> dict[str, Any]:
    return {
        "Position": error.position,
        "Field": error.field,
        "ErrorCode": coded(error.code),
        "Message": error.message,
        "Value": error.value,
    }


def logs(file: status_pb2.RecordFile, imported: importer_pb2.Import, path: str) -> Iterator[dict[str, Any]]:
    """What happened, in the words of the vendor's portal where it has some. Derived, not stored."""
    yield _log(file, "create_time", INFO, f"URL given: {path}")
    if file.HasField("upload_time"):
        yield _log(file, "upload_time", INFO, f"Saving file: {path}")
    if not imported.import_id:
        return
    yield _log(imported, "create_time", INFO, f"Import queued - {imported.import_id}")
    if imported.HasField("start_time"):
        yield _log(imported, "start_time", INFO, f"Saving data - {imported.import_id}")
    for caution in imported.cautions:
        yield _log(imported, "update_time", WARNING, f"{coded(caution.code)}: {caution.message} ({caution.count})")
    if imported.HasField("end_time"):
        yield from _end(imported)
    if imported.undone_by:
        yield _log(imported, "undone_time", INFO, f"Import undone - {imported.undone_by}")


def _end(imported: importer_pb2.Import) -> Iterator[dict[str, Any]]:
    if imported.counters.rejected:
        yield _log(imported, "end_time", WARNING, f"Rows rejected: {imported.counters.rejected}")
    match imported.state:
        case importer_pb2.STATE_SUCCEEDED:
            said = "Dry run succeed, nothing was kept" if imported.options.dry_run else "Import data succeed"
            yield _log(imported, "end_time", INFO, said)
        case importer_pb2.STATE_CANCELLED:
            yield _log(imported, "end_time", WARNING, "Import cancelled")
        case _:
            place = f" ({imported.error_position})" if imported.error_position else ""
            said = f"{coded(imported.error_code)}: {imported.error_message}{place}"
            yield _log(imported, "end_time", ERROR, said)


def _log(message: Message, time: str, level: str, said: str) -> dict[str, Any]:
    return {"At": time_or_none(message, time), "Level": level, "Message": said}


def time_or_none(message: Message, name: str) -> str | None:
    """With milliseconds and Z, as in `2025-05-15T16:02:00.232Z`."""
    moment: Timestamp = getattr(message, name)
    return moment.ToDatetime().isoformat(timespec="milliseconds") + "Z" if message.HasField(name) else None
