"""Reading one import as it stands, with its progress and the names of what it goes into."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, Select, Table, func, select

from schema.importer import clients, import_progress, import_requests, imports, reports
from services.importer.model import Kind, Origin, State
from services.importer.policy import options_of
from services.importer.snapshot import Caution, Snapshot, UndoCount

COUNTERS = (
    "processed_bytes",
    "processed_findings",
    "processed_assets",
    "processed_finding_assets",
    "processed_evidence",
    "read",
    "inserted",
    "updated",
    "unchanged",
    "deleted",
    "skipped",
    "rejected",
    "ignored",
    "forced",
    "linked",
    "learned",
)


def snapshot_query() -> Select[Any]:
    progress = import_progress
    return (
        select(
            imports,
            clients.c.name.label("client_name"),
            reports.c.name.label("report_name"),
            *(progress.c[name] for name in ("attempt", "phase", "percent", "cautions", "undo", *COUNTERS)),
            func.greatest(imports.c.updated_at, progress.c.updated_at).label("changed_at"),
            import_requests.c.action.label("requested"),
        )
        .join(progress, _same_import(progress))
        .outerjoin(clients, (clients.c.tenant_id == imports.c.tenant_id) & (clients.c.client_id == imports.c.client_id))
        .outerjoin(reports, (reports.c.tenant_id == imports.c.tenant_id) & (reports.c.report_id == imports.c.report_id))
        .outerjoin(import_requests, _same_import(import_requests))
    )


def _same_import(table: Table) -> Any:
    return (table.c.tenant_id == imports.c.tenant_id) & (table.c.import_id == imports.c.import_id)


def snapshot_of(row: Row[*tuple[Any, ...]]) -> Snapshot:
    return Snapshot(
        tenant_id=row.tenant_id,
        import_id=row.import_id,
        client_id=row.client_id,
        client_name=row.client_name or "",
        report_id=row.report_id,
        report_name=row.report_name or "",
        source=row.source,
        key=row.key,
        file_name=row.file_name,
        file_type=row.file_type,
        file_size=row.file_size,
        state=State(row.state),
        user_id=row.user_id,
        user_email=row.user_email,
        asset_tags=tuple(row.asset_tags),
        finding_tags=tuple(row.finding_tags),
        use_parser_actions=row.use_parser_actions,
        created_at=row.created_at,
        updated_at=row.changed_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        error_code=row.error_code or "",
        error_message=row.error_message or "",
        error_position=row.error_position or "",
        phase=row.phase,
        percent=row.percent,
        attempt=row.attempt,
        cancel_requested=row.requested == "cancel",
        counters={name: getattr(row, name) for name in COUNTERS},
        cautions=tuple(Caution(each["code"], each["message"], each["count"]) for each in row.cautions),
        kind=Kind(row.kind),
        options=options_of(row._mapping),  # noqa: SLF001 - SQLAlchemy's own public name, with an underscore
        content_sha256=row.content_sha256,
        duplicate_of=row.duplicate_of,
        origin=Origin(row.origin) if row.origin else None,
        origin_import_id=row.origin_import_id,
        undone_by=row.undone_by,
        undone_at=row.undone_at,
        pause_requested=row.requested == "pause",
        resumable_until=row.resumable_until,
        undo=tuple(UndoCount(each["kind"], each["action"], each["reason"], each["count"]) for each in row.undo),
        workspace_id=row.workspace_id,
        action_id=row.action_id,
        description=row.description,
        entity_type=row.entity_type,
        data_source=row.data_source,
        reference_id=row.reference_id,
        import_source_id=row.import_source_id,
        waits=row.waits,
        is_scheduled=row.is_scheduled,
        open_until=row.open_until,
    )
