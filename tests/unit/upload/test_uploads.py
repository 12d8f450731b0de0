from __future__ import annotations

from datetime import timedelta

import pytest

from runtime.errors import InvalidArgument, NotFound, PayloadTooLarge, Unavailable
from services.upload.uploads import Uploads
from tests.fakes.files import FakeFiles
from tests.fakes.objects import FakeObjectStore
from tests.fakes.people import IMPORTER, STRANGER

LIFE = timedelta(minutes=15)


@pytest.fixture
def files() -> FakeFiles:
    return FakeFiles()


@pytest.fixture
def objects() -> FakeObjectStore:
    return FakeObjectStore()


@pytest.fixture
def uploads(files: FakeFiles, objects: FakeObjectStore) -> Uploads:
    return Uploads(files, objects, max_file_bytes=1_000, url_life=LIFE)


async def test_a_key_is_reserved_for_the_tenant_and_the_original_name_kept(files: FakeFiles, uploads: Uploads) -> None:
    upload, url = await uploads.create(IMPORTER, " a b.nessus ", 1_000)
    assert upload.file.key.endswith("/a_b.nessus")
    assert url == f"http://gateway/cloud/uploads/{upload.file.key}?X-Amz-Expires=900&X-Amz-Signature=fake"
    assert upload.size_bytes is None
    (new,) = files.added
    assert (new.file_name, new.declared_size, new.user_id, new.life) == ("a b.nessus", 1_000, IMPORTER.user_id, LIFE)
    assert list(files.rows) == [(1, upload.file.key)]


async def test_two_uploads_of_one_name_have_two_keys(uploads: Uploads) -> None:
    first, _ = await uploads.create(IMPORTER, "a")
    second, _ = await uploads.create(IMPORTER, "a")
    assert first.file.key != second.file.key


@pytest.mark.parametrize(("limit", "size", "is_refused"), [(None, 1_001, True), (2_000, 1_001, False), (10, 11, True)])
async def test_a_declared_size_is_held_against_the_limit(
    files: FakeFiles, uploads: Uploads, limit: int | None, size: int, is_refused: bool
) -> None:
    files.limit = limit
    if not is_refused:
        await uploads.create(IMPORTER, "a", size)
        return
    with pytest.raises(PayloadTooLarge) as refusal:
        await uploads.create(IMPORTER, "a", size)
    assert refusal.value.reason == "FILE_TOO_LARGE"
    assert not files.rows


@pytest.mark.parametrize(("file_name", "size"), [("", 0), ("x" * 256, 0), ("a", -1)])
async def test_a_wrong_request_reserves_nothing(files: FakeFiles, uploads: Uploads, file_name: str, size: int) -> None:
    with pytest.raises(InvalidArgument):
        await uploads.create(IMPORTER, file_name, size)
    assert not files.rows


async def test_an_upload_tells_whether_its_object_is_there(objects: FakeObjectStore, uploads: Uploads) -> None:
    created, _ = await uploads.create(IMPORTER, "a")
    assert (await uploads.get(IMPORTER, created.file.key)).size_bytes is None
    await objects.put(f"uploads/{created.file.key}", b"", "application/octet-stream")
    assert (await uploads.get(IMPORTER, created.file.key)).size_bytes == 0


@pytest.mark.parametrize("key", ["", "a\0b", "k" * 2_000, "c1/unknown"])
async def test_an_unknown_key_is_not_found(uploads: Uploads, key: str) -> None:
    with pytest.raises(NotFound) as refusal:
        await uploads.get(IMPORTER, key)
    assert refusal.value.reason == "UNKNOWN_KEY"


async def test_another_tenants_key_is_not_found(uploads: Uploads) -> None:
    created, _ = await uploads.create(IMPORTER, "a")
    with pytest.raises(NotFound):
        await uploads.get(STRANGER, created.file.key)


async def test_a_store_that_does_not_answer_is_said(objects: FakeObjectStore, uploads: Uploads) -> None:
    created, _ = await uploads.create(IMPORTER, "a")
    objects.is_down = True
    with pytest.raises(Unavailable):
        await uploads.get(IMPORTER, created.file.key)
