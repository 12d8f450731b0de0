"""Every metric of the fetcher beyond those of runtime. No tenant and no source is a label."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

FETCHES = Counter("hythe_fetches", "Attempts to read a source, by type and how they ended.", ["type", "ending"])
FETCHING = Gauge("hythe_fetching", "Sources that are being read now.")
FETCHED_ROWS = Counter("hythe_fetched_rows", "Rows that were landed.", ["type"])
FETCHED_BYTES = Counter("hythe_fetched_bytes", "Bytes that were landed.", ["type"])
FETCH_DURATION = Histogram(
    "hythe_fetch_duration_seconds",
    "From the claim to the end of the attempt.",
    buckets=(0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 21_600),
)
BAD_MESSAGES = Counter("hythe_fetch_bad_messages", "Messages that are no job messages, removed.")
