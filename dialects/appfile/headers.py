"""Headers of the AppFile API, two of them published: which workspace a request is for."""

from __future__ import annotations

from collections.abc import Iterable

WORKSPACE = "x-param-override-workspaceid"
BUCKET = "x-param-override-bucketid"
IDEMPOTENCY_KEY = "idempotency-key"

Metadata = Iterable[tuple[str, str | bytes]] | None


def header(metadata: Metadata, name: str) -> str:
    """Empty: it is not there."""
    return next((str(value).strip() for key, value in metadata or () if key == name), "")


def idempotency_key(metadata: Metadata) -> str:
    """Ours: it makes a request repeatable."""
    return header(metadata, IDEMPOTENCY_KEY)
