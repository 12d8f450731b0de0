"""Whether an account may still do what it has asked for earlier: services ask before they act for somebody absent."""

from __future__ import annotations

from uuid import UUID

from runtime.auth import Role
from services.identity.model import ASSETS, Standing
from services.identity.store.transactions import Store


class Standings:
    """As things are now; nothing is remembered."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def check(self, tenant_id: int, user_id: int, *, least: Role, workspace_id: UUID) -> Standing:
        """Of somebody who acts in a workspace of the Assets API, which who is limited to certain clients cannot."""
        async with self._store.begin() as queries:
            account = await queries.accounts.get(tenant_id, user_id)
            usable = await queries.workspaces.usable(tenant_id, ASSETS, str(workspace_id))
        if account is None or account.disabled:
            return Standing.DISABLED
        if account.role < least or account.client_ids is not None:
            return Standing.RIGHTS_MISSING
        # One may be named like the id of another.
        if workspace_id not in {each.workspace_id for each in usable}:
            return Standing.WORKSPACE_DISABLED
        return Standing.GOOD
