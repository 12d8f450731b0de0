"""Every metric of the importer and its workers beyond those of runtime. No tenant and no file name is a label."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

JOB_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600)

# The API.
IMPORTS_CREATED = Counter("import_created", "Imports triggered.", ["source", "lane"])
IMPORTS_CANCELLED = Counter("import_cancel_requests", "Cancel requests accepted.")

# The dispatcher.
OUTBOX_LAG = Gauge("import_outbox_lag_seconds", "Age of the oldest import that no worker was told of yet.")
OUTBOX_SIZE = Gauge("import_outbox_size", "Imports that are not finished.")
REDRIVES = Counter("import_redrives", "Imports sent to the workers again.")
PUBLISHED = Counter("import_published", "Imports sent to the workers.", ["lane"])

# The worker.
JOB_DURATION = Histogram(
    "import_job_duration_seconds", "From claim to end of an attempt.", ["outcome"], buckets=JOB_BUCKETS
)
QUEUE_AGE = Histogram("import_job_queue_age_seconds", "From trigger to first claim.", ["lane"], buckets=JOB_BUCKETS)
RUNNING = Gauge("import_running", "Imports that this worker runs now.", ["lane"])
RECORDS = Counter("import_records", "Items of finished imports by outcome.", ["outcome"])
FENCED_WRITES = Counter("import_fenced_writes", "Attempts that found another one in their place and stopped.")
TAKEOVERS = Counter("import_lease_takeovers", "Imports taken over from a worker that went silent.")
POISON = Counter("import_poison", "Imports given up after their worker died on them too often.")
BAD_MESSAGES = Counter("import_bad_messages", "Messages of the queue that are none of ours.")
