"""WatchImport, from the database to the stream."""

from __future__ import annotations

import asyncio

import grpc

from hythe.importer.v1 import importer_pb2
from hythe.status.v1 import status_pb2
from tests.integration.serving import reason_of
from tests.integration.status.conftest import Api, as_

SECONDS = 10


Call = grpc.aio.UnaryStreamCall[status_pb2.WatchImportRequest, status_pb2.WatchImportResponse]


def watched(api: Api, import_id: object) -> Call:
    request = status_pb2.WatchImportRequest(import_id=str(import_id))
    return api.native.WatchImport(request, metadata=as_())


async def following(call: Call) -> importer_pb2.Import:
    message = await asyncio.wait_for(call.read(), SECONDS)
    assert isinstance(message, status_pb2.WatchImportResponse)
    return getattr(message, "import")  # type: ignore[no-any-return]


async def test_a_watch_hears_of_each_change_and_ends_behind_the_last(api: Api) -> None:
    import_id = api.rows.started_import(api.rows.client(), None)
    call = watched(api, import_id)
    assert (await following(call)).state == importer_pb2.STATE_QUEUED
    heard = []
    for state, percent in (("RUNNING", 10), ("RUNNING", 90), ("SUCCEEDED", 100)):
        api.rows.update_import(import_id, state, percent)
        while (found := await following(call)).progress != percent:
            assert found.progress < percent
        heard.append((found.state, found.progress))
    assert heard == [
        (importer_pb2.STATE_RUNNING, 10),
        (importer_pb2.STATE_RUNNING, 90),
        (importer_pb2.STATE_SUCCEEDED, 100),
    ]
    assert await asyncio.wait_for(call.code(), SECONDS) == grpc.StatusCode.OK


async def test_a_finished_import_is_told_once(api: Api) -> None:
    import_id = api.rows.started_import(api.rows.client(), None, state="CANCELLED")
    states = [getattr(message, "import").state async for message in watched(api, import_id)]
    assert states == [importer_pb2.STATE_CANCELLED]


async def test_an_unchanged_import_is_repeated(api: Api) -> None:
    import_id = api.rows.started_import(api.rows.client(), None)
    call = watched(api, import_id)
    assert await following(call) == await following(call)
    call.cancel()


async def test_a_watch_ends_when_the_import_is_gone(api: Api) -> None:
    import_id = api.rows.started_import(api.rows.client(), None)
    call = watched(api, import_id)
    await following(call)
    api.rows.connection.execute("DELETE FROM imports WHERE import_id = %s", [import_id])
    try:
        while True:
            await following(call)
    except grpc.aio.AioRpcError as error:
        assert (error.code(), reason_of(error)) == (grpc.StatusCode.NOT_FOUND, "IMPORT_NOT_FOUND")  # noqa: PT017
