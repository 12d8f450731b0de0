"""The gateway's REST answers, as far as the command reads them. Members that it does not know are passed over."""

from __future__ import annotations

from typing import Any

import msgspec

TERMINAL_STATES = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})


class Token(msgspec.Struct, frozen=True):
    token: str


class Presigned(msgspec.Struct, frozen=True):
    key: str
    url: str


class Started(msgspec.Struct, frozen=True):
    operation_id: str = msgspec.field(name="operationId")


class Failure(msgspec.Struct, frozen=True):
    """The error envelope."""

    message: str = ""


class ClientCreated(msgspec.Struct, frozen=True):
    client_id: int


class ReportCreated(msgspec.Struct, frozen=True):
    report_id: int


class Row(msgspec.Struct, frozen=True):
    """One row of the v1 lists: what it holds stands in a mixed array."""

    data: list[Any]


class ImportRow(msgspec.Struct, frozen=True, rename="camel"):
    """One import in `my-imports`; `key` is its id too, by PlexTrac's name for it."""

    id: str
    key: str
    name: str
    source: str
    state: str
    status: str
    progress: int
    report_name: str = ""
    client_name: str = ""
    file_size: str = "0"
    error_status: str | None = None


class Caution(msgspec.Struct, frozen=True):
    code: str
    message: str
    count: int = 1


class Counters(msgspec.Struct, frozen=True):
    """Items of the file and what became of them."""

    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    skipped: int = 0
    rejected: int = 0


class ImportJob(msgspec.Struct, frozen=True):
    """The things that those items brought, so far."""

    processed_findings: int = 0
    processed_assets: int = 0
    processed_finding_assets: int = 0
    processed_evidence: int = 0


class ImportDetail(ImportRow, frozen=True, rename="camel"):
    """One import by its id: the row and more."""

    phase: str = ""
    counters: Counters = Counters()
    import_job: ImportJob = ImportJob()
    cautions: list[Caution] = []
    started_at: str | None = None
    ended_at: str | None = None

    @property
    def is_finished(self) -> bool:
        return self.state in TERMINAL_STATES

    @property
    def has_succeeded(self) -> bool:
        return self.state == "SUCCEEDED"
