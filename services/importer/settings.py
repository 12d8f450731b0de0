"""Every setting of the importer: the API with its dispatcher, and the worker."""

from __future__ import annotations

from pydantic import Field, SecretStr

from runtime.settings import Address, ObjectStoreSettings, ProcessSettings, QueueSettings, Settings

MEBIBYTE = 1024 * 1024


class DispatchSettings(QueueSettings):
    """How imports reach the workers, and how long things are kept."""

    dispatch_database_url: SecretStr = Field(
        description="As database_url, of the role that sees ids and states of all tenants."
    )
    dispatch_poll_seconds: float = Field(
        1.0, gt=0, description="How often the outbox is looked at without being called."
    )
    dispatch_first_delay_seconds: float = Field(
        60, gt=0, description="Wait before a dispatch is looked at again; doubles."
    )
    dispatch_last_delay_seconds: float = Field(600, gt=0, description="Longest such wait.")
    max_running_imports: int = Field(
        4, ge=1, description="Imports of one tenant that run or wait at the workers at once."
    )
    stream_replicas: int = Field(1, ge=1, le=5, description="Replicas of the job stream.")
    worker_slots: int = Field(16, ge=1, description="Imports that all workers of a lane may hold at once.")
    retention_seconds: float = Field(3_600, gt=0, description="How often old things are removed.")
    keep_files_days: int = Field(30, ge=1, description="Uploaded files, after their import has ended.")
    keep_errors_days: int = Field(90, ge=1, description="Row errors and their reports.")
    keep_outcomes_days: int = Field(90, ge=1, description="Before-images and sightings, which undo needs.")
    keep_history_days: int = Field(365, ge=1, description="Imports themselves.")


class ImporterSettings(Settings, DispatchSettings, ObjectStoreSettings):
    """The importer API."""

    small_file_bytes: int = Field(8 * MEBIBYTE, ge=0, description="Largest file of the small lane.")
    max_file_bytes: int = Field(
        50 * 1024 * MEBIBYTE, ge=1, description="Largest file, where a tenant has no limit of its own."
    )


class WorkerSettings(ProcessSettings, QueueSettings, ObjectStoreSettings):
    """The importer's worker."""

    health_listen: Address = Field("127.0.0.1:9006", description="Where the worker's gRPC health service listens.")
    lease_seconds: float = Field(60, gt=0, description="How long a silent worker keeps its import.")
    small_slots: int = Field(2, ge=0, description="Imports of the small lane at once.")
    large_slots: int = Field(1, ge=0, description="Imports of the large lane at once.")
    parser_memory_bytes: int = Field(1024 * MEBIBYTE, ge=64 * MEBIBYTE, description="Address space of a parser child.")
    chunk_records: int = Field(5_000, ge=1, description="Most items between two checkpoints.")
    chunk_bytes: int = Field(8 * MEBIBYTE, ge=1, description="Most bytes between two checkpoints.")
    chunk_seconds: float = Field(10, gt=0, description="Most seconds between two checkpoints.")
    drain_seconds: float = Field(20, ge=0, description="How long work in hand may go on after SIGTERM.")
