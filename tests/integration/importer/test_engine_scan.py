"""Imports whose files are scanned before they are read: none gets past the scanner, whatever it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from runtime.errors import Unavailable
from services.importer.engine import heartbeat, runner
from services.importer.engine.attempt import Ending
from services.importer.scan.gate import ScanGate
from services.importer.scan.scanners import scanner_at
from services.importer.settings import WorkerSettings
from services.importer.worker_root import open_gate
from tests import scanners
from tests.fakes.audit import FakeAudit
from tests.integration.importer.office import answered, eventually
from tests.integration.importer.workbench import Bench
from tests.scanners import MARK, THREAT, Mood, Scanner
from tests.scans import nessus
from tests.stack import Database

SCAN = nessus()
INFECTED = SCAN.replace(b"</NessusClientData_v2>", b"<!--" + MARK + b"--></NessusClientData_v2>")


@dataclass
class Customs:
    """A bench behind a scanner."""

    bench: Bench
    scanner: Scanner
    audit: FakeAudit = field(default_factory=FakeAudit)

    def open(self, seconds: float = 5, max_bytes: int = 0) -> None:
        scanner = scanner_at(self.scanner.url, timeout_seconds=seconds)
        self.bench.gate = ScanGate(scanner, self.audit, max_bytes=max_bytes)

    async def attempt_again(self, import_id: UUID) -> Ending:
        """Without the wait."""
        await self.bench.engine.admin.execute("UPDATE imports SET not_before = NULL")
        return await self.bench.attempt(import_id)

    @property
    def verdicts(self) -> list[str]:
        """As the audit log has them."""
        return [event.object["verdict"] for event in self.audit.events]

    async def error(self, import_id: UUID) -> tuple[str, str, str]:
        row = await self.bench.row(import_id)
        return row["state"], row["error_code"], row["error_message"]

    async def phase(self, import_id: UUID) -> Any:
        return await self.bench.engine.value("SELECT phase FROM import_progress WHERE import_id = %s", import_id)


@pytest.fixture(params=["icap", "http"])
async def customs(
    bench: Bench, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Customs]:
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.02)
    async with scanners.scanning(request.param) as scanner:
        customs = Customs(bench, scanner)
        customs.open()
        yield customs


def forbid_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(*_: object) -> None:
        pytest.fail("a file was parsed that was not called clean")

    monkeypatch.setattr(runner, "ParserProcess", parse)


async def test_a_clean_file_is_scanned_whole_and_imported(customs: Customs) -> None:
    import_id = await customs.bench.triggered(SCAN)
    assert await customs.bench.attempt(import_id) is Ending.SUCCEEDED
    assert customs.scanner.sizes == [len(SCAN)]
    (event,) = customs.audit.events
    etag = await customs.bench.engine.value("SELECT etag FROM import_inputs WHERE import_id = %s", import_id)
    assert (event.tenant_id, event.service, event.method, event.outcome, event.reason) == (
        1,
        "worker",
        "ScanFile",
        "OK",
        "",
    )
    assert event.object == {
        "import_id": str(import_id), "input": "0", "etag": etag, "attempt": "1", "verdict": "CLEAN",
    }  # fmt: skip
    await customs.bench.assert_nothing_left()


async def test_an_infected_file_fails_its_import_before_a_byte_is_parsed(
    customs: Customs, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid_parsing(monkeypatch)
    import_id = await customs.bench.triggered(INFECTED)
    assert await customs.bench.attempt(import_id) is Ending.FAILED
    state, code, message = await customs.error(import_id)
    assert (state, code) == ("FAILED", "FILE_INFECTED")
    assert THREAT in message
    (event,) = customs.audit.events
    assert (event.outcome, event.reason, event.object["said"]) == ("FAILED_PRECONDITION", "FILE_INFECTED", THREAT)
    await customs.bench.assert_nothing_imported()


async def test_without_a_verdict_an_import_is_tried_five_times_and_never_read(
    customs: Customs, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid_parsing(monkeypatch)
    customs.scanner.mood = Mood.CLOSES_WITHOUT_ANSWER
    import_id = await customs.bench.triggered(SCAN)
    endings = [await customs.attempt_again(import_id) for _ in range(5)]
    assert endings == [Ending.RETRIED] * 4 + [Ending.FAILED]
    assert (await customs.error(import_id))[:2] == ("FAILED", "SCANNER_UNAVAILABLE")
    assert customs.verdicts == ["SCANNER_UNAVAILABLE"] * 5
    await customs.bench.assert_nothing_imported()


async def test_an_import_goes_on_when_the_scanner_is_back(customs: Customs) -> None:
    customs.scanner.status = 503
    import_id = await customs.bench.triggered(SCAN)
    assert await customs.bench.attempt(import_id) is Ending.RETRIED
    customs.scanner.status = 0
    assert await customs.attempt_again(import_id) is Ending.SUCCEEDED
    assert customs.verdicts == ["SCANNER_UNAVAILABLE", "CLEAN"]


async def test_a_silent_scanner_does_not_hold_an_import(customs: Customs, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid_parsing(monkeypatch)
    customs.open(seconds=0.2)
    customs.scanner.mood = Mood.NEVER_ANSWERS
    assert await customs.bench.attempt(await customs.bench.triggered(SCAN)) is Ending.RETRIED


async def test_a_cancel_ends_a_scan(customs: Customs, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid_parsing(monkeypatch)
    customs.open(seconds=60)
    customs.scanner.mood = Mood.ANSWERS_WHEN_LEFT
    import_id = await customs.bench.triggered(SCAN)
    attempt = asyncio.create_task(customs.bench.attempt(import_id))
    # The heartbeat goes on, and tells.
    await eventually(lambda: _is_scanning(customs, import_id))
    await eventually(lambda: answered(bool(customs.scanner.sizes)))
    await customs.bench.ask(import_id, "cancel")
    assert await attempt is Ending.CANCELLED
    await customs.scanner.settled()
    await customs.bench.assert_nothing_imported()


async def _is_scanning(customs: Customs, import_id: UUID) -> bool:
    return bool(await customs.phase(import_id) == "scanning")


async def test_a_worker_that_goes_hands_a_scan_over_and_the_next_one_scans_again(customs: Customs) -> None:
    customs.open(seconds=60)
    customs.scanner.mood = Mood.ANSWERS_WHEN_LEFT
    import_id = await customs.bench.triggered(SCAN)
    draining = asyncio.Event()
    attempt = asyncio.create_task(customs.bench.attempt(import_id, draining, drain_seconds=0.1))
    await eventually(lambda: answered(bool(customs.scanner.sizes)))
    draining.set()
    assert await attempt is Ending.DRAINED
    customs.scanner.mood = Mood.GOOD
    assert await customs.bench.attempt(import_id) is Ending.SUCCEEDED
    assert customs.scanner.sizes == [len(SCAN)] * 2


async def test_a_pause_is_heeded_between_blocks(customs: Customs, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid_parsing(monkeypatch)
    import_id = await customs.bench.triggered(SCAN)
    await customs.bench.ask(import_id, "pause")
    noticed = asyncio.Event()
    note = heartbeat.Heartbeat._note

    def noting(self: heartbeat.Heartbeat, work: asyncio.Task[None], request: Any) -> None:
        note(self, work, request)
        noticed.set()

    monkeypatch.setattr(heartbeat.Heartbeat, "_note", noting)
    check = ScanGate.check

    async def later(self: ScanGate, *given: Any) -> None:
        await noticed.wait()
        await check(self, *given)

    monkeypatch.setattr(ScanGate, "check", later)
    assert await customs.bench.attempt(import_id) is Ending.PAUSED
    assert (await customs.bench.row(import_id))["state"] == "PAUSED"


async def test_an_overwritten_file_is_not_scanned_in_place_of_the_one_that_was_triggered(customs: Customs) -> None:
    import_id = await customs.bench.triggered(INFECTED)
    key = await customs.bench.engine.value("SELECT object_key FROM import_inputs WHERE import_id = %s", import_id)
    await customs.bench.objects.put(key, SCAN, "text/xml")
    assert await customs.bench.attempt(import_id) is Ending.FAILED
    assert (await customs.error(import_id))[1] == "FILE_CHANGED"
    assert customs.verdicts == []


async def test_a_file_that_is_staged_is_not_scanned_again(customs: Customs, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise Unavailable("DATABASE_UNAVAILABLE", "The database does not answer.")

    import_id = await customs.bench.triggered(SCAN)
    with monkeypatch.context() as patched:
        patched.setattr(runner, "flip", away)
        assert await customs.bench.attempt(import_id) is Ending.RETRIED
    assert await customs.attempt_again(import_id) is Ending.SUCCEEDED
    assert customs.verdicts == ["CLEAN"]


async def test_with_a_limit_the_beginning_is_scanned_and_the_audit_says_so(customs: Customs) -> None:
    customs.open(max_bytes=100)
    assert await customs.bench.attempt(await customs.bench.triggered(INFECTED)) is Ending.SUCCEEDED
    assert customs.scanner.sizes == [100]
    assert [event.object["scanned_bytes"] for event in customs.audit.events] == ["100"]


async def test_an_empty_file_is_scanned_like_any_other(customs: Customs) -> None:
    import_id = await customs.bench.triggered(b"")
    assert await customs.bench.attempt(import_id) is Ending.FAILED
    assert (await customs.error(import_id))[1] == "EMPTY_FILE"
    assert customs.verdicts == ["CLEAN"]


async def test_what_a_scanner_says_is_one_short_printable_line(customs: Customs) -> None:
    if "icap" in customs.scanner.url:
        customs.scanner.reply = b"ICAP/1.0 204 No\r\nX-Virus-ID: a\x1b[31m\xff" + b"b" * 500 + b"\r\n\r\n"
    else:
        body = b'{"name": "a\\u001b[31m\\n\\ud800' + b"b" * 500 + b'"}'
        customs.scanner.reply = b"HTTP/1.1 422 No\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    import_id = await customs.bench.triggered(SCAN)
    assert await customs.bench.attempt(import_id) is Ending.FAILED
    _, code, message = await customs.error(import_id)
    assert (code, message.isprintable(), len(message) < 300) == ("FILE_INFECTED", True, True)


async def test_verdicts_are_in_the_audit_log(customs: Customs, database: Database) -> None:
    settings = WorkerSettings.model_construct(
        scan_url=SecretStr(customs.scanner.url),
        scan_timeout_seconds=5,
        scan_max_bytes=0,
        audit_database_url=SecretStr(database.url("hythe_audit")),
    )
    async with AsyncExitStack() as stack:
        customs.bench.gate = await open_gate(settings, stack)
        await customs.bench.attempt(await customs.bench.triggered(SCAN))
        await customs.bench.attempt(await customs.bench.triggered(INFECTED))
    rows = await customs.bench.engine.rows("SELECT * FROM audit_log ORDER BY event_id")
    assert [(row["tenant_id"], row["service"], row["method"], row["reason"]) for row in rows] == [
        (1, "worker", "ScanFile", ""), (1, "worker", "ScanFile", "FILE_INFECTED"),
    ]  # fmt: skip
    assert [row["object"].get("said") for row in rows] == [None, THREAT]
