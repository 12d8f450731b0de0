"""Every metric of the status service."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

WATCHED_IMPORTS = Gauge("status_watched_imports", "Imports that are polled for somebody who watches them.")
WATCHERS = Gauge("status_watchers", "Open WatchImport calls.")
POLLS = Counter("status_watch_polls_total", "Reads of watched imports.", ["outcome"])
STREAMED_BYTES = Counter("status_streamed_bytes_total", "Bytes of JSON sent by streamed answers.")
