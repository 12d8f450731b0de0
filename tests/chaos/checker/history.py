"""The history of a run: what clients asked and were told, what readers saw, and what passed by on NATS.

A file of JSON lines, one record each, in the order of writing. Times are seconds since 1970 of the one machine that
everything ran on. A record is written when the thing is over, so a call has its beginning and its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec


class Job(msgspec.Struct, frozen=True, tag="job"):
    """One file that a client wants to have imported, into a report that nothing else is imported into."""

    name: str
    tenant: int
    report_id: int
    content: str
    """Name of the file's content; jobs with the same one must end with the same rows."""
    states: list[str]
    """In which of these it may end."""
    codes: list[str] = []
    """When it ends FAILED: with which of these; empty, with none."""


class Golden(msgspec.Struct, frozen=True, tag="golden"):
    """What a run without faults makes of a content. `digest` is over the report's rows, see checker/reading.py."""

    content: str
    digest: str
    rows: int


class Call(msgspec.Struct, frozen=True, tag="call"):
    """One request and its answer. A retry is another call."""

    operation: str
    tenant: int
    began: float
    ended: float
    status: int
    """HTTP; 0: no answer came."""
    job: str = ""
    import_id: str = ""
    """Of the answer to a trigger, or of what was asked for."""
    foreign: bool = False
    """Asks for something of another tenant."""
    rows: int = -1
    """Of a list of findings."""
    body: str = ""
    """The answer as text, cut; of errors whole."""

    @property
    def is_ok(self) -> bool:
        return 200 <= self.status < 300


class Sight(msgspec.Struct, frozen=True, tag="sight"):
    """What one statement, so one snapshot, showed of an import and the findings that it brought."""

    at: float
    import_id: str
    state: str
    rows: int
    attempt: int
    percent: int
    bytes: int
    read: int


class Ack(msgspec.Struct, frozen=True, tag="ack"):
    """A worker's word to the queue about a message: `+ACK`, `-NAK`, `+TERM`; `delivered` counts from 1."""

    at: float
    sequence: int
    delivered: int
    word: str


class Resources(msgspec.Struct, frozen=True, tag="resources"):
    """What a process, its children included, held at one moment. `phase`: before, during or after the faults."""

    at: float
    phase: str
    process: str
    resident_bytes: int
    files: int
    connections: int
    """Of PostgreSQL."""


class Fault(msgspec.Struct, frozen=True, tag="fault"):
    """Something that was broken, in words. For people: no invariant depends on it."""

    at: float
    what: str


class Quiet(msgspec.Struct, frozen=True, tag="quiet"):
    """Everything is healed, and the time that imports have to come to their ends is over."""

    at: float
    waited_seconds: float


Record = Job | Golden | Call | Sight | Ack | Resources | Fault | Quiet


class History:
    """The records of one run, by kind."""

    def __init__(self, records: list[Record]) -> None:
        self.jobs = [each for each in records if isinstance(each, Job)]
        self.golden = {each.content: each for each in records if isinstance(each, Golden)}
        self.calls = [each for each in records if isinstance(each, Call)]
        self.sights = [each for each in records if isinstance(each, Sight)]
        self.acks = [each for each in records if isinstance(each, Ack)]
        self.resources = [each for each in records if isinstance(each, Resources)]
        self.faults = [each for each in records if isinstance(each, Fault)]
        self.is_quiet = any(isinstance(each, Quiet) for each in records)

    @property
    def tenants(self) -> set[int]:
        return {job.tenant for job in self.jobs}

    def accepted(self) -> dict[str, set[str]]:
        """Job -> the imports that its client was told of. More than one is one too many."""
        found: dict[str, set[str]] = {}
        for call in self.calls:
            if call.operation == "trigger" and call.is_ok:
                found.setdefault(call.job, set()).add(call.import_id)
        return found

    def job_of(self, name: str) -> Job:
        return next(job for job in self.jobs if job.name == name)


_decoder = msgspec.json.Decoder(Record)
encode = msgspec.json.Encoder().encode


def read(path: Path) -> History:
    """Raises msgspec.DecodeError when a line is none of the records."""
    return History(list(_records(path)))


def _records(path: Path) -> Iterator[Record]:
    with path.open("rb") as lines:
        for line in lines:
            yield _decoder.decode(line)
