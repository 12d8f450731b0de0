"""What is removed when it is old, each by its own setting: uploaded files, row errors, outcomes, history."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

import structlog

from runtime.database import Database
from runtime.errors import ServiceError
from runtime.objects import ObjectStore
from runtime.reports import error_file_key, undo_report_key
from services.importer import dispatch_store, retention_store
from services.importer.engine.report import report_key
from services.importer.settings import DispatchSettings

log = structlog.get_logger(__name__)

BATCH = 500


class Retention:
    """Goes through the tenants one by one, as the importer's role under each tenant's own policy."""

    def __init__(
        self, dispatch: Database, database: Database, objects: ObjectStore, settings: DispatchSettings
    ) -> None:
        self._dispatch = dispatch
        self._database = database
        self._objects = objects
        self._settings = settings

    async def run(self, stop: asyncio.Event) -> None:
        """Removes what is old, now and at every interval."""
        while not stop.is_set():
            try:
                await self.sweep()
            except ServiceError as error:
                log.warning("old things could not be looked for", error=str(error))
            except Exception:
                # Nobody waits for this task; without it nothing would ever be removed again.
                log.exception("removing old things failed")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._settings.retention_seconds)

    async def sweep(self) -> None:
        """Once, for every tenant. What fails for one keeps no other waiting and is done by the next sweep."""
        async with self._dispatch.transaction(None) as connection:
            tenants = await dispatch_store.tenants_with_imports(connection)
        for tenant_id in tenants:
            try:
                await self._files(tenant_id)
                await self._rows(tenant_id)
            except ServiceError as error:
                log.warning("old things could not be removed", tenant_id=tenant_id, error=str(error))

    async def _files(self, tenant_id: int) -> None:
        """Objects first, then their rows: a crash between the two is mended by the next sweep."""
        age = timedelta(days=self._settings.keep_files_days)
        while True:
            async with self._database.transaction(tenant_id) as connection:
                inputs = await retention_store.old_inputs(
                    connection, tenant_id, age, BATCH, self._objects.object_key("")
                )
            for each in inputs:
                if not each.is_kept:
                    await self._objects.delete(each.object_key)
                async with self._database.transaction(tenant_id) as connection:
                    await retention_store.mark_purged(connection, tenant_id, each)
            if inputs:
                log.info("old files removed", tenant_id=tenant_id, count=len(inputs))
            if len(inputs) < BATCH:
                return

    async def _rows(self, tenant_id: int) -> None:
        history = timedelta(days=self._settings.keep_history_days)
        # What hangs on an import goes with it at the latest: nobody would find it afterwards.
        errors = min(history, timedelta(days=self._settings.keep_errors_days))
        outcomes = min(history, timedelta(days=self._settings.keep_outcomes_days))
        deliveries = min(history, timedelta(days=self._settings.keep_deliveries_days))
        async with self._database.transaction(tenant_id) as connection:
            reported = await retention_store.imports_with_old_errors(connection, tenant_id, errors)
            undos = await retention_store.undos_with_old_items(connection, tenant_id, errors)
            last_undos = await retention_store.undos_in_old_history(connection, tenant_id, history)
        for undo_id in {*undos, *last_undos}:
            await self._objects.delete(self._objects.object_key(undo_report_key(tenant_id, undo_id)))
        for import_id in reported:
            for key in (report_key(tenant_id, import_id), error_file_key(tenant_id, import_id)):
                await self._objects.delete(self._objects.object_key(key))
        async with self._database.transaction(tenant_id) as connection:
            await retention_store.delete_errors(connection, tenant_id, reported)
            await retention_store.delete_undo_items(connection, tenant_id, undos)
            await retention_store.delete_outcomes(connection, tenant_id, outcomes)
            await retention_store.delete_deliveries(connection, tenant_id, deliveries)
            await retention_store.delete_edits(connection, tenant_id, history)
            await retention_store.delete_history(connection, tenant_id, history)
