from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runtime.errors import FailedPrecondition, InvalidArgument, NotFound, PayloadTooLarge, ServiceError, Unavailable
from runtime.objects import ObjectMissing
from services.upload.leftovers import AT_A_TIME, Leftovers
from services.upload.model import File
from services.upload.part_uploads import PartUploads
from services.upload.plan import GIB, LARGEST_PART_BYTES, LEAST_PART_BYTES, MIB, USUAL_PART_BYTES
from services.upload.uploads import Uploads
from tests.fakes.files import FakeFiles
from tests.fakes.objects import FakeObjectStore
from tests.fakes.people import IMPORTER, STRANGER

LIFE = timedelta(hours=24)
URL_LIFE = timedelta(minutes=15)
SIZE = 2 * LEAST_PART_BYTES + 3


class Wharf:
    """The use cases over fakes."""

    def __init__(self, limit: int = 100 * GIB) -> None:
        self.files = FakeFiles()
        self.objects = FakeObjectStore()
        self.uploads = Uploads(self.files, self.objects, max_file_bytes=limit, url_life=URL_LIFE)
        self.parts = PartUploads(self.uploads, self.files, self.objects, url_life=URL_LIFE, life=LIFE)
        self.leftovers = Leftovers(self.files, self.objects, age=LIFE)

    async def begun(self, size: int = SIZE, part_size: int = LEAST_PART_BYTES) -> File:
        return (await self.parts.create(IMPORTER, "a.nessus", size, part_size=part_size)).file

    def arrive(self, file: File, *numbers: int, spoil: int = 0) -> None:
        plan = file.plan
        assert plan is not None
        for number in numbers or range(1, plan.count + 1):
            self.objects.put_part(file.multipart_id or "", number, b"%d" % number * (plan.size_of(number) + spoil))

    async def missing(self, file: File) -> list[int]:
        parts, _ = await self.parts.parts(IMPORTER, file.key)
        return [part.number for part in parts if not part.is_uploaded]


@pytest.fixture
def wharf() -> Wharf:
    return Wharf()


async def reason_of(call: Any) -> str:
    with pytest.raises(ServiceError) as refusal:
        await call
    return refusal.value.reason


async def test_an_upload_is_begun_in_store_and_table(wharf: Wharf) -> None:
    digest = "AB" * 32
    upload = await wharf.parts.create(IMPORTER, " a b.nessus ", SIZE, digest)
    (new,) = wharf.files.added
    assert (new.file_name, new.declared_size, new.sha256) == ("a b.nessus", SIZE, bytes.fromhex(digest))
    assert (new.part_size, new.life, new.user_id) == (USUAL_PART_BYTES, LIFE, IMPORTER.user_id)
    assert wharf.objects.uploads[new.multipart_id or ""].object_key == f"uploads/{upload.file.key}"
    assert upload.size_bytes is None


@pytest.mark.parametrize(
    ("size", "part_size", "reason"),
    [
        (0, 0, "INVALID_SIZE"),
        (-1, 0, "INVALID_SIZE"),
        (SIZE, LEAST_PART_BYTES - 1, "INVALID_PART_SIZE"),
        (SIZE, LARGEST_PART_BYTES + 1, "INVALID_PART_SIZE"),
        (SIZE, -1, "INVALID_PART_SIZE"),
        (10_000 * LEAST_PART_BYTES + 1, LEAST_PART_BYTES, "INVALID_PART_SIZE"),
    ],
)
async def test_a_file_that_cannot_be_cut_so_reserves_nothing(
    wharf: Wharf, size: int, part_size: int, reason: str
) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        await wharf.parts.create(IMPORTER, "a", size, part_size=part_size)
    assert refusal.value.reason == reason
    assert not wharf.files.rows
    assert not wharf.objects.uploads


async def test_the_most_parts_that_there_may_be(wharf: Wharf) -> None:
    file = await wharf.begun(10_000 * LEAST_PART_BYTES)
    assert file.plan is not None
    assert file.plan.count == 10_000


@pytest.mark.parametrize("sha256", ["x", "a" * 63, "g" * 64, "a" * 65, " "])
async def test_a_checksum_must_be_one(wharf: Wharf, sha256: str) -> None:
    assert await reason_of(wharf.parts.create(IMPORTER, "a", SIZE, sha256)) == "INVALID_SHA256"
    assert await reason_of(wharf.uploads.create(IMPORTER, "a", SIZE, sha256)) == "INVALID_SHA256"


@pytest.mark.parametrize(("limit", "own"), [(SIZE - 1, None), (SIZE, SIZE - 1)])
async def test_the_tenants_limit_is_held_before_anything_is_sent(limit: int, own: int | None) -> None:
    wharf = Wharf(limit)
    wharf.files.limit = own
    with pytest.raises(PayloadTooLarge):
        await wharf.begun()
    assert not wharf.objects.uploads
    wharf.files.limit = SIZE
    await wharf.begun()


async def test_a_single_put_takes_five_gibibytes_at_most(wharf: Wharf) -> None:
    await wharf.uploads.create(IMPORTER, "a", 5 * GIB)
    with pytest.raises(InvalidArgument) as refusal:
        await wharf.uploads.create(IMPORTER, "a", 5 * GIB + 1)
    assert refusal.value.reason == "USE_MULTIPART"
    await wharf.parts.create(IMPORTER, "a", 5 * GIB + 1)


async def test_a_begun_upload_whose_row_is_refused_leaves_nothing_in_the_store(
    wharf: Wharf, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any) -> File:
        raise Unavailable("DATABASE_UNAVAILABLE", "no")

    monkeypatch.setattr(wharf.files, "add", refuse)
    with pytest.raises(Unavailable):
        await wharf.begun()
    assert not wharf.objects.uploads


async def test_missing_parts_are_listed_with_urls_and_those_there_without(wharf: Wharf) -> None:
    file = await wharf.begun()
    wharf.arrive(file, 2)
    parts, following = await wharf.parts.parts(IMPORTER, file.key)
    assert [(part.number, part.offset, part.size_bytes, part.is_uploaded) for part in parts] == [
        (1, 0, LEAST_PART_BYTES, False),
        (2, LEAST_PART_BYTES, LEAST_PART_BYTES, True),
        (3, 2 * LEAST_PART_BYTES, 3, False),
    ]
    assert following == 0
    assert "partNumber=3" in (parts[2].url or "")
    assert f"fake{3}" in (parts[2].url or ""), "signed for its size"
    left = (parts[0].expires_at or datetime.min.replace(tzinfo=UTC)) - datetime.now(UTC)
    assert timedelta(minutes=14) < left <= URL_LIFE
    assert (parts[1].url, parts[1].expires_at) == (None, None)


async def test_parts_are_listed_by_pages(wharf: Wharf) -> None:
    file = await wharf.begun(250 * LEAST_PART_BYTES)
    pages = []
    first = 0
    while True:
        parts, first = await wharf.parts.parts(IMPORTER, file.key, first)
        pages.append([part.number for part in parts])
        if not first:
            break
    assert [len(page) for page in pages] == [100, 100, 50]
    assert [number for page in pages for number in page] == list(range(1, 251))
    parts, following = await wharf.parts.parts(IMPORTER, file.key, 249, 1)
    assert ([part.number for part in parts], following) == ([249], 250)
    assert await wharf.parts.parts(IMPORTER, file.key, 251) == ([], 0)


@pytest.mark.parametrize(
    ("first", "page_size", "reason"),
    [(-1, 0, "INVALID_PART_NUMBER"), (0, -1, "INVALID_PAGE_SIZE"), (0, 1_001, "INVALID_PAGE_SIZE")],
)
async def test_a_page_that_cannot_be_is_refused(wharf: Wharf, first: int, page_size: int, reason: str) -> None:
    file = await wharf.begun()
    assert await reason_of(wharf.parts.parts(IMPORTER, file.key, first, page_size)) == reason


async def test_a_part_of_another_size_counts_as_missing(wharf: Wharf) -> None:
    file = await wharf.begun()
    wharf.arrive(file)
    wharf.arrive(file, 2, spoil=1)
    assert await wharf.missing(file) == [2]
    with pytest.raises(FailedPrecondition) as refusal:
        await wharf.parts.complete(IMPORTER, file.key)
    assert (refusal.value.reason, refusal.value.metadata) == ("PARTS_MISSING", {"part": "2", "missing": "1"})
    wharf.arrive(file, 2)
    assert (await wharf.parts.complete(IMPORTER, file.key)).size_bytes == SIZE


async def test_completing_names_the_first_part_that_is_missing(wharf: Wharf) -> None:
    file = await wharf.begun()
    wharf.arrive(file, 1)
    with pytest.raises(FailedPrecondition) as refusal:
        await wharf.parts.complete(IMPORTER, file.key)
    assert refusal.value.metadata == {"part": "2", "missing": "2"}


async def test_a_complete_upload_is_the_file_and_completing_may_be_repeated(wharf: Wharf) -> None:
    file = await wharf.begun()
    wharf.arrive(file)
    first = await wharf.parts.complete(IMPORTER, file.key)
    data = wharf.objects.objects[f"uploads/{file.key}"]
    assert len(data) == SIZE
    assert data[:1] + data[-1:] == b"13"
    again = await wharf.parts.complete(IMPORTER, file.key)
    assert first.size_bytes == again.size_bytes == SIZE
    assert await wharf.missing(file) == []
    assert again.file.completed_at is not None


async def test_two_completions_at_once_are_one(wharf: Wharf) -> None:
    file = await wharf.begun()
    wharf.arrive(file)
    both = await asyncio.gather(*(wharf.parts.complete(IMPORTER, file.key) for _ in range(5)))
    assert {upload.size_bytes for upload in both} == {SIZE}


async def test_a_completion_that_nobody_heard_of_is_found_again(wharf: Wharf) -> None:
    file = await wharf.begun()
    wharf.arrive(file)
    stored = await wharf.objects.stored_parts(f"uploads/{file.key}", file.multipart_id or "", 1, 9)
    await wharf.objects.complete_parts(f"uploads/{file.key}", file.multipart_id or "", stored)
    assert await wharf.missing(file) == []
    assert (await wharf.parts.complete(IMPORTER, file.key)).size_bytes == SIZE
    assert wharf.files.rows[1, file.key].completed_at is not None


async def test_a_caller_that_goes_does_not_end_a_completion_half_way(
    wharf: Wharf, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await wharf.begun()
    wharf.arrive(file)
    reached, may_go_on = asyncio.Event(), asyncio.Event()
    original = wharf.objects.complete_parts

    async def slow(*arguments: Any) -> None:
        reached.set()
        await may_go_on.wait()
        await original(*arguments)

    monkeypatch.setattr(wharf.objects, "complete_parts", slow)
    call = asyncio.create_task(wharf.parts.complete(IMPORTER, file.key))
    await reached.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    again = asyncio.create_task(wharf.parts.complete(IMPORTER, file.key))
    may_go_on.set()
    assert (await again).size_bytes == SIZE


async def test_what_was_completed_and_removed_since_is_told_as_not_there(wharf: Wharf) -> None:
    file = await wharf.begun()
    wharf.arrive(file)
    await wharf.parts.complete(IMPORTER, file.key)
    await wharf.objects.delete(f"uploads/{file.key}")
    assert (await wharf.parts.complete(IMPORTER, file.key)).size_bytes is None


async def test_aborting_removes_the_parts_and_may_be_repeated(wharf: Wharf) -> None:
    file = await wharf.begun()
    wharf.arrive(file)
    await wharf.parts.abort(IMPORTER, file.key)
    await wharf.parts.abort(IMPORTER, file.key)
    assert not wharf.objects.uploads
    assert await reason_of(wharf.parts.complete(IMPORTER, file.key)) == "UPLOAD_ABORTED"
    assert await reason_of(wharf.parts.parts(IMPORTER, file.key)) == "UPLOAD_ABORTED"
    with pytest.raises(ObjectMissing):
        await wharf.objects.head(f"uploads/{file.key}")


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_complete_upload_cannot_be_aborted(wharf: Wharf, is_known: bool) -> None:
    file = await wharf.begun()
    wharf.arrive(file)
    if is_known:
        await wharf.parts.complete(IMPORTER, file.key)
    else:
        stored = await wharf.objects.stored_parts(f"uploads/{file.key}", file.multipart_id or "", 1, 9)
        await wharf.objects.complete_parts(f"uploads/{file.key}", file.multipart_id or "", stored)
    assert await reason_of(wharf.parts.abort(IMPORTER, file.key)) == "UPLOAD_COMPLETED"
    assert (await wharf.parts.complete(IMPORTER, file.key)).size_bytes == SIZE


async def test_an_upload_of_one_put_has_no_parts(wharf: Wharf) -> None:
    upload, _ = await wharf.uploads.create(IMPORTER, "a", SIZE)
    for method in (wharf.parts.parts, wharf.parts.complete, wharf.parts.abort):
        assert await reason_of(method(IMPORTER, upload.file.key)) == "NOT_IN_PARTS"


async def test_another_tenant_knows_nothing_of_it(wharf: Wharf) -> None:
    file = await wharf.begun()
    for method in (wharf.parts.parts, wharf.parts.complete, wharf.parts.abort):
        with pytest.raises(NotFound):
            await method(STRANGER, file.key)
        with pytest.raises(NotFound):
            await method(IMPORTER, "c1/none")
    assert wharf.objects.uploads


async def test_a_store_that_is_down_changes_nothing(wharf: Wharf) -> None:
    file = await wharf.begun()
    wharf.arrive(file)
    wharf.objects.is_down = True
    for method in (wharf.parts.parts, wharf.parts.complete, wharf.parts.abort):
        assert await reason_of(method(IMPORTER, file.key)) == "STORAGE_UNAVAILABLE"
    assert await reason_of(wharf.begun()) == "STORAGE_UNAVAILABLE"
    wharf.objects.is_down = False
    assert (await wharf.parts.complete(IMPORTER, file.key)).size_bytes == SIZE


def aged(wharf: Wharf, file: File, hours: float = 25) -> None:
    at = 1, file.key
    wharf.files.rows[at] = replace(wharf.files.rows[at], created_at=datetime.now(UTC) - timedelta(hours=hours))


async def test_old_rows_without_a_file_go_and_others_stay(wharf: Wharf) -> None:
    never_came, _ = await wharf.uploads.create(IMPORTER, "never")
    came, _ = await wharf.uploads.create(IMPORTER, "came")
    await wharf.objects.put(f"uploads/{came.file.key}", b"x", "text/plain")
    young, _ = await wharf.uploads.create(IMPORTER, "young")
    for upload in (never_came, came):
        aged(wharf, upload.file)
    assert await wharf.leftovers.tidy(1) == 1
    assert {key for _, key in wharf.files.rows} == {came.file.key, young.file.key}
    assert await wharf.leftovers.tidy(2) == 0


async def test_an_upload_in_parts_goes_when_none_has_come_for_a_day(wharf: Wharf) -> None:
    resting, going_on, empty, complete = [await wharf.begun() for _ in range(4)]
    wharf.objects.now = datetime.now(UTC) - timedelta(hours=25)
    wharf.arrive(resting, 1, 2)
    wharf.arrive(going_on, 1)
    wharf.objects.now = datetime.now(UTC) - timedelta(hours=1)
    wharf.arrive(going_on, 2)
    wharf.objects.now = None
    wharf.arrive(complete)
    await wharf.parts.complete(IMPORTER, complete.key)
    for file in (resting, going_on, empty, complete):
        aged(wharf, file, 48)
    assert await wharf.leftovers.tidy(1) == 2
    assert {key for _, key in wharf.files.rows} == {going_on.key, complete.key}
    assert list(wharf.objects.uploads) == [going_on.multipart_id]


async def test_a_visit_looks_at_a_few_and_the_next_goes_on_behind_them(wharf: Wharf) -> None:
    for number in range(2 * AT_A_TIME):
        upload, _ = await wharf.uploads.create(IMPORTER, f"{number}")
        aged(wharf, upload.file, 100 - number)
        if number < AT_A_TIME:
            await wharf.objects.put(f"uploads/{upload.file.key}", b"x", "text/plain")
    assert await wharf.leftovers.tidy(1) == 0
    assert await wharf.leftovers.tidy(1) == AT_A_TIME
    assert await wharf.leftovers.tidy(1) == 0
    await wharf.objects.delete(f"uploads/{min(wharf.files.rows.values(), key=lambda file: file.created_at).key}")
    # Round again: the ones that stayed are looked at anew.
    assert await wharf.leftovers.tidy(1) == 1


async def test_a_visit_that_fails_says_so_and_the_next_one_works(wharf: Wharf) -> None:
    upload, _ = await wharf.uploads.create(IMPORTER, "never")
    aged(wharf, upload.file)
    wharf.objects.is_down = True
    wharf.leftovers.visit(1)
    wharf.leftovers.visit(1)
    while wharf.leftovers._running:  # noqa: ASYNC110 - the task tells nobody
        await asyncio.sleep(0)
    assert wharf.files.rows
    wharf.objects.is_down = False
    wharf.leftovers.visit(1)
    while wharf.leftovers._running:  # noqa: ASYNC110 - the task tells nobody
        await asyncio.sleep(0)
    assert not wharf.files.rows
    wharf.leftovers.visit(1)
    await wharf.leftovers.close()


async def test_each_upload_sets_off_a_visit(wharf: Wharf) -> None:
    visited: list[int] = []
    uploads = Uploads(
        wharf.files, wharf.objects, max_file_bytes=MIB * 100, url_life=URL_LIFE, on_created=visited.append
    )
    parts = PartUploads(uploads, wharf.files, wharf.objects, url_life=URL_LIFE, life=LIFE, on_created=visited.append)
    await uploads.create(IMPORTER, "a")
    await parts.create(STRANGER, "a", SIZE)
    assert visited == [IMPORTER.tenant_id, STRANGER.tenant_id]
