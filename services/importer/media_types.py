"""The media type of a file, guessed from its name; for people only, nothing is decided by it."""

from __future__ import annotations

# A list of our own, because the platform's differs from machine to machine.
MEDIA_TYPES = {
    "csv": "text/csv",
    "gz": "application/gzip",
    "htm": "text/html",
    "html": "text/html",
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "ndjson": "application/x-ndjson",
    "nessus": "text/xml",
    "ptrac": "application/json",
    "txt": "text/plain",
    "xml": "text/xml",
    "zip": "application/zip",
}
UNKNOWN = "application/octet-stream"


def media_type(file_name: str) -> str:
    return MEDIA_TYPES.get(file_name.rpartition(".")[2].lower(), UNKNOWN)
