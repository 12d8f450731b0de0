"""What the servers hold when a run is over, as plain values: an invariant is a function without a connection."""

from __future__ import annotations

from dataclasses import dataclass, field

TERMINAL = ("SUCCEEDED", "FAILED", "CANCELLED")


@dataclass(frozen=True)
class Import:
    """A row of `imports` with its progress and its one input."""

    import_id: str
    tenant: int
    report_id: int
    request_id: str
    state: str
    error_code: str = ""
    error_message: str = ""
    kind: str = "import"
    """Or `undo`."""
    dry_run: bool = False
    undone: bool = False
    """Taken back by a later undo."""
    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    skipped: int = 0
    rejected: int = 0
    findings: int = 0
    finding_assets: int = 0
    evidence: int = 0
    errors_kept: int = 0
    """Rows of `row_errors`."""
    input_bytes: int = 0
    """What the trigger wrote down."""
    object_bytes: int = 0
    """What the object store has; -1: nothing any more."""
    purged: bool = False
    """Whether the retention has removed its file."""

    @property
    def stands(self) -> bool:
        """Whether its rows must be there."""
        return self.state == "SUCCEEDED" and self.kind == "import" and not self.dry_run and not self.undone


@dataclass(frozen=True)
class Rows:
    """What stands in a report. `digest` is over the contents without ids and times."""

    digest: str = ""
    findings: int = 0
    finding_assets: int = 0
    evidence: int = 0

    @property
    def total(self) -> int:
        return self.findings + self.finding_assets + self.evidence


@dataclass(frozen=True)
class Transition:
    """A committed change of state, stamped while its transaction committed. `before` is empty for a new import."""

    import_id: str
    at: float
    before: str
    after: str


@dataclass(frozen=True)
class Write:
    """Rows that a worker committed for an import: under which attempt, and which one was the latest at the commit."""

    import_id: str
    relation: str
    worker: str
    attempt: int
    attempt_at_commit: int


@dataclass(frozen=True)
class Stray:
    """Rows that carry an import which cannot have brought them: of another tenant, not succeeded, or not known."""

    relation: str
    import_id: str
    count: int
    why: str


@dataclass(frozen=True)
class Event:
    """The end of an import as the stream EVENTS tells it."""

    event_id: str
    subject: str
    tenant: int
    import_id: str
    state: str


@dataclass(frozen=True)
class World:
    """Of the tenants of a run."""

    imports: list[Import] = field(default_factory=list)
    reports: dict[int, Rows] = field(default_factory=dict)
    transitions: list[Transition] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    strays: list[Stray] = field(default_factory=list)
    announced: dict[str, int] = field(default_factory=dict)
    """Import -> how often a transaction put its end into the outbox."""
    events: list[Event] | None = None
    """None: this installation has no stream of events."""
    dispatches: list[tuple[int, str]] = field(default_factory=list)
    """Sequence in the stream -> import, for each publish that was noted."""
    limits: dict[int, int] = field(default_factory=dict)
    """Tenant -> most bytes of a file."""
    left: dict[str, int] = field(default_factory=dict)
    """What should be nothing at rest: messages, rows of the outbox, staging tables, …"""
    secrets: tuple[str, ...] = ()
    """Words that no client may ever read."""

    def by_id(self) -> dict[str, Import]:
        return {each.import_id: each for each in self.imports}
