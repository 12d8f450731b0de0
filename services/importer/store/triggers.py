"""The statements that make imports, made once: building them anew for each call would cost more than running them.

Their parameters have the prefix `given_`, because SQLAlchemy keeps the plain names of columns for itself.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import msgspec
from sqlalchemy import CTE, BindParameter, Column, Select, Table, bindparam, case, func, literal, select
from sqlalchemy.dialects.postgresql import insert

from schema.importer import (
    clients,
    execution_numbers,
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
from services.importer.policy import Options
from services.importer.snapshot import NewImport
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
    "kind",
    "origin",
    "origin_import_id",
    "workspace_id",
    "entity_type",
    "data_source",
    "action_id",
    "description",
    "import_source_id",
)


def given_import(tenant_id: int, new: NewImport) -> dict[str, Any]:
    """The parameters of QUEUE_IMPORT and its sisters."""
    values = {field.name: getattr(new, field.name) for field in fields(new) if field.name != "options"}
    return given(tenant_id=tenant_id, **values, **option_columns(new.options))


def option_columns(options: Options) -> dict[str, Any]:
    """The options as columns of `imports`; engine/claims.py reads them."""
    return {
        "dry_run": options.dry_run,
        "force": options.force,
        "policy": msgspec.to_builtins(options.policy),
        "expected_sha256": options.expected_sha256,
    }


def given(**values: Any) -> dict[str, Any]:
    """Values under the names of the parameters; arrays are lists to the driver."""
    return {PREFIX + name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _given(column: Column[Any], name: str = "") -> BindParameter[Any]:
    return bindparam(PREFIX + (name or column.name), type_=column.type)


def _named_things() -> Select[Any]:
    """One row: what the trigger names, each null where it is not the tenant's."""
    of_file = (files.c.tenant_id == _given(files.c.tenant_id), files.c.key == _given(files.c.key))
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
        select(files.c.file_name).where(*of_file).scalar_subquery().label("file_name"),
        select(files.c.sha256).where(*of_file).scalar_subquery().label("file_sha256"),
        select(files.c.declared_size).where(*of_file).scalar_subquery().label("declared_size"),
        select(func.now() - func.coalesce(files.c.completed_at, files.c.created_at))
        .where(*of_file)
        .scalar_subquery()
        .label("file_age"),
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


def _created_import() -> CTE:
    """The row itself; none when its request id is taken, or when there is a retry or undo like it already."""
    options = {name: _given(imports.c[name]) for name in option_columns(Options())}
    first = imports.alias("first")
    of_first = (
        first.c.tenant_id == _given(imports.c.tenant_id),
        first.c.import_id == _given(imports.c.origin_import_id),
    )
    # What is made from a run of an import source goes by the mapping of that run.
    of_source = {
        "plan": select(first.c.plan).where(*of_first).scalar_subquery(),
        "execution_number": case((_given(imports.c.import_source_id).is_not(None), execution_numbers.next_value())),
    }
    return (
        insert(imports)
        .values(state=State.QUEUED, **{name: _given(imports.c[name]) for name in NEW_COLUMNS}, **options, **of_source)
        .on_conflict_do_nothing()
        .returning(imports.c.tenant_id, imports.c.import_id, imports.c.created_at)
        .cte("created")
    )


def _queue_import(created: CTE, *inputs: CTE) -> Select[Any]:
    """All rows of an import and a call to the dispatcher, in one statement; no row when none is created."""
    waiting = {"lane": _given(outbox.c.lane), "traceparent": _given(outbox.c.traceparent)}
    return select(created.c.created_at, func.pg_notify(CHANNEL, "")).add_cte(
        *inputs,
        _row_beside(created, import_claims, {}),
        _row_beside(created, import_progress, {}),
        _row_beside(created, outbox, waiting),
    )


def _first_input(created: CTE) -> CTE:
    """The uploaded object."""
    values = {
        "number": literal(0),
        "object_key": _given(import_inputs.c.object_key),
        "etag": _given(import_inputs.c.etag),
        "size": _given(import_inputs.c.size, "file_size"),
    }
    return _row_beside(created, import_inputs, values)


def _inputs_of_origin(created: CTE) -> CTE:
    """The same objects as the import has that it was made from, pinned in the same way."""
    theirs = import_inputs.alias("theirs")
    copied = ("number", "object_key", "etag", "size")
    rows = select(created.c.tenant_id, created.c.import_id, *(theirs.c[name] for name in copied)).join_from(
        created,
        theirs,
        (theirs.c.tenant_id == created.c.tenant_id) & (theirs.c.import_id == _given(imports.c.origin_import_id)),
    )
    return insert(import_inputs).from_select(["tenant_id", "import_id", *copied], rows).cte("copied_inputs")


def _row_beside(created: CTE, table: Table, values: dict[str, Any]) -> CTE:
    """The row of `table` that belongs to the created import."""
    columns = {"tenant_id": created.c.tenant_id, "import_id": created.c.import_id, **values}
    return insert(table).from_select(list(columns), select(*columns.values())).cte(f"created_{table.name}")


NAMED_THINGS = _named_things()
EARLIER_IMPORT = _earlier_import()
_CREATED = _created_import()
QUEUE_IMPORT = _queue_import(_CREATED, _first_input(_CREATED))
QUEUE_COPY = _queue_import(_CREATED, _inputs_of_origin(_CREATED))
"""An import of what another one has imported."""
QUEUE_UNDO = _queue_import(_CREATED)
"""One that reads nothing."""
