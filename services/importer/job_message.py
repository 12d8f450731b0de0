"""What travels through the queue: ids, and nothing else. The database knows the rest."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec

LARGEST_TENANT = 2**31 - 1


class JobMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One import to look at. `version` changes when a worker must not guess."""

    tenant: Annotated[int, msgspec.Meta(ge=1, le=LARGEST_TENANT)]
    import_id: UUID
    version: int = 1


def encode(message: JobMessage) -> bytes:
    """The message as JSON."""
    return msgspec.json.encode(message)


def decode(data: bytes) -> JobMessage | None:
    """The message, or None when it is none of ours."""
    try:
        message = msgspec.json.decode(data, type=JobMessage)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return message if message.version == 1 else None
