"""Every metric of the status service."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

WATCHED_IMPORTS = Gauge("hythe_status_watched_imports", "Imports that are polled for somebody who watches them.")
WATCHERS = Gauge("hythe_status_watchers", "Open calls that watch an import.")
POLLS = Counter("hythe_status_watch_polls_total", "Reads of watched imports.", ["outcome"])
STREAMED_BYTES = Counter("hythe_status_streamed_bytes_total", "Bytes sent by streamed answers.")
