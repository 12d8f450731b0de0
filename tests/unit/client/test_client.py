from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from hythe.importer.v1 import importer_pb2 as importer
from hythe.status.v1 import status_pb2 as status
from hythe.upload.v1 import upload_pb2 as upload
from hythe_client import HytheClient, HytheError, SyncHytheClient
from hythe_client import client as client_module
from tests.fakes.channel import SILENCE, FakeChannel, bare_failure, refusal

GET = "/hythe.status.v1.StatusService/GetImport"
WATCH = "/hythe.status.v1.StatusService/WatchImport"
FINDINGS = "/hythe.status.v1.StatusService/ListFindings"
CREATE = "/hythe.importer.v1.ImportService/CreateImport"
CREATE_UPLOAD = "/hythe.upload.v1.UploadService/CreateUpload"


def client(answers: dict[str, Callable[[Any], Any]], **options: Any) -> tuple[HytheClient, FakeChannel]:
    channel = FakeChannel(answers)
    options.setdefault("api_key", "hy_key")
    return HytheClient("gateway:8080", channel=channel, **options), channel  # type: ignore[arg-type] # a fake


def seen(state: importer.State.ValueType, progress: int = 0) -> status.WatchImportResponse:
    return status.WatchImportResponse(**{"import": importer.Import(import_id="i", state=state, progress=progress)})


async def test_an_api_key_and_a_deadline_go_with_every_call() -> None:
    hythe, channel = client(
        {GET: lambda request: status.GetImportResponse(**{"import": importer.Import(import_id=request.import_id)})},
        deadline_seconds=3,
    )
    assert (await hythe.get_import("a")).import_id == "a"
    assert channel.calls[0].metadata == {"x-api-key": "hy_key"}
    assert channel.calls[0].timeout == 3


async def test_a_token_given_as_a_function_is_asked_before_each_call() -> None:
    tokens = iter(["first", "second"])
    hythe, channel = client({GET: lambda _: status.GetImportResponse()}, api_key=None, token=lambda: next(tokens))
    await hythe.get_import("a")
    await hythe.get_import("a")
    assert [call.metadata["authorization"] for call in channel.calls] == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize("credential", [{}, {"api_key": "k", "token": "t"}])
def test_exactly_one_credential_is_needed(credential: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="either"):
        HytheClient("gateway:8080", channel=FakeChannel({}), **credential)  # type: ignore[arg-type] # a fake


async def test_a_refusal_carries_the_reason_of_the_service() -> None:
    def refuse(_: Any) -> None:
        raise refusal(grpc.StatusCode.NOT_FOUND, "REPORT_NOT_FOUND", "There is no report 5.", report_id="5")

    hythe, _ = client({CREATE: refuse})
    with pytest.raises(HytheError) as caught:
        await hythe.create_import(client_id=1, report_id=5, source="nessus", key="c1/a")
    error = caught.value
    assert (error.code, error.reason, str(error)) == (
        grpc.StatusCode.NOT_FOUND,
        "REPORT_NOT_FOUND",
        "There is no report 5.",
    )
    assert error.metadata == {"report_id": "5"}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, "UNREACHABLE"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
        (grpc.StatusCode.UNIMPLEMENTED, "UNIMPLEMENTED"),
    ],
)
async def test_a_failure_without_a_service_behind_it_has_a_reason_too(code: grpc.StatusCode, reason: str) -> None:
    def fail(_: Any) -> None:
        raise bare_failure(code, "failed to connect")

    hythe, _ = client({GET: fail})
    with pytest.raises(HytheError) as caught:
        await hythe.get_import("a")
    assert (caught.value.code, caught.value.reason) == (code, reason)


async def test_create_import_makes_up_a_request_id_so_that_repeating_is_safe() -> None:
    hythe, channel = client({CREATE: lambda _: importer.CreateImportResponse()})
    await hythe.create_import(client_id=1, report_id=2, source="nessus", key="c1/a")
    await hythe.create_import(client_id=1, report_id=2, source="nessus", key="c1/a")
    await hythe.create_import(client_id=1, report_id=2, source="nessus", key="c1/a", request_id="mine")
    first, second, third = (request.request_id for request in channel.asked("CreateImport"))
    assert first
    assert first != second
    assert third == "mine"


@pytest.mark.parametrize("verb", ["Cancel", "Pause", "Resume", "Retry", "Rerun", "Undo"])
async def test_every_command_names_the_import_and_answers_one(verb: str) -> None:
    reply = getattr(importer, f"{verb}ImportResponse")(**{"import": importer.Import(import_id="new")})
    hythe, channel = client({f"/hythe.importer.v1.ImportService/{verb}Import": lambda _: reply})
    assert (await getattr(hythe, f"{verb.lower()}_import")("a")).import_id == "new"
    [request] = channel.asked(f"{verb}Import")
    assert request.import_id == "a"


async def test_a_rerun_carries_its_options_and_a_request_id_of_its_own() -> None:
    hythe, channel = client({"/hythe.importer.v1.ImportService/RerunImport": lambda _: importer.RerunImportResponse()})
    options = importer.ImportOptions(dry_run=True)
    await hythe.rerun_import("a")
    await hythe.rerun_import("a", options=options, request_id="mine")
    first, second = channel.asked("RerunImport")
    assert (first.HasField("options"), bool(first.request_id)) == (False, True)
    assert (second.options, second.request_id) == (options, "mine")


async def test_paging_goes_on_to_the_last_page() -> None:
    pages = {"": ([1, 2], "p2"), "p2": ([], "p3"), "p3": ([3], "")}

    def answer(request: status.ListFindingsRequest) -> status.ListFindingsResponse:
        ids, following = pages[request.page_token]
        return status.ListFindingsResponse(
            findings=[status.Finding(flaw_id=one) for one in ids], next_page_token=following
        )

    hythe, channel = client({FINDINGS: answer})
    assert [one.flaw_id async for one in hythe.findings(1, 2)] == [1, 2, 3]
    assert [request.page_token for request in channel.asked("ListFindings")] == ["", "p2", "p3"]


async def test_wait_ends_with_the_terminal_state() -> None:
    messages = [seen(importer.STATE_QUEUED), seen(importer.STATE_RUNNING, 40), seen(importer.STATE_FAILED, 40)]
    hythe, channel = client({WATCH: lambda _: messages})
    assert (await hythe.wait("i")).state == importer.STATE_FAILED
    assert channel.streams[0].is_cancelled


@pytest.mark.parametrize("ending", [[], [bare_failure(grpc.StatusCode.UNAVAILABLE, "going away")], [SILENCE]])
async def test_a_broken_or_silent_watch_is_taken_up_again(ending: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "SILENCE_SECONDS", 0.05)
    streams = iter([[seen(importer.STATE_RUNNING, 10), *ending], [seen(importer.STATE_SUCCEEDED, 100)]])
    hythe, channel = client({WATCH: lambda _: next(streams)})
    assert [one.progress async for one in hythe.watch("i")] == [10, 100]
    assert len(channel.streams) == 2


async def test_watch_gives_up_when_the_server_is_away_for_longer_than_its_patience() -> None:
    hythe, _ = client({WATCH: lambda _: [bare_failure(grpc.StatusCode.UNAVAILABLE)]})
    with pytest.raises(HytheError) as caught:
        await hythe.wait("i", patience_seconds=0)
    assert caught.value.reason == "UNREACHABLE"


async def test_watch_of_an_unknown_import_does_not_try_again() -> None:
    unknown = refusal(grpc.StatusCode.NOT_FOUND, "IMPORT_NOT_FOUND", "There is no such import.")
    hythe, channel = client({WATCH: lambda _: [unknown]})
    with pytest.raises(HytheError, match="no such import"):
        await hythe.wait("i")
    assert len(channel.streams) == 1


async def test_an_upload_announces_its_size_and_puts_the_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.nessus"
    file.write_bytes(b"12345")
    put: list[tuple[str, bytes]] = []

    def put_file(url: str, path: Path, **_: Any) -> int:
        put.append((url, path.read_bytes()))
        return 5

    monkeypatch.setattr(client_module, "put_file", put_file)
    answer = upload.CreateUploadResponse(upload=upload.Upload(key="c1/a.nessus"), url="http://gateway/put")
    hythe, channel = client({CREATE_UPLOAD: lambda _: answer})
    assert await hythe.upload_file(file) == "c1/a.nessus"
    request = channel.asked("CreateUpload")[0]
    assert (request.file_name, request.size_bytes) == ("a.nessus", 5)
    assert put == [("http://gateway/put", b"12345")]


async def test_a_cancelled_upload_ends_its_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.nessus"
    file.write_bytes(b"1")
    loop = asyncio.get_running_loop()
    begun, ended = asyncio.Event(), asyncio.Event()

    def put_file(url: str, path: Path, *, on_sent: Callable[[int], None], **_: Any) -> int:
        loop.call_soon_threadsafe(begun.set)
        try:
            while True:
                on_sent(1)
        finally:
            loop.call_soon_threadsafe(ended.set)

    monkeypatch.setattr(client_module, "put_file", put_file)
    hythe, _ = client({CREATE_UPLOAD: lambda _: upload.CreateUploadResponse(url="http://gateway/put")})
    task = asyncio.create_task(hythe.upload_file(file))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await ended.wait()


def test_the_sync_client_answers_the_same() -> None:
    channel = FakeChannel(
        {
            GET: lambda _: status.GetImportResponse(**{"import": importer.Import(import_id="a")}),
            WATCH: lambda _: [seen(importer.STATE_RUNNING, 1), seen(importer.STATE_SUCCEEDED, 100)],
            FINDINGS: lambda _: status.ListFindingsResponse(findings=[status.Finding(flaw_id=7)]),
        }
    )
    with SyncHytheClient("gateway:8080", token="t", channel=channel) as hythe:  # type: ignore[arg-type] # a fake
        assert hythe.get_import("a").import_id == "a"
        assert [one.progress for one in hythe.watch("i")] == [1, 100]
        assert hythe.wait("i").state == importer.STATE_SUCCEEDED
        assert [one.flaw_id for one in hythe.findings(1, 2)] == [7]
    assert channel.is_closed
