"""Container tokens: opaque credentials of one import source each, which clients of the Assets API send data with.

Other than an API key, a token can be read again: it is kept sealed beside its digest. It acts on behalf of whoever made
it, as an importer at most, and only where a method names the scope of imports.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from uuid import UUID

from runtime.auth import Principal, Role
from runtime.errors import FailedPrecondition, NotFound, PermissionDenied
from runtime.sealing import Sealer, Unsealable
from services.identity.api_keys import SECRET_BYTES, digest_of
from services.identity.authority import current_administrator
from services.identity.model import ASSETS, Account, ContainerToken, covers_clients
from services.identity.store.transactions import Store
from services.identity.workspaces import read_id, workspace_not_found

PREFIX = "hyct_"
IMPORT_SCOPE = "import:import-configuration:cmdb"


def make_token() -> str:
    """`hyct_<256 bits>`: recognisable in a leak, and told from an API key without asking."""
    return PREFIX + secrets.token_urlsafe(SECRET_BYTES)


def token_principal(owner: Account, token: ContainerToken) -> Principal:
    """Whoever holds the token: never more than an importer, and less when the owner is less."""
    return replace(
        owner.principal(frozenset({IMPORT_SCOPE})),
        role=min(owner.role, Role.IMPORTER),
        operator=False,
        import_source_id=token.import_source_id,
        workspace_id=token.workspace_id,
    )


class ContainerTokens:
    """Whether an import source exists is for the caller to know; ids are taken as they come."""

    def __init__(self, store: Store, sealer: Sealer) -> None:
        self._store = store
        self._sealer = sealer

    async def issue(self, caller: Principal, import_source_id: str, workspace_id: str) -> tuple[ContainerToken, str]:
        """The source's token from now on, on behalf of the caller; the one before is good no longer."""
        source_id, text = read_source_id(import_source_id), make_token()
        async with self._store.begin() as queries:
            administrator = await current_administrator(queries, caller)
            usable = await queries.workspaces.usable(administrator.tenant_id, ASSETS, str(read_id(workspace_id) or ""))
            workspace = next((one for one in usable if one.workspace_id == read_id(workspace_id)), None)
            if workspace is None:
                raise workspace_not_found(workspace_id)
            token = await queries.container_tokens.put(
                administrator,
                source_id,
                workspace.workspace_id,
                digest=digest_of(text),
                sealed=self._sealer.seal(text),
            )
        if token is None:
            raise source_not_found(import_source_id)
        return token, text

    async def get(self, caller: Principal, import_source_id: str) -> tuple[ContainerToken, str]:
        """The token that is good now, and its text."""
        async with self._store.begin() as queries:
            administrator = await current_administrator(queries, caller)
            token = await queries.container_tokens.get(administrator.tenant_id, read_source_id(import_source_id))
            owner = token and await queries.accounts.get(administrator.tenant_id, token.user_id)
        if not token or not owner or owner.disabled:
            message = "This import source has no container token, or its owner is disabled."
            raise NotFound("CONTAINER_TOKEN_NOT_FOUND", message, import_source_id=import_source_id[:64])
        if not covers_clients(administrator.client_ids, owner.client_ids):
            raise PermissionDenied("MORE_RIGHTS", "The token is of somebody with rights that you do not have.")
        try:
            return token, self._sealer.unseal(token.sealed)
        except Unsealable:
            message = "The container token was kept under a key that is gone. Make a new token."
            raise FailedPrecondition("CONTAINER_TOKEN_SEALED", message) from None

    async def revoke(self, caller: Principal, import_source_id: str) -> None:
        """Nothing happens where there is none."""
        async with self._store.begin() as queries:
            administrator = await current_administrator(queries, caller)
            await queries.container_tokens.remove(administrator.tenant_id, read_source_id(import_source_id))


def read_source_id(text: str) -> UUID:
    found = read_id(text)
    if found is None:
        raise source_not_found(text)
    return found


def source_not_found(import_source_id: str) -> NotFound:
    return NotFound(
        "IMPORT_SOURCE_NOT_FOUND", "There is no such import source.", import_source_id=import_source_id[:64]
    )
