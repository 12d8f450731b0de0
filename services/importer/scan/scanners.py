"""Makes the scanner that a URL names."""

from __future__ import annotations

from urllib.parse import urlsplit

from services.importer.scan.http import HttpScanner
from services.importer.scan.icap import IcapScanner
from services.importer.scan.verdict import Scanner


def scanner_at(url: str, *, timeout_seconds: float) -> Scanner:
    """ICAP or HTTP by the scheme; the setting has been checked."""
    if urlsplit(url).scheme == "icap":
        return IcapScanner(url, timeout_seconds=timeout_seconds)
    return HttpScanner(url, timeout_seconds=timeout_seconds)
