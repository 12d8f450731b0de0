"""Rows as the importer and its workers leave them, written straight into a database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb
from uuid_utils import uuid7

from tests.fakes.workspaces import HOME

WHEN = datetime(2026, 3, 4, 5, 6, 7, 890_000, tzinfo=UTC)
FILE_COLUMNS = ("file_name", "user_id", "created_at", "expires_at", "completed_at", "sha256")
WHEN_MS = 1_772_600_767_890
WHEN_ISO = "2026-03-04T05:06:07.890Z"


@dataclass
class Rows:
    """Past row-level security. Every method gives the new row's id; columns that a test does not name get a default."""

    connection: psycopg.Connection[Any]
    tenant_id: int = 1

    def insert(self, table: str, *, returning: str = "tenant_id", **columns: Any) -> Any:
        columns = {"tenant_id": self.tenant_id, **columns}
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING {}").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join(sql.Placeholder() * len(columns)),
            sql.Identifier(returning),
        )
        row = self.connection.execute(statement, list(columns.values())).fetchone()
        assert row is not None
        return row[0]

    def client(self, name: str = "Karbo", **columns: Any) -> int:
        return int(self.insert("clients", returning="client_id", name=name, created_at=WHEN, **columns))

    def report(self, client_id: int, name: str = "Q1", details: dict[str, Any] | None = None, **columns: Any) -> int:
        return int(
            self.insert(
                "reports",
                returning="report_id",
                client_id=client_id,
                name=name,
                details=Jsonb(details or {}),
                created_at=WHEN,
                **columns,
            )
        )

    def finding(self, client_id: int, report_id: int, flaw_id: int, **columns: Any) -> int:
        values: dict[str, Any] = {
            "family": "nessus",
            "key": str(flaw_id),
            "title": f"Finding {flaw_id}",
            "severity": 2,
            "source": "Nessus",
            "description": "",
            "recommendations": "",
            "references": "",
            "cves": [],
            "cwes": [],
            "scores": [],
            "fields": {},
            "tags": [],
            "created_at": WHEN,
            "updated_at": WHEN,
        }
        values |= columns
        values |= {"scores": Jsonb(values["scores"]), "fields": Jsonb(values["fields"])}
        ids = {"client_id": client_id, "report_id": report_id, "flaw_id": flaw_id}
        return int(self.insert("findings", returning="finding_id", **ids, **values))

    def asset(self, client_id: int, name: str, **columns: Any) -> int:
        values: dict[str, Any] = {
            "hostname": "",
            "ips": [],
            "mac": "",
            "netbios": "",
            "operating_systems": [],
            "type": "",
            "description": "",
            "ports": {},
            "tags": [],
            "created_at": WHEN,
            "updated_at": WHEN,
        }
        values |= columns
        values["ports"] = Jsonb(values["ports"])
        return int(self.insert("assets", returning="asset_id", client_id=client_id, name=name, **values))

    def place(self, finding_id: int, asset_id: int, port: int = 0, **columns: Any) -> int:
        """One place of a finding on an asset."""
        values: dict[str, Any] = {
            "protocol": "tcp" if port else "",
            "service": "",
            "location": "",
            "parameters": [],
            "notes": "",
            "created_at": WHEN,
            "updated_at": WHEN,
        }
        values |= columns
        ids = {"finding_id": finding_id, "asset_id": asset_id, "place": uuid4(), "port": port}
        return int(self.insert("affected_assets", returning="affected_id", **ids, **values))

    def evidence(self, affected_id: int, code: str, caption: str = "Plugin Output", length: int | None = None) -> int:
        return int(
            self.insert(
                "evidence",
                returning="evidence_id",
                affected_id=affected_id,
                digest=uuid4(),
                caption=caption,
                code=code,
                length=len(code) if length is None else length,
            )
        )

    def started_import(
        self, client_id: int, report_id: int | None, *, progress: dict[str, Any] | None = None, **columns: Any
    ) -> UUID:
        """An import with its rows of claim and progress."""
        import_id = UUID(bytes=uuid7().bytes)
        values: dict[str, Any] = {
            "target": "findings",
            "source": "nessus",
            "key": "c0123/scan.nessus",
            "file_name": "scan.nessus",
            "file_type": "text/xml",
            "file_size": 123_625,
            "lane": "small",
            "state": "QUEUED",
            "user_id": 7,
            "user_email": "importer@example.com",
            "created_at": WHEN,
            "updated_at": WHEN,
        }
        values |= columns
        if "policy" in values:
            values["policy"] = Jsonb(values["policy"])
        self.insert("imports", import_id=import_id, client_id=client_id, report_id=report_id, **values)
        self.insert("import_claims", import_id=import_id, attempt=2)
        told = {"updated_at": WHEN} | (progress or {})
        told |= {name: Jsonb(told[name]) for name in ("cautions", "undo") if name in told}
        self.insert("import_progress", import_id=import_id, **told)
        return import_id

    def record(self, key: str, document: dict[str, Any] | None, **columns: Any) -> int:
        """Of a workspace; a document of None is a record that was deleted."""
        values: dict[str, Any] = {
            "workspace_id": HOME.workspace_id,
            "entity_type": "wks_family",
            "data_source": "cc-family",
            "created_at": WHEN,
            "updated_at": WHEN,
        }
        values |= columns
        stored = None if document is None else Jsonb(document)
        return int(self.insert("records", returning="record_id", key=key, document=stored, **values))

    def record_file(self, file_id: str = "c0123", **columns: Any) -> str:
        """A file of records whose URL was given; answers its key."""
        values: dict[str, Any] = {
            "file_name": "families.cc5txt",
            "user_id": 7,
            "created_at": WHEN,
            "expires_at": datetime.now(UTC) + timedelta(minutes=15),
        }
        own: dict[str, Any] = {"workspace_id": HOME.workspace_id, "workspace": HOME.name, "bucket_id": HOME.bucket_id}
        own |= {"action_id": "action-1", "folder": "in", "tags": ["daily"], "metadata": Jsonb({"run": "7"})}
        values |= {name: value for name, value in columns.items() if name in FILE_COLUMNS}
        own |= {name: value for name, value in columns.items() if name not in FILE_COLUMNS}
        key = f"{file_id}/families.cc5txt"
        self.insert("files", key=key, **values)
        self.insert("record_files", file_id=file_id, key=key, **own)
        return key

    def records_import(self, key: str, *, progress: dict[str, Any] | None = None, **columns: Any) -> UUID:
        """An import of a file of records."""
        values: dict[str, Any] = {"target": "records", "source": "cc5", "key": key, "file_type": "text/plain"}
        values |= {"workspace_id": HOME.workspace_id, "file_name": "families.cc5txt", "file_size": 400}
        return self.started_import(0, None, progress=progress, **(values | columns))

    def row_error(self, import_id: UUID, number: int, **columns: str) -> None:
        told = {
            "position": f"line {number}",
            "field": "port",
            "code": "INVALID_PORT",
            "message": "The port is not a number from 0 to 65535.",
            "value": "x",
        }
        self.insert("row_errors", import_id=import_id, record_number=number, **(told | columns))

    def undo_item(self, undo_id: UUID, number: int, action: str, **columns: Any) -> None:
        told: dict[str, Any] = {
            "kind": "finding",
            "row_id": number,
            "name": f"Finding {number}",
            "reason": "",
            "by_import_id": None,
        }
        self.insert("undo_items", import_id=undo_id, number=number, action=action, **(told | columns))

    def update_import(self, import_id: UUID, state: str, percent: int) -> None:
        """A step of a worker."""
        with self.connection.transaction():
            self.connection.execute(
                "UPDATE imports SET state = %s, updated_at = now() WHERE import_id = %s", [state, import_id]
            )
            self.connection.execute(
                "UPDATE import_progress SET percent = %s, updated_at = now() WHERE import_id = %s", [percent, import_id]
            )
