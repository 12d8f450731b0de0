"""Object schemas that are made by the Assets API: what is asked for, and what is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from dialects.assets.members import text_member


@dataclass(frozen=True, slots=True)
class SchemaBody:
    key: str
    name: str
    description: str


class ObjectSchema(Protocol):
    """What is told of one."""

    @property
    def object_schema_id(self) -> int: ...
    @property
    def workspace_id(self) -> UUID: ...
    @property
    def name(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def description(self) -> str: ...


def schema_body(members: Mapping[str, Any]) -> SchemaBody:
    """A client that knows no name for it means the key."""
    key = text_member(members, "objectSchemaKey") or ""
    return SchemaBody(key, text_member(members, "name") or key, text_member(members, "description") or "")


def new_schema_json(schema: ObjectSchema) -> dict[str, Any]:
    """There is nothing in it yet."""
    return {
        "workspaceId": str(schema.workspace_id),
        "globalId": f"{schema.workspace_id}:{schema.object_schema_id}",
        "id": str(schema.object_schema_id),
        "name": schema.name,
        "objectSchemaKey": schema.key,
        "description": schema.description,
        "status": "Ok",
        "objectCount": 0,
        "objectTypeCount": 0,
    }
