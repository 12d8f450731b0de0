"""Snapshots and sources as messages of the native API."""

from __future__ import annotations

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from hythe.importer.v1 import importer_pb2
from services.importer.snapshot import Snapshot
from services.importer.sources import Source


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
        create_time=_timestamp(snapshot.created_at),
        update_time=_timestamp(snapshot.updated_at),
        start_time=_timestamp(snapshot.started_at),
        end_time=_timestamp(snapshot.ended_at),
        cancel_requested=snapshot.cancel_requested,
        client_name=snapshot.client_name,
        report_name=snapshot.report_name,
        cautions=[
            importer_pb2.Caution(code=each.code, message=each.message, count=each.count) for each in snapshot.cautions
        ],
    )


def source_message(source: Source) -> importer_pb2.Source:
    return importer_pb2.Source(
        source=source.slug,
        display_name=source.display_name,
        assets_only=source.is_assets_only,
        formats=source.formats,
    )


def _timestamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp
