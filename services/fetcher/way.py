"""The one way out of a child that reads a source: where it may connect to, and whose certificates it trusts."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from runtime.destinations import Destinations, Forbidden, Unresolved
from services.fetcher.failures import SourceError


@dataclass(frozen=True, slots=True)
class Way:
    """Seconds: until a connection is there, and that one may be silent. Bytes: of all answers over HTTP, unpacked."""

    destinations: Destinations
    allow_http: bool
    authorities: str
    connect_seconds: float = 10
    idle_seconds: float = 60
    max_bytes: int = 10 << 30

    def addresses(self, host: str, port: int) -> tuple[str, ...]:
        """Checked addresses to connect to. Raises SourceError."""
        try:
            return self.destinations.addresses(host, port)
        except Forbidden as error:
            raise SourceError("DESTINATION_FORBIDDEN", f"Nothing is connected to there: {error}.") from None
        except Unresolved as error:
            raise SourceError("HOST_UNKNOWN", str(error), is_retryable=True) from None

    def tls(self) -> ssl.SSLContext:
        """Verifies the certificate and the name."""
        return ssl.create_default_context(cafile=self.authorities)
