"""What the upload service knows of a file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class NewFile:
    """A key to be reserved for a user."""

    key: str
    file_name: str
    declared_size: int
    """Bytes; 0: not said."""
    user_id: int
    life: timedelta
    """How long from now the file may be written; the database's clock counts."""


@dataclass(frozen=True, slots=True)
class File:
    """A reserved key."""

    key: str
    file_name: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Upload:
    """A reserved key and what stands under it."""

    file: File
    size_bytes: int | None = None
    """Of the object; None: there is none yet."""
