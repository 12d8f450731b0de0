"""The events of one import, from the database to the stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.api.httpbody_pb2 import HttpBody

from hythe.dialects.plextrac.v2 import plextrac_pb2 as pb
from services.status.metrics import WATCHED_IMPORTS, WATCHERS
from tests.integration.status.conftest import Api, as_, check_shape

SECONDS = 10


def watched(api: Api, import_id: object) -> Any:
    return api.plextrac.WatchMyImport(pb.GetMyImportRequest(id=str(import_id)), metadata=as_())


async def blocks(call: Any) -> AsyncIterator[dict[str, str]]:
    """What stands between empty lines: fields by name, a comment under an empty name."""
    text = ""
    while isinstance(body := await asyncio.wait_for(call.read(), SECONDS), HttpBody):
        text += body.data.decode()
        while "\n\n" in text:
            block, text = text.split("\n\n", 1)
            yield dict(line.split(": ", 1) if line[0] != ":" else ("", line[2:]) for line in block.split("\n"))
    assert text == ""


async def following(stream: AsyncIterator[dict[str, str]], event: str = "import") -> dict[str, Any]:
    """The data of the next event of this kind."""
    while True:
        block = await anext(stream)
        if block.get("event") == event:
            found: dict[str, Any] = json.loads(block["data"])
            return found


async def test_events_come_in_order_and_the_end_is_the_last(api: Api) -> None:
    import_id = api.rows.started_import(api.rows.client(), None)
    call = watched(api, import_id)
    stream = blocks(call)
    assert await anext(stream) == {"retry": "2000"}
    first = await following(stream)
    check_shape("MyImportDetail", first)
    assert (first["id"], first["state"]) == (str(import_id), "QUEUED")
    api.rows.row_error(import_id, 4)
    api.rows.connection.execute("UPDATE import_progress SET rejected = 1 WHERE import_id = %s", [import_id])
    heard = []
    for state, percent in (("RUNNING", 10), ("RUNNING", 90), ("SUCCEEDED", 100)):
        api.rows.update_import(import_id, state, percent)
        while (found := await following(stream))["progress"] != percent:
            assert found["progress"] < percent
        heard.append(found)
    assert [(found["state"], len(found["rowErrors"])) for found in heard] == [
        ("RUNNING", 0),
        ("RUNNING", 0),
        ("SUCCEEDED", 1),
    ]
    assert heard[-1] == await api.answered(
        api.plextrac.GetMyImport(pb.GetMyImportRequest(id=str(import_id)), metadata=as_())
    )
    assert await following(stream, "end") == {}
    assert [block async for block in stream] == []
    assert await asyncio.wait_for(call.code(), SECONDS) == grpc.StatusCode.OK


async def test_while_nothing_happens_there_are_heartbeats(api: Api) -> None:
    call = watched(api, api.rows.started_import(api.rows.client(), None))
    stream = blocks(call)
    await following(stream)
    assert [await anext(stream) for _ in range(2)] == [{"": "heartbeat"}] * 2
    call.cancel()


async def test_an_import_that_has_ended_is_one_event_and_the_end(api: Api) -> None:
    import_id = api.rows.started_import(api.rows.client(), None, state="CANCELLED")
    found = [block async for block in blocks(watched(api, import_id))]
    assert [block.get("event") for block in found] == [None, "import", "end"]


async def test_nothing_is_left_of_watchers_that_went_away(api: Api) -> None:
    import_id = api.rows.started_import(api.rows.client(), None)
    watchers, watched_imports = WATCHERS._value.get(), WATCHED_IMPORTS._value.get()
    calls = [watched(api, import_id) for _ in range(5)]
    for call in calls:
        await following(blocks(call))
    # Each has its first event; it joins the poller when it goes on behind that.
    await until(lambda: WATCHERS._value.get() == watchers + 5)
    assert WATCHED_IMPORTS._value.get() == watched_imports + 1
    for call in calls:
        call.cancel()
    await until(lambda: WATCHERS._value.get() == watchers)
    assert WATCHED_IMPORTS._value.get() == watched_imports


async def until(holds: Any) -> None:
    async with asyncio.timeout(SECONDS):
        while not holds():  # noqa: ASYNC110 - a gauge sets no event
            await asyncio.sleep(0.01)
