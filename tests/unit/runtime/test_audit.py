from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextvars import Context
from typing import Any, cast

import pytest

from hythe.importer.v1 import importer_pb2
from runtime import audit
from runtime.audit import AuditEvent, AuditTrail
from runtime.auth import note_object
from runtime.context import noted_variable
from runtime.errors import Unavailable
from runtime.interceptors.auditing import Auditing, ids_of
from runtime.interceptors.chain import Call
from runtime.telemetry import AUDIT_EVENTS, configure_logging
from tests.fakes.audit import FakeAudit
from tests.fakes.people import ADMIN, calling


def event(number: int) -> AuditEvent:
    return AuditEvent(7, 1, "s", "m", "OK", "", f"r-{number}", {})


class FakeWriter:
    def __init__(self) -> None:
        self.written: list[str] = []
        self.failures = 0
        self.poison = ""
        self.written_some = asyncio.Event()
        self.tries = 0

    async def write(self, events: Sequence[AuditEvent]) -> None:
        await asyncio.sleep(0)
        self.tries += 1
        if self.failures:
            self.failures -= 1
            raise Unavailable("DATABASE_UNAVAILABLE", "away")
        ids = [one.request_id for one in events]
        if self.poison in ids:
            raise ValueError
        self.written += ids
        self.written_some.set()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "FIRST_WAIT_SECONDS", 0.001)
    monkeypatch.setattr(audit, "LONGEST_WAIT_SECONDS", 0.001)


def lost() -> float:
    return float(AUDIT_EVENTS.labels(outcome="lost")._value.get())


async def test_events_wait_for_the_database_and_none_is_lost() -> None:
    writer = FakeWriter()
    writer.failures = 5
    trail = AuditTrail(writer)
    trail.start()
    for number in range(500):
        trail.record(event(number))
    await writer.written_some.wait()
    await trail.stop()
    assert writer.written == [f"r-{number}" for number in range(500)]
    assert writer.tries < 20, "events are written in batches"


async def test_one_that_is_never_taken_keeps_no_other_out(capsys: Any) -> None:
    configure_logging("test")
    writer = FakeWriter()
    writer.poison = "r-3"
    trail, before = AuditTrail(writer), lost()
    trail.start()
    for number in range(6):
        trail.record(event(number))
    await trail.stop()
    assert writer.written == ["r-0", "r-1", "r-2", "r-4", "r-5"]
    assert lost() == before + 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["event"], line["event_lost"]["request_id"]) for line in lines] == [("audit event not stored", "r-3")]


async def test_what_a_full_queue_does_not_take_is_logged_and_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    configure_logging("test")
    monkeypatch.setattr(audit, "QUEUE_EVENTS", 2)
    trail, before = AuditTrail(FakeWriter()), lost()
    for number in range(3):
        trail.record(event(number))
    assert lost() == before + 1
    assert '"request_id": "r-2"' in capsys.readouterr().out


async def test_what_cannot_be_written_before_the_end_is_logged_and_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    configure_logging("test")
    monkeypatch.setattr(audit, "FLUSH_SECONDS", 0.05)
    monkeypatch.setattr(audit, "BATCH_EVENTS", 2)
    writer = FakeWriter()
    writer.failures = 1_000_000
    trail, before = AuditTrail(writer), lost()
    trail.start()
    for number in range(5):
        trail.record(event(number))
    await trail.stop()
    assert lost() == before + 5
    text = capsys.readouterr().out
    assert all(f'"request_id": "r-{number}"' in text for number in range(5))


def test_of_a_request_only_names_of_things_are_kept() -> None:
    request = importer_pb2.CreateImportRequest(
        client_id=3, report_id=4, source="nessus", key="c1/" + "a" * 300, file_name="secret.xml", request_id="once"
    )
    assert ids_of(request) == {
        "client_id": "3",
        "report_id": "4",
        "source": "nessus",
        "key": ("c1/" + "a" * 300)[:200],
        "request_id": "once",
    }


async def test_what_calls_at_the_same_time_have_made_is_not_mixed_up() -> None:
    audit, both_are_in = FakeAudit(), asyncio.Barrier(2)
    auditing = Auditing(audit)

    async def make(number: int) -> None:
        call = Call("hythe.identity.v1.IdentityService/CreateUser", False, {}, cast("Any", None))
        with calling(ADMIN):
            async with auditing(call):
                await both_are_in.wait()
                note_object(user_id=number)
                # What a handler hands to another task is noted as well.
                await asyncio.create_task(noting_key(number))
                await both_are_in.wait()

    await asyncio.gather(make(1), make(2))
    noted = [event.object for event in audit.events]
    assert sorted(noted, key=str) == [{"user_id": "1", "api_key_id": "1"}, {"user_id": "2", "api_key_id": "2"}]


async def noting_key(number: int) -> None:
    note_object(api_key_id=number)


def test_outside_a_call_nothing_is_noted() -> None:
    def note() -> object:
        note_object(user_id=1)
        return noted_variable.get(None)

    # Not that of this thread: another test may have been in a call.
    assert Context().run(note) is None
