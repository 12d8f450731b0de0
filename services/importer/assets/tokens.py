"""Container tokens: credentials of whoever sends data to an external import source. The identity service keeps them."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

import structlog

from dialects.assets.source_settings import EXTERNAL
from runtime.auth import Principal
from runtime.container_tokens import ContainerToken
from runtime.errors import InvalidArgument, NotFound, ServiceError
from services.importer.assets.import_sources import ImportSources
from services.importer.assets.places import Place
from services.importer.assets.sources import ImportSource, SourceStore

log = structlog.get_logger(__name__)

__all__ = ["ContainerToken", "TokenIssuer", "Tokens"]


class TokenIssuer(Protocol):
    """The identity service, asked with the caller's own credential."""

    async def issue(self, import_source_id: UUID, workspace_id: UUID) -> ContainerToken:
        """A new one; the one before is good no longer."""
        ...

    async def current(self, import_source_id: UUID) -> ContainerToken | None: ...

    async def revoke(self, import_source_id: UUID) -> None:
        """Nothing happens where there is none."""
        ...


class Tokens:
    """By administrators only."""

    def __init__(self, sources: ImportSources, store: SourceStore, issuer: TokenIssuer) -> None:
        self._sources = sources
        self._store = store
        self._issuer = issuer

    async def get(self, principal: Principal, place: Place) -> ContainerToken:
        """Raises NotFound where none was made."""
        source = await self._external(principal, place)
        found = await self._issuer.current(source.import_source_id)
        if found is None:
            raise NotFound("CONTAINER_TOKEN_NOT_FOUND", "The import source has no container token yet.")
        return found

    async def create(self, principal: Principal, place: Place) -> ContainerToken:
        source = await self._external(principal, place)
        made = await self._issuer.issue(source.import_source_id, source.workspace_id)
        await self._store.note_token(principal.tenant_id, source.import_source_id, made.created_at)
        return made

    async def delete_source(self, principal: Principal, place: Place) -> None:
        """The source, and then its token, which is good for nothing without it."""
        import_source_id = await self._sources.delete(principal, place)
        try:
            await self._issuer.revoke(import_source_id)
        except ServiceError as error:
            log.warning("a token outlives its source", import_source_id=str(import_source_id), reason=error.reason)

    async def _external(self, principal: Principal, place: Place) -> ImportSource:
        source = await self._sources.get(principal, place)
        if source.type != EXTERNAL:
            raise InvalidArgument("SOURCE_NOT_EXTERNAL", "Only external import sources have a container token.")
        return source
