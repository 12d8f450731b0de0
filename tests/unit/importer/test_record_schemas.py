from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import pytest

from runtime.auth import Principal
from runtime.context import noted_variable
from runtime.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from services.importer.record_schemas import RecordSchemas, StoredSchema, checked
from services.importer.targets.records.published import PUBLISHED
from services.importer.targets.records.schemas import Presence, RecordSchema, SchemaColumn
from tests.fakes.people import ADMIN, IMPORTER, LIMITED, STRANGER

NOW = datetime(2026, 1, 2, tzinfo=UTC)
OURS = RecordSchema("wks_bus", "cc-bus", (SchemaColumn("id", presence=Presence.VALUE), SchemaColumn("colour")))


@dataclass(frozen=True)
class FakeWorkspace:
    workspace_id: UUID


class FakeWorkspaces:
    """Each tenant has one, called home."""

    async def find(self, principal: Principal, workspace: str = "", bucket_id: str = "") -> FakeWorkspace:
        if workspace not in {"", "home"}:
            raise NotFound("WORKSPACE_NOT_FOUND", "There is no such workspace.")
        return FakeWorkspace(UUID(int=principal.tenant_id))


@dataclass
class FakeStore:
    rows: dict[tuple[int, UUID, tuple[str, str]], StoredSchema] = field(default_factory=dict)

    async def all(self, tenant_id: int, workspace_id: UUID) -> list[StoredSchema]:
        return [row for key, row in self.rows.items() if key[:2] == (tenant_id, workspace_id)]

    async def put(
        self, tenant_id: int, workspace_id: UUID, schema: RecordSchema, *, user_id: int, most: int
    ) -> StoredSchema | None:
        at = (tenant_id, workspace_id, schema.pair)
        if at not in self.rows and len(await self.all(tenant_id, workspace_id)) >= most:
            return None
        self.rows[at] = StoredSchema(schema, NOW, NOW)
        return self.rows[at]

    async def remove(self, tenant_id: int, workspace_id: UUID, entity_type: str, data_source: str) -> bool:
        return self.rows.pop((tenant_id, workspace_id, (entity_type, data_source)), None) is not None


@pytest.fixture
def schemas() -> RecordSchemas:
    noted_variable.set({})
    return RecordSchemas(FakeStore(), FakeWorkspaces())


def with_columns(*columns: SchemaColumn) -> RecordSchema:
    return RecordSchema("wks_bus", "cc-bus", columns)


async def test_a_workspace_begins_with_what_is_published(schemas: RecordSchemas) -> None:
    page, token = await schemas.page(IMPORTER, "")
    assert [each.schema.pair for each in page] == sorted(each.pair for each in PUBLISHED)
    assert all(each.is_published for each in page)
    assert token == ""


async def test_pages_join_without_a_gap(schemas: RecordSchemas) -> None:
    await schemas.put(ADMIN, "", OURS)
    found, token = await schemas.page(IMPORTER, "home", page_size=4)
    while token:
        page, token = await schemas.page(IMPORTER, "home", page_size=4, page_token=token)
        assert len(page) in {3, 4}
        found += page
    assert [each.schema.pair for each in found] == sorted([OURS.pair, *(each.pair for each in PUBLISHED)])


async def test_a_workspaces_own_replaces_the_published_one_and_that_holds_again_without_it(
    schemas: RecordSchemas,
) -> None:
    own = RecordSchema("wks_family", "cc-family", (SchemaColumn("id"),))
    assert (await schemas.put(ADMIN, "", own)).schema == own
    found = await schemas.get(IMPORTER, "", "wks_family", "cc-family")
    assert (found.schema, found.is_published) == (own, False)
    await schemas.delete(ADMIN, "", "wks_family", "cc-family")
    assert (await schemas.get(IMPORTER, "", "wks_family", "cc-family")).is_published


async def test_a_published_one_is_not_deleted(schemas: RecordSchemas) -> None:
    with pytest.raises(NotFound) as raised:
        await schemas.delete(ADMIN, "", "wks_family", "cc-family")
    assert raised.value.reason == "SCHEMA_NOT_FOUND"


async def test_what_one_tenant_puts_is_not_there_for_another(schemas: RecordSchemas) -> None:
    await schemas.put(ADMIN, "", OURS)
    with pytest.raises(NotFound):
        await schemas.get(STRANGER, "", *OURS.pair)
    with pytest.raises(NotFound):
        await schemas.delete(STRANGER, "", *OURS.pair)


async def test_whoever_is_limited_to_clients_may_only_read(schemas: RecordSchemas) -> None:
    assert (await schemas.get(LIMITED, "", "wks_note", "cc-note")).is_published
    with pytest.raises(PermissionDenied):
        await schemas.put(LIMITED, "", OURS)
    with pytest.raises(PermissionDenied):
        await schemas.delete(LIMITED, "", *OURS.pair)


async def test_a_workspace_has_so_many_at_most_and_those_may_still_be_replaced(schemas: RecordSchemas) -> None:
    for number in range(100):
        await schemas.put(ADMIN, "", RecordSchema("wks_bus", f"cc-{number}", OURS.columns))
    with pytest.raises(FailedPrecondition) as raised:
        await schemas.put(ADMIN, "", OURS)
    assert (raised.value.reason, raised.value.metadata["limit"]) == ("TOO_MANY_SCHEMAS", "100")
    changed = RecordSchema("wks_bus", "cc-7", (SchemaColumn("id"),))
    assert (await schemas.put(ADMIN, "", changed)).schema == changed


@pytest.mark.parametrize("page_size", [-1, 51])
async def test_a_page_has_a_size(schemas: RecordSchemas, page_size: int) -> None:
    with pytest.raises(InvalidArgument):
        await schemas.page(IMPORTER, "", page_size=page_size)


async def test_a_page_token_of_another_list_is_refused(schemas: RecordSchemas) -> None:
    with pytest.raises(InvalidArgument):
        await schemas.page(IMPORTER, "", page_token="c0123")


def test_values_are_kept_once_whatever_their_case_and_names_without_white_space() -> None:
    told = RecordSchema(" wks_bus ", "cc-bus", (SchemaColumn(" colour ", values=("Red", "blue", "RED", " green ")),))
    column = SchemaColumn("colour", values=("Red", "blue", "green"))
    assert checked(told) == RecordSchema("wks_bus", "cc-bus", (column,))


@pytest.mark.parametrize(
    "schema",
    [
        with_columns(),
        with_columns(*(SchemaColumn(f"c{number}") for number in range(2_001))),
        with_columns(SchemaColumn("a"), SchemaColumn("a", "int")),
        with_columns(SchemaColumn("_id")),
        with_columns(SchemaColumn("a|b")),
        with_columns(SchemaColumn("a:b")),
        with_columns(SchemaColumn("a.b")),
        with_columns(SchemaColumn("$a")),
        with_columns(SchemaColumn("a\nb")),
        with_columns(SchemaColumn("a", "decimal")),
        with_columns(SchemaColumn("a", "int", values=("1",))),
        with_columns(SchemaColumn("a", values=tuple(map(str, range(1_001))))),
        with_columns(*(SchemaColumn(f"{number:04} {'x' * 60}") for number in range(1_000))),
        RecordSchema("a\tb", "c", OURS.columns),
    ],
)
def test_a_schema_that_no_file_could_be_held_to_is_refused(schema: RecordSchema) -> None:
    with pytest.raises(InvalidArgument) as raised:
        checked(schema)
    assert raised.value.reason == "INVALID_SCHEMA"


@pytest.mark.parametrize("name", ["entity_type", "data_source"])
def test_a_pair_has_two_names(name: str) -> None:
    names = {"entity_type": "a", "data_source": "b", name: "  "}
    with pytest.raises(InvalidArgument) as raised:
        checked(RecordSchema(**names, columns=OURS.columns))
    assert raised.value.metadata["field"] == name
