"""Object types that several import sources map, over PostgreSQL."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.source_api import SourceApi, opened, refusal
from tests.mapping_samples import attribute, document, first, mapped, object_type, type_mapping
from tests.stack import Database
from tests.stack import ObjectStore as Bucket

Json = dict[str, Any]
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


@pytest.fixture
async def api(database: Database, object_store: Bucket) -> AsyncIterator[SourceApi]:
    async with opened(database, object_store) as found:
        yield found


def hosts(*identifiers: str, **members: Any) -> Json:
    """A mapping of the hosts of `first`, by its name where nothing else is said."""
    attributes = [mapped(name, externalIdPart=name in identifiers) for name in ("Name", "Serial", "Cores")]
    return type_mapping("Host", "hosts", *attributes, **members)


def patch(*mappings: Json) -> Json:
    return {"mapping": {"objectTypeMappings": list(mappings)}}


async def mapped_source(api: SourceApi, name: str, mapping: Json, **members: Any) -> str:
    source: str = (await api.create(name=name, **members))["id"]
    await api.put(source, {**first(), **patch(mapping)})
    return source


async def identifiers(api: SourceApi) -> dict[str, list[int]]:
    rows = await api.rows("SELECT name, plan->'types'->0->'identifiers' AS said FROM import_sources")
    return {row["name"]: row["said"] for row in rows}


async def test_a_type_has_one_identity_in_all_enabled_sources(api: SourceApi) -> None:
    register = await mapped_source(api, "Register", hosts("Serial"))
    await mapped_source(api, "Scanner", hosts("Serial"))
    before = await api.tables()
    other = (await api.create(name="Other"))["id"]
    for wanted in (hosts("Name"), hosts(), hosts("Name", "Serial"), hosts("Serial", matchIdentifierIgnoreCase=True)):
        refused = await refusal(api.put(other, {**first(), **patch(wanted)}))
        assert (refused.status, refused.reason, refused.problems) == ("400", "INVALID_MAPPING", ["IDENTIFIERS_DIFFER"])
        for part in ('"Host"', '"Register"', register, '"Serial"'):
            assert part in refused.body["message"]
    refused = await refusal(api.put(register, patch(hosts("Name")), patch=True))
    assert refused.problems == ["IDENTIFIERS_DIFFER"]
    await api.execute("DELETE FROM import_sources WHERE import_source_id = %s", other)
    assert await api.tables() == before


async def test_the_only_source_of_a_type_changes_its_identity(api: SourceApi) -> None:
    register = await mapped_source(api, "Register", hosts("Serial"))
    other = await mapped_source(api, "Systems", type_mapping("System", "systems", mapped("Name")))
    before = await identifiers(api)
    await api.put(register, patch(hosts("Name")), patch=True)
    after = await identifiers(api)
    assert after["Register"] != before["Register"]
    # The types of another source are not its business.
    await api.put(other, patch(hosts("Name")), patch=True)


async def test_an_identity_of_several_sources_is_changed_while_all_but_one_are_disabled(api: SourceApi) -> None:
    register = await mapped_source(api, "Register", hosts("Serial"))
    scanner = await mapped_source(api, "Scanner", hosts("Serial"))
    await api.on("UpdateImportSource", scanner, {"isEnabled": False})
    await api.put(register, patch(hosts("Name")), patch=True)
    refused = await refusal(api.on("UpdateImportSource", scanner, {"isEnabled": True}))
    assert (refused.status, refused.reason) == ("409", "IDENTIFIERS_DIFFER")
    assert '"Register"' in refused.body["message"]
    rows = await api.rows("SELECT name FROM import_sources WHERE is_enabled")
    assert [row["name"] for row in rows] == ["Register"]
    await api.put(scanner, patch(hosts("Name")), patch=True)
    await api.on("UpdateImportSource", scanner, {"isEnabled": True})


async def test_a_source_maps_a_type_from_several_arrays_by_one_identity(api: SourceApi) -> None:
    source = (await api.create())["id"]
    both = patch(hosts("Serial"), {**hosts("Name"), "selector": "machines"})
    refused = await refusal(api.put(source, {**first(), **both}))
    assert refused.problems == ["IDENTIFIERS_DIFFER"]
    assert refused.body["dataValidationErrors"][0]["path"] == "mapping.objectTypeMappings[1]"
    await api.put(source, {**first(), **patch(hosts("Serial"), {**hosts("Serial"), "selector": "machines"})})


async def test_of_two_that_differ_one_is_saved(api: SourceApi) -> None:
    sources = [(await api.create(name=name))["id"] for name in "AB"]
    wanted = (hosts("Serial"), hosts("Name"))
    documents = [{**first(), **patch(each)} for each in wanted]
    puts = (api.put(*each) for each in zip(sources, documents, strict=True))
    tried = await asyncio.gather(*puts, return_exceptions=True)
    assert sum(isinstance(each, BaseException) for each in tried) == 1


async def test_an_inherited_type_has_an_identity_of_its_own(api: SourceApi) -> None:
    child = object_type("Server", attribute("Rack"), inheritance=True)
    wanted = document(
        object_type("Host", attribute("Name", label=True), attribute("Serial"), children=[child]),
        mappings=(type_mapping("Host", "hosts", mapped("Name")),),
    )
    await api.put((await api.create(name="Hosts"))["id"], wanted)
    other = (await api.create(name="Servers"))["id"]
    await api.put(
        other,
        {**wanted, **patch(type_mapping("Server", "servers", mapped("Name"), mapped("Serial", externalIdPart=True)))},
    )


async def test_a_label_stays_where_another_source_tells_objects_apart_by_it(api: SourceApi) -> None:
    by_label = await mapped_source(api, "Register", hosts())
    other = await mapped_source(api, "Scanner", hosts("Name"))
    moved = {"schema": document(moved_label())["schema"]}
    refused = await refusal(api.put(other, moved, patch=True))
    assert (refused.status, refused.problems) == ("400", ["IDENTIFIERS_DIFFER"])
    assert '"Register"' in refused.body["message"]
    # While that one is disabled, it may: and then it has to say what it means.
    await api.on("UpdateImportSource", by_label, {"isEnabled": False})
    await api.put(other, moved, patch=True)
    await api.on("UpdateImportSource", by_label, {"isEnabled": True})
    refused = await refusal(api.on("UpdateImportSource", by_label, {"dateFormat": "dd.MM.yyyy"}))
    assert (refused.reason, refused.problems) == ("INVALID_MAPPING", ["IDENTIFIERS_DIFFER"])
    assert len(set(map(tuple, (await identifiers(api)).values()))) == 1
    await api.put(by_label, patch(hosts("Name")), patch=True)
    await api.on("UpdateImportSource", by_label, {"dateFormat": "dd.MM.yyyy"})


def moved_label() -> Json:
    return object_type("Host", attribute("Name", label=False), attribute("Serial", label=True))


async def test_operations_say_how_to_find_sources_that_differ(api: SourceApi) -> None:
    await mapped_source(api, "Register", hosts("Serial"))
    scanner = await mapped_source(api, "Scanner", hosts("Serial"))
    (query,) = re.findall(r"```sql\n(WITH mapped.*?)```", OPERATIONS.read_text(), re.DOTALL)
    assert await api.rows(query) == []
    await api.execute(
        "UPDATE import_sources SET plan = jsonb_set(plan, '{types,0,ignores_case}', 'true') WHERE name = %s", "Scanner"
    )
    (row,) = await api.rows(query)
    assert (row["source"], row["other"], row["object_type"]) == ("Register", "Scanner", "Host")
    await api.on("UpdateImportSource", scanner, {"isEnabled": False})
    assert await api.rows(query) == []
