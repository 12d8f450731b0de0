"""Has every byte of an import's files scanned before one of them is parsed, and lets nothing pass without a verdict.

Each attempt that reads a file has it scanned, also when an earlier one has done so: the rules may be newer, and nothing
has to be remembered. What is staged was scanned before it was staged. Scanner and parser read the same version of the
object, pinned by its ETag.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import Protocol

import structlog

from runtime.audit import AuditEvent, AuditLog
from runtime.errors import FailedPrecondition, Unavailable
from services.importer import metrics
from services.importer.engine.claims import Claim, Input
from services.importer.engine.failures import ImportFailure, RetryableFailure
from services.importer.scan.verdict import Scanner, ScannerUnavailable, Subject, Verdict

log = structlog.get_logger(__name__)

BLOCK_BYTES = 1024 * 1024
MAX_THREAT = 200

CLEAN = "CLEAN"
# The audit log has the gRPC status of what it tells of.
_STATUSES = {
    CLEAN: "OK",
    "FILE_INFECTED": FailedPrecondition.code.name,
    "SCANNER_UNAVAILABLE": Unavailable.code.name,
}


class Reader(Protocol):
    """One version of an object; blocking."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, none at the end."""

    def close(self) -> None:
        """Lets go of the connection."""


class ScanGate:
    """Asks the scanner, tells log and audit what it said, and raises where the import must not go on.

    `max_bytes` is how much of each file the scanner is sent, from its start; 0 is all of it.
    """

    def __init__(self, scanner: Scanner, audit: AuditLog, *, max_bytes: int = 0) -> None:
        self._scanner = scanner
        self._audit = audit
        self._max_bytes = max_bytes

    async def check(
        self, claim: Claim, open_input: Callable[[Input], Reader], check_signals: Callable[[], None]
    ) -> None:
        """Returns when all inputs are clean.

        Raises ImportFailure `FILE_INFECTED`, RetryableFailure `SCANNER_UNAVAILABLE`, what `check_signals` raises, or
        what the object store does.
        """
        for number, each in enumerate(claim.inputs):
            size = min(each.size, self._max_bytes) if self._max_bytes else each.size
            subject = Subject(f"{claim.job.import_id}/{number}", size)
            began = time.monotonic()
            try:
                async with aclosing(_blocks(partial(open_input, each), size, check_signals)) as blocks:
                    verdict = await self._scanner.scan(subject, blocks)
            except ScannerUnavailable as error:
                self._tell(claim, number, each, "SCANNER_UNAVAILABLE", str(error))
                raise RetryableFailure("SCANNER_UNAVAILABLE", "The scanner for malware does not answer.") from error
            metrics.SCAN_SECONDS.observe(time.monotonic() - began)
            self._judge(claim, number, each, verdict)

    def _judge(self, claim: Claim, number: int, scanned: Input, verdict: Verdict) -> None:
        if verdict.is_clean:
            self._tell(claim, number, scanned, CLEAN)
            return
        threat = _printable(verdict.threat)
        self._tell(claim, number, scanned, "FILE_INFECTED", threat)
        found = f"found {threat} in it" if threat else "refused it"
        raise ImportFailure("FILE_INFECTED", f"The file was not imported: the scanner for malware {found}.")

    def _tell(self, claim: Claim, number: int, scanned: Input, outcome: str, said: str = "") -> None:
        """To the log, the metrics and the audit log."""
        metrics.SCANS.labels(outcome.lower()).inc()
        tell = log.info if outcome == CLEAN else log.warning
        tell("file scanned", verdict=outcome, input=number, said=said)
        about = {
            "import_id": str(claim.job.import_id),
            "input": str(number),
            "etag": scanned.etag,
            "attempt": str(claim.attempt),
            "verdict": outcome,
        }
        if self._max_bytes and scanned.size > self._max_bytes:
            about["scanned_bytes"] = str(self._max_bytes)
        if said:
            about["said"] = said
        self._audit.record(
            AuditEvent(
                tenant_id=claim.job.tenant_id,
                user_id=None,
                service="worker",
                method="ScanFile",
                outcome=_STATUSES[outcome],
                reason="" if outcome == CLEAN else outcome,
                request_id=str(claim.job.import_id),
                object=about,
            )
        )


async def _blocks(
    open_reader: Callable[[], Reader], size: int, check_signals: Callable[[], None]
) -> AsyncGenerator[bytes, None]:
    reader = open_reader()
    try:
        while size:
            check_signals()
            block = await asyncio.to_thread(reader.read, min(size, BLOCK_BYTES))
            if not block:
                raise ImportFailure("FILE_CHANGED", "The file is shorter than it was when the import was triggered.")
            size -= len(block)
            yield block
    finally:
        reader.close()


def _printable(text: str) -> str:
    """The scanner's word, fit for a message: a scanner repeats what stands in the file."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:MAX_THREAT]
