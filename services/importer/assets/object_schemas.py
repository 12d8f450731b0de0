"""Object schemas of a workspace: made empty, and filled by the mappings of import sources."""

from __future__ import annotations

import re

import structlog

from runtime.auth import Principal, note_object
from runtime.errors import FailedPrecondition, InvalidArgument
from runtime.texts import checked_text
from services.importer.assets.object_types import ObjectSchema
from services.importer.assets.places import Workspaces, reached_workspace
from services.importer.assets.sources import SourceStore

log = structlog.get_logger(__name__)

MAX_NAME = 255
MAX_DESCRIPTION = 4_000
MAX_SCHEMAS = 500
"""Of a workspace."""
KEY = re.compile(r"[A-Z][A-Z0-9]{1,9}")


class ObjectSchemas:
    """Whoever is limited to certain clients has no part in workspaces."""

    def __init__(self, store: SourceStore, workspaces: Workspaces) -> None:
        self._store = store
        self._workspaces = workspaces

    async def list(self, principal: Principal, workspace: str) -> list[ObjectSchema]:
        """In the order in which they were made."""
        workspace_id = await reached_workspace(self._workspaces, principal, workspace)
        return await self._store.schemas(principal.tenant_id, workspace_id)

    async def create(
        self, principal: Principal, workspace: str, name: str, key: str, description: str = ""
    ) -> ObjectSchema:
        """Raises AlreadyExists for a key that the workspace has."""
        workspace_id = await reached_workspace(self._workspaces, principal, workspace)
        checked_name = checked_text("name", name, max_length=MAX_NAME, required=True)
        if not KEY.fullmatch(key):
            raise InvalidArgument(
                "INVALID_KEY", "key must be 2 to 10 capital letters and digits, a letter first.", field="key"
            )
        made = await self._store.add_schema(
            principal.tenant_id,
            workspace_id,
            checked_name,
            key,
            checked_text("description", description, max_length=MAX_DESCRIPTION),
            most=MAX_SCHEMAS,
        )
        if made is None:
            raise FailedPrecondition(
                "TOO_MANY_OBJECT_SCHEMAS", f"A workspace has {MAX_SCHEMAS} at most.", limit=str(MAX_SCHEMAS)
            )
        note_object(object_schema_id=made.object_schema_id, workspace_id=workspace_id)
        log.info("object schema made", object_schema_id=made.object_schema_id)
        return made
