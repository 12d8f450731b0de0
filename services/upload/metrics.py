"""Every metric of the upload service beyond those of runtime."""

from __future__ import annotations

from prometheus_client import Counter

UPLOADS_CREATED = Counter("hythe_uploads_created", "Keys reserved, for one PUT or for parts.", ["kind"])
PART_UPLOADS = Counter("hythe_part_uploads", "Uploads in parts that were completed or aborted.", ["outcome"])
LEFTOVERS = Counter("hythe_upload_leftovers", "Rows removed of files that never came or are gone.")
LANDINGS = Counter("hythe_landings", "Files sent through the service itself.", ["outcome"])
LANDED_BYTES = Counter("hythe_landed_bytes", "Bytes of files sent through the service itself.")
