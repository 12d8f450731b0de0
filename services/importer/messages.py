"""Snapshots, options and sources as messages of the native API, and options from them."""

from __future__ import annotations

import msgspec

from hythe.importer.v1 import importer_pb2
from runtime.errors import InvalidArgument
from runtime.timestamps import timestamp
from services.importer.detection import Detection
from services.importer.options import sha256_of
from services.importer.policy import EmptyValues, OnError, Options, Policy
from services.importer.record_imports import RecordTrigger
from services.importer.snapshot import Snapshot
from services.importer.sources import FileFormat, Source

ON_ERROR = {
    importer_pb2.ON_ERROR_UNSPECIFIED: OnError.CONTINUE,
    importer_pb2.ON_ERROR_CONTINUE: OnError.CONTINUE,
    importer_pb2.ON_ERROR_ABORT: OnError.ABORT,
    importer_pb2.ON_ERROR_ABORT_ABOVE: OnError.ABORT_ABOVE,
    importer_pb2.ON_ERROR_ALL_OR_NOTHING: OnError.ALL_OR_NOTHING,
}


EMPTY_VALUES = {
    importer_pb2.EMPTY_VALUES_UNSPECIFIED: EmptyValues.CLEAR,
    importer_pb2.EMPTY_VALUES_CLEAR: EmptyValues.CLEAR,
    importer_pb2.EMPTY_VALUES_KEEP: EmptyValues.KEEP,
}


def record_trigger_of(message: importer_pb2.StartRecordsImportRequest) -> RecordTrigger:
    """As the caller says it."""
    if message.empty_values not in EMPTY_VALUES:
        raise InvalidArgument("INVALID_OPTION", "There is no such choice for empty values.", field="empty_values")
    options = options_of(message.options)
    policy = msgspec.structs.replace(
        options.policy,
        empty=EMPTY_VALUES[message.empty_values],
        require_footer=message.require_footer if message.HasField("require_footer") else True,
    )
    return RecordTrigger(
        file_id=message.file_id,
        file_type=message.file_type,
        workspace=message.workspace,
        bucket_id=message.bucket_id,
        request_id=message.request_id,
        action_id=message.action_id,
        description=message.description,
        options=msgspec.structs.replace(options, policy=policy),
    )


def options_of(message: importer_pb2.ImportOptions) -> Options:
    """As the caller says them; services/importer/options.py looks whether they make sense."""
    policy = message.policy
    if policy.on_error not in ON_ERROR:
        raise InvalidArgument("INVALID_POLICY", "There is no such policy on errors.", field="on_error")
    return Options(
        dry_run=message.dry_run,
        force=message.force,
        policy=Policy(
            on_error=ON_ERROR[policy.on_error],
            max_errors=policy.max_errors if policy.HasField("max_errors") else None,
            max_error_percent=policy.max_error_percent if policy.HasField("max_error_percent") else None,
            expected_records=message.expected_records if message.HasField("expected_records") else None,
        ),
        expected_sha256=sha256_of(message.expected_sha256),
    )


def options_message(options: Options) -> importer_pb2.ImportOptions:
    policy = options.policy
    return importer_pb2.ImportOptions(
        dry_run=options.dry_run,
        force=options.force,
        policy=importer_pb2.Policy(
            on_error=importer_pb2.OnError.Value(f"ON_ERROR_{policy.on_error.upper()}"),
            max_errors=policy.max_errors,
            max_error_percent=policy.max_error_percent,
        ),
        expected_sha256=_hexadecimal(options.expected_sha256),
        expected_records=policy.expected_records,
    )


def import_message(snapshot: Snapshot) -> importer_pb2.Import:
    return importer_pb2.Import(
        import_id=str(snapshot.import_id),
        client_id=snapshot.client_id,
        report_id=snapshot.report_id or 0,
        source=snapshot.source,
        key=snapshot.key,
        file_name=snapshot.file_name,
        file_type=snapshot.file_type,
        file_size_bytes=snapshot.file_size,
        state=importer_pb2.State.Value(f"STATE_{snapshot.state}"),
        progress=snapshot.percent,
        phase=snapshot.phase,
        counters=importer_pb2.Counters(**snapshot.counters),
        error_code=snapshot.error_code,
        error_message=snapshot.error_message,
        error_position=snapshot.error_position,
        attempt=snapshot.attempt,
        asset_tags=snapshot.asset_tags,
        finding_tags=snapshot.finding_tags,
        use_parser_actions=snapshot.use_parser_actions,
        user_id=snapshot.user_id,
        user_email=snapshot.user_email,
        tenant_id=snapshot.tenant_id,
        create_time=timestamp(snapshot.created_at),
        update_time=timestamp(snapshot.updated_at),
        start_time=timestamp(snapshot.started_at),
        end_time=timestamp(snapshot.ended_at),
        cancel_requested=snapshot.cancel_requested,
        client_name=snapshot.client_name,
        report_name=snapshot.report_name,
        cautions=[
            importer_pb2.Caution(code=each.code, message=each.message, count=each.count) for each in snapshot.cautions
        ],
        kind=importer_pb2.Kind.Value(f"KIND_{snapshot.kind.upper()}"),
        options=options_message(snapshot.options),
        content_sha256=_hexadecimal(snapshot.content_sha256),
        duplicate_of=_text(snapshot.duplicate_of),
        origin_import_id=_text(snapshot.origin_import_id),
        origin=_text(snapshot.origin),
        undone_by=_text(snapshot.undone_by),
        undone_time=timestamp(snapshot.undone_at),
        pause_requested=snapshot.pause_requested,
        resumable_until_time=timestamp(snapshot.resumable_until),
        undo=[
            importer_pb2.UndoCount(kind=each.kind, action=each.action, reason=each.reason, count=each.count)
            for each in snapshot.undo
        ],
        workspace_id=_text(snapshot.workspace_id),
        entity_type=_text(snapshot.entity_type),
        data_source=_text(snapshot.data_source),
        reference_id=_text(snapshot.reference_id),
        action_id=_text(snapshot.action_id),
        description=_text(snapshot.description),
    )


def source_message(source: Source) -> importer_pb2.Source:
    return importer_pb2.Source(
        source=source.slug,
        display_name=source.display_name,
        assets_only=source.is_assets_only,
        formats=[each.name for each in source.formats],
        file_formats=map(file_format_message, source.formats),
        extensions=source.extensions,
        brings_findings=bool(source.report_formats),
        brings_assets=bool(source.asset_formats),
    )


def file_format_message(format_: FileFormat) -> importer_pb2.FileFormat:
    return importer_pb2.FileFormat(
        name=format_.name,
        title=format_.title,
        syntax=format_.syntax,
        extensions=format_.extensions,
        assets_only=format_.is_assets_only,
    )


def detection_message(detection: Detection) -> importer_pb2.DetectSourceResponse:
    return importer_pb2.DetectSourceResponse(
        sources=[
            importer_pb2.DetectedSource(
                source=each.source.slug,
                display_name=each.source.display_name,
                format=file_format_message(each.format),
                member=each.member,
                assets_only=each.is_assets_only,
            )
            for each in detection.sources
        ],
        look=detection.look,
    )


def _hexadecimal(digest: bytes | None) -> str:
    return digest.hex() if digest else ""


def _text(value: object) -> str:
    return "" if value is None else str(value)
