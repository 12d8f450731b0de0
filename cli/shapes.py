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


class WhoAmI(msgspec.Struct, frozen=True):
    tenant_cuid: str


class MultipartUpload(msgspec.Struct, frozen=True, rename="camel"):
    """An upload in parts. Sizes are digits, as all 64-bit integers of this API."""

    key: str
    size: str
    part_size: str
    part_count: int
    uploaded: bool


class UploadPart(msgspec.Struct, frozen=True):
    """One part, from 1; `url` None: the store has it."""

    number: int
    offset: str
    size: str
    url: str | None


class UploadParts(msgspec.Struct, frozen=True):
    """A page of parts; `next` None: the last one."""

    parts: list[UploadPart]
    next: int | None


class DetectedSource(msgspec.Struct, frozen=True):
    """A source that takes a file; `imports` is `findings` or `assets`."""

    source: str
    imports: str


class Detection(msgspec.Struct, frozen=True):
    """Which sources take a file, the best first; and what it looks like, as the end of a sentence."""

    look: str
    sources: list[DetectedSource]


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
    dry_run: bool = False
    duplicate_of: str | None = None
    undone_by: str | None = None


class RowError(msgspec.Struct, frozen=True, rename="camel"):
    """One rejected item of a file."""

    record_number: int
    position: str
    field: str
    code: str
    message: str
    value: str


class RowErrorPage(msgspec.Struct, frozen=True, rename="camel"):
    """`next_page_token` None: the last page."""

    total_rejected: int
    errors: list[RowError]
    next_page_token: str | None = None


class ReportUrl(msgspec.Struct, frozen=True):
    url: str


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


class UndoCount(msgspec.Struct, frozen=True):
    """Rows of one kind that an undo has removed, restored or kept, and why they were kept."""

    kind: str
    action: str
    count: int
    reason: str = ""


class HowImported(msgspec.Struct, frozen=True, rename="camel"):
    """Of the options of an import, what its summary tells."""

    dry_run: bool = False


class AppliedActions(msgspec.Struct, frozen=True):
    """Findings that a parser action was for, and actions that were learned."""

    ignored: int = 0
    forced: int = 0
    linked: int = 0
    learned: int = 0


class ImportDetail(ImportRow, frozen=True, rename="camel"):
    """One import by its id: the row and more."""

    phase: str = ""
    counters: Counters = Counters()
    parser_actions: AppliedActions = AppliedActions()
    import_job: ImportJob = ImportJob()
    cautions: list[Caution] = []
    started_at: str | None = None
    ended_at: str | None = None
    kind: str = "import"
    options: HowImported = HowImported()
    origin_import_id: str | None = None
    pause_requested: bool = False
    cancel_requested: bool = False
    undo: list[UndoCount] = []

    @property
    def is_finished(self) -> bool:
        return self.state in TERMINAL_STATES

    @property
    def has_succeeded(self) -> bool:
        return self.state == "SUCCEEDED"
