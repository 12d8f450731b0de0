"""Every setting of the upload service."""

from __future__ import annotations

from pydantic import Field

from runtime.settings import ObjectStoreSettings, Settings

MEBIBYTE = 1024 * 1024


class UploadSettings(Settings, ObjectStoreSettings):
    """Beside what every service with an object store has."""

    max_file_bytes: int = Field(
        50 * 1024 * MEBIBYTE, ge=1, description="Largest file, where a tenant has no limit of its own."
    )
    upload_url_seconds: int = Field(900, ge=1, le=900, description="How long a presigned URL works.")
    reap_uploads_hours: float = Field(
        24, gt=0, description="Rest after which an upload that nobody has imported is removed."
    )
    import_wait_seconds: float = Field(
        60, ge=0, description="Longest wait of the v1 import route for the end of its import."
    )
