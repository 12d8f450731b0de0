"""Every setting of the fetcher."""

from __future__ import annotations

from pydantic import Field

from runtime.settings import Address, Exemptions, ObjectStoreSettings, ProcessSettings, QueueSettings, SealingSettings

MEBIBYTE = 1024 * 1024


class FetcherSettings(ProcessSettings, QueueSettings, ObjectStoreSettings, SealingSettings):
    """The fetcher. How long a fetch may take must stay below the rest of an upload (`reap_uploads_hours`)."""

    health_listen: Address = Field("127.0.0.1:9007", description="Where the fetcher's gRPC health service listens.")
    lease_seconds: float = Field(60, gt=0, description="How long a silent fetcher keeps its import.")
    drain_seconds: float = Field(20, ge=0, description="How long work in hand may go on after SIGTERM.")
    small_file_bytes: int = Field(8 * MEBIBYTE, ge=0, description="Largest import of the small lane.")
    fetch_slots: int = Field(4, ge=1, description="Sources that are read at once.")
    fetch_allow: Exemptions = Field(
        "",
        description="What may be read beyond the public internet: networks, addresses and hosts, each with :PORT or "
        "for all ports, separated by commas; `private` stands for all networks of private use.",
    )
    fetch_allow_http: bool = Field(False, description="Whether sources may have a URL with http://.")
    fetch_authorities_file: str = Field(
        "", description="Certificates (PEM) of authorities that are trusted besides those of browsers."
    )
    fetch_max_bytes: int = Field(10 * 1024 * MEBIBYTE, ge=1, description="Most bytes that a run may land.")
    fetch_max_rows: int = Field(50_000_000, ge=1, description="Most rows that a run may land.")
    fetch_seconds: float = Field(6 * 3_600, gt=0, le=20 * 3_600, description="Longest time that a fetch may take.")
    fetch_object_bytes: int = Field(64 * MEBIBYTE, ge=MEBIBYTE, description="Largest object that is landed.")
    fetch_row_bytes: int = Field(16 * MEBIBYTE, ge=1, description="Largest row, as JSON.")
    fetch_memory_bytes: int = Field(
        1024 * MEBIBYTE, ge=256 * MEBIBYTE, description="Address space of the process that reads a source."
    )
    fetch_connect_seconds: float = Field(10, gt=0, description="How long a connection may take to be made.")
    fetch_idle_seconds: float = Field(60, gt=0, description="How long a source may be silent.")
