"""Watching an import by server-sent events, through the gateway."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from uuid import UUID

import httpx
import psycopg
import pytest
from uuid_utils import uuid7

from tests.e2e.events import Event, events_of
from tests.e2e.rest import Rest
from tests.scans import nessus
from tests.stack import LiveStack

ORDER = ("QUEUED", "RUNNING", "SUCCEEDED")


@pytest.fixture
def resting(stack: LiveStack, caller: Rest) -> Iterator[UUID]:
    """An import of the caller that nothing happens to."""
    import_id = UUID(bytes=uuid7().bytes)
    who = caller.get("/api/v2/whoami")
    with psycopg.connect(stack.database.superuser_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO imports (tenant_id, import_id, client_id, target, source, key, file_name, file_type,"
            " file_size, lane, state, user_id, user_email)"
            " VALUES (%s, %s, %s, 'findings', 'nessus', 'k', 'a', 'text/xml', 1, 'small', 'PAUSED', %s, '')",
            [who["tenant_id"], import_id, caller.client_id, who["user_id"]],
        )
        yield import_id
        connection.execute("DELETE FROM imports WHERE import_id = %s", [import_id])


def watchers(stack: LiveStack) -> float:
    found = re.search(r"^hythe_status_watchers (\S+)$", httpx.get(stack.metrics_url("status")).text, re.MULTILINE)
    assert found
    return float(found[1])


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def imports_in(events: list[Event]) -> list[Event]:
    return [event for event in events if event.kind == "import"]


def test_the_events_of_an_import_lead_to_its_end(caller: Rest) -> None:
    import_id = caller.trigger(caller.upload(nessus(hosts=100, plugins=50)))
    with events_of(caller.http, import_id) as stream:
        events = list(stream)
    told = imports_in(events)
    assert [event.kind for event in events[-2:]] == ["import", "end"]
    assert {event.kind for event in events} <= {"import", "comment", "end"}
    ranks = [ORDER.index(event.data["state"]) for event in told]
    assert ranks == sorted(ranks)
    assert [event.data["progress"] for event in told] == sorted(event.data["progress"] for event in told)
    assert [event.id for event in told] == sorted(event.id for event in told)
    # What an event tells can be read by everybody else, too.
    assert told[-1].data == caller.detail(import_id)
    assert len(caller.flaws()) == 50


def test_while_nothing_happens_there_are_heartbeats_and_who_leaves_leaves_nothing(
    caller: Rest, stack: LiveStack, resting: UUID
) -> None:
    before = watchers(stack)
    with events_of(caller.http, str(resting)) as stream:
        assert next(stream).data["state"] == "PAUSED"
        for _ in range(3):
            assert next(stream) == Event("comment", "heartbeat")
        assert watchers(stack) == before + 1
    until(lambda: watchers(stack) == before)


def test_a_reader_who_does_not_read_for_a_while_still_gets_to_the_end(caller: Rest) -> None:
    import_id = caller.trigger(caller.upload(nessus(hosts=100, plugins=50)))
    with events_of(caller.http, import_id) as stream:
        assert next(stream).kind == "import"
        assert caller.wait(import_id)["state"] == "SUCCEEDED"
        rest_of_it = list(stream)
    assert imports_in(rest_of_it)[-1].data["state"] == "SUCCEEDED"
    assert rest_of_it[-1].kind == "end"


@pytest.mark.parametrize(("headers", "status"), [({}, 404), ({"x-api-key": "hy_wrong"}, 401)])
def test_a_refusal_is_the_usual_json(caller: Rest, headers: dict[str, str], status: int) -> None:
    path = f"/api/v2/my-imports/{UUID(int=7)}/events"
    answer = caller.http.get(path, headers={"accept": "text/event-stream", **headers})
    assert (answer.status_code, answer.json()["statusCode"]) == (status, status)


def test_a_credential_in_the_url_is_none(stack: LiveStack, resting: UUID) -> None:
    for name in ("token", "access_token", "api_key", "authorization", "x-api-key"):
        answer = httpx.get(f"{stack.url}/api/v2/my-imports/{resting}/events", params={name: stack.api_key})
        assert answer.status_code == 401
