"""How PlexTrac shows an import: the `importJob` of a trigger, and the row of `my-imports`.

Its four words for a state stand in `status`; our own word in the extra member `state` of a row. Polling scripts know
`IMPORT COMPLETE` and `ERROR` as the end, so a cancelled import reads `ERROR`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import NULL_VALUE, Value
from google.protobuf.timestamp_pb2 import Timestamp

from hythe.dialects.plextrac.v2 import plextrac_pb2
from hythe.importer.v1 import importer_pb2

IN_QUEUE = "IN QUEUE"
PROCESSING = "PROCESSING"
IMPORT_COMPLETE = "IMPORT COMPLETE"
ERROR = "ERROR"

STATUS = {
    importer_pb2.STATE_OPEN: IN_QUEUE,
    importer_pb2.STATE_QUEUED: IN_QUEUE,
    importer_pb2.STATE_PAUSED: IN_QUEUE,
    importer_pb2.STATE_RUNNING: PROCESSING,
    importer_pb2.STATE_SUCCEEDED: IMPORT_COMPLETE,
    importer_pb2.STATE_FAILED: ERROR,
    importer_pb2.STATE_CANCELLED: ERROR,
}
INT32_MAX = 2**31 - 1


class ListedImport(NamedTuple):
    """What a row of `my-imports` is made of, named as in the native message: a list needs nothing else of an import."""

    import_id: str
    file_name: str
    file_size_bytes: int
    client_name: str
    report_name: str
    source: str
    state: importer_pb2.State.ValueType
    progress: int
    error_code: str
    error_message: str
    error_position: str
    dry_run: bool
    duplicate_of: str
    undone_by: str


def error_status(imported: importer_pb2.Import | ListedImport) -> str | None:
    """`<CODE>: <message> (<position>)`, or None where nothing went wrong."""
    if STATUS.get(imported.state) != ERROR:
        return None
    cancelled = imported.state == importer_pb2.STATE_CANCELLED
    code = imported.error_code or ("CANCELLED" if cancelled else "FAILED")
    text = f"{code}: {imported.error_message}" if imported.error_message else code
    return f"{text} ({imported.error_position})" if imported.error_position else text


def state_name(imported: importer_pb2.Import | ListedImport) -> str:
    """Our own word for the state, such as `SUCCEEDED`."""
    return importer_pb2.State.Name(imported.state).removeprefix("STATE_")


def my_import_row(imported: importer_pb2.Import | ListedImport) -> dict[str, Any]:
    """The members as published, then ours: `id` and `importId` for clients that look for those, and from `state` on."""
    dry_run = imported.dry_run if isinstance(imported, ListedImport) else imported.options.dry_run
    return {
        "key": imported.import_id,
        "name": imported.file_name,
        "reportName": imported.report_name,
        "clientName": imported.client_name,
        "fileSize": str(imported.file_size_bytes),
        "status": STATUS[imported.state],
        "progress": imported.progress,
        "errorStatus": error_status(imported),
        "source": imported.source,
        "id": imported.import_id,
        "importId": imported.import_id,
        "state": state_name(imported),
        "dryRun": dry_run,
        "duplicateOf": imported.duplicate_of or None,
        "undoneBy": imported.undone_by or None,
    }


def import_job(imported: importer_pb2.Import) -> plextrac_pb2.ImportJob:
    counters = imported.counters
    return plextrac_pb2.ImportJob(
        id=imported.import_id,
        user_id=imported.user_id,
        user_email=imported.user_email,
        tenant_id=imported.tenant_id,
        client_id=imported.client_id,
        report_id=imported.report_id,
        source=imported.source,
        file_location=imported.key,
        original_filename=imported.file_name,
        file_type=imported.file_type,
        file_size=imported.file_size_bytes,
        parser_actions_enabled=imported.use_parser_actions,
        processed_bytes=counters.processed_bytes,
        processed_findings=min(counters.processed_findings, INT32_MAX),
        processed_assets=min(counters.processed_assets, INT32_MAX),
        processed_finding_assets=min(counters.processed_finding_assets, INT32_MAX),
        processed_evidence=min(counters.processed_evidence, INT32_MAX),
        asset_tags=imported.asset_tags,
        finding_tags=imported.finding_tags,
        created_at=iso_time(imported.create_time),
        last_updated_at=iso_time(imported.update_time),
        failure_notified_at=text_or_null(None),
        status=STATUS[imported.state],
        error_status=text_or_null(error_status(imported)),
    )


def import_started(imported: importer_pb2.Import) -> plextrac_pb2.ImportStarted:
    return plextrac_pb2.ImportStarted(
        status="success", operation_id=imported.import_id, import_job=import_job(imported)
    )


def import_started_json(imported: importer_pb2.Import) -> dict[str, Any]:
    """The same as the gateway makes of `import_started`, for routes that write their own JSON."""
    return MessageToDict(import_started(imported), always_print_fields_with_no_presence=True)


def iso_time(moment: Timestamp) -> str:
    """ISO 8601 with milliseconds and Z, as in `2025-05-15T16:02:00.232Z`."""
    return moment.ToDatetime().isoformat(timespec="milliseconds") + "Z"


def text_or_null(text: str | None) -> Value:
    """An explicit null: the gateway leaves an unset Value out."""
    return Value(null_value=NULL_VALUE) if text is None else Value(string_value=text)
