"""Handing out the report of an import: all its rejected items or, of an undo, all rows that it has decided on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

from runtime.auth import Principal
from runtime.errors import NotFound
from runtime.objects import ObjectInfo, ObjectMissing
from runtime.reports import errors_report_key, undo_report_key
from services.status.imports import Imports
from services.status.model import UNDO, SignedReport

LIFE = timedelta(minutes=5)
CSV = "text/csv; charset=utf-8"


class Objects(Protocol):
    """The object store, as far as it is signed for here."""

    def object_key(self, key: str) -> str: ...

    async def head(self, object_key: str) -> ObjectInfo: ...

    def presigned_get_url(self, key: str, life: timedelta, *, file_name: str, content_type: str) -> str: ...


class ImportReports:
    """Reports of the imports that somebody may see. What is in them this service never reads."""

    def __init__(self, imports: Imports, objects: Objects) -> None:
        self._imports = imports
        self._objects = objects

    async def sign(self, principal: Principal, import_id: str) -> SignedReport:
        """Raises NotFound also where there is none: nothing was rejected, the end is not there yet, it was removed."""
        found = await self._imports.get(principal, import_id)
        is_undo = found.kind == UNDO
        key = (undo_report_key if is_undo else errors_report_key)(found.tenant_id, found.import_id)
        # What a worker wrote in an attempt that others may follow is not the report yet.
        if not found.is_terminal or not await self._is_there(key):
            raise NotFound("NO_REPORT", f"Import {found.import_id} has no report.", import_id=str(found.import_id))
        expires_at = datetime.now(UTC) + LIFE
        file_name = f"{'undo' if is_undo else 'errors'}-{found.import_id}.csv"
        url = self._objects.presigned_get_url(key, LIFE, file_name=file_name, content_type=CSV)
        return SignedReport(url, expires_at)

    async def _is_there(self, key: str) -> bool:
        try:
            await self._objects.head(self._objects.object_key(key))
        except ObjectMissing:
            return False
        return True
