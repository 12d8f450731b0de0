"""Import sources by the Assets API and by gRPC, over PostgreSQL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import grpc
import pytest
from google.protobuf.json_format import MessageToDict

from hythe.dialects.assets.v1 import assets_pb2
from hythe.importer.v1 import import_sources_pb2 as native
from runtime.auth import Principal, Role
from tests.integration.serving import reason_of
from tests.integration.source_api import FOREIGN, HOME, SECOND, SourceApi, as_, opened, refusal, struct
from tests.mapping_samples import first
from tests.stack import Database
from tests.stack import ObjectStore as Bucket

PASSWORD, TOKEN = "swordfish-1", "open-sesame-2"
DATABASE = {
    "dialect": "postgresql",
    "host": "db.example.com",
    "database": "inventory",
    "user": "reader",
    "table": "hosts",
}
RUNNING = (
    "INSERT INTO imports (tenant_id, import_id, client_id, target, source, key, file_name, file_type, file_size, lane, "
    "state, user_id, user_email, workspace_id, import_source_id) "
    "VALUES (1, gen_random_uuid(), 0, 'objects', 'external', '', '', '', 0, 'small', %s, 7, 'u', %s, %s) "
    "RETURNING import_id"
)


@pytest.fixture
async def api(database: Database, object_store: Bucket) -> AsyncIterator[SourceApi]:
    async with opened(database, object_store) as found:
        yield found


async def test_a_source_is_shown_as_clients_expect_it(api: SourceApi) -> None:
    made = await api.create(description="All of it")
    assert (await api.on("GetImportSource", made["id"], caller="viewer")).body == made
    assert (made["importSourceModuleKey"], made["objectSchemaId"]) == ("rlabs-import-type-external", str(api.schema_id))
    assert (made["defaultConcatenator"], made["defaultHandleEmptyValues"]) == (",", "IGNORE")
    assert (made["dateFormat"], made["importSpecificConfiguration"]) == ("yyyy-MM-dd", "{}")
    assert made["importStatus"]["configurationStatusType"] == "ENABLED"
    assert made["importStatus"]["validationStatusType"] == "INVALID_CONFIGURATION"
    assert made["importStatus"]["status"] == "MISSING_MAPPING"
    assert (made["tokenGenerated"], made["isImportSourceSchedulingEnabled"]) == (False, False)
    assert made["importSourceOTEntries"] == []
    assert "scheduledImportDetails" not in made
    await api.put(made["id"], first())
    shown = (await api.on("GetImportSource", made["id"])).body
    system, host = shown["importSourceOTEntries"]
    assert (system["objectType"]["name"], host["selector"]) == ("System", "hosts")
    assert len(host["importSourceOTAttrEntries"]) == 4
    assert shown["importStatus"]["validationStatusType"] == "VALID"


async def test_what_was_shown_can_be_sent_back(api: SourceApi) -> None:
    made = await api.create(type="csv", settings={"delimiter": ";"})
    again = (await api.on("UpdateImportSource", made["id"], made)).body
    assert {**again, "updated": made["updated"]} == made


async def test_sources_are_listed_by_workspace_and_by_schema(api: SourceApi) -> None:
    other = await api.schema("SW")
    names = [(await api.create(name=name))["name"] for name in ("One", "Two")]
    await api.create(name="Three", objectSchemaId=other)
    request = assets_pb2.WorkspaceRequest(workspace_id=str(HOME.workspace_id))
    assert [each["name"] for each in (await api.call("ListImportSources", request, "viewer")).body] == [*names, "Three"]
    of_schema = assets_pb2.SchemaSourcesRequest(workspace_id=str(HOME.workspace_id), object_schema_id=str(other))
    assert [each["name"] for each in (await api.call("ListImportSourcesOfSchema", of_schema)).body] == ["Three"]
    elsewhere = assets_pb2.WorkspaceRequest(workspace_id=str(SECOND.workspace_id))
    assert (await api.call("ListImportSources", elsewhere)).body == []


@pytest.mark.parametrize(
    ("members", "reason", "field"),
    [
        ({"name": " "}, "FIELD_REQUIRED", "name"),
        ({"name": "x" * 256}, "FIELD_TOO_LONG", "name"),
        ({"name": 5}, "FIELD_NOT_TEXT", "name"),
        ({"type": "ftp"}, "UNKNOWN_SOURCE_TYPE", "type"),
        ({"objectSchemaId": "many"}, "INVALID_NUMBER", "objectSchemaId"),
        ({"objectSchemaId": 99_999}, "OBJECT_SCHEMA_NOT_FOUND", "object_schema_id"),
        ({"colour": "red"}, "UNKNOWN_FIELD", "colour"),
        ({"isEnabled": "yes"}, "INVALID_FLAG", "isEnabled"),
        ({"defaultHandleEmptyValues": "FORGET"}, "INVALID_VALUE", "empty_values"),
        ({"settings": {"delimiter": ";"}}, "INVALID_SETTINGS", "settings.delimiter"),
        ({"fileKey": "c1/hosts.csv"}, "INVALID_SETTINGS", "file_key"),
        ({"type": "csv", "fileKey": "nowhere"}, "UNKNOWN_KEY", "file_key"),
        ({"type": "csv", "settings": {"delimiter": ";;"}}, "INVALID_SETTINGS", "settings.delimiter"),
        ({"type": "csv", "settings": {"timeZone": "Mars/Base"}}, "INVALID_SETTINGS", "settings.timeZone"),
        ({"type": "database", "settings": {}}, "INVALID_SETTINGS", "settings"),
        ({"type": "database", "settings": {**DATABASE, "query": "SELECT 1"}}, "INVALID_SETTINGS", "settings.query"),
        ({"type": "database", "settings": {**DATABASE, "port": 70_000}}, "INVALID_SETTINGS", "settings.port"),
        ({"type": "database", "settings": {**DATABASE, "port": "5432"}}, "INVALID_SETTINGS", "settings.port"),
        ({"type": "rest", "settings": {"url": "file:///etc/passwd"}}, "INVALID_SETTINGS", "settings.url"),
        ({"type": "rest", "settings": {"url": "https://u:p@example.com"}}, "INVALID_SETTINGS", "settings.url"),
        (
            {"type": "rest", "settings": {"url": "https://example.com", "headers": {"Authorization": "x"}}},
            "INVALID_SETTINGS",
            "settings.headers.Authorization",
        ),
        (
            {"type": "rest", "settings": {"url": "https://example.com", "paging": {"kind": "book"}}},
            "INVALID_SETTINGS",
            "settings.paging.kind",
        ),
        (
            {"type": "ldap", "settings": {"host": "ldap.example.com", "baseDn": "dc=x", "filter": "cn=*"}},
            "INVALID_SETTINGS",
            "settings.filter",
        ),
    ],
)
async def test_what_cannot_be_is_refused_by_its_member(
    api: SourceApi, members: dict[str, Any], reason: str, field: str
) -> None:
    refused = await refusal(api.create(**members))
    assert (refused.reason, list(refused.body["errors"])) == (reason, [field])
    assert refused.body["errorMessages"] == [refused.body["message"]]
    assert await api.rows("SELECT * FROM import_sources") == []


async def test_secrets_are_sealed_and_stand_in_no_answer_nor_log(
    api: SourceApi, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    made = [
        await api.create(type="database", settings={**DATABASE, "password": PASSWORD}),
        await api.create(
            type="rest",
            settings={"url": "https://api.example.com/hosts", "auth": {"kind": "bearer", "token": PASSWORD}},
        ),
        await api.create(type="custom", settings={"reader": "vendor", "secrets": {"key": PASSWORD}}),
        await api.create(
            type="ldap", settings={"host": "ldap.example.com", "baseDn": "dc=example", "password": PASSWORD}
        ),
    ]
    answers = json.dumps(made)
    for each in made:
        answers += json.dumps((await api.on("GetImportSource", each["id"])).body)
        found = await api.native.GetImportSource(
            native.GetImportSourceRequest(import_source_id=each["id"]), metadata=as_("admin")
        )
        answers += str(found)
        assert each["hasSecret"]
    rows = await api.rows("SELECT * FROM import_sources ORDER BY import_source_id")
    logged = caplog.text + "".join(capfd.readouterr()) + str(api.audit.events)
    assert PASSWORD not in answers + str(rows) + logged
    sealed = [json.loads(api.sealer.unseal(each["secret"])) for each in rows]
    assert sealed == [
        {"password": PASSWORD},
        {"token": PASSWORD},
        {"values": {"key": PASSWORD}},
        {"password": PASSWORD},
    ]


async def test_a_change_keeps_what_it_does_not_name(api: SourceApi) -> None:
    source = (await api.create(type="database", settings={**DATABASE, "password": PASSWORD}))["id"]
    changed = await api.on("UpdateImportSource", source, {"settings": {"table": None, "query": "SELECT 1 AS a"}})
    assert "table" not in changed.body["settings"]
    assert changed.body["settings"]["host"] == "db.example.com"
    assert (changed.body["name"], changed.body["hasSecret"]) == ("Inventory", True)
    (row,) = await api.rows("SELECT secret FROM import_sources")
    assert json.loads(api.sealer.unseal(row["secret"])) == {"password": PASSWORD}
    changed = await api.on("UpdateImportSource", source, {"settings": {"password": None}, "isEnabled": False})
    assert (changed.body["hasSecret"], changed.body["importStatus"]["status"]) == (False, "DISABLED")


async def test_secrets_do_not_follow_to_another_destination(api: SourceApi) -> None:
    """Whoever may change a source may not learn its secrets by having them sent somewhere else."""
    made = await api.create(type="database", settings={**DATABASE, "password": PASSWORD})
    for change in ({"host": "evil.example.com"}, {"port": 5433}, {"tls": "disable"}):
        refused = await refusal(api.on("UpdateImportSource", made["id"], {"settings": change}))
        assert refused.reason == "SECRETS_REQUIRED"
    moved = {"host": "new.example.com", "password": TOKEN}
    changed = (await api.on("UpdateImportSource", made["id"], {"settings": moved})).body
    assert changed["settings"]["host"] == "new.example.com"
    rest = {"url": "https://api.example.com/hosts", "auth": {"kind": "bearer", "token": TOKEN}}
    source = (await api.create(type="rest", settings=rest))["id"]
    refused = await refusal(
        api.on("UpdateImportSource", source, {"settings": {"url": "https://evil.example.com/hosts"}})
    )
    assert refused.reason == "SECRETS_REQUIRED"
    same_host = {"settings": {"url": "https://api.example.com/devices"}}
    assert (await api.on("UpdateImportSource", source, same_host)).body["hasSecret"]


async def test_type_and_schema_of_a_source_do_not_change(api: SourceApi) -> None:
    source = (await api.create())["id"]
    for change in ({"type": "csv"}, {"objectSchemaId": await api.schema("SW")}):
        refused = await refusal(api.on("UpdateImportSource", source, change))
        assert refused.reason == "FIELD_IMMUTABLE"


async def test_the_configuration_status_tells_whether_it_can_run(api: SourceApi) -> None:
    source = (await api.create())["id"]
    assert (await api.on("GetConfigStatus", source, caller="viewer")).body == {"status": "MISSING_MAPPING"}
    await api.put(source, first())
    assert (await api.on("GetConfigStatus", source)).body == {"status": "IDLE"}
    (run,) = await api.rows(RUNNING, "OPEN", HOME.workspace_id, source)
    running = (await api.on("GetConfigStatus", source)).body
    execution = f"http://gateway.example/jsm/assets/workspace/{HOME.workspace_id}/v1/importsource/{source}/executions"
    assert (running["status"], running["importStatus"]) == ("RUNNING", "IN_PROGRESS")
    assert running["links"] == {
        "submitProgress": f"{execution}/{run['import_id']}/progress",
        "submitResults": f"{execution}/{run['import_id']}/data",
        "getExecutionStatus": f"{execution}/{run['import_id']}/status",
        "cancel": f"{execution}/{run['import_id']}",
    }
    refused = await refusal(api.on("DeleteImportSource", source))
    assert (refused.reason, refused.status) == ("IN_PROGRESS", "409")
    await api.admin.execute("UPDATE imports SET state = 'FAILED'")
    assert (await api.on("GetConfigStatus", source)).body == {"status": "IDLE", "importStatus": "FAILED"}
    await api.on("UpdateImportSource", source, {"isEnabled": False})
    assert (await api.on("GetConfigStatus", source)).body["status"] == "DISABLED"


async def test_a_deleted_source_takes_its_token_along_and_leaves_its_types(api: SourceApi) -> None:
    source = (await api.create())["id"]
    await api.put(source, first(), later=True)
    await api.on("CreateToken", source)
    assert (await api.on("DeleteImportSource", source)).status == "204"
    assert api.issuer.tokens == {}
    refused = await refusal(api.on("GetImportSource", source))
    assert (refused.reason, refused.status) == ("IMPORT_SOURCE_NOT_FOUND", "404")
    assert len(await api.rows("SELECT * FROM object_types")) == 2
    assert await api.rows("SELECT * FROM mapping_changes") == []


async def test_a_source_whose_run_waits_is_not_deleted(api: SourceApi) -> None:
    source = (await api.create())["id"]
    await api.put(source, first())
    run = "018f0000-0000-7000-8000-000000000001"
    await api.execute(
        "INSERT INTO imports (tenant_id, import_id, client_id, target, source, key, file_name, file_type, file_size, "
        "lane, state, user_id, user_email, workspace_id, import_source_id, waits) VALUES (1, %s, 0, 'objects', "
        "'objects-chunk', '', 'x', 'application/json', 0, 'small', 'QUEUED', 7, 'a@example.com', %s, %s, true)",
        *(run, HOME.workspace_id, source),
    )
    refused = await refusal(api.on("DeleteImportSource", source))
    assert (refused.reason, refused.status) == ("IN_PROGRESS", "409")
    await api.execute("UPDATE imports SET state = 'CANCELLED', ended_at = now() WHERE import_id = %s", run)
    assert (await api.on("DeleteImportSource", source)).status == "204"


async def test_a_container_token_is_read_again_and_replaced(api: SourceApi) -> None:
    source = (await api.create())["id"]
    refused = await refusal(api.on("GetToken", source))
    assert (refused.reason, refused.status) == ("CONTAINER_TOKEN_NOT_FOUND", "404")
    made = (await api.on("CreateToken", source)).body
    assert made == {"token": "hyct_1", "created": "2026-01-02T03:04:05.000Z"}
    assert (await api.on("GetToken", source)).body == made
    assert (await api.on("CreateToken", source)).body["token"] == "hyct_2"
    assert (await api.on("GetImportSource", source)).body["tokenGenerated"]
    assert (await refusal(api.on("CreateToken", source, caller="importer"))).reason == "ROLE_REQUIRED"
    table = (await api.create(type="csv"))["id"]
    assert (await refusal(api.on("CreateToken", table))).reason == "SOURCE_NOT_EXTERNAL"
    assert "hyct" not in str(api.audit.events)


async def test_a_container_token_reaches_its_own_source_only(api: SourceApi) -> None:
    own, other = (await api.create())["id"], (await api.create(name="Other"))["id"]
    holder = Principal(
        *(1, 9, "admin@example.com", Role.IMPORTER),
        scopes=frozenset({"import:import-configuration:cmdb"}),
        import_source_id=UUID(own),
        workspace_id=HOME.workspace_id,
    )
    api.people["holder"] = holder
    assert (await api.on("GetConfigStatus", own, caller="holder")).status == "200"
    assert (await api.put(own, first(), "holder")).status == "204"
    for call in (
        api.on("GetConfigStatus", other, caller="holder"),
        api.on("GetImportSource", other, caller="holder"),
        api.put(other, first(), "holder"),
        api.preview(other, b"{}", caller="holder"),
    ):
        refused = await refusal(call)
        assert (refused.reason, refused.status) == ("IMPORT_SOURCE_NOT_FOUND", "404")
    request = assets_pb2.WorkspaceRequest(workspace_id=str(HOME.workspace_id))
    assert [each["id"] for each in (await api.call("ListImportSources", request, "holder")).body] == [own]


async def test_sources_of_others_are_not_there(api: SourceApi) -> None:
    source = (await api.create())["id"]
    for caller, workspace, reason in (
        ("stranger", str(HOME.workspace_id), "WORKSPACE_NOT_FOUND"),
        ("stranger", str(FOREIGN.workspace_id), "IMPORT_SOURCE_NOT_FOUND"),
        ("admin", str(SECOND.workspace_id), "IMPORT_SOURCE_NOT_FOUND"),
        ("admin", "", "IMPORT_SOURCE_NOT_FOUND"),
        ("limited", str(HOME.workspace_id), "CLIENT_GRANTS"),
    ):
        for method in ("GetImportSource", "GetConfigStatus", "UpdateImportSource", "DeleteImportSource"):
            wanted = source if workspace else str(UUID(int=5))
            refused = await refusal(api.on(method, wanted, {"name": "Mine"}, caller, workspace))
            assert refused.reason in {reason, "ROLE_REQUIRED"}
    refused = await refusal(api.create("stranger", str(FOREIGN.workspace_id)))
    assert refused.reason == "OBJECT_SCHEMA_NOT_FOUND"
    assert (await refusal(api.on("GetImportSource", "no-uuid"))).reason == "IMPORT_SOURCE_NOT_FOUND"


@pytest.mark.parametrize("caller", ["importer", "viewer"])
async def test_only_an_administrator_configures_sources(api: SourceApi, caller: str) -> None:
    source = (await api.create())["id"]
    for call in (
        api.create(caller),
        api.on("UpdateImportSource", source, {"name": "Mine"}, caller),
        api.on("DeleteImportSource", source, caller=caller),
        api.on("GetToken", source, caller=caller),
    ):
        assert (await refusal(call)).reason == "ROLE_REQUIRED"


async def test_the_native_api_says_the_same(api: SourceApi) -> None:
    wanted = native.ImportSource(
        object_schema_id=api.schema_id,
        name="Directory",
        type="ldap",
        settings=struct({"host": "ldap.example.com", "baseDn": "dc=example,dc=com", "password": PASSWORD}),
        empty_values=native.EMPTY_HANDLING_REMOVE,
    )
    made = (
        await api.native.CreateImportSource(
            native.CreateImportSourceRequest(import_source=wanted), metadata=as_("admin")
        )
    ).import_source
    assert (made.has_secret, made.status, made.empty_values) == (True, "MISSING_MAPPING", native.EMPTY_HANDLING_REMOVE)
    assert dict(made.settings) == {"host": "ldap.example.com", "baseDn": "dc=example,dc=com"}
    await api.native.PutMapping(
        native.PutMappingRequest(import_source_id=made.import_source_id, document=struct(first())),
        metadata=as_("importer"),
    )
    change = native.UpdateImportSourceRequest(import_source_id=made.import_source_id, name="People", disabled=True)
    changed = (await api.native.UpdateImportSource(change, metadata=as_("admin"))).import_source
    assert (changed.name, changed.disabled, changed.has_mapping, changed.status) == ("People", True, True, "DISABLED")
    assert changed.empty_values == native.EMPTY_HANDLING_REMOVE
    found = await api.native.GetMapping(
        native.GetMappingRequest(import_source_id=made.import_source_id), metadata=as_("viewer")
    )
    assert len(MessageToDict(found.document)["mapping"]["objectTypeMappings"]) == 2
    listed = await api.native.ListImportSources(native.ListImportSourcesRequest(), metadata=as_("viewer"))
    assert [each.name for each in listed.import_sources] == ["People"]
    await api.native.DeleteImportSource(
        native.DeleteImportSourceRequest(import_source_id=made.import_source_id), metadata=as_("admin")
    )
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await api.native.GetImportSource(
            native.GetImportSourceRequest(import_source_id=made.import_source_id), metadata=as_("admin")
        )
    assert reason_of(raised.value) == "IMPORT_SOURCE_NOT_FOUND"


async def test_keys_of_object_schemas_are_unique_in_their_workspace(api: SourceApi) -> None:
    request = native.CreateObjectSchemaRequest(name="Hardware", key="HW")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await api.native.CreateObjectSchema(request, metadata=as_("admin"))
    assert reason_of(raised.value) == "OBJECT_SCHEMA_EXISTS"
    await api.schema("HW", SECOND.name)
    for key in ("", "H", "hw", "1A", "TOOLONGAKEY"):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await api.native.CreateObjectSchema(
                native.CreateObjectSchemaRequest(name="Hardware", key=key), metadata=as_("admin")
            )
        assert reason_of(raised.value) == "INVALID_KEY"
    listed = await api.native.ListObjectSchemas(native.ListObjectSchemasRequest(), metadata=as_("viewer"))
    assert [(each.key, each.name) for each in listed.object_schemas] == [("HW", "Hardware")]


async def test_changes_at_once_follow_one_another(api: SourceApi) -> None:
    source = (await api.create(type="custom", settings={"reader": "vendor"}))["id"]
    changes = [{"settings": {"options": {f"option{number}": number}}} for number in range(8)]
    await asyncio.gather(*(api.on("UpdateImportSource", source, each) for each in changes))
    shown = (await api.on("GetImportSource", source)).body
    assert shown["settings"]["options"] == {f"option{number}": number for number in range(8)}


async def test_changes_are_audited_with_what_was_changed(api: SourceApi) -> None:
    source = (await api.create())["id"]
    await api.put(source, first())
    made, mapped = api.audit.events[-2:]
    assert made.method.endswith("CreateImportSource")
    assert made.object["import_source_id"] == source
    assert mapped.method.endswith("PutMapping")
    assert mapped.object["import_source_id"] == source
