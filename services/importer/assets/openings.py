"""What nobody comes back for: runs that are open and hear nothing any more, and runs that wait beside a free place.

An open run holds its source, though no place of the workspace, so one whose client has died or does not come to an end
ends here. Runs that wait are queued by the end of another; the sweep is for the rest: a place that a command kept from
being given, or a setting that allows more.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Protocol
from uuid import UUID

import structlog

from runtime.errors import ServiceError
from services.importer.assets.runs import RunStore
from services.importer.assets.starts import Rules
from services.importer.metrics import OPENINGS_EXPIRED, TURNS_GIVEN
from services.importer.waiting import wait

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 5.0
BATCH = 500


class Watch(Protocol):
    """What is seen of all tenants."""

    async def overdue(self, limit: int) -> list[tuple[int, UUID]]:
        """Tenant and id of runs that should not be open any more, the oldest first."""
        ...

    async def tenants_with_waiting(self) -> list[int]:
        """Those that may have runs which wait."""
        ...


class Openings:
    """A duty of the active dispatcher."""

    def __init__(self, watch: Watch, store: RunStore, rules: Rules) -> None:
        self._watch = watch
        self._store = store
        self._rules = rules

    async def run(self, stop: asyncio.Event) -> None:
        """Sweeps until `stop`."""
        while not stop.is_set():
            try:
                await self.sweep()
            except ServiceError as error:
                log.warning("open runs could not be looked for", error=str(error))
            except Exception:
                # Nobody waits for this task; without it a source could stay taken for ever.
                log.exception("looking for open runs failed")
            await wait(stop, SWEEP_SECONDS)

    async def sweep(self) -> None:
        """Once. What fails for one run keeps no other waiting, and is tried again."""
        for tenant_id, import_id in await self._watch.overdue(BATCH):
            try:
                await self._expire(tenant_id, import_id)
            except ServiceError as error:
                log.warning("an open run could not be ended", import_id=str(import_id), error=str(error))
        for tenant_id in await self._watch.tenants_with_waiting():
            try:
                await self._pass_on(tenant_id)
            except ServiceError as error:
                log.warning("waiting runs could not be queued", tenant_id=tenant_id, error=str(error))

    async def _expire(self, tenant_id: int, import_id: UUID) -> None:
        async with self._store.session(tenant_id) as session:
            age = await session.overdue_for(import_id)
            if age is None:
                return
            code, message = self._reason(age)
            await session.end_failed(import_id, code, message)
        OPENINGS_EXPIRED.inc()
        log.info("run closed", import_id=str(import_id), code=code)

    def _reason(self, age: timedelta) -> tuple[str, str]:
        if age >= self._rules.most_open:
            hours = self._rules.most_open.total_seconds() / 3_600
            return (
                "INGESTION_TOO_LONG",
                f"A run may be open for {hours:g} hours; no piece said that it was the last.",
            )
        minutes = self._rules.open_life.total_seconds() / 60
        return (
            "INGESTION_TIMEOUT",
            f"No data and no word came for {minutes:g} minutes, and no piece said that it was the last.",
        )

    async def _pass_on(self, tenant_id: int) -> None:
        for workspace_id in await self._store.waiting_workspaces(tenant_id):
            async with self._store.session(tenant_id) as session:
                given = await session.pass_on(workspace_id, self._rules.max_running)
            TURNS_GIVEN.inc(given)
