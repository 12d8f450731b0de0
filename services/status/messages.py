"""The read model as messages of the native API, for its servicer and for dialects whose shapes are made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, fields
from typing import TypeVar
from uuid import UUID

from google.protobuf.message import Message

from dialects.plextrac.findings import SEVERITIES
from dialects.plextrac.imports import ListedImport
from dialects.plextrac.tags import tag_id
from hythe.importer.v1 import importer_pb2
from hythe.status.v1 import status_pb2
from hythe.upload.v1 import upload_pb2
from runtime.errors import InvalidArgument
from runtime.timestamps import timestamp
from services.status.import_reports import ReportKind
from services.status.model import Counters, Import, Row, RowError, UndoItem
from services.status.record_files import RecordFile

R = TypeVar("R")
M = TypeVar("M", bound=Message)

COUNTERS = tuple(field.name for field in fields(Counters))
# A page ends early where the next row would bring the answer near the limit of a message, which is 4 MiB.
PAGE_BYTES = 3 * 1024 * 1024


def fit(
    rows: Sequence[R], has_more: bool, convert: Callable[[R], M], key: Callable[[R], object]
) -> tuple[list[M], str]:
    """The rows as messages, as many as fit and one at least; and the page token, empty when nothing is left."""
    messages: list[M] = []
    size = 0
    for number, row in enumerate(rows):
        message = convert(row)
        size += message.ByteSize()
        if messages and size > PAGE_BYTES:
            return messages, str(key(rows[number - 1]))
        messages.append(message)
    return messages, str(key(rows[-1])) if has_more else ""


def state_names(states: Iterable[int]) -> list[str]:
    """Our words for the states that a request names."""
    known: dict[int, str] = {
        number: name.removeprefix("STATE_") for name, number in importer_pb2.State.items() if number
    }
    try:
        return [known[state] for state in states]
    except KeyError:
        raise InvalidArgument(
            "UNKNOWN_STATE", f"states: known are {', '.join(known.values())}.", field="states"
        ) from None


def import_message(found: Import) -> importer_pb2.Import:
    return importer_pb2.Import(
        import_id=str(found.import_id),
        client_id=found.client_id,
        report_id=found.report_id or 0,
        source=found.source,
        key=found.key,
        file_name=found.file_name,
        file_type=found.file_type,
        file_size_bytes=found.file_size,
        state=importer_pb2.State.Value(f"STATE_{found.state}"),
        progress=found.percent,
        phase=found.phase,
        counters=importer_pb2.Counters(**{name: getattr(found.counters, name) for name in COUNTERS}),
        error_code=found.error_code or "",
        error_message=found.error_message or "",
        error_position=found.error_position or "",
        attempt=found.attempt,
        asset_tags=found.asset_tags,
        finding_tags=found.finding_tags,
        use_parser_actions=found.use_parser_actions,
        user_id=found.user_id,
        user_email=found.user_email,
        tenant_id=found.tenant_id,
        create_time=timestamp(found.created_at),
        update_time=timestamp(found.updated_at),
        start_time=timestamp(found.started_at),
        end_time=timestamp(found.ended_at),
        cancel_requested=found.cancel_requested,
        client_name=found.client_name,
        report_name=found.report_name,
        cautions=[
            importer_pb2.Caution(code=caution["code"], message=caution["message"], count=caution["count"])
            for caution in found.cautions
        ],
        kind=importer_pb2.Kind.Value(f"KIND_{found.kind.upper()}"),
        options=options_message(found),
        content_sha256=hex_or_empty(found.content_sha256),
        duplicate_of=id_or_empty(found.duplicate_of),
        origin_import_id=id_or_empty(found.origin_import_id),
        origin=found.origin or "",
        undone_by=id_or_empty(found.undone_by),
        undone_time=timestamp(found.undone_at),
        pause_requested=found.pause_requested,
        resumable_until_time=timestamp(found.resumable_until),
        undo=[
            importer_pb2.UndoCount(
                kind=count["kind"], action=count["action"], reason=count["reason"], count=count["count"]
            )
            for count in found.undo
        ],
        workspace_id=id_or_empty(found.workspace_id),
        entity_type=found.entity_type or "",
        data_source=found.data_source or "",
        reference_id=found.reference_id or "",
    )


def options_message(found: Import) -> importer_pb2.ImportOptions:
    """The column `policy` has the importer's words and leaves out what is as usual."""
    policy = found.policy
    return importer_pb2.ImportOptions(
        dry_run=found.dry_run,
        force=found.force,
        policy=importer_pb2.Policy(
            on_error=importer_pb2.OnError.Value(f"ON_ERROR_{policy.get('on_error', 'continue').upper()}"),
            max_errors=policy.get("max_errors"),
            max_error_percent=policy.get("max_error_percent"),
        ),
        expected_sha256=hex_or_empty(found.expected_sha256),
        expected_records=policy.get("expected_records"),
    )


def listed_import(row: Row) -> ListedImport:
    """A row of store.imports.list_own_rows."""
    return ListedImport(
        import_id=str(row["import_id"]),
        file_name=row["file_name"],
        file_size_bytes=row["file_size"],
        client_name=row["client_name"],
        report_name=row["report_name"],
        source=row["source"],
        state=importer_pb2.State.Value(f"STATE_{row['state']}"),
        progress=row["percent"],
        error_code=row["error_code"] or "",
        error_message=row["error_message"] or "",
        error_position=row["error_position"] or "",
        dry_run=row["dry_run"],
        duplicate_of=id_or_empty(row["duplicate_of"]),
        undone_by=id_or_empty(row["undone_by"]),
    )


def row_error_message(error: RowError) -> status_pb2.RowError:
    return status_pb2.RowError(**asdict(error))


def undo_item_message(item: UndoItem) -> status_pb2.UndoItem:
    return status_pb2.UndoItem(
        kind=item.kind,
        action=item.action,
        reason=item.reason,
        name=item.name,
        by_import_id=id_or_empty(item.by_import_id),
    )


def client_message(client: Row) -> status_pb2.Client:
    return status_pb2.Client(
        client_id=client["client_id"],
        name=client["name"],
        description=client["description"],
        tags=client["tags"],
        create_time=timestamp(client["created_at"]),
    )


def report_message(report: Row) -> status_pb2.Report:
    return status_pb2.Report(
        report_id=report["report_id"],
        client_id=report["client_id"],
        name=report["name"],
        status=report["status"],
        finding_count=report["finding_count"],
        create_time=timestamp(report["created_at"]),
    )


def finding_message(finding: Row) -> status_pb2.Finding:
    return status_pb2.Finding(
        flaw_id=finding["flaw_id"],
        title=finding["title"],
        severity=SEVERITIES[finding["severity"]],
        status=finding["status"],
        source=finding["source"],
        description=finding["description"],
        recommendations=finding["recommendations"],
        references=finding["references"],
        cves=finding["cves"],
        cwes=finding["cwes"],
        tags=finding["tags"],
        affected_asset_count=finding["affected_asset_count"],
    )


def asset_message(asset: Row) -> status_pb2.Asset:
    return status_pb2.Asset(
        asset_id=str(asset["asset_id"]),
        name=asset["name"],
        hostname=asset["hostname"],
        ips=asset["ips"],
        operating_systems=asset["operating_systems"],
        tags=asset["tags"],
        mac_address=asset["mac"],
    )


def tag_message(tag: Row) -> status_pb2.Tag:
    return status_pb2.Tag(
        tag_id=tag_id(tag["tenant_id"], tag["tag"]), name=tag["tag"], create_time=timestamp(tag["created_at"])
    )


def record_message(record: Row) -> status_pb2.Record:
    return status_pb2.Record(
        entity_type=record["entity_type"],
        data_source=record["data_source"],
        key=record["key"],
        document=record["document"],
        import_id=id_or_empty(record["import_id"]),
        create_time=timestamp(record["created_at"]),
        update_time=timestamp(record["updated_at"]),
    )


def record_file_message(found: RecordFile) -> status_pb2.RecordFile:
    described = upload_pb2.RecordFile(
        file_id=found.file_id,
        workspace=str(found.workspace_id),
        bucket_id=found.bucket_id,
        entity_type=found.entity_type,
        folder=found.folder,
        category=found.category,
        tags=found.tags,
        action_id=found.action_id,
        description=found.description,
    )
    described.metadata.update(dict(found.metadata))
    message = status_pb2.RecordFile(
        described=described,
        key=found.key,
        file_name=found.file_name,
        size_bytes=found.size,
        state=status_pb2.RecordFileState.Value(f"RECORD_FILE_STATE_{found.state.value}"),
        create_time=timestamp(found.created_at),
        upload_time=timestamp(found.uploaded_at),
    )
    if found.imported is not None:
        getattr(message, "import").CopyFrom(import_message(found.imported))
    return message


def report_kind(kind: status_pb2.ReportKind.ValueType) -> ReportKind:
    """Raises InvalidArgument for one that this version does not know."""
    match kind:
        case status_pb2.REPORT_KIND_UNSPECIFIED | status_pb2.REPORT_KIND_TABLE:
            return ReportKind.TABLE
        case status_pb2.REPORT_KIND_FILE:
            return ReportKind.FILE
    raise InvalidArgument("UNKNOWN_REPORT_KIND", "kind: known are TABLE and FILE.", field="kind")


def id_or_empty(import_id: UUID | None) -> str:
    return "" if import_id is None else str(import_id)


def hex_or_empty(digest: bytes | None) -> str:
    return "" if digest is None else digest.hex()
