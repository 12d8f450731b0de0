"""The upload service against PostgreSQL and the object store, and an import service beside it, by gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import grpc
import httpx
import psycopg
import pytest
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct
from psycopg.rows import dict_row
from pydantic_core import from_json

from hythe.dialects.plextrac.v2 import plextrac_pb2
from hythe.dialects.plextrac.v2.plextrac_pb2_grpc import PlextracUploadStub, add_PlextracUploadServicer_to_server
from hythe.importer.v1 import importer_pb2, importer_pb2_grpc
from hythe.status.v1 import status_pb2, status_pb2_grpc
from hythe.upload.v1 import upload_pb2
from hythe.upload.v1.upload_pb2_grpc import UploadServiceStub, add_UploadServiceServicer_to_server
from runtime.auth import current_principal, current_request
from runtime.errors import NotFound, ServiceError
from runtime.objects import ObjectMissing, ObjectStore
from runtime.renewal import Renewal
from services.upload.dialects.plextrac import PlextracUpload
from services.upload.file_imports import FileImports
from services.upload.importer_client import ImporterClient
from services.upload.landing import Landings
from services.upload.part_uploads import PartUploads
from services.upload.record_files import RecordFiles
from services.upload.service import UploadService
from services.upload.store import FileStore
from services.upload.uploads import Uploads
from tests.fakes.people import IMPORTER, STRANGER
from tests.fakes.workspaces import FakeWorkspaces
from tests.integration.serving import PUBLIC_URL, connected, objects_in, reason_of, served
from tests.stack import Database
from tests.stack import ObjectStore as Bucket
from tests.unit.upload.forms import CONTENT_TYPE, field_part, file_part, form

if TYPE_CHECKING:  # The stubs' asynchronous types are for the type checker only.
    from hythe.dialects.plextrac.v2.plextrac_pb2_grpc import PlextracUploadAsyncStub
    from hythe.upload.v1.upload_pb2_grpc import UploadServiceAsyncStub

PEOPLE = {"importer": IMPORTER, "stranger": STRANGER}
MEBIBYTE = 1024 * 1024
LIMIT = 40 * MEBIBYTE
URL_LIFE = timedelta(minutes=15)
INVALID = grpc.StatusCode.INVALID_ARGUMENT
IMPORT_ID = "018f0000-0000-7000-8000-000000000001"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass
class Imports(importer_pb2_grpc.ImportServiceServicer, status_pb2_grpc.StatusServiceServicer):
    """Both services that the upload service calls. Each import goes through the states of `story`."""

    refusal: ServiceError | None = None
    story: list[importer_pb2.State.ValueType] = field(default_factory=list)
    requests: list[importer_pb2.CreateImportRequest] = field(default_factory=list)
    callers: list[str] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)
    first_key: str = ""

    async def CreateImport(self, request: Any, context: Any) -> importer_pb2.CreateImportResponse:  # noqa: N802
        self.requests.append(request)
        self.callers.append(current_principal().email)
        self.traces.append(current_request().traceparent.split("-")[1])
        if self.refusal is not None:
            raise self.refusal
        self.first_key = self.first_key or request.key
        return importer_pb2.CreateImportResponse(**{"import": self._import(importer_pb2.STATE_QUEUED)})

    async def WatchImport(  # noqa: N802 - the names of RPCs
        self, request: Any, context: Any
    ) -> AsyncIterator[status_pb2.WatchImportResponse]:
        for state in self.story:
            yield status_pb2.WatchImportResponse(**{"import": self._import(state)})
        if not self.story:
            await asyncio.Event().wait()

    def _import(self, state: importer_pb2.State.ValueType) -> importer_pb2.Import:
        imported = importer_pb2.Import(import_id=IMPORT_ID, key=self.first_key, state=state, file_size_bytes=5)
        imported.create_time.GetCurrentTime()
        imported.update_time.GetCurrentTime()
        if state == importer_pb2.STATE_FAILED:
            imported.error_code, imported.error_message = "TRUNCATED", "It ends too soon."
        return imported


@dataclass
class Api:
    native: UploadServiceAsyncStub
    plextrac: PlextracUploadAsyncStub
    objects: ObjectStore
    imports: Imports
    admin: psycopg.AsyncConnection[dict[str, Any]]

    async def files(self) -> list[dict[str, Any]]:
        return await (await self.admin.execute("SELECT * FROM files")).fetchall()

    async def is_clean(self) -> bool:
        """Whether neither a row nor an object nor a part of one is left."""
        bucket = self.objects._bucket
        stored = list(self.objects._client.list_objects(bucket, recursive=True))
        parts = self.objects._client._list_multipart_uploads(bucket).uploads
        return not stored and not parts and not await self.files()


def as_(caller: str, *more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return (("authorization", caller), *more)


def chunks(body: bytes, size: int = MEBIBYTE, **first: Any) -> Iterator[plextrac_pb2.FileChunk]:
    """As the gateway cuts a body: path and content type come in the first message only."""
    members: dict[str, Any] = {"client_id": 1000, "report_id": 500_000, "source": "nessus", **first}
    messages = [
        plextrac_pb2.FileChunk(content=HttpBody(data=body[start : start + size]))
        for start in range(0, max(len(body), 1), size)
    ]
    content_type = members.pop("content_type", CONTENT_TYPE)
    messages[0].MergeFrom(plextrac_pb2.FileChunk(content=HttpBody(content_type=content_type), **members))
    return iter(messages)


@pytest.fixture
async def api(database: Database, object_store: Bucket) -> AsyncIterator[Api]:
    async with AsyncExitStack() as stack:
        imports = Imports()  # type: ignore[abstract]
        beside = await stack.enter_async_context(
            served(
                [
                    partial(importer_pb2_grpc.add_ImportServiceServicer_to_server, imports),
                    partial(status_pb2_grpc.add_StatusServiceServicer_to_server, imports),
                ],
                PEOPLE,
            )
        )
        objects = objects_in(object_store)
        stack.callback(objects.close)
        files = FileStore(await stack.enter_async_context(connected(database, "hythe_upload")))
        uploads = Uploads(files, objects, max_file_bytes=LIMIT, url_life=URL_LIFE)
        part_uploads = PartUploads(uploads, files, objects, url_life=URL_LIFE, life=timedelta(hours=24))
        landings = Landings(uploads, files, objects)
        file_imports = FileImports(landings, ImporterClient(beside, beside), Renewal(beside), wait_seconds=2)
        native = UploadService(uploads, part_uploads, RecordFiles(uploads, landings), FakeWorkspaces())
        channel = await stack.enter_async_context(
            served(
                [
                    partial(add_UploadServiceServicer_to_server, native),
                    partial(add_PlextracUploadServicer_to_server, PlextracUpload(uploads, part_uploads, file_imports)),
                ],
                PEOPLE,
            )
        )
        admin = await psycopg.AsyncConnection.connect(database.superuser_url, autocommit=True, row_factory=dict_row)
        await stack.enter_async_context(admin)
        yield Api(UploadServiceStub(channel), PlextracUploadStub(channel), objects, imports, admin)


async def refusal(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code(), reason_of(raised.value)


async def until(holds: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(20):
        while not await holds():  # noqa: ASYNC110 - nothing tells us when
            await asyncio.sleep(0.05)


async def test_a_presigned_url_takes_one_file(api: Api, object_store: Bucket) -> None:
    request = upload_pb2.CreateUploadRequest(file_name="my scan (1).nessus", size_bytes=4)
    reply = await api.native.CreateUpload(request, metadata=as_("importer"))
    upload = reply.upload
    assert (upload.file_name, upload.uploaded) == ("my scan (1).nessus", False)
    assert upload.key.endswith("/my_scan_1.nessus")
    assert upload.expire_time.seconds - upload.create_time.seconds == 900
    assert reply.url.startswith(f"{PUBLIC_URL}/cloud/uploads/{upload.key}?X-Amz-")
    (row,) = await api.files()
    assert (row["tenant_id"], row["user_id"], row["declared_size"]) == (1, IMPORTER.user_id, 4)
    # What the gateway does with the path.
    direct = f"http://{object_store.endpoint}/{object_store.bucket}/uploads/{upload.key}?{urlsplit(reply.url).query}"
    async with httpx.AsyncClient() as client:
        assert (await client.put(direct, content=b"data")).status_code == 200
        assert (
            await client.put(direct.replace("X-Amz-Expires=900", "X-Amz-Expires=999"), content=b"x")
        ).status_code == 403
    shown = (await api.native.GetUpload(upload_pb2.GetUploadRequest(key=upload.key), metadata=as_("importer"))).upload
    assert (shown.uploaded, shown.size_bytes) == (True, 4)
    assert shown.expire_time == upload.expire_time


async def test_another_tenant_does_not_see_an_upload(api: Api) -> None:
    reply = await api.native.CreateUpload(upload_pb2.CreateUploadRequest(file_name="a"), metadata=as_("importer"))
    request = upload_pb2.GetUploadRequest(key=reply.upload.key)
    assert await refusal(api.native.GetUpload(request, metadata=as_("stranger"))) == (
        grpc.StatusCode.NOT_FOUND,
        "UNKNOWN_KEY",
    )


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"file_name": ""}, "FIELD_REQUIRED"),
        ({"file_name": "a", "size_bytes": LIMIT + 1}, "FILE_TOO_LARGE"),
        ({"file_name": "a", "size_bytes": -1}, "INVALID_SIZE"),
        ({"file_name": "a", "sha256": "12"}, "INVALID_SHA256"),
    ],
)
async def test_a_refused_upload_reserves_nothing(api: Api, members: dict[str, Any], reason: str) -> None:
    request = upload_pb2.CreateUploadRequest(**members)
    assert (await refusal(api.native.CreateUpload(request, metadata=as_("importer"))))[1] == reason
    assert await api.files() == []


async def test_the_tenants_own_limit_counts_here_too(api: Api) -> None:
    await api.admin.execute("INSERT INTO tenant_limits (tenant_id, max_file_bytes) VALUES (1, 10)")
    request = upload_pb2.CreateUploadRequest(file_name="a", size_bytes=11)
    assert (await refusal(api.native.CreateUpload(request, metadata=as_("importer"))))[1] == "FILE_TOO_LARGE"
    body = form(file_part(b"x" * 11))
    assert (await refusal(api.plextrac.ImportFileAsync(chunks(body), metadata=as_("importer"))))[1] == "FILE_TOO_LARGE"
    assert await api.is_clean()


@pytest.mark.parametrize("member", ["name", "filename", "fileName"])
async def test_the_published_presigned_url(api: Api, member: str) -> None:
    payload = ParseDict({member: "burp_sample_small.xml", "contentType": "text/xml", "size": 123}, Struct())
    reply = await api.plextrac.CreatePresignedUrl(
        plextrac_pb2.CreatePresignedUrlRequest(payload=payload), metadata=as_("importer")
    )
    assert reply.status == "success"
    assert len(reply.key.partition("/")[0]) == 25
    assert reply.key.endswith("/burp_sample_small.xml")
    assert reply.url.startswith(f"{PUBLIC_URL}/cloud/uploads/{reply.key}?")


@pytest.mark.parametrize("size", [0, 5, 9 * MEBIBYTE, 33 * MEBIBYTE + 1])
async def test_a_multipart_file_lands_and_is_imported_for_the_caller(api: Api, size: int) -> None:
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    body = form(
        field_part("useParserActions", "true"), file_part(data), field_part("tags", '{"assets":["A"],"findings":["f"]}')
    )
    call = api.plextrac.ImportFileAsync(chunks(body), metadata=as_("importer", ("traceparent", TRACE)))
    headers = dict(await call.initial_metadata())
    reply = from_json((await call).data)
    (request,) = api.imports.requests
    assert (request.client_id, request.report_id, request.source) == (1000, 500_000, "nessus")
    assert (request.file_name, list(request.asset_tags), list(request.finding_tags)) == ("a.nessus", ["A"], ["f"])
    assert request.use_parser_actions
    assert request.request_id == request.key
    assert api.imports.callers == [IMPORTER.email]
    assert api.imports.traces == [TRACE.split("-")[1]]
    stored = await api.objects.head(api.objects.object_key(request.key))
    assert stored.size == size
    with api.objects.open(api.objects.object_key(request.key), stored.etag) as reader:
        assert b"".join(iter(partial(reader.read, MEBIBYTE), b"")) == data
    (row,) = await api.files()
    assert (row["key"], row["file_name"]) == (request.key, "a.nessus")
    assert (reply["status"], reply["operationId"], reply["importJob"]["status"]) == ("success", IMPORT_ID, "IN QUEUE")
    assert reply["importJob"]["error_status"] is None
    assert headers["deprecation"] == "@1750636800"
    assert headers["sunset"] == "Wed, 08 Oct 2025 00:00:00 GMT"
    assert headers["link"] == '</api/v2/client/1000/report/500000/preuploaded-import/nessus>; rel="successor-version"'


async def test_the_oldest_route_answers_when_the_import_has_ended(api: Api) -> None:
    api.imports.story = [importer_pb2.STATE_RUNNING, importer_pb2.STATE_SUCCEEDED]
    reply = await api.plextrac.ImportFile(chunks(form(file_part(b"x"))), metadata=as_("importer"))
    body = from_json(reply.data)
    assert reply.content_type == "application/json"
    assert (body["message"], body["status"], body["operationId"]) == ("success", "success", IMPORT_ID)
    assert body["importJob"]["status"] == "IMPORT COMPLETE"


async def test_the_oldest_route_tells_of_a_failed_import(api: Api) -> None:
    api.imports.story = [importer_pb2.STATE_RUNNING, importer_pb2.STATE_FAILED]
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await api.plextrac.ImportFile(chunks(form(file_part(b"x"))), metadata=as_("importer"))
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert (reason_of(raised.value), raised.value.details()) == ("IMPORT_FAILED", "TRUNCATED: It ends too soon.")
    assert not await api.is_clean()


async def test_the_oldest_route_waits_no_longer_than_it_may(api: Api) -> None:
    body = from_json((await api.plextrac.ImportFile(chunks(form(file_part(b"x"))), metadata=as_("importer"))).data)
    assert (body["message"], body["importJob"]["status"]) == ("success", "IN QUEUE")


async def test_an_asset_import_has_no_report(api: Api) -> None:
    content = HttpBody(content_type=CONTENT_TYPE, data=form(file_part(b"x")))
    chunk = plextrac_pb2.AssetFileChunk(client_id=1000, source="nmap-xml", content=content)
    body = from_json((await api.plextrac.ImportAssets(iter([chunk]), metadata=as_("importer"))).data)
    assert body["operationId"] == IMPORT_ID
    (request,) = api.imports.requests
    assert (request.client_id, request.report_id, request.source) == (1000, 0, "nmap-xml")


async def test_what_the_import_service_refuses_is_refused_alike_and_the_file_goes(api: Api) -> None:
    api.imports.refusal = NotFound("REPORT_NOT_FOUND", "There is no report 500000.", report_id="500000")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await api.plextrac.ImportFileAsync(chunks(form(file_part(b"x" * MEBIBYTE))), metadata=as_("importer"))
    assert raised.value.code() == grpc.StatusCode.NOT_FOUND
    assert (reason_of(raised.value), raised.value.details()) == ("REPORT_NOT_FOUND", "There is no report 500000.")
    assert await api.is_clean()


async def test_a_repeated_request_leaves_no_second_file(api: Api) -> None:
    metadata = as_("importer", ("idempotency-key", "once"))
    for _ in range(2):
        await api.plextrac.ImportFileAsync(chunks(form(file_part(b"x"))), metadata=metadata)
    assert [request.request_id for request in api.imports.requests] == ["once", "once"]
    assert [row["key"] for row in await api.files()] == [api.imports.first_key]
    with pytest.raises(ObjectMissing):
        await api.objects.head(api.objects.object_key(api.imports.requests[1].key))


@pytest.mark.parametrize(
    ("make", "code", "reason"),
    [
        (lambda: chunks(form(field_part("tags", "{}"))), INVALID, "FILE_MISSING"),
        (lambda: chunks(form(file_part(b"x"))[:-8]), INVALID, "MALFORMED_FORM"),
        (lambda: chunks(form(file_part(b"x" * LIMIT))[:-8]), INVALID, "MALFORMED_FORM"),
        (lambda: chunks(form(file_part(b"x" * (LIMIT + 1)))), grpc.StatusCode.OUT_OF_RANGE, "FILE_TOO_LARGE"),
        (
            lambda: chunks(form(file_part(b"x"), field_part("tags", "{"))),
            grpc.StatusCode.INVALID_ARGUMENT,
            "INVALID_TAGS",
        ),
        (
            lambda: chunks(b"{}", content_type="application/json"),
            grpc.StatusCode.INVALID_ARGUMENT,
            "UNSUPPORTED_MEDIA_TYPE",
        ),
        (lambda: chunks(form(file_part(b"x")), source="a b"), INVALID, "UNKNOWN_SOURCE"),
        (lambda: chunks(form(file_part(b"x")), report_id=0), grpc.StatusCode.NOT_FOUND, "REPORT_NOT_FOUND"),
        (lambda: iter(()), INVALID, "FILE_MISSING"),
    ],
)
async def test_a_refused_body_leaves_nothing(
    api: Api, make: Callable[[], Iterator[plextrac_pb2.FileChunk]], code: grpc.StatusCode, reason: str
) -> None:
    assert await refusal(api.plextrac.ImportFile(make(), metadata=as_("importer"))) == (code, reason)
    assert api.imports.requests == []
    assert await api.is_clean()


@pytest.mark.parametrize("size", [MEBIBYTE, 20 * MEBIBYTE])
async def test_nothing_is_left_when_the_client_goes_away(api: Api, size: int) -> None:
    sent = asyncio.Event()

    async def half() -> AsyncIterator[plextrac_pb2.FileChunk]:
        for chunk in list(chunks(form(file_part(b"x" * size))))[:-1]:
            yield chunk
        sent.set()
        await asyncio.Event().wait()

    call = api.plextrac.ImportFile(half(), metadata=as_("importer"))
    await sent.wait()
    await until(api.files)
    call.cancel()
    await until(api.is_clean)
    assert api.imports.requests == []
