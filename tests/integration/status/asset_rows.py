"""Import sources, their runs, object types and objects, as the importer and its workers leave them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from tests.fakes.workspaces import HOME
from tests.integration.status.rows import WHEN, Rows

IMPORTS, READS = "import:import-configuration:cmdb", "read:cmdb-object:jira"
SOURCE = UUID("01990000-0000-7000-8000-00000000a001")
OTHER = UUID("01990000-0000-7000-8000-00000000a002")
PROGRESS_JSON = ("entities", "cautions", "undo")


@dataclass
class AssetRows:
    """Every method gives the id of the new row; columns that a test does not name get a default."""

    rows: Rows
    ids: dict[str, int] = field(default_factory=dict)

    def schema(self, name: str = "Computers", key: str = "IT", **columns: Any) -> int:
        values: dict[str, Any] = {"workspace_id": HOME.workspace_id, "created_at": WHEN, "updated_at": WHEN} | columns
        values |= {each: Jsonb(values[each]) for each in ("icons", "statuses") if each in values}
        return int(self.rows.insert("object_schemas", returning="object_schema_id", name=name, key=key, **values))

    def type(self, schema_id: int, name: str, **columns: Any) -> int:
        values = {"object_schema_id": schema_id, "name": name, "created_at": WHEN, "updated_at": WHEN, **columns}
        return int(self.rows.insert("object_types", returning="object_type_id", **values))

    def attribute(self, type_id: int, name: str, kind: str = "text", **columns: Any) -> int:
        columns = {"object_type_id": type_id, "name": name, "type": kind, **columns}
        return int(self.rows.insert("object_attributes", returning="attribute_id", **columns))

    def object(self, type_id: int, label: str, values: dict[int, Any] | None, **columns: Any) -> int:
        """`values` by attributes; those of references are numbers of objects. None: it was removed."""
        document = None if values is None else Jsonb({str(each): value for each, value in values.items()})
        columns = {"key": json.dumps([label]), "created_at": WHEN, "updated_at": WHEN, **columns}
        columns |= {"object_type_id": type_id, "label": label, "document": document}
        self.ids[label] = int(self.rows.insert("objects", returning="object_id", **columns))
        return self.ids[label]

    def edit(self, object_id: int, before: dict[int, Any] | None, at: datetime, *, is_creation: bool = False) -> None:
        """What an object was before a person has changed it."""
        document = None if before is None else Jsonb({str(each): value for each, value in before.items()})
        who: dict[str, Any] = {"user_id": 8, "user_email": "editor@example.com", "is_creation": is_creation}
        self.rows.insert("object_edits", object_id=object_id, before=document, edited_at=at, **who)

    def refer(self, object_id: int, attribute_id: int, *targets: int) -> None:
        for target in targets:
            self.rows.insert("object_references", object_id=object_id, attribute_id=attribute_id, target_id=target)

    def source(self, schema_id: int, import_source_id: UUID = SOURCE, **columns: Any) -> UUID:
        values: dict[str, Any] = {"workspace_id": HOME.workspace_id, "object_schema_id": schema_id}
        values |= {"name": "Hosts", "type": "external"}
        self.rows.insert("import_sources", import_source_id=import_source_id, user_id=7, **(values | columns))
        return import_source_id

    def run(self, state: str = "QUEUED", *, progress: dict[str, Any] | None = None, **columns: Any) -> UUID:
        """A run of `SOURCE`, unless the columns say of which."""
        values: dict[str, Any] = {
            "target": "objects",
            "source": "objects-chunk",
            "workspace_id": HOME.workspace_id,
            "import_source_id": SOURCE,
            "execution_number": 1,
            "file_size": 1000,
            "state": state,
        }
        values |= columns
        if "told_progress" in values:
            values["told_progress"] = Jsonb(values["told_progress"])
        told = dict(progress or {})
        told |= {name: Jsonb(told[name]) for name in PROGRESS_JSON if name in told and name == "entities"}
        return self.rows.started_import(0, None, progress=told, **values)

    def piece(self, import_id: UUID, number: int, chunk_id: str | None, **columns: Any) -> None:
        values: dict[str, Any] = {"object_key": f"inputs/{number}", "etag": "e", "size": 10, "digest": bytes(32)}
        self.rows.insert("import_inputs", import_id=import_id, number=number, chunk_id=chunk_id, **(values | columns))

    def image(self, import_id: UUID, object_id: int, document: dict[int, Any] | None, at: datetime = WHEN) -> None:
        """What an object was before an import."""
        stored = None if document is None else {str(each): value for each, value in document.items()}
        image = Jsonb({"label": "", "document": stored})
        self.rows.insert(
            "before_images", import_id=import_id, kind="object", row_id=object_id, image=image, changed_at=at
        )
