"""Every metric of the importer and its workers beyond those of runtime. No tenant and no file name is a label."""

from __future__ import annotations

import math

from prometheus_client import Counter, Gauge, Histogram

JOB_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600)

# The API.
IMPORTS_CREATED = Counter("hythe_import_created", "Imports triggered.", ["source", "lane"])
COMMANDS = Counter("hythe_import_commands", "Commands on imports that were carried out.", ["command"])
IMPORTS_CANCELLED = Counter("hythe_import_cancel_requests", "Cancel requests accepted.")
CHUNKS = Counter("hythe_import_chunks", "Pieces of data sent for runs: taken, repeated, empty, refused.", ["outcome"])
CHUNK_BYTES = Counter("hythe_import_chunk_bytes", "Bytes of pieces that were taken.")
OBJECTS_EDITED = Counter("hythe_objects_edited", "Objects created, updated and deleted by people.", ["action"])

# The dispatcher.
OUTBOX_LAG = Gauge(
    "hythe_import_outbox_lag_seconds",
    "How long the oldest import waits that no worker was told of, though it might run.",
)
OUTBOX_SIZE = Gauge("hythe_import_outbox_size", "Imports that are not finished.")
QUEUED = Gauge("hythe_import_queued", "Imports of a lane that are queued: sent to it, or kept back by a cap.", ["lane"])
QUEUED_SECONDS = Gauge(
    "hythe_import_queued_oldest_seconds", "How long an import of a lane waits that was sent and nobody took.", ["lane"]
)
REDRIVES = Counter("hythe_import_redrives", "Imports sent to the workers again.")
PUBLISHED = Counter("hythe_import_published", "Imports sent to the workers.", ["lane"])
OUTBOX_ROWS = Gauge("hythe_outbox_rows", "Rows of the outbox by topic: run, ended, webhook.", ["topic"])
EVENTS_PUBLISHED = Counter("hythe_events_published", "Ends of imports that NATS has taken.", ["state"])
DELIVERIES = Counter(
    "hythe_webhook_deliveries", "Attempts at deliveries to webhooks: delivered, again, given_up.", ["outcome"]
)
DELIVERY_LAG = Histogram(
    "hythe_webhook_delivery_lag_seconds", "From the making of a delivery to its success.", buckets=JOB_BUCKETS
)
DELIVERING = Gauge("hythe_webhook_delivering", "Deliveries being attempted now.")
OPENINGS_EXPIRED = Counter("hythe_import_openings_expired", "Runs that were open for too long.")
TURNS_GIVEN = Counter("hythe_import_turns_given", "Runs that waited and were queued by the sweep, not by an end.")
SCHEDULES_FIRED = Counter(
    "hythe_import_schedules_fired", "Scheduled runs: started, called, failed, skipped.", ["outcome"]
)
SCHEDULE_LAG = Gauge(
    "hythe_import_schedule_lag_seconds", "How late the schedule is that is due for longest and has not fired."
)
REAPED_OBJECTS = Counter("hythe_reaped_objects", "Removed from the store: upload, report, parts.", ["kind"])
REAPED_BYTES = Counter("hythe_reaped_bytes", "Bytes of what was removed because nobody asked for it.")

# The worker.
JOB_DURATION = Histogram(
    "hythe_import_job_duration_seconds", "From claim to end of an attempt.", ["outcome"], buckets=JOB_BUCKETS
)
QUEUE_AGE = Histogram(
    "hythe_import_job_queue_age_seconds", "From trigger to first claim.", ["lane"], buckets=JOB_BUCKETS
)
RUNNING = Gauge("hythe_import_running", "Imports that this worker runs now.", ["lane"])
RECORDS = Counter("hythe_import_records", "Items of succeeded imports by outcome; of dry runs none.", ["outcome"])
UNDONE_ROWS = Counter("hythe_import_undone_rows", "Rows of undone imports by what became of them.", ["action"])
FENCED_WRITES = Counter("hythe_import_fenced_writes", "Attempts that found another one in their place and stopped.")
TAKEOVERS = Counter("hythe_import_lease_takeovers", "Imports taken over from a worker that went silent.")
POISON = Counter("hythe_import_poison", "Imports given up after their worker died on them too often.")
SCANS = Counter("hythe_scans", "Files scanned for malware: clean, file_infected, scanner_unavailable.", ["verdict"])
SCAN_SECONDS = Histogram("hythe_scan_seconds", "From opening a file to its verdict.", buckets=JOB_BUCKETS)
BAD_MESSAGES = Counter("hythe_import_bad_messages", "Messages of the queue that are none of ours.")

# What alerts count is there at 0: the first event of a series that begins with it is no increase.
for _outcome in ("delivered", "again", "given_up"):
    DELIVERIES.labels(_outcome)
for _verdict in ("clean", "file_infected", "scanner_unavailable"):
    SCANS.labels(_verdict)


def forget_backlog() -> None:
    """What waits is not known any more; a figure of before would be taken for one of now."""
    for gauge in (OUTBOX_LAG, OUTBOX_SIZE, SCHEDULE_LAG):
        gauge.set(math.nan)
    for labelled in (QUEUED, QUEUED_SECONDS, OUTBOX_ROWS):
        labelled.clear()
