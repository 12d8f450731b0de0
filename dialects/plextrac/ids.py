"""The opaque ids that PlexTrac gives beside its numbers. They are derived, so that nothing is stored for them."""

from __future__ import annotations

import hashlib
import string
from uuid import UUID

ALPHABET = string.digits + string.ascii_lowercase
CUID_LENGTH = 25


def cuid(kind: str, tenant_id: int, number: int) -> str:
    """A CUID ("c" and 24 characters of base 36) that is always the same for one thing and tells nothing about it."""
    rest = int.from_bytes(_digest(kind, tenant_id, number))
    letters = []
    for _ in range(CUID_LENGTH - 1):
        rest, digit = divmod(rest, len(ALPHABET))
        letters.append(ALPHABET[digit])
    return "c" + "".join(letters)


def uuid(kind: str, tenant_id: int, number: int) -> UUID:
    """A UUID made the same way, marked as version 8 (RFC 9562: custom)."""
    value = int.from_bytes(_digest(kind, tenant_id, number)[:16])
    value = value & ~(0xF << 76) | 0x8 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def _digest(kind: str, tenant_id: int, number: int) -> bytes:
    return hashlib.sha256(f"{kind}:{tenant_id}:{number}".encode()).digest()
