from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import grpc
import pytest

from hythe.importer.v1 import importer_pb2
from hythe.status.v1 import status_pb2
from runtime.auth import current_request
from runtime.context import credential_variable, request_variable
from runtime.errors import Internal, NotFound, Unavailable
from services.upload import importer_client
from services.upload.file_imports import ImportCommand, Options, Target
from services.upload.importer_client import ImporterClient
from tests.fakes.channel import SILENCE, FakeChannel, bare_failure, refusal
from tests.fakes.people import IMPORTER, calling

CREATE = "/hythe.importer.v1.ImportService/CreateImport"
WATCH = "/hythe.status.v1.StatusService/WatchImport"
COMMAND = ImportCommand(Target(1000, 500_000, "nessus"), "k", "n", Options(("a",), ("f",), True), "r")
QUEUED = importer_pb2.Import(import_id="i", state=importer_pb2.STATE_QUEUED)


@pytest.fixture(autouse=True)
def _calling() -> Iterator[None]:
    with calling(IMPORTER):
        token = credential_variable.set("Bearer mine")
        yield
        credential_variable.reset(token)


def client(**answers: Callable[[Any], Any]) -> tuple[ImporterClient, FakeChannel]:
    channel = FakeChannel({CREATE: answers.get("create", lambda _: None), WATCH: answers.get("watch", lambda _: [])})
    return ImporterClient(channel, channel), channel  # type: ignore[arg-type]


def update(state: importer_pb2.State.ValueType) -> status_pb2.WatchImportResponse:
    return status_pb2.WatchImportResponse(**{"import": importer_pb2.Import(import_id="i", state=state)})


async def test_an_import_is_created_with_the_callers_own_credential() -> None:
    importer, channel = client(create=lambda _: importer_pb2.CreateImportResponse(**{"import": QUEUED}))
    assert await importer.create(COMMAND) == QUEUED
    (call,) = channel.calls
    assert call.request == importer_pb2.CreateImportRequest(
        client_id=1000,
        report_id=500_000,
        source="nessus",
        key="k",
        file_name="n",
        asset_tags=["a"],
        finding_tags=["f"],
        use_parser_actions=True,
        request_id="r",
    )
    assert call.metadata["authorization"] == "Bearer mine"
    assert call.metadata["x-request-id"] == "request-1"
    assert call.timeout is not None


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (refusal(grpc.StatusCode.NOT_FOUND, "UNKNOWN_KEY", "There is none.", key="k"), NotFound, "UNKNOWN_KEY"),
        (bare_failure(grpc.StatusCode.UNAVAILABLE, "connection refused"), Unavailable, "IMPORTER_UNAVAILABLE"),
        (bare_failure(grpc.StatusCode.UNKNOWN, "Traceback"), Internal, "INTERNAL"),
    ],
)
async def test_a_refusal_is_said_again_as_it_was(error: Exception, kind: type[NotFound], reason: str) -> None:
    def refuse(_: Any) -> None:
        raise error

    importer, _ = client(create=refuse)
    with pytest.raises(kind) as raised:
        await importer.create(COMMAND)
    assert raised.value.reason == reason
    assert "Traceback" not in raised.value.message


@pytest.mark.parametrize(
    "state", [importer_pb2.STATE_SUCCEEDED, importer_pb2.STATE_FAILED, importer_pb2.STATE_CANCELLED]
)
async def test_waiting_ends_with_the_import(state: importer_pb2.State.ValueType) -> None:
    importer, channel = client(watch=lambda _: [update(importer_pb2.STATE_RUNNING), update(state)])
    assert (await importer.wait(QUEUED, 60)).state == state
    assert channel.calls[0].request.import_id == "i"


async def test_a_status_service_that_goes_away_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importer_client, "RETRY_SECONDS", 0)
    gone = bare_failure(grpc.StatusCode.UNAVAILABLE)
    answers = iter(
        [
            [update(importer_pb2.STATE_RUNNING), gone],
            [update(importer_pb2.STATE_RUNNING)],
            [update(importer_pb2.STATE_SUCCEEDED)],
        ]
    )
    importer, _ = client(watch=lambda _: next(answers))
    assert (await importer.wait(QUEUED, 60)).state == importer_pb2.STATE_SUCCEEDED


async def test_when_the_time_is_over_the_newest_state_is_the_answer() -> None:
    over = bare_failure(grpc.StatusCode.DEADLINE_EXCEEDED)
    importer, _ = client(watch=lambda _: [update(importer_pb2.STATE_RUNNING), over])
    assert (await importer.wait(QUEUED, 60)).state == importer_pb2.STATE_RUNNING
    assert await importer.wait(QUEUED, 0) == QUEUED


async def test_an_accepted_import_is_never_refused_for_want_of_a_watch() -> None:
    importer, _ = client(watch=lambda _: [bare_failure(grpc.StatusCode.UNAUTHENTICATED)])
    assert await importer.wait(QUEUED, 60) == QUEUED


async def test_waiting_ends_when_the_server_drains() -> None:
    importer, channel = client(watch=lambda _: [SILENCE])
    stopping = asyncio.Event()
    token = request_variable.set(replace(current_request(), stopping=stopping))
    waiting = asyncio.create_task(importer.wait(QUEUED, 60))
    request_variable.reset(token)
    while not channel.streams:  # noqa: ASYNC110 - the fake tells nobody
        await asyncio.sleep(0)
    stopping.set()
    assert await asyncio.wait_for(waiting, 10) == QUEUED
