"""Every metric of the upload service beyond those of runtime."""

from __future__ import annotations

from prometheus_client import Counter

UPLOADS_CREATED = Counter("hythe_uploads_created", "Keys reserved for a presigned PUT.")
LANDINGS = Counter("hythe_landings", "Files sent through the service itself.", ["outcome"])
LANDED_BYTES = Counter("hythe_landed_bytes", "Bytes of files sent through the service itself.")
