"""Places for the callbacks of external sources, so that a client that does not answer delays its own tenant only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

AT_ONCE = 64
PER_TENANT = 4
IN_HAND_PER_TENANT = 40
"""Under way, or waiting for a place."""
WAIT_SECONDS = 30.0
"""With the longest time that a call may take (60 s), less than a schedule is put off for it."""


class NoPlace(Exception):
    """None was free in time."""


@dataclass(slots=True)
class _Tenant:
    places: asyncio.Semaphore
    in_hand: int = 0


class CallbackPlaces:
    """So many for all tenants, and so many for each. Who waits is served in the order of coming."""

    def __init__(
        self, at_once: int = AT_ONCE, per_tenant: int = PER_TENANT, in_hand_per_tenant: int = IN_HAND_PER_TENANT
    ) -> None:
        self._all = asyncio.Semaphore(at_once)
        self._per_tenant = per_tenant
        self._in_hand_per_tenant = in_hand_per_tenant
        self._tenants: dict[int, _Tenant] = {}

    def has_room(self, tenant_id: int) -> bool:
        """Whether another one of this tenant may wait for a place."""
        tenant = self._tenants.get(tenant_id)
        return tenant is None or tenant.in_hand < self._in_hand_per_tenant

    @asynccontextmanager
    async def place(self, tenant_id: int, wait_seconds: float = WAIT_SECONDS) -> AsyncIterator[None]:
        """Holds a place for the length of the block. Raises NoPlace when none is free within the wait."""
        tenant = self._tenants.setdefault(tenant_id, _Tenant(asyncio.Semaphore(self._per_tenant)))
        tenant.in_hand += 1
        try:
            async with AsyncExitStack() as places:
                try:
                    async with asyncio.timeout(wait_seconds):
                        # The tenant's own first: so no more of its calls wait for the others than it has places.
                        await places.enter_async_context(tenant.places)
                        await places.enter_async_context(self._all)
                except TimeoutError:
                    raise NoPlace from None
                yield
        finally:
            tenant.in_hand -= 1
            if not tenant.in_hand:
                del self._tenants[tenant_id]
