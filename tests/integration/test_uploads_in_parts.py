"""Uploads in parts against PostgreSQL and the object store, by gRPC; parts are put as the gateway puts them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import psycopg
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct
from psycopg.rows import dict_row

from hythe.dialects.plextrac.v2 import plextrac_pb2
from hythe.dialects.plextrac.v2.plextrac_pb2_grpc import PlextracUploadStub, add_PlextracUploadServicer_to_server
from hythe.upload.v1 import upload_pb2
from hythe.upload.v1.upload_pb2_grpc import UploadServiceStub, add_UploadServiceServicer_to_server
from runtime.objects import ObjectMissing, ObjectStore
from services.upload.dialects.plextrac import PlextracUpload
from services.upload.landing import Landings
from services.upload.leftovers import Leftovers
from services.upload.part_uploads import PartUploads
from services.upload.record_files import RecordFiles
from services.upload.service import UploadService
from services.upload.store import FileStore
from services.upload.uploads import Uploads
from tests.fakes.audit import FakeAudit
from tests.fakes.people import IMPORTER, STRANGER
from tests.fakes.workspaces import FakeWorkspaces
from tests.integration.serving import PUBLIC_URL, connected, objects_in, reason_of, served
from tests.stack import Database
from tests.stack import ObjectStore as Bucket

if TYPE_CHECKING:  # The stubs' asynchronous types are for the type checker only.
    from hythe.dialects.plextrac.v2.plextrac_pb2_grpc import PlextracUploadAsyncStub
    from hythe.upload.v1.upload_pb2_grpc import UploadServiceAsyncStub

MIB = 1024 * 1024
LEAST = 5 * MIB
ME, STRANGE = (("authorization", "importer"),), (("authorization", "stranger"),)
REFUSED, INVALID = grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT
DATA = bytes(range(256)) * (4 * 1024 * 11) + b"the end"  # 11 MiB and a little


@dataclass
class Api:
    native: UploadServiceAsyncStub
    plextrac: PlextracUploadAsyncStub
    objects: ObjectStore
    bucket: Bucket
    admin: psycopg.AsyncConnection[dict[str, Any]]
    audit: FakeAudit

    async def begun(self, size: int = len(DATA), **members: Any) -> upload_pb2.Upload:
        members = {"file_name": "a b.nessus", "part_size_bytes": LEAST, **members}
        request = upload_pb2.CreateMultipartUploadRequest(size_bytes=size, **members)
        return (await self.native.CreateMultipartUpload(request, metadata=ME)).upload

    async def parts(self, key: str, first: int = 0, page_size: int = 0) -> list[upload_pb2.Part]:
        request = upload_pb2.ListPartsRequest(key=key, first_part=first, page_size=page_size)
        return list((await self.native.ListParts(request, metadata=ME)).parts)

    async def send(self, key: str, *numbers: int) -> None:
        for part in await self.parts(key):
            if part.url and (not numbers or part.number in numbers):
                data = DATA[part.offset : part.offset + part.size_bytes]
                assert await self.put(part.url, data) == 200

    async def put(self, url: str, data: bytes) -> int:
        direct = url.replace(
            f"{PUBLIC_URL}/cloud/uploads", f"http://{self.bucket.endpoint}/{self.bucket.bucket}/uploads"
        )
        async with httpx.AsyncClient(timeout=60) as http:
            return (await http.put(direct, content=data)).status_code

    async def complete(self, key: str, metadata: Any = ME) -> upload_pb2.Upload:
        request = upload_pb2.CompleteMultipartUploadRequest(key=key)
        return (await self.native.CompleteMultipartUpload(request, metadata=metadata)).upload

    async def abort(self, key: str, metadata: Any = ME) -> None:
        await self.native.AbortMultipartUpload(upload_pb2.AbortMultipartUploadRequest(key=key), metadata=metadata)

    async def files(self) -> list[dict[str, Any]]:
        return await (await self.admin.execute("SELECT * FROM files")).fetchall()

    async def unfinished(self) -> int:
        return sum([len(page) async for page in self.objects.list_unfinished()])

    def bytes_of(self, key: str, etag: str) -> bytes:
        with self.objects.open(self.objects.object_key(key), etag) as reader:
            return b"".join(iter(partial(reader.read, MIB), b""))


@pytest.fixture
async def api(database: Database, object_store: Bucket) -> AsyncIterator[Api]:
    async with AsyncExitStack() as stack:
        objects = objects_in(object_store)
        stack.callback(objects.close)
        files = FileStore(await stack.enter_async_context(connected(database, "hythe_upload")))
        life, url_life = timedelta(hours=24), timedelta(minutes=15)
        leftovers = Leftovers(files, objects, age=life)
        stack.push_async_callback(leftovers.close)
        visit = leftovers.visit
        uploads = Uploads(files, objects, max_file_bytes=100 * MIB, url_life=url_life, on_created=visit)
        parts = PartUploads(uploads, files, objects, url_life=url_life, life=life, on_created=visit)
        record_files = RecordFiles(uploads, Landings(uploads, files, objects))
        audit = FakeAudit()
        channel = await stack.enter_async_context(
            served(
                [
                    partial(
                        add_UploadServiceServicer_to_server,
                        UploadService(uploads, parts, record_files, FakeWorkspaces()),
                    ),
                    partial(
                        add_PlextracUploadServicer_to_server,
                        PlextracUpload(uploads, parts, None),  # type: ignore[arg-type] # no import is made here
                    ),
                ],
                {"importer": IMPORTER, "stranger": STRANGER},
                audit=audit,
            )
        )
        admin = await psycopg.AsyncConnection.connect(database.superuser_url, autocommit=True, row_factory=dict_row)
        await stack.enter_async_context(admin)
        yield Api(UploadServiceStub(channel), PlextracUploadStub(channel), objects, object_store, admin, audit)


async def refusal(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code(), reason_of(raised.value)


async def eventually(holds: Any) -> None:
    async with asyncio.timeout(20):
        while not await holds():  # noqa: ASYNC110 - nothing tells us when
            await asyncio.sleep(0.05)


async def test_a_file_goes_up_in_parts_and_is_one_file_in_the_end(api: Api) -> None:
    digest = "0f" * 32
    upload = await api.begun(sha256=digest)
    assert (upload.part_size_bytes, upload.part_count, upload.uploaded) == (LEAST, 3, False)
    assert (upload.file_name, upload.sha256) == ("a b.nessus", digest)
    assert upload.key.endswith("/a_b.nessus")
    (row,) = await api.files()
    assert (row["declared_size"], row["part_size"], row["sha256"]) == (len(DATA), LEAST, bytes.fromhex(digest))
    assert row["completed_at"] is None

    await api.send(upload.key, 3)
    parts = await api.parts(upload.key)
    assert [(part.number, part.offset, part.size_bytes, part.uploaded) for part in parts] == [
        (1, 0, LEAST, False),
        (2, LEAST, LEAST, False),
        (3, 2 * LEAST, len(DATA) - 2 * LEAST, True),
    ]
    assert parts[0].url.startswith(f"{PUBLIC_URL}/cloud/uploads/{upload.key}?")
    assert "X-Amz-Expires=900" in parts[0].url
    assert (parts[2].url, parts[2].HasField("expire_time")) == ("", False)

    await api.send(upload.key)
    done = await api.complete(upload.key)
    assert (done.uploaded, done.size_bytes, done.key) == (True, len(DATA), upload.key)
    info = await api.objects.head(api.objects.object_key(upload.key))
    assert await asyncio.to_thread(api.bytes_of, upload.key, info.etag) == DATA
    assert (await api.files())[0]["completed_at"] is not None
    assert all(part.uploaded for part in await api.parts(upload.key))
    assert await api.unfinished() == 0


async def test_each_part_takes_exactly_its_bytes(api: Api) -> None:
    upload = await api.begun()
    *_, last = await api.parts(upload.key)
    data = DATA[last.offset :]
    assert await api.put(last.url.replace("partNumber=3", "partNumber=1"), data) == 403
    for wrong in (data[:-1], data + b"x"):
        with suppress(httpx.TransportError):
            assert await api.put(last.url, wrong) == 403
    assert not any(part.uploaded for part in await api.parts(upload.key))


async def test_completing_too_early_names_the_first_missing_part(api: Api) -> None:
    upload = await api.begun()
    await api.send(upload.key, 1, 3)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await api.complete(upload.key)
    assert (raised.value.code(), reason_of(raised.value)) == (REFUSED, "PARTS_MISSING")
    assert "the first is part 2" in (raised.value.details() or "")
    with pytest.raises(ObjectMissing):
        await api.objects.head(api.objects.object_key(upload.key))
    await api.send(upload.key)
    assert (await api.complete(upload.key)).uploaded


async def test_completing_many_times_at_once_makes_one_whole_file(api: Api) -> None:
    upload = await api.begun()
    await api.send(upload.key)
    answers = await asyncio.gather(*(api.complete(upload.key) for _ in range(8)))
    assert {(answer.uploaded, answer.size_bytes) for answer in answers} == {(True, len(DATA))}
    info = await api.objects.head(api.objects.object_key(upload.key))
    assert await asyncio.to_thread(api.bytes_of, upload.key, info.etag) == DATA
    assert (await api.complete(upload.key)).uploaded


async def test_completing_and_aborting_at_once_ends_in_one_of_both(api: Api) -> None:
    for _ in range(5):
        upload = await api.begun(size=100)
        await api.send(upload.key)
        completed, aborted = await asyncio.gather(
            api.complete(upload.key), api.abort(upload.key), return_exceptions=True
        )
        assert isinstance(completed, Exception) != isinstance(aborted, Exception)
        error = completed if isinstance(completed, grpc.aio.AioRpcError) else aborted
        assert isinstance(error, grpc.aio.AioRpcError)
        is_there = (
            await api.native.GetUpload(upload_pb2.GetUploadRequest(key=upload.key), metadata=ME)
        ).upload.uploaded
        assert reason_of(error) == ("UPLOAD_COMPLETED" if is_there else "UPLOAD_ABORTED")


async def test_a_completion_that_the_database_has_not_heard_of_is_found(api: Api) -> None:
    upload = await api.begun()
    await api.send(upload.key)
    await api.complete(upload.key)
    await api.admin.execute("UPDATE files SET completed_at = NULL")
    assert all(part.uploaded for part in await api.parts(upload.key))
    assert await refusal(api.abort(upload.key)) == (REFUSED, "UPLOAD_COMPLETED")
    assert (await api.complete(upload.key)).uploaded
    assert (await api.files())[0]["completed_at"] is not None


async def test_an_aborted_upload_is_gone(api: Api) -> None:
    upload = await api.begun()
    await api.send(upload.key, 1)
    (url,) = {part.url for part in await api.parts(upload.key, 2, 1)}
    await api.abort(upload.key)
    await api.abort(upload.key)
    assert await api.unfinished() == 0
    assert await refusal(api.complete(upload.key)) == (REFUSED, "UPLOAD_ABORTED")
    assert await refusal(api.parts(upload.key)) == (REFUSED, "UPLOAD_ABORTED")
    # The store may drop the line before it has read all.
    with suppress(httpx.TransportError):
        assert await api.put(url, DATA[LEAST : 2 * LEAST]) == 404


async def test_a_complete_upload_cannot_be_aborted(api: Api) -> None:
    upload = await api.begun(size=10)
    await api.send(upload.key)
    await api.complete(upload.key)
    assert await refusal(api.abort(upload.key)) == (REFUSED, "UPLOAD_COMPLETED")
    assert (await api.complete(upload.key)).uploaded


async def test_an_upload_of_one_put_has_no_parts(api: Api) -> None:
    request = upload_pb2.CreateUploadRequest(file_name="a", sha256="AB" * 32)
    upload = (await api.native.CreateUpload(request, metadata=ME)).upload
    assert (upload.part_count, upload.sha256) == (0, "ab" * 32)
    assert await refusal(api.parts(upload.key)) == (REFUSED, "NOT_IN_PARTS")
    assert await refusal(api.complete(upload.key)) == (REFUSED, "NOT_IN_PARTS")
    assert await refusal(api.abort(upload.key)) == (REFUSED, "NOT_IN_PARTS")


@pytest.mark.parametrize(
    ("members", "code", "reason"),
    [
        ({"file_name": ""}, INVALID, "FIELD_REQUIRED"),
        ({"size": 0}, INVALID, "INVALID_SIZE"),
        ({"size": -5}, INVALID, "INVALID_SIZE"),
        ({"sha256": "zz"}, INVALID, "INVALID_SHA256"),
        ({"part_size_bytes": LEAST - 1}, INVALID, "INVALID_PART_SIZE"),
        ({"part_size_bytes": -1}, INVALID, "INVALID_PART_SIZE"),
        ({"size": 100 * MIB + 1}, grpc.StatusCode.OUT_OF_RANGE, "FILE_TOO_LARGE"),
    ],
)
async def test_a_refused_upload_leaves_nothing(
    api: Api, members: dict[str, Any], code: grpc.StatusCode, reason: str
) -> None:
    assert await refusal(api.begun(**members)) == (code, reason)
    assert await api.files() == []
    assert await api.unfinished() == 0


async def test_another_tenant_knows_none_of_it(api: Api) -> None:
    upload = await api.begun(size=10)
    unknown = (grpc.StatusCode.NOT_FOUND, "UNKNOWN_KEY")
    listing = upload_pb2.ListPartsRequest(key=upload.key)
    assert await refusal(api.native.ListParts(listing, metadata=STRANGE)) == unknown
    assert await refusal(api.complete(upload.key, STRANGE)) == unknown
    assert await refusal(api.abort(upload.key, STRANGE)) == unknown
    await api.send(upload.key)
    assert (await api.complete(upload.key)).uploaded


async def test_the_same_by_the_rest_routes(api: Api) -> None:
    payload = ParseDict({"name": "a.nessus", "size": len(DATA), "partSize": str(LEAST)}, Struct())
    begun = await api.plextrac.CreateMultipart(plextrac_pb2.MultipartUploadRequest(payload=payload), metadata=ME)
    said = MessageToDict(begun)
    key = said["key"]
    assert said == {
        "status": "success", "key": key, "size": str(len(DATA)), "partSize": str(LEAST), "partCount": 3.0,
        "uploaded": False,
    }  # fmt: skip
    await api.send(key, 1)
    page = MessageToDict(
        await api.plextrac.ListMultipartParts(plextrac_pb2.MultipartParts(key=key, limit=2), metadata=ME)
    )
    first, second = page["parts"]
    assert (first["uploaded"], first["url"], first["expiresAt"]) == (True, None, None)
    assert (second["number"], second["offset"], second["uploaded"]) == (2.0, str(LEAST), False)
    assert second["url"].startswith(f"{PUBLIC_URL}/cloud/uploads/{key}?")
    assert page["next"] == 3.0
    await api.send(key)
    named = plextrac_pb2.MultipartUploadKey(key=key)
    done = MessageToDict(await api.plextrac.CompleteMultipart(named, metadata=ME))
    assert (done["uploaded"], done["size"]) == (True, str(len(DATA)))
    assert (await refusal(api.plextrac.AbortMultipart(named, metadata=ME)))[1] == "UPLOAD_COMPLETED"


async def test_the_audit_log_names_the_key(api: Api) -> None:
    upload = await api.begun(size=10)
    await api.send(upload.key)
    await api.complete(upload.key)
    await api.native.CreateUpload(upload_pb2.CreateUploadRequest(file_name="a"), metadata=ME)
    named = {event.method: event.object.get("key") for event in api.audit.events}
    assert named["CreateMultipartUpload"] == named["CompleteMultipartUpload"] == upload.key
    assert (named["CreateUpload"] or "").endswith("/a")


async def test_a_new_upload_of_a_tenant_removes_what_never_came(api: Api) -> None:
    never, resting = await api.begun(size=10), await api.begun(size=10)
    kept = await api.begun(size=10)
    for upload in (resting, kept):
        await api.send(upload.key)
    await api.complete(kept.key)
    await api.admin.execute("UPDATE files SET created_at = now() - interval '25 hours'")
    await api.begun(size=10)

    async def is_gone() -> bool:
        return {row["key"] for row in await api.files()}.isdisjoint({never.key})

    await eventually(is_gone)
    left = {row["key"] for row in await api.files()}
    assert kept.key in left
    assert resting.key in left, "its part came a moment ago"
