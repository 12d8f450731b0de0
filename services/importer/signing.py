"""The signature of a delivery: HMAC-SHA256 of time and body by the webhook's secret. docs/events.md tells receivers."""

from __future__ import annotations

import hashlib
import hmac
import secrets

SECRET_BYTES = 32
SECRET_PREFIX = "whsec_"  # noqa: S105 - what a secret begins with, so that scanners of repositories know it


def new_secret() -> str:
    return SECRET_PREFIX + secrets.token_urlsafe(SECRET_BYTES)


def signature(secret: str, moment: int, body: bytes) -> str:
    """The value of `Hythe-Signature`. `moment` in seconds since 1970; the key is the whole text of the secret."""
    signed = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256)
    return f"t={moment},v1={signed.hexdigest()}"
