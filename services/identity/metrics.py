"""Every metric of the identity service."""

from __future__ import annotations

from prometheus_client import Counter

LOGINS = Counter("hythe_identity_logins", "Logins by user name and password.", ["outcome"])
RESOLVED = Counter("hythe_identity_resolved", "Opaque credentials looked up.", ["outcome"])
