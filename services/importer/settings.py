"""Every setting of the importer: the API with its dispatcher, and the worker."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from runtime.settings import (
    PREFIX,
    Address,
    Exemptions,
    ObjectStoreSettings,
    ProcessSettings,
    QueueSettings,
    SealingSettings,
    Settings,
)

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
    max_running_fetches: int = Field(
        2, ge=1, description="Runs of one tenant that are with the fetchers at once; fewer than all of their slots."
    )
    stream_replicas: int = Field(1, ge=1, le=5, description="Replicas of the job stream.")
    worker_slots: int = Field(16, ge=1, description="Imports that all workers of a lane may hold at once.")
    retention_seconds: float = Field(3_600, gt=0, description="How often old things are removed.")
    reap_seconds: float = Field(3_600, gt=0, description="How often the object store is looked through.")
    reap_uploads_hours: float = Field(
        24, gt=0, description="Rest after which an upload that nobody has imported is removed."
    )
    keep_files_days: int = Field(30, ge=1, description="Uploaded files, after their import has ended.")
    keep_errors_days: int = Field(90, ge=1, description="Row errors and their reports.")
    keep_outcomes_days: int = Field(90, ge=1, description="Before-images and sightings, which undo needs.")
    keep_deliveries_days: int = Field(30, ge=1, description="The log of deliveries to webhooks.")
    keep_history_days: int = Field(365, ge=1, description="Imports themselves.")

    @property
    def undo_days(self) -> int:
        """How long after its end an import can be undone: what undo needs goes with the import at the latest."""
        return min(self.keep_outcomes_days, self.keep_history_days)


class WebhookSettings(SealingSettings):
    """Where webhooks may lead, and how often a delivery is tried."""

    webhook_allow_http: bool = Field(False, description="Whether webhooks may have a URL with http://.")
    webhook_allow: Exemptions = Field(
        "",
        description="Where webhooks may lead beyond the public internet: networks, addresses and hosts, each with "
        ":PORT or for all ports, separated by commas; `private` stands for all networks of private use.",
    )
    webhook_timeout_seconds: float = Field(10, gt=0, le=60, description="How long an attempt may take.")
    webhook_attempts: int = Field(12, ge=1, description="Attempts at a delivery before it is given up.")
    webhook_first_delay_seconds: float = Field(10, gt=0, description="Wait after the first attempt; grows threefold.")
    webhook_last_delay_seconds: float = Field(7_200, gt=0, description="Longest such wait.")
    webhook_at_once: int = Field(64, ge=1, description="Deliveries that are attempted at the same time.")


class ExecutionSettings(BaseSettings):
    """How import sources of the Assets API are run."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    max_running_executions: int = Field(
        4, ge=1, description="Runs of import sources of one workspace that may be under way at once; others wait."
    )
    open_execution_seconds: float = Field(
        3_600, gt=0, description="How long a run may be open without data or a word of its client."
    )
    longest_open_execution_seconds: float = Field(
        86_400, gt=0, description="How long a run may be open at all, whatever its client sends."
    )
    max_chunk_bytes: int = Field(64 * MEBIBYTE, ge=1, description="Largest piece of data that is sent for a run.")


class ImporterSettings(Settings, DispatchSettings, WebhookSettings, ExecutionSettings, ObjectStoreSettings):
    """The importer API."""

    small_file_bytes: int = Field(8 * MEBIBYTE, ge=0, description="Largest file of the small lane.")
    max_file_bytes: int = Field(
        50 * 1024 * MEBIBYTE, ge=1, description="Largest file, where a tenant has no limit of its own."
    )


def _check_scanner(value: SecretStr) -> SecretStr:
    url = value.get_secret_value()
    if url and not _is_scanner(url):
        message = "must be icap://HOST[:PORT]/SERVICE, http://… or https://…"
        raise ValueError(message)
    return value


def _is_scanner(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_complete = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    has_service = parts.scheme in {"http", "https"} or (parts.scheme == "icap" and len(parts.path) > 1)
    return is_complete and has_service and not parts.fragment and url.isascii() and " " not in url and url.isprintable()


class ScanSettings(BaseSettings):
    """The scan for malware before a file is read (docs/scanning.md)."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    scan_url: Annotated[SecretStr, AfterValidator(_check_scanner)] = Field(
        SecretStr(""), description="The scanner, by icap:, http: or https:; without it no file is scanned."
    )
    scan_timeout_seconds: float = Field(60, gt=0, description="How long the scanner may neither take nor give a byte.")
    scan_max_bytes: int = Field(0, ge=0, description="How much of a file is scanned, from its start; 0 is all of it.")
    audit_database_url: SecretStr | None = Field(
        None, description="As for the services; needed with scan_url, for the verdicts."
    )


class WorkerSettings(ProcessSettings, QueueSettings, ObjectStoreSettings, ScanSettings):
    """The importer's worker."""

    health_listen: Address = Field("127.0.0.1:9006", description="Where the worker's gRPC health service listens.")
    lease_seconds: float = Field(60, gt=0, description="How long a silent worker keeps its import.")
    small_slots: int = Field(2, ge=0, description="Imports of the small lane at once.")
    large_slots: int = Field(1, ge=0, description="Imports of the large lane at once.")
    parser_memory_bytes: int = Field(1024 * MEBIBYTE, ge=64 * MEBIBYTE, description="Address space of a parser child.")
    max_unpacked_bytes: int = Field(
        10 * 1024 * MEBIBYTE, ge=1, description="Most bytes that the files in an archive may have together."
    )
    chunk_records: int = Field(5_000, ge=1, description="Most items between two checkpoints.")
    chunk_bytes: int = Field(8 * MEBIBYTE, ge=1, description="Most bytes between two checkpoints.")
    chunk_seconds: float = Field(10, gt=0, description="Most seconds between two checkpoints.")
    drain_seconds: float = Field(20, ge=0, description="How long work in hand may go on after SIGTERM.")
    keep_resumable_hours: float = Field(
        24, ge=0, description="How long a failed import's staging is kept, so that a retry goes on from there."
    )
