"""Files of records: reserving them, and importing records that come with the request, over fakes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from dialects.appfile.bodies import Batch
from dialects.appfile.choices import Choices
from runtime.errors import (
    FailedPrecondition,
    InvalidArgument,
    PayloadTooLarge,
    PermissionDenied,
    ServiceError,
    Unavailable,
)
from services.upload.batches import BatchCommand, Batches, BatchOptions, read_whole
from services.upload.dialects.appfile import batch_name
from services.upload.landing import Landings
from services.upload.model import Description, RecordFile
from services.upload.names import checked_file_name
from services.upload.record_files import RecordFiles, Slot
from services.upload.uploads import Uploads
from tests.fakes.files import FakeFiles
from tests.fakes.objects import FakeObjectStore
from tests.fakes.people import IMPORTER, LIMITED
from tests.fakes.workspaces import HOME

DESCRIPTION = Description("", "wks_family", "in", "daily", ("a", "b"), {"k": {"n": 1}}, "why")
BODY = b'{"ImportData": {"data": [{}]}}'


@dataclass
class FakeImport:
    key: str
    import_id: str = "i"


class FakeImporter:
    """Starts imports, or refuses to; `first_key` is the key of an earlier one with the same request id."""

    def __init__(self, files: FakeFiles) -> None:
        self._files = files
        self.commands: list[BatchCommand] = []
        self.error: ServiceError | None = None
        self.first_key = ""

    async def start_records(self, command: BatchCommand) -> FakeImport:
        self.commands.append(command)
        if self.error is not None:
            raise self.error
        (key,) = (key for _, key in self._files.rows if key.startswith(command.file_id))
        return FakeImport(self.first_key or key)


class Dock:
    """The use cases over fakes."""

    def __init__(self, limit: int = 1_000) -> None:
        self.files = FakeFiles()
        self.objects = FakeObjectStore()
        self.importer = FakeImporter(self.files)
        uploads = Uploads(self.files, self.objects, max_file_bytes=limit, url_life=timedelta(minutes=15))
        self.record_files = RecordFiles(uploads, Landings(uploads, self.files, self.objects))
        self.batches = Batches(self.record_files, self.importer)

    async def create(self, description: Description = DESCRIPTION, file_name: str = "a b.cc5txt") -> Slot:
        return await self.record_files.create(IMPORTER, HOME, file_name, description)

    async def start(self, request_id: str = "", content: bytes = BODY) -> RecordFile:
        return await self.batches.start(
            IMPORTER,
            HOME,
            "batch.json",
            DESCRIPTION,
            content,
            file_type="json",
            options=BatchOptions(dry_run=True),
            request_id=request_id,
        )


async def test_a_file_is_reserved_with_what_is_said_of_it() -> None:
    dock = Dock()
    slot = await dock.create()
    (new,) = dock.files.added
    assert new.record_file == slot.file
    assert (slot.file.key, slot.file.file_id) == (new.key, new.key.partition("/")[0])
    assert (slot.file.workspace_id, slot.file.workspace, slot.file.bucket_id) == (
        HOME.workspace_id,
        HOME.name,
        HOME.bucket_id,
    )
    assert replace(slot.file.description, action_id="") == DESCRIPTION
    assert slot.url.startswith(f"http://gateway/cloud/uploads/{slot.file.key}?X-Amz-Expires=900")


async def test_an_action_that_is_not_named_gets_a_name_of_its_own() -> None:
    dock = Dock()
    first, second = await dock.create(), await dock.create()
    named = await dock.create(replace(DESCRIPTION, action_id=" mine "))
    assert len({first.file.description.action_id, second.file.description.action_id, ""}) == 3
    assert named.file.description.action_id == "mine"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"tags": ("t",) * 101}, "INVALID_TAGS"),
        ({"tags": ("t" * 256,)}, "FIELD_TOO_LONG"),
        ({"metadata": {"k": "v" * 16_384}}, "INVALID_METADATA"),
        ({"metadata": {"k": "\0"}}, "INVALID_METADATA"),
        ({"folder": "f" * 256}, "FIELD_TOO_LONG"),
        ({"description": "d" * 4_001}, "FIELD_TOO_LONG"),
        ({"entity_type": "a\0"}, "FIELD_NOT_TEXT"),
    ],
)
async def test_what_cannot_be_kept_reserves_nothing(wrong: dict[str, object], reason: str) -> None:
    dock = Dock()
    with pytest.raises(InvalidArgument) as refusal:
        await dock.create(replace(DESCRIPTION, **wrong))  # type: ignore[arg-type] # one member each
    assert (refusal.value.reason, dock.files.rows) == (reason, {})


@pytest.mark.parametrize("file_name", [" ", "x" * 256, "a\0b"])
async def test_a_file_has_a_name(file_name: str) -> None:
    """A wrong one is told by the name of its member."""
    dock = Dock()
    with pytest.raises(InvalidArgument, match=r"^FileName ") as refusal:
        await dock.create(file_name=file_name)
    assert (refusal.value.metadata["field"], dock.files.rows) == ("FileName", {})


@pytest.mark.parametrize(
    ("reference", "name"),
    [("ref-1", "ref-1.json"), (" ", "batch.json"), ("\0", "batch.json"), ("r" * 600, "r" * 100 + ".json")],
)
def test_records_are_a_file_named_after_their_reference(reference: str, name: str) -> None:
    assert batch_name(Batch("", "", "", reference, "", "", Choices())) == name
    assert checked_file_name(name) == name


async def test_who_may_see_certain_clients_only_has_no_part_in_workspaces() -> None:
    dock = Dock()
    with pytest.raises(PermissionDenied):
        await dock.record_files.create(LIMITED, HOME, "a", DESCRIPTION)
    with pytest.raises(PermissionDenied):
        async with dock.record_files.land(LIMITED, HOME, "a", DESCRIPTION, b""):
            pytest.fail("It landed.")
    assert dock.files.rows == {}


async def test_records_are_stored_as_they_came_and_their_import_started() -> None:
    dock = Dock()
    file = await dock.start()
    assert dock.objects.objects[f"uploads/{file.key}"] == BODY
    assert dock.files.added[0].record_file == file
    assert dock.importer.commands == [BatchCommand(file.file_id, "json", file.file_id, BatchOptions(dry_run=True))]


async def test_a_repeated_request_answers_the_first_file_and_leaves_no_other() -> None:
    dock = Dock()
    dock.importer.first_key = "c0/batch.json"
    file = await dock.start(request_id="mine")
    assert (file.key, file.file_id) == ("c0/batch.json", "c0")
    assert dock.importer.commands[0].request_id == "mine"
    assert (dock.files.rows, dock.objects.objects) == ({}, {})


async def test_nothing_is_left_of_records_that_are_refused() -> None:
    dock = Dock()
    dock.importer.error = FailedPrecondition("IMPORT_ALREADY_RUNNING", "No.")
    with pytest.raises(FailedPrecondition):
        await dock.start()
    assert (dock.files.rows, dock.objects.objects) == ({}, {})


async def test_records_whose_import_may_have_been_queued_stay() -> None:
    dock = Dock()
    dock.importer.error = Unavailable("IMPORTER_UNAVAILABLE", "No.")
    with pytest.raises(Unavailable):
        await dock.start()
    assert len(dock.files.rows) == len(dock.objects.objects) == 1


async def test_records_are_held_against_the_tenants_limit() -> None:
    dock = Dock(limit=10)
    with pytest.raises(PayloadTooLarge):
        await dock.start()
    assert (dock.files.rows, dock.importer.commands) == ({}, [])


async def chunks(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_a_body_is_read_up_to_a_limit() -> None:
    assert await read_whole(chunks(b"ab", b"", b"c"), most=3) == b"abc"
    with pytest.raises(PayloadTooLarge) as refusal:
        await read_whole(chunks(b"ab", b"cd"), most=3)
    assert refusal.value.reason == "FILE_TOO_LARGE"
