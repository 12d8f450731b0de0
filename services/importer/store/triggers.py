"""The statements of a trigger, made once: building them anew for each call would cost more than running them.

Their parameters have the prefix `given_`, because SQLAlchemy keeps the plain names of columns for itself.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import CTE, BindParameter, Column, Select, Table, bindparam, func, literal, select
from sqlalchemy.dialects.postgresql import insert

from schema.importer import (
    clients,
    import_claims,
    import_inputs,
    import_progress,
    imports,
    outbox,
    reports,
    tenant_limits,
)
from schema.upload import files
from services.importer.model import State
from services.importer.store.outbox import CHANNEL

PREFIX = "given_"

# Fields of NewImport that are columns of the same name.
NEW_COLUMNS = (
    "tenant_id",
    "import_id",
    "client_id",
    "report_id",
    "target",
    "source",
    "key",
    "file_name",
    "file_type",
    "file_size",
    "lane",
    "asset_tags",
    "finding_tags",
    "use_parser_actions",
    "user_id",
    "user_email",
    "request_id",
    "request_digest",
    "traceparent",
)


def given(**values: Any) -> dict[str, Any]:
    """Values under the names of the parameters; arrays are lists to the driver."""
    return {PREFIX + name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _given(column: Column[Any], name: str = "") -> BindParameter[Any]:
    return bindparam(PREFIX + (name or column.name), type_=column.type)


def _named_things() -> Select[Any]:
    """One row: what the trigger names, each null where it is not the tenant's."""
    file_name = select(files.c.file_name).where(
        files.c.tenant_id == _given(files.c.tenant_id), files.c.key == _given(files.c.key)
    )
    client_name = select(clients.c.name).where(
        clients.c.tenant_id == _given(clients.c.tenant_id), clients.c.client_id == _given(clients.c.client_id)
    )
    report_name = select(reports.c.name).where(
        reports.c.tenant_id == _given(reports.c.tenant_id),
        reports.c.report_id == _given(reports.c.report_id),
        reports.c.client_id == _given(reports.c.client_id),
    )
    limit = select(tenant_limits.c.max_file_bytes).where(tenant_limits.c.tenant_id == _given(tenant_limits.c.tenant_id))
    return select(
        file_name.scalar_subquery().label("file_name"),
        client_name.scalar_subquery().label("client_name"),
        report_name.scalar_subquery().label("report_name"),
        limit.scalar_subquery().label("max_file_bytes"),
    )


def _earlier_import() -> Select[Any]:
    """The import of the same user with the same request id, and what it was pinned to."""
    return (
        select(
            imports.c.import_id,
            imports.c.request_digest,
            imports.c.key,
            import_inputs.c.etag,
            import_inputs.c.size,
        )
        .join(
            import_inputs,
            (import_inputs.c.tenant_id == imports.c.tenant_id)
            & (import_inputs.c.import_id == imports.c.import_id)
            & (import_inputs.c.number == 0),
        )
        .where(
            imports.c.tenant_id == _given(imports.c.tenant_id),
            imports.c.user_id == _given(imports.c.user_id),
            imports.c.request_id == _given(imports.c.request_id),
        )
    )


def _queue_import() -> Select[Any]:
    """All rows of an import and a call to the dispatcher, in one statement; no row when the request id is taken."""
    created = (
        insert(imports)
        .values(state=State.QUEUED, **{name: _given(imports.c[name]) for name in NEW_COLUMNS})
        .on_conflict_do_nothing(
            index_elements=[imports.c.tenant_id, imports.c.user_id, imports.c.request_id],
            index_where=imports.c.request_id.is_not(None),
        )
        .returning(imports.c.tenant_id, imports.c.import_id, imports.c.created_at)
        .cte("created")
    )
    first_input = {
        "number": literal(0),
        "object_key": _given(import_inputs.c.object_key),
        "etag": _given(import_inputs.c.etag),
        "size": _given(import_inputs.c.size, "file_size"),
    }
    waiting = {"lane": _given(outbox.c.lane), "traceparent": _given(outbox.c.traceparent)}
    return select(created.c.created_at, func.pg_notify(CHANNEL, "")).add_cte(
        _row_beside(created, import_inputs, first_input),
        _row_beside(created, import_claims, {}),
        _row_beside(created, import_progress, {}),
        _row_beside(created, outbox, waiting),
    )


def _row_beside(created: CTE, table: Table, values: dict[str, Any]) -> CTE:
    """The row of `table` that belongs to the created import."""
    columns = {"tenant_id": created.c.tenant_id, "import_id": created.c.import_id, **values}
    return insert(table).from_select(list(columns), select(*columns.values())).cte(f"created_{table.name}")


NAMED_THINGS = _named_things()
EARLIER_IMPORT = _earlier_import()
QUEUE_IMPORT = _queue_import()
