"""Landing a multipart body and having it imported, over fakes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

import pytest

from runtime.auth import Principal
from runtime.context import noted_variable
from runtime.errors import (
    Internal,
    InvalidArgument,
    NotFound,
    PayloadTooLarge,
    ServiceError,
    Unauthenticated,
    Unavailable,
)
from services.upload.file_imports import FileImports, ImportCommand, LearnCommand, Options, Target
from services.upload.landing import Landings
from services.upload.uploads import Uploads
from tests.fakes.files import FakeFiles
from tests.fakes.objects import FakeObjectStore
from tests.fakes.people import IMPORTER, LIMITED
from tests.unit.upload.forms import CONTENT_TYPE, field_part, file_part, form, pieces

TARGET = Target(1000, 500_000, "nessus")
BODY = form(file_part(b"<data/>"), field_part("tags", "t"))


@dataclass
class FakeImport:
    key: str
    import_id: str = "i"


class FakeRenewal:
    """Counts the pieces of bodies that went by; `error` comes instead of the next."""

    def __init__(self) -> None:
        self.seen = 0
        self.error: ServiceError | None = None

    async def through(self, items: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for item in items:
            if self.error is not None:
                raise self.error
            self.seen += 1
            yield item


class FakeImporter:
    """Creates imports, or refuses to; `first_key` is the key of an earlier import with the same request id."""

    def __init__(self) -> None:
        self.commands: list[ImportCommand] = []
        self.lessons: list[LearnCommand] = []
        self.error: BaseException | None = None
        self.first_key = ""
        self.waited: list[float] = []

    async def create(self, command: ImportCommand) -> FakeImport:
        self.commands.append(command)
        if self.error is not None:
            raise self.error
        return FakeImport(self.first_key or command.key)

    async def learn(self, command: LearnCommand) -> FakeImport:
        self.lessons.append(command)
        if self.error is not None:
            raise self.error
        return FakeImport(self.first_key or command.key)

    async def wait(self, imported: FakeImport, seconds: float) -> FakeImport:
        self.waited.append(seconds)
        return imported


def read_options(fields: Mapping[str, str]) -> Options:
    if fields.get("tags") == "wrong":
        raise InvalidArgument("INVALID_TAGS", "no")
    return Options(asset_tags=tuple(fields.values()))


class Dock:
    """The use case over fakes."""

    def __init__(self, limit: int = 1_000) -> None:
        self.files = FakeFiles()
        self.objects = FakeObjectStore()
        self.importer = FakeImporter()
        uploads = Uploads(self.files, self.objects, max_file_bytes=limit, url_life=timedelta(minutes=15))
        self.renewal = FakeRenewal()
        landings = Landings(uploads, self.files, self.objects)
        self.imports = FileImports(landings, self.importer, self.renewal, wait_seconds=60)

    async def start(
        self,
        chunks: AsyncIterator[bytes],
        *,
        principal: Principal = IMPORTER,
        target: Target = TARGET,
        request_id: str = "",
    ) -> FakeImport:
        return await self.imports.start(
            principal, target, CONTENT_TYPE, chunks, read_options=read_options, request_id=request_id
        )

    @property
    def is_clean(self) -> bool:
        return not self.files.rows and not self.objects.objects


@pytest.fixture
def dock() -> Dock:
    return Dock()


async def test_a_file_lands_under_a_key_of_its_own_and_is_imported(dock: Dock) -> None:
    imported = await dock.start(pieces(BODY, 10))
    (command,) = dock.importer.commands
    assert imported.key == command.key
    assert dock.objects.objects == {f"uploads/{command.key}": b"<data/>"}
    assert list(dock.files.rows) == [(1, command.key)]
    assert command.target == TARGET
    assert (command.file_name, command.options) == ("a.nessus", Options(asset_tags=("t",)))


async def test_every_landing_has_a_request_id_so_that_a_repeated_call_makes_one_import(dock: Dock) -> None:
    await dock.start(pieces(BODY, 10))
    await dock.start(pieces(BODY, 10), request_id="mine")
    first, second = dock.importer.commands
    assert first.request_id == first.key
    assert second.request_id == "mine"


async def test_a_file_to_learn_from_lands_in_the_same_way(dock: Dock) -> None:
    imported = await dock.imports.learn(IMPORTER, "nessus", CONTENT_TYPE, pieces(BODY, 10), request_id="mine")
    (lesson,) = dock.importer.lessons
    assert lesson == LearnCommand("nessus", imported.key, "a.nessus", "mine")
    assert dock.objects.objects == {f"uploads/{lesson.key}": b"<data/>"}
    with pytest.raises(InvalidArgument):
        await dock.imports.learn(IMPORTER, "a/b", CONTENT_TYPE, pieces(BODY, 10))
    assert len(dock.importer.lessons) == 1


async def test_a_repeated_request_drops_its_own_copy_of_the_file(dock: Dock) -> None:
    dock.importer.first_key = "c1/a.nessus"
    assert (await dock.start(pieces(BODY, 10), request_id="mine")).key == "c1/a.nessus"
    assert dock.is_clean


@pytest.mark.parametrize(
    ("disposition", "name"),
    [('name="file"', "file"), ('name="file"; filename="  "', "file"), ('name="file"; filename="é.xml"', "é.xml")],
)
async def test_a_file_needs_no_name(dock: Dock, disposition: str, name: str) -> None:
    await dock.start(pieces(form(file_part(b"x", disposition)), 50))
    assert dock.importer.commands[0].file_name == name


@pytest.mark.parametrize(
    ("principal", "target", "reason"),
    [
        (IMPORTER, Target(1000, 500_000, ""), "UNKNOWN_SOURCE"),
        (IMPORTER, Target(1000, 500_000, "a/b"), "UNKNOWN_SOURCE"),
        (LIMITED, TARGET, "CLIENT_NOT_FOUND"),
        (IMPORTER, Target(1000, 0, "nessus"), "REPORT_NOT_FOUND"),
    ],
)
async def test_what_is_wrong_without_the_body_is_refused_before_it_is_read(
    dock: Dock, principal: Principal, target: Target, reason: str
) -> None:
    was_read = False

    async def body() -> AsyncIterator[bytes]:
        nonlocal was_read
        was_read = True
        yield BODY

    with pytest.raises(ServiceError) as refusal:
        await dock.start(body(), principal=principal, target=target)
    assert refusal.value.reason == reason
    assert not was_read


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (form(field_part("tags", "t")), InvalidArgument),
        (BODY[:-6], InvalidArgument),
        (form(file_part(b"x" * 1_001)), PayloadTooLarge),
        (form(file_part(b"x"), field_part("tags", "wrong")), InvalidArgument),
    ],
)
async def test_a_bad_body_leaves_nothing_behind(dock: Dock, body: bytes, kind: type[ServiceError]) -> None:
    with pytest.raises(kind):
        await dock.start(pieces(body, 64))
    assert dock.is_clean
    assert not dock.importer.commands


async def test_a_refused_import_leaves_nothing_behind(dock: Dock) -> None:
    dock.importer.error = NotFound("REPORT_NOT_FOUND", "no")
    with pytest.raises(NotFound):
        await dock.start(pieces(BODY, 64))
    assert dock.is_clean


@pytest.mark.parametrize(
    "error", [Unavailable("IMPORTER_UNAVAILABLE", "no"), Internal("INTERNAL", "no"), asyncio.CancelledError()]
)
async def test_a_file_stays_when_its_import_may_have_been_queued(dock: Dock, error: BaseException) -> None:
    dock.importer.error = error
    with pytest.raises(type(error)):
        await dock.start(pieces(BODY, 64))
    assert len(dock.files.rows) == len(dock.objects.objects) == 1


async def test_nothing_is_left_when_the_client_goes_away(dock: Dock) -> None:
    reached = asyncio.Event()

    async def half() -> AsyncIterator[bytes]:
        yield BODY[:-6]
        reached.set()
        await asyncio.Event().wait()

    call = asyncio.create_task(dock.start(half()))
    await reached.wait()
    assert dock.files.rows
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert dock.is_clean


async def test_what_cannot_be_removed_does_not_hide_why(dock: Dock) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield BODY[:-6]
        dock.objects.is_down = True

    with pytest.raises(InvalidArgument):
        await dock.start(body())


async def test_the_credential_is_looked_after_while_the_body_arrives(dock: Dock) -> None:
    await dock.start(pieces(BODY, 10))
    assert dock.renewal.seen == len(list(range(0, len(BODY), 10)))


async def test_a_body_whose_sender_is_disabled_meanwhile_leaves_nothing_behind(dock: Dock) -> None:
    async def body() -> AsyncIterator[bytes]:
        async for piece in pieces(BODY, 150):
            yield piece
            dock.renewal.error = Unauthenticated("INVALID_CREDENTIAL", "no")

    with pytest.raises(Unauthenticated):
        await dock.start(body())
    assert dock.renewal.seen == 1
    assert dock.is_clean
    assert not dock.importer.commands


async def test_the_audit_log_is_told_what_was_made(dock: Dock) -> None:
    noted: dict[str, str] = {}
    token = noted_variable.set(noted)
    await dock.start(pieces(BODY, 64))
    noted_variable.reset(token)
    assert noted == {"key": dock.importer.commands[0].key, "import_id": "i"}


async def test_the_wait_is_the_setting(dock: Dock) -> None:
    await dock.imports.wait(FakeImport("k"))
    assert dock.importer.waited == [60]
