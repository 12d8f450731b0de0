"""Handing out the reports of an import: its rejected items, as a table and as a file; or all that an undo decided."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Protocol
from uuid import UUID

from runtime.auth import Principal
from runtime.errors import NotFound
from runtime.objects import ObjectInfo, ObjectMissing
from runtime.reports import error_file_key, errors_report_key, undo_report_key
from services.status.imports import Imports
from services.status.model import UNDO, Import, SignedReport

LIFE = timedelta(minutes=5)
CSV = "text/csv; charset=utf-8"
PLAIN = "text/plain; charset=utf-8"


class ReportKind(Enum):
    """What a report is: all rows as a table, or the rejected rows as a file that can be corrected and imported."""

    TABLE = auto()
    FILE = auto()


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

    async def sign(self, principal: Principal, import_id: str, kind: ReportKind = ReportKind.TABLE) -> SignedReport:
        """Raises NotFound also where there is none: nothing was rejected, the end is not there yet, it was removed."""
        found = await self._imports.get(principal, import_id)
        signed = await self.find(found, kind)
        if signed is None:
            raise NotFound("NO_REPORT", f"Import {found.import_id} has no report.", import_id=str(found.import_id))
        return signed

    async def find(self, found: Import, kind: ReportKind) -> SignedReport | None:
        """Of an import that the caller may see; None where there is none."""
        key, file_name, content_type = described(found, kind)
        # What a worker wrote in an attempt that others may follow is not the report yet.
        if not found.is_terminal or not await self._is_there(key):
            return None
        expires_at = datetime.now(UTC) + LIFE
        url = self._objects.presigned_get_url(key, LIFE, file_name=file_name, content_type=content_type)
        return SignedReport(url, expires_at)

    async def find_errors(self, tenant_id: int, import_id: UUID) -> SignedReport | None:
        """The table of the rejected items of an import that has ended and that the caller may see."""
        key = errors_report_key(tenant_id, import_id)
        if not await self._is_there(key):
            return None
        expires_at = datetime.now(UTC) + LIFE
        url = self._objects.presigned_get_url(key, LIFE, file_name=f"errors-{import_id}.csv", content_type=CSV)
        return SignedReport(url, expires_at)

    async def _is_there(self, key: str) -> bool:
        try:
            await self._objects.head(self._objects.object_key(key))
        except ObjectMissing:
            return False
        return True


def described(found: Import, kind: ReportKind) -> tuple[str, str, str]:
    """Key, file name and content type of a report. An undo has a table only."""
    place = found.tenant_id, found.import_id
    if found.kind == UNDO:
        return undo_report_key(*place), f"undo-{found.import_id}.csv", CSV
    if kind is ReportKind.FILE:
        return error_file_key(*place), f"errors-{found.import_id}.cc5txt", PLAIN
    return errors_report_key(*place), f"errors-{found.import_id}.csv", CSV
