"""Schema and mapping of import sources by the Assets API, over PostgreSQL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any

import grpc
import pytest

from services.importer.assets import mappings
from tests.integration.source_api import HOME, SourceApi, opened, refusal
from tests.mapping_samples import attribute, document, first, mapped, object_type, second, type_mapping
from tests.stack import Database
from tests.stack import ObjectStore as Bucket

Json = dict[str, Any]
HOME_ID = HOME.workspace_id


@pytest.fixture
async def api(database: Database, object_store: Bucket) -> AsyncIterator[SourceApi]:
    async with opened(database, object_store) as found:
        yield found


async def test_a_first_mapping_makes_types_and_attributes(api: SourceApi) -> None:
    source = (await api.create())["id"]
    answer = await api.put(source, first())
    assert (answer.body, answer.status) == ({}, "204")
    types = await api.rows("SELECT * FROM object_types ORDER BY position")
    assert [(each["name"], each["description"], each["parent_id"]) for each in types] == [
        ("System", "Every System", None),
        ("Host", "Every Host", None),
    ]
    attributes = await api.rows("SELECT * FROM object_attributes ORDER BY object_type_id, position")
    assert [(each["name"], each["type"], each["is_label"], each["reference_type_id"]) for each in attributes] == [
        ("Name", "text", True, None),
        ("Name", "text", True, None),
        ("Serial", "text", False, None),
        ("Cores", "integer", False, None),
        ("System", "referenced_object", False, types[0]["object_type_id"]),
    ]
    assert all(each["external_id"].startswith("cmdb::externalId/") for each in (*types, *attributes))
    (row,) = await api.rows("SELECT plan FROM import_sources")
    host = row["plan"]["types"][1]
    assert (host["name"], host["selector"], host["identifiers"]) == ("Host", "hosts", [attributes[2]["attribute_id"]])
    assert host["label_attribute"] == attributes[1]["attribute_id"]
    assert host["attributes"][3]["reference"] == {
        "query": "Name = ${os}",
        "placeholders": ["os"],
        "target_type_id": types[0]["object_type_id"],
    }


async def test_what_was_put_is_shown_with_external_ids_and_can_be_sent_back(api: SourceApi) -> None:
    source = (await api.create())["id"]
    await api.put(source, first())
    shown = (await api.on("GetSchemaAndMapping", source, caller="viewer")).body
    assert shown["schema"]["iconSchema"] == {"icons": []}
    host = shown["schema"]["objectSchema"]["objectTypes"][1]
    assert host["attributes"][1]["externalId"].startswith("cmdb::externalId/")
    assert host["attributes"][3]["referenceObjectTypeName"] == "System"
    mapping = shown["mapping"]["objectTypeMappings"][1]
    assert mapping["objectTypeExternalId"] == host["externalId"]
    assert mapping["attributesMapping"][3]["objectMappingIQL"] == "Name = ${os}"
    assert (await api.on("GetMapping", source)).body == shown["mapping"]
    before = await api.rows("SELECT xmin::text, * FROM object_attributes ORDER BY attribute_id")
    assert (await api.put(source, shown, patch=True)).status == "204"
    assert await api.rows("SELECT xmin::text, * FROM object_attributes ORDER BY attribute_id") == before
    again = (await api.on("GetSchemaAndMapping", source)).body
    assert again == shown


async def test_clients_take_the_icons_out_of_what_they_send_back(api: SourceApi) -> None:
    source = (await api.create())["id"]
    await api.put(source, second())
    shown = (await api.on("GetSchemaAndMapping", source)).body
    del shown["schema"]["iconSchema"]
    assert (await api.put(source, shown, patch=True)).status == "204"


async def test_a_document_with_external_ids_has_cardinalities_statuses_and_children(api: SourceApi) -> None:
    source = (await api.create())["id"]
    await api.put(source, second())
    device, phone = await api.rows("SELECT * FROM object_types ORDER BY object_type_id")
    assert (phone["parent_id"], phone["external_id"]) == (device["object_type_id"], "phone")
    name, tags, state, number = await api.rows("SELECT * FROM object_attributes ORDER BY attribute_id")
    assert (name["minimum_cardinality"], tags["maximum_cardinality"]) == (1, -1)
    assert (state["options"], number["is_unique"]) == (["In use", "Broken"], True)
    (schema,) = await api.rows("SELECT * FROM object_schemas")
    assert schema["statuses"] == [{"name": "In use", "description": "", "category": "active"}]
    shown = (await api.on("GetSchemaAndMapping", source)).body
    types = shown["schema"]["objectSchema"]["objectTypes"]
    assert [each["name"] for each in types] == ["Device"]
    assert [each["name"] for each in types[0]["children"]] == ["Phone"]
    assert types[0]["attributes"][2]["typeValues"] == ["In use", "Broken"]


async def test_there_is_one_first_mapping(api: SourceApi) -> None:
    source = (await api.create())["id"]
    await api.put(source, first())
    refused = await refusal(api.put(source, first()))
    assert (refused.reason, refused.status) == ("MAPPING_EXISTS", "409")
    other = (await api.create(name="Other"))["id"]
    refused = await refusal(api.put(other, first(), patch=True))
    assert (refused.reason, refused.status) == ("NO_MAPPING", "400")
    for method in ("GetMapping", "GetSchemaAndMapping"):
        refused = await refusal(api.on(method, other))
        assert (refused.reason, refused.status) == ("NO_MAPPING", "400")


async def test_of_two_at_once_one_is_the_first(api: SourceApi) -> None:
    source = (await api.create())["id"]
    tried = await asyncio.gather(*(api.put(source, first()) for _ in range(4)), return_exceptions=True)
    assert sum(not isinstance(each, BaseException) for each in tried) == 1
    assert all(isinstance(each, grpc.aio.AioRpcError) for each in tried if isinstance(each, BaseException))
    assert len(await api.rows("SELECT * FROM object_types")) == 2


async def test_sources_of_one_schema_share_its_types_also_at_once(api: SourceApi) -> None:
    sources = [(await api.create(name=f"Source {number}"))["id"] for number in range(4)]
    await asyncio.gather(*(api.put(each, second()) for each in sources))
    assert len(await api.rows("SELECT * FROM object_types")) == 2
    assert len(await api.rows("SELECT * FROM object_attributes")) == 4
    assert len({str(each["plan"]) for each in await api.rows("SELECT plan FROM import_sources")}) == 1


async def test_whoever_does_not_wait_asks_later_how_it_ended(api: SourceApi) -> None:
    source = (await api.create())["id"]
    answer = await api.put(source, first(), later=True)
    assert answer.status == "303"
    path, _, resource = answer.headers["location"].rpartition("/")
    assert path == f"http://gateway.example/jsm/assets/workspace/{HOME_ID}/v1/importsource/{source}/mapping/progress"
    found = await api.progress(source, resource)
    assert (found.body["progressStatus"], found.body["result"]) == ("FINISHED", "OK")
    assert found.body["importStatus"] == "COMPLETED"
    for wrong in ("nothing", source):
        refused = await refusal(api.progress(source, wrong))
        assert refused.reason == "MAPPING_CHANGE_NOT_FOUND"


async def test_a_patch_adds_and_leaves_what_it_does_not_name(api: SourceApi) -> None:
    source = (await api.create())["id"]
    await api.put(source, first())
    added = document(
        object_type("Host", attribute("Rack")),
        object_type("Site", attribute("Name", label=True)),
        mappings=(type_mapping("Site", "sites", mapped("Name")),),
    )
    await api.put(source, added, patch=True)
    shown = (await api.on("GetSchemaAndMapping", source)).body
    types = {each["name"]: each for each in shown["schema"]["objectSchema"]["objectTypes"]}
    assert list(types) == ["System", "Host", "Site"]
    assert [each["name"] for each in types["Host"]["attributes"]] == ["Name", "Serial", "Cores", "System", "Rack"]
    mappings = [each["objectTypeName"] for each in shown["mapping"]["objectTypeMappings"]]
    assert mappings == ["System", "Host", "Site"]


async def test_a_patch_replaces_the_mapping_of_a_type(api: SourceApi) -> None:
    source = (await api.create())["id"]
    await api.put(source, first())
    changed = {"mapping": {"objectTypeMappings": [type_mapping("Host", "machines", mapped("Name", "fqdn"))]}}
    await api.put(source, changed, patch=True)
    shown = (await api.on("GetMapping", source)).body["objectTypeMappings"]
    assert [(each["objectTypeName"], each["selector"]) for each in shown] == [
        ("System", "systems"),
        ("Host", "machines"),
    ]
    (row,) = await api.rows("SELECT plan FROM import_sources")
    assert [len(each["attributes"]) for each in row["plan"]["types"]] == [1, 1]


@pytest.mark.parametrize(
    ("problem", "types"),
    [
        ("OBJECT_TYPE_RENAMED", [object_type("Devices", externalId="device")]),
        ("OBJECT_TYPE_MOVED", [object_type("Phone", externalId="phone")]),
        ("EXTERNAL_ID_CHANGED", [object_type("Device", externalId="another")]),
        (
            "ATTRIBUTE_RENAMED",
            [object_type("Device", attribute("Label", externalId="device/name"), externalId="device")],
        ),
        (
            "ATTRIBUTE_TYPE_CHANGED",
            [object_type("Device", attribute("Name", "integer", externalId="device/name"), externalId="device")],
        ),
        (
            "CARDINALITY_CHANGED",
            [
                object_type(
                    "Device", attribute("Name", externalId="device/name", maximumCardinality=2), externalId="device"
                )
            ],
        ),
        (
            "EXTERNAL_ID_TAKEN",
            [object_type("Device", attribute("Other", externalId="phone/number"), externalId="device")],
        ),
        (
            "SEVERAL_LABELS",
            [object_type("Device", attribute("Title", externalId="device/title", label=True), externalId="device")],
        ),
        ("INHERITANCE_CHANGED", [object_type("Device", externalId="device", children=[
            object_type("Phone", externalId="phone", inheritance=True)])]),
        ("UNKNOWN_ICON", [object_type("Device", externalId="device", iconKey="nowhere")]),
        (
            "UNKNOWN_REFERENCE_TARGET",
            [
                object_type(
                    "Device",
                    attribute("At", "referenced_object", externalId="device/at", referenceObjectTypeExternalId="site"),
                    externalId="device",
                )
            ],
        ),
    ],
)  # fmt: skip
async def test_a_patch_does_not_change_what_objects_have(api: SourceApi, problem: str, types: list[Json]) -> None:
    source = (await api.create())["id"]
    await api.put(source, second())
    before = await api.tables()
    refused = await refusal(api.put(source, document(*types), patch=True))
    assert (refused.status, refused.reason, refused.problems) == ("400", "INVALID_MAPPING", [problem])
    assert refused.body["dataValidationErrors"][0]["path"].startswith("schema.objectSchema.objectTypes[0]")
    assert await api.tables() == before


async def test_a_reference_keeps_its_target(api: SourceApi) -> None:
    source = (await api.create())["id"]
    await api.put(source, first())
    changed = document(
        object_type("Host", attribute("System", "referenced_object", referenceObjectTypeName="Host")),
    )
    refused = await refusal(api.put(source, changed, patch=True))
    assert refused.problems == ["REFERENCE_TARGET_CHANGED"]


async def test_external_ids_are_unique_across_the_schemas_of_a_workspace(api: SourceApi) -> None:
    await api.put((await api.create())["id"], second())
    other = (await api.create(objectSchemaId=str(await api.schema("SW"))))["id"]
    refused = await refusal(api.put(other, second()))
    assert set(refused.problems) == {"EXTERNAL_ID_TAKEN"}
    reference = document(
        object_type(
            "Licence",
            attribute("Name", externalId="licence/name", label=True),
            attribute("On", "referenced_object", externalId="licence/on", referenceObjectTypeExternalId="device"),
            externalId="licence",
        ),
        mappings=(type_mapping("Licence", "licences", mapped("Name"), mapped("On")),),
    )
    # What cannot be asked at all is refused though the attributes there are not looked at.
    following = deepcopy(reference)
    query = mapped("On", objectMappingIQL="Maker.Name = ${maker}")
    following["mapping"]["objectTypeMappings"][0]["attributesMapping"][1] = query
    refused = await refusal(api.put(other, following))
    assert refused.problems == ["REFERENCE_QUERY_UNSUPPORTED"]
    await api.put(other, reference)
    (row,) = await api.rows("SELECT plan FROM import_sources WHERE import_source_id = %s", other)
    (device,) = await api.rows("SELECT object_type_id FROM object_types WHERE external_id = 'device'")
    assert row["plan"]["types"][0]["attributes"][1]["reference"]["target_type_id"] == device["object_type_id"]


@pytest.mark.parametrize(
    ("problem", "mapping"),
    [
        ("UNKNOWN_OBJECT_TYPE_MAPPING", type_mapping("Printer", "p", mapped("Name"))),
        ("UNKNOWN_EXTERNAL_ID_MAPPING", type_mapping("Host", "p", mapped("Name"), objectTypeExternalId="printer")),
        ("UNKNOWN_ATTRIBUTE_MAPPING", type_mapping("Host", "h", mapped("Name"), mapped("Colour"))),
        (
            "UNKNOWN_EXTERNAL_ID_MAPPING",
            type_mapping("Host", "h", mapped("Name"), {**mapped("Serial"), "attributeExternalId": "none"}),
        ),
        ("NAME_DUPLICATE", type_mapping("Host", "h", mapped("Name"), mapped("Name", "fqdn"))),
        ("NO_IDENTIFIER", type_mapping("Host", "h", mapped("Serial"))),
        ("IDENTIFIER_INVALID", type_mapping("Host", "h", mapped("Name"), mapped("System", externalIdPart=True))),
        (
            "REFERENCE_QUERY_INVALID",
            type_mapping("Host", "h", mapped("Name"), mapped("System", objectMappingIQL="Name =")),
        ),
        (
            "REFERENCE_QUERY_INVALID",
            type_mapping("Host", "h", mapped("Name"), mapped("System", objectMappingIQL="Name = Linux")),
        ),
        (
            "REFERENCE_QUERY_UNSUPPORTED",
            type_mapping("Host", "h", mapped("Name"), mapped("System", objectMappingIQL="Maker.Name = ${maker}")),
        ),
        ("FILTER_INVALID", type_mapping("Host", "h", mapped("Name"), selectorQlQuery="Colour = red")),
        ("FILTER_INVALID", type_mapping("Host", "h", mapped("Name"), selectorQlQuery="Name = ")),
        (
            "INVALID_VALUE",
            type_mapping(
                "Host",
                "h",
                mapped("Name"),
                missingObjects={"action": "UPDATE", "attributeName": "Cores", "value": "many"},
            ),
        ),
        # What objects are told apart by cannot become the same for many.
        (
            "UNKNOWN_ATTRIBUTE_MAPPING",
            type_mapping(
                "Host",
                "h",
                mapped("Name"),
                missingObjects={"action": "UPDATE", "attributeName": "Name", "value": "gone"},
            ),
        ),
    ],
)  # fmt: skip
async def test_a_mapping_names_what_there_is(api: SourceApi, problem: str, mapping: Json) -> None:
    source = (await api.create())["id"]
    wanted = {**first(), "mapping": {"objectTypeMappings": [mapping]}}
    refused = await refusal(api.put(source, wanted))
    assert refused.problems[0] == problem
    assert refused.body["dataValidationErrors"][0]["path"].startswith("mapping.objectTypeMappings[0]")
    assert await api.rows("SELECT * FROM object_types") == []


async def test_rules_that_cannot_be_carried_out_are_refused_with_their_place(api: SourceApi) -> None:
    source = (await api.create())["id"]
    wanted = first()
    wanted["mapping"]["objectTypeMappings"][0]["attributesMapping"][0]["transformations"] = [
        {"type": "regex", "pattern": "("}
    ]
    refused = await refusal(api.put(source, wanted))
    (problem,) = refused.body["dataValidationErrors"]
    assert problem["path"] == ("mapping.objectTypeMappings[0].attributesMapping[0].transformations[0].pattern")


async def test_a_type_mapping_has_filters_policies_and_missing_objects(api: SourceApi) -> None:
    source = (await api.create(defaultHandleEmptyValues="REMOVE"))["id"]
    wanted = first()
    wanted["mapping"]["objectTypeMappings"][1] |= {
        "unknownValues": "ADD",
        "matchIdentifierIgnoreCase": True,
        "selectorQlQuery": 'Serial IS NOT EMPTY AND (Cores > 2 OR Name NOT LIKE "test")',
        "missingObjects": {"action": "UPDATE", "afterRuns": 3, "attributeName": "Cores", "value": "0"},
    }
    await api.put(source, wanted)
    (row,) = await api.rows("SELECT plan FROM import_sources")
    system, host = row["plan"]["types"]
    cores = host["attributes"][2]["attribute_id"]
    assert (system["empty_values"], host["empty_values"], host["unknown_values"]) == ("REMOVE", "REMOVE", "ADD")
    assert (host["ignores_case"], host["missing"], host["missing_runs"]) == (True, "UPDATE", 3)
    assert host["missing_values"] == [[cores, "0"]]
    filled, either = host["filter"]["all"]
    assert filled["operator"] == "isNotEmpty"
    assert either["any"][0] == {"attributeId": cores, "operator": "greaterThan", "value": "2"}
    assert either["any"][1]["not"]["operator"] == "contains"


async def test_a_change_of_the_source_changes_the_plan_of_its_mapping(api: SourceApi) -> None:
    source = (await api.create())["id"]
    await api.put(source, first())
    await api.on("UpdateImportSource", source, {"dateFormat": "dd.MM.yyyy", "defaultHandleEmptyValues": "REMOVE"})
    (row,) = await api.rows("SELECT plan FROM import_sources")
    assert row["plan"]["date_format"] == "dd.MM.yyyy"
    assert {each["empty_values"] for each in row["plan"]["types"]} == {"REMOVE"}


async def test_a_change_of_the_source_that_its_mapping_cannot_follow_is_refused(api: SourceApi) -> None:
    source = (await api.create())["id"]
    await api.put(source, first())
    before = await api.tables()
    refused = await refusal(api.on("UpdateImportSource", source, {"dateFormat": "not a date"}))
    assert (refused.reason, refused.problems) == ("INVALID_MAPPING", ["DATE_FORMAT_INVALID"])
    assert await api.tables() == before


async def test_a_preview_shows_what_becomes_of_a_sample_and_keeps_nothing(api: SourceApi) -> None:
    source = (await api.create())["id"]
    await api.put(source, first())
    sample = (
        b'{"data": {"systems": [{"name": "Linux"}], "hosts": ['
        b'{"name": "alpha", "serial": "A1", "cores": "4", "os": "Linux"},'
        b'{"name": "beta", "serial": "B1", "cores": "x"}]}}'
    )
    shown = await api.preview(source, sample, caller="importer")
    linux, alpha, beta = shown["records"]
    assert linux["objects"][0]["objectType"]["name"] == "System"
    made = alpha["objects"][0]
    assert (made["label"], made["key"]) == ("alpha", '["A1"]')
    assert {each["name"]: each["value"] for each in made["attributes"]} == {"Name": "alpha", "Serial": "A1", "Cores": 4}
    assert [(each["name"], each["values"]) for each in made["references"]] == [("System", ["Linux"])]
    assert (beta["error"]["field"], beta["error"]["value"]) == ("Cores", "x")
    assert len((await api.preview(source, sample, limit=1))["records"]) == 1
    assert await api.rows("SELECT * FROM objects") == []


async def test_a_preview_reads_the_file_of_the_source_where_no_sample_is_sent(api: SourceApi) -> None:
    key = await api.upload("c1/hosts.csv", b"name;serial\nalpha;A1\n" + b"beta;B1\n" * 200_000)
    source = (await api.create(type="csv", settings={"delimiter": ";"}, fileKey=key))["id"]
    table = document(
        object_type("Host", attribute("Name", label=True), attribute("Serial")),
        mappings=(type_mapping("Host", "", mapped("Name"), mapped("Serial", externalIdPart=True)),),
    )
    await api.put(source, table)
    shown = await api.preview(source, b"", limit=2)
    assert [each["objects"][0]["label"] for each in shown["records"]] == ["alpha", "beta"]
    assert "damage" not in shown


async def test_previews_have_bounds(api: SourceApi) -> None:
    source = (await api.create())["id"]
    refused = await refusal(api.preview(source, b"{}"))
    assert refused.reason == "NO_MAPPING"
    await api.put(source, first())
    for sample, limit, reason, status in (
        (b"x" * (1024 * 1024 + 1), 0, "SAMPLE_TOO_LARGE", "413"),
        (b"{}", 101, "INVALID_LIMIT", "400"),
        (b"", 0, "SAMPLE_MISSING", "400"),
    ):
        refused = await refusal(api.preview(source, sample, limit))
        assert (refused.reason, refused.status) == (reason, status)
    shown = await api.preview(source, b"no JSON at all")
    assert shown["records"] == []
    assert shown["damage"]["code"]
    refused = await refusal(api.preview(source, b"{}", caller="viewer"))
    assert refused.status == "403"


async def test_a_tenant_has_one_preview_at_a_time(api: SourceApi, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (await api.create())["id"]
    await api.put(source, first())
    tried = await asyncio.gather(*(api.preview(source, b"{}") for _ in range(3)), return_exceptions=True)
    refused = [each for each in tried if isinstance(each, grpc.aio.AioRpcError)]
    assert len(refused) == 2
    assert {each.code() for each in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    # One after the other they are made.
    await api.preview(source, b"{}")
    monkeypatch.setattr(mappings, "PREVIEWS_AT_ONCE", 0)
    crowded = await refusal(api.preview(source, b"{}"))
    assert (crowded.reason, crowded.status) == ("TOO_MANY_PREVIEWS", "429")


async def test_a_preview_that_takes_too_much_ends_by_itself(api: SourceApi) -> None:
    source = (await api.create())["id"]
    columns = [attribute(f"A{number}", "textarea") for number in range(900)]
    wide = document(
        object_type("Host", attribute("Name", label=True), *columns),
        mappings=(type_mapping("Host", "hosts", mapped("Name"), *(mapped(each["name"], "text") for each in columns)),),
    )
    await api.put(source, wide)
    sample = json.dumps({"data": {"hosts": [{"name": "alpha", "text": "x" * 900_000}]}}).encode()
    refused = await refusal(api.preview(source, sample))
    assert (refused.reason, refused.status) == ("PREVIEW_TOO_COSTLY", "400")
    small = json.dumps({"data": {"hosts": [{"name": "alpha", "text": "x"}]}}).encode()
    assert len((await api.preview(source, small))["records"]) == 1


async def test_mappings_of_others_are_not_there(api: SourceApi) -> None:
    source = (await api.create())["id"]
    await api.put(source, first())
    for caller in ("stranger", "limited"):
        for call in (
            api.put(source, first(), caller, patch=True),
            api.on("GetSchemaAndMapping", source, caller=caller),
        ):
            refused = await refusal(call)
            assert refused.status in {"404", "403"}
            assert refused.reason in {"WORKSPACE_NOT_FOUND", "CLIENT_GRANTS"}
    refused = await refusal(api.put(source, first(), "viewer", patch=True))
    assert refused.reason == "ROLE_REQUIRED"
