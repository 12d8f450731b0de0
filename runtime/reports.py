"""Where the reports of imports lie below the object store's prefix: workers write them, others hand them out."""

from __future__ import annotations

from uuid import UUID

FOLDER = "reports"


def errors_report_key(tenant_id: int, import_id: UUID) -> str:
    """The rejected items of an import."""
    return f"{FOLDER}/{tenant_id}/{import_id}/errors.csv"


def error_file_key(tenant_id: int, import_id: UUID) -> str:
    """The rejected items of an import as a file of their own format, to be corrected and imported."""
    return f"{FOLDER}/{tenant_id}/{import_id}/errors.cc5txt"


def undo_report_key(tenant_id: int, import_id: UUID) -> str:
    """The rows that an undo has decided on."""
    return f"{FOLDER}/{tenant_id}/{import_id}/undo.csv"
