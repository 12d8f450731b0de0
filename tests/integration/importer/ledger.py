"""Imports of records into a workspace, written as one writes a sync file; and what the workspace holds then."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid4, uuid7

from services.importer.targets.records.records import Delete, RecordsRecord, Upsert
from tests.integration.importer.undoing import Result, Undoer
from tests.integration.importer.workbench import TENANT, Bench, Engine

FAMILY, SOURCE = "wks_family", "cc-family"
COLUMNS = ("entityId", "name", "size", "comment")
Documents = dict[str, dict[str, Any]]


def put(entity_id: str, line: int = 0, **values: Any) -> list[RecordsRecord]:
    """A row 10; columns of the file without a value are empty in it."""
    return [Upsert(key_of(entity_id), json.dumps({"entityId": entity_id, **values}), line)]


def drop(entity_id: str, line: int = 0) -> list[RecordsRecord]:
    """A row 90."""
    return [Delete(key_of(entity_id), line)]


def key_of(entity_id: str) -> str:
    return json.dumps([entity_id], separators=(",", ":"))


@dataclass
class Ledger:
    """One workspace."""

    engine: Engine
    workspace_id: UUID

    @classmethod
    def of(cls, engine: Engine) -> Ledger:
        return cls(engine, UUID(str(uuid4())))

    def columns(self, **more: Any) -> dict[str, Any]:
        """Of a row of imports, as the trigger and the reading of the header leave it. Each is of a file of its own."""
        return {
            "target": "records",
            "source": "cc5",
            "client_id": 0,
            "report_id": None,
            "key": f"{uuid7()}/family.cc5txt",
            "workspace_id": self.workspace_id,
            "entity_type": FAMILY,
            "data_source": SOURCE,
            "columns": list(COLUMNS),
            **more,
        }

    async def imported(self, *rows: Sequence[Any], **columns: Any) -> UUID:
        return await self.engine.imported(rows, **self.columns(**columns))

    async def triggered(self, bench: Bench, data: bytes, **columns: Any) -> UUID:
        """An import of a sync file of `ws-demo` and `bk-demo`, which reads its header by itself."""
        made = self.columns(**{"entity_type": None, "data_source": None, "columns": None, **columns})
        admin, key = self.engine.admin, made["key"]
        await admin.execute(
            "INSERT INTO files (tenant_id, key, file_name, user_id, expires_at) VALUES (%s, %s, 'f', 1, now()) "
            "ON CONFLICT DO NOTHING",
            (TENANT, key),
        )
        await admin.execute(
            "INSERT INTO record_files (tenant_id, file_id, key, workspace_id, workspace, bucket_id, action_id) "
            "VALUES (%s, %s, %s, %s, 'ws-demo', 'bk-demo', '') ON CONFLICT DO NOTHING",
            (TENANT, key.partition("/")[0], key, self.workspace_id),
        )
        return await bench.triggered(data, **made)

    async def undo(self, import_id: UUID, *, dry_run: bool = False) -> Result:
        return await Undoer(self.engine).undo(import_id, dry_run=dry_run)

    async def documents(self) -> Documents:
        """What people see, by entity id."""
        rows = await self.engine.rows(
            "SELECT document FROM records WHERE tenant_id = %s AND workspace_id = %s AND document IS NOT NULL",
            *(TENANT, self.workspace_id),
        )
        return {row["document"]["entityId"]: row["document"] for row in rows}

    async def versions(self) -> dict[str, tuple[str, str]]:
        """Which transaction wrote each row, and where it stands: a row that was rewritten has others."""
        rows = await self.engine.rows(
            "SELECT key, xmin::text AS writer, ctid::text AS place FROM records WHERE workspace_id = %s",
            self.workspace_id,
        )
        return {row["key"]: (row["writer"], row["place"]) for row in rows}

    async def cautions(self, import_id: UUID) -> dict[str, tuple[str, int]]:
        found = await self.engine.value("SELECT cautions FROM import_progress WHERE import_id = %s", import_id)
        return {each["code"]: (each["message"], each["count"]) for each in found}
