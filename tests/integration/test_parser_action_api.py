"""Parser actions and writeups by gRPC, natively and as PlexTrac's routes are transcoded, over PostgreSQL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc
import psycopg
import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from psycopg.rows import dict_row

from hythe.dialects.plextrac.v2 import parser_actions_pb2 as dialect
from hythe.dialects.plextrac.v2.parser_actions_pb2_grpc import (
    PlextracParserActionsStub,
    add_PlextracParserActionsServicer_to_server,
)
from hythe.importer.v1 import importer_pb2
from hythe.importer.v1 import parser_actions_pb2 as pb
from hythe.importer.v1.importer_pb2_grpc import ImportServiceStub, add_ImportServiceServicer_to_server
from hythe.importer.v1.parser_actions_pb2_grpc import (
    ParserActionServiceStub,
    add_ParserActionServiceServicer_to_server,
)
from runtime.auth import Principal, Role
from services.importer.commands import Commands
from services.importer.detection import Detector
from services.importer.dialects.plextrac_actions import PlextracParserActions
from services.importer.engagements import Engagements
from services.importer.formats.kit.looks import describe
from services.importer.imports import Imports, Thresholds
from services.importer.parser_action_service import ParserActionService
from services.importer.parser_actions import ParserActions
from services.importer.record_imports import RecordImports
from services.importer.repeats import Repeats
from services.importer.service import ImportService
from services.importer.store.engagements import SqlEngagementStore
from services.importer.store.imports import SqlImportStore
from services.importer.store.parser_actions import KEPT_CHANGES, SqlParserActionStore
from services.importer.store.record_files import SqlRecordFileStore
from services.importer.store.writeups import SqlWriteupStore
from services.importer.writeups import Writeups
from tests.fakes.audit import FakeAudit
from tests.fakes.people import ADMIN, IMPORTER, STRANGER
from tests.fakes.workspaces import FakeWorkspaces
from tests.integration.import_api import SOURCES, as_, recognised
from tests.integration.serving import connected, objects_in, reason_of, served
from tests.stack import Database
from tests.stack import ObjectStore as Bucket

if TYPE_CHECKING:  # The stubs' asynchronous types are for the type checker only.
    from hythe.dialects.plextrac.v2.parser_actions_pb2_grpc import PlextracParserActionsAsyncStub
    from hythe.importer.v1.importer_pb2_grpc import ImportServiceAsyncStub
    from hythe.importer.v1.parser_actions_pb2_grpc import ParserActionServiceAsyncStub

LIMITED = Principal(1, 12, "limited-admin@example.com", Role.ADMIN, client_ids=frozenset({1000}))
VIEWER = Principal(1, 13, "viewer@example.com", Role.VIEWER)
PEOPLE = {"admin": ADMIN, "importer": IMPORTER, "stranger": STRANGER, "limited": LIMITED, "viewer": VIEWER}
KEY = "c0123456789012345678901234/a b.nessus"
INVALID, MISSING, DENIED = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED,
)


@dataclass
class Api:
    """Both faces of the service, and the tables behind them."""

    native: ParserActionServiceAsyncStub
    plextrac: PlextracParserActionsAsyncStub
    imports: ImportServiceAsyncStub
    admin: psycopg.AsyncConnection[dict[str, Any]]
    audit: FakeAudit

    async def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        """Past row-level security."""
        return await (await self.admin.execute(query.encode(), parameters)).fetchall()

    async def version(self) -> int:
        rows = await self.rows("SELECT version FROM parser_action_settings WHERE tenant_id = 1")
        return int(rows[0]["version"]) if rows else 0

    async def create(self, action_id: str = "10028", caller: str = "admin", **members: Any) -> dict[str, Any]:
        payload = struct({"id": action_id, "title": f"Title {action_id}", "severity": "Medium", **members})
        request = dialect.ParserActionsChange(tenant_id=1, source="nessus", payload=payload)
        return MessageToDict(await self.plextrac.CreateParserAction(request, metadata=as_(caller)))

    async def bulk(self, *updates: dict[str, Any], caller: str = "admin", **members: Any) -> dict[str, Any]:
        request = dialect.ParserActionsChange(
            **{"tenant_id": 1, "source": "nessus", **members}, payload=struct({"actions": list(updates)})
        )
        return MessageToDict(await self.plextrac.UpdateParserActions(request, metadata=as_(caller)))

    async def update(self, action_id: str = "10028", **members: Any) -> dict[str, Any]:
        request = dialect.ParserActionChange(tenant_id=1, source="nessus", action_id=action_id, payload=struct(members))
        return MessageToDict(await self.plextrac.UpdateParserAction(request, metadata=as_("admin")))

    async def action(self, action_id: str = "10028", caller: str = "viewer") -> dict[str, Any]:
        request = dialect.ParserActionRequest(tenant_id=1, source="nessus", action_id=action_id)
        return MessageToDict(await self.plextrac.GetParserAction(request, metadata=as_(caller)))

    async def page(self, caller: str = "viewer", **members: Any) -> dict[str, Any]:
        request = dialect.ListParserActionsRequest(**{"tenant_id": 1, "source": "nessus", **members})
        said = [piece async for piece in self.plextrac.ListParserActions(request, metadata=as_(caller))]
        assert {piece.content_type for piece in said} == {"application/json"}
        answer: dict[str, Any] = json.loads(b"".join(piece.data for piece in said))
        assert answer["status"] == "success"
        page: dict[str, Any] = answer["actions"]
        return page

    async def writeup(self, caller: str = "admin", **members: Any) -> int:
        payload = struct({"title": "Ours", "severity": "Critical", "description": "words", **members})
        made = await self.plextrac.CreateTemplate(dialect.NewTemplate(payload=payload), metadata=as_(caller))
        return int(MessageToDict(made)["doc_id"])


def struct(members: dict[str, Any]) -> Struct:
    body = Struct()
    body.update(members)
    return body


async def refusal(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code(), reason_of(raised.value)


@pytest.fixture
async def api(database: Database, object_store: Bucket) -> AsyncIterator[Api]:
    """With a file of 50 bytes under KEY."""
    objects = objects_in(object_store)
    connection = await psycopg.AsyncConnection.connect(database.superuser_url, autocommit=True, row_factory=dict_row)
    async with connected(database, "hythe_importer") as adapter, connection:
        await objects.put(objects.object_key(KEY), b"x" * 50, "application/octet-stream")
        await connection.execute(
            "INSERT INTO files (tenant_id, key, file_name, user_id, expires_at) VALUES (1, %s, 'f', 7, now())", (KEY,)
        )
        store = SqlImportStore(adapter)
        thresholds = Thresholds(max_file_bytes=1_000, small_file_bytes=100)
        imports = Imports(store, objects, SOURCES, thresholds)
        actions = ParserActions(SqlParserActionStore(adapter), imports, SOURCES)
        writeups = Writeups(SqlWriteupStore(adapter))
        repeats = Repeats(store, objects, thresholds, timedelta(days=90), max_running_executions=4)
        engagements = Engagements(SqlEngagementStore(adapter), max_running_imports=4)
        detector = Detector(SOURCES, recognised, describe)
        records = RecordImports(SqlRecordFileStore(adapter), store, objects, FakeWorkspaces(), imports)
        service = ImportService(imports, Commands(store), repeats, engagements, SOURCES, detector, records)
        audit = FakeAudit()
        registrations = [
            partial(add_ParserActionServiceServicer_to_server, ParserActionService(actions, writeups)),
            partial(add_PlextracParserActionsServicer_to_server, PlextracParserActions(actions, writeups)),
            partial(add_ImportServiceServicer_to_server, service),
        ]
        async with served(registrations, PEOPLE, audit=audit) as channel:
            native, plextrac = ParserActionServiceStub(channel), PlextracParserActionsStub(channel)
            yield Api(native, plextrac, ImportServiceStub(channel), connection, audit)
    objects.close()


async def test_the_parsers_are_the_sources_of_findings_under_both_published_names(api: Api) -> None:
    answer = await api.plextrac.ListParsers(dialect.TenantRequest(tenant_id=1), metadata=as_("viewer"))
    assert MessageToDict(answer) == {
        "status": "success",
        "parsers": [{"name": "Nessus", "id": "nessus", "source": "nessus"}],
    }


async def test_an_action_is_made_with_its_id_title_and_severity_and_forces_that(api: Api) -> None:
    assert await api.create(description="d") == {"status": "success"}
    action = await api.action()
    (entry,) = action.pop("log_trail")
    assert action == {
        "id": "10028", "action": "DEFAULT", "severity": "Medium", "original_severity": "Medium",
        "title": "Title 10028", "description": "d", "writeupID": "", "writeupLabel": "",
    }  # fmt: skip
    assert entry.pop("updated_at") > 1_700_000_000_000
    assert entry == {
        "updated_by": {"user_id": ADMIN.user_id, "name": {"first": ADMIN.email, "last": ""}},
        "action": "DEFAULT", "severity": "Medium", "writeupID": "",
    }  # fmt: skip
    assert await api.version() == 1
    assert await refusal(api.create()) == (grpc.StatusCode.ALREADY_EXISTS, "PARSER_ACTION_EXISTS")


async def test_a_link_shows_its_writeup_as_it_is_now(api: Api) -> None:
    number = await api.writeup(fields=[{"label": "Effort", "value": "low"}], writeupAbbreviation="DEF-1")
    await api.create(action="LINK", writeupID=str(number), writeupLabel="whatever")
    action = await api.action()
    assert (action["writeupID"], action["writeupLabel"]) == (str(number), "Ours")
    shown = action["writeup"]
    assert {name: shown[name] for name in ("id", "doc_id", "doc_type", "severity", "tenantId", "isDeleted")} == {
        "id": f"template_{number}", "doc_id": number, "doc_type": "template", "severity": "Critical", "tenantId": 1,
        "isDeleted": False,
    }  # fmt: skip
    assert shown["fields"] == {"effort": {"key": "effort", "label": "Effort", "value": "low", "sort_order": 0}}
    change = dialect.TemplateChange(writeup_id=f"template_{number}", payload=struct({"title": "Mended"}))
    await api.plextrac.UpdateTemplate(change, metadata=as_("admin"))
    action = await api.action()
    assert (action["writeupLabel"], action["writeup"]["description"]) == ("Mended", "words")
    # One for the action, one for the writeup that something links to.
    assert await api.version() == 2


async def test_a_deleted_writeup_is_shown_where_it_is_linked_and_cannot_be_linked_again(api: Api) -> None:
    number = await api.writeup()
    await api.create(action="LINK", writeupID=number)
    request = dialect.TemplateRequest(writeup_id=str(number))
    await api.plextrac.DeleteTemplate(request, metadata=as_("admin"))
    assert await refusal(api.plextrac.DeleteTemplate(request, metadata=as_("admin"))) == (MISSING, "WRITEUP_NOT_FOUND")
    assert (await api.action())["writeup"]["isDeleted"] is True
    assert await refusal(api.create("2", action="LINK", writeupID=number)) == (MISSING, "WRITEUP_NOT_FOUND")
    native = await api.native.GetParserAction(
        pb.GetParserActionRequest(source="nessus", action_id="10028"), metadata=as_("viewer")
    )
    assert native.action.writeup_deleted
    said = [piece async for piece in api.plextrac.ListTemplates(dialect.NoTenantRequest(), metadata=as_("viewer"))]
    assert json.loads(b"".join(piece.data for piece in said)) == []


async def test_the_bulk_of_the_official_script_changes_what_it_says_and_nothing_else(api: Api) -> None:
    number = await api.writeup()
    for action_id in ("1", "2", "3", "4"):
        await api.create(action_id, action="PASS_THROUGH")
    none = {"writeupID": "", "writeupLabel": ""}
    assert await api.bulk(
        {"id": "1", "action": "DEFAULT", "severity": "Critical", **none},
        {"id": "2", "action": "IGNORE", **none},
        {"id": "3", "action": "LINK", "writeupID": str(number), "writeupLabel": "Ours"},
    ) == {"status": "success"}
    page = await api.page()
    assert [(each["id"], each["action"], each["severity"], each["writeupID"]) for each in page["actions"]] == [
        ("1", "DEFAULT", "Critical", ""),
        ("2", "IGNORE", "Medium", ""),
        ("3", "LINK", "Medium", str(number)),
        ("4", "PASS_THROUGH", "Medium", ""),
    ]
    assert [each["original_severity"] for each in page["actions"]] == ["Medium"] * 4
    assert [len(each["log_trail"]) for each in page["actions"]] == [2, 2, 2, 1]
    # A link that is given up keeps no writeup; its severity is still that of before.
    await api.update("3", action="PASS_THROUGH")
    assert (await api.action("3"))["writeupID"] == ""


async def test_a_bulk_with_one_mistake_changes_nothing(api: Api) -> None:
    await api.create("1")
    before, version = await api.action("1"), await api.version()
    good = {"id": "1", "action": "IGNORE"}
    for wrong, refused in (
        ({"id": "2", "action": "IGNORE"}, (MISSING, "PARSER_ACTION_NOT_FOUND")),
        ({"id": "", "action": "IGNORE"}, (INVALID, "FIELD_REQUIRED")),
        ({"id": "1", "action": "LINK"}, (INVALID, "WRITEUP_REQUIRED")),
        ({"id": "1", "action": "LINK", "writeupID": "5"}, (MISSING, "WRITEUP_NOT_FOUND")),
        ({"id": "1", "action": "LINK", "writeupID": "x"}, (INVALID, "WRITEUP_REQUIRED")),
        ({"id": "1", "action": "DROP"}, (INVALID, "UNKNOWN_ACTION")),
        ({"id": "1", "severity": "Awful"}, (INVALID, "INVALID_SEVERITY")),
    ):
        assert await refusal(api.bulk(good, wrong)) == refused, wrong
    assert await refusal(api.bulk(*[good] * 10_001)) == (INVALID, "TOO_MANY_UPDATES")
    assert (await api.action("1"), await api.version()) == (before, version)


async def test_saying_what_is_so_already_is_no_change(api: Api) -> None:
    await api.create(action="IGNORE")
    version = await api.version()
    await api.update(action="IGNORE", severity="medium")
    assert len((await api.action())["log_trail"]) == 1
    assert await api.version() == version


async def test_the_log_keeps_the_last_changes_newest_first(api: Api) -> None:
    await api.create(action="PASS_THROUGH")
    for number in range(KEPT_CHANGES + 5):
        await api.update(severity=("Low", "High")[number % 2])
    trail = (await api.action())["log_trail"]
    assert len(trail) == KEPT_CHANGES
    assert [entry["severity"] for entry in trail[:3]] == ["Low", "High", "Low"]
    times = [entry["updated_at"] for entry in trail]
    assert times == sorted(times, reverse=True)


async def test_pages_go_by_skip_as_the_official_pager_asks_and_filters_count(api: Api) -> None:
    for number in range(5):
        await api.create(f"10{number}", action="IGNORE" if number % 2 else "PASS_THROUGH", title=f"SQL 100% {number}")
    page = await api.page(limit=2, skip=2)
    assert ([each["id"] for each in page["actions"]], page["total_items"]) == (["102", "103"], 5)
    assert await api.page(limit=1_000, skip=1_000) == {"actions": [], "total_items": 5}
    assert (await api.page(type="IGNORE"))["total_items"] == 2
    assert (await api.page(query="sql 100%"))["total_items"] == 5
    assert (await api.page(query="_"))["total_items"] == 0
    assert (await api.page(source="NESSUS"))["total_items"] == 5
    for wrong in ({"limit": 1_001}, {"skip": -1}, {"type": "SOME"}, {"source": "acunetix"}):
        assert (await refusal(api.page(**wrong)))[0] is INVALID
    seen, token = [], ""
    while True:
        request = pb.ListParserActionsRequest(source="nessus", page_size=2, page_token=token)
        answer = await api.native.ListParserActions(request, metadata=as_("viewer"))
        seen += [each.action_id for each in answer.actions]
        token = answer.next_page_token
        if not token:
            break
    assert (seen, answer.total_size) == ([f"10{number}" for number in range(5)], 5)


async def test_a_page_of_a_thousand_long_actions_is_whole(api: Api) -> None:
    text = "x" * 4_000
    await api.rows(
        "INSERT INTO parser_actions (tenant_id, source, action_id, action, severity, original_severity, title, "
        "description) SELECT 1, 'nessus', n, 'IGNORE', 1, 1, 't', %s FROM generate_series(1, 1000) n RETURNING 1",
        text,
    )
    page = await api.page(limit=1_000)
    assert {each["description"] for each in page["actions"]} == {text}
    assert len(page["actions"]) == 1_000
    request = pb.ListParserActionsRequest(source="nessus", page_size=1_000)
    answer = await api.native.ListParserActions(request, metadata=as_("viewer"))
    assert 500 < len(answer.actions) < 1_000
    assert answer.next_page_token == answer.actions[-1].action_id


async def test_the_tenants_switch_is_on_until_somebody_says_otherwise(api: Api) -> None:
    read = dialect.TenantRequest(tenant_id=1)
    assert MessageToDict(await api.plextrac.GetParserConfig(read, metadata=as_("viewer")))["enabled"] is True
    for enabled in (False, True):
        change = dialect.ParserConfigChange(tenant_id=1, payload=struct({"enabled": enabled}))
        answer = MessageToDict(await api.plextrac.SetParserConfig(change, metadata=as_("admin")))
        assert answer == {"status": "success", "enabled": enabled}
        settings = await api.native.GetParserActionSettings(pb.GetParserActionSettingsRequest(), metadata=as_("viewer"))
        assert settings.settings.enabled is enabled
    assert await api.version() == 2
    empty = dialect.ParserConfigChange(tenant_id=1)
    assert await refusal(api.plextrac.SetParserConfig(empty, metadata=as_("admin"))) == (INVALID, "FIELD_REQUIRED")


async def test_only_administrators_of_the_whole_tenant_change_anything(api: Api) -> None:
    number = await api.writeup()
    await api.create()
    calls: dict[str, Callable[[str], Awaitable[Any]]] = {
        "create": lambda caller: api.create("2", caller=caller),
        "bulk": lambda caller: api.bulk({"id": "10028", "action": "IGNORE"}, caller=caller),
        "writeup": lambda caller: api.writeup(caller=caller),
        "delete": lambda caller: api.native.DeleteWriteup(
            pb.DeleteWriteupRequest(writeup_id=number), metadata=as_(caller)
        ),
        "update": lambda caller: api.native.UpdateWriteup(
            pb.UpdateWriteupRequest(writeup=pb.Writeup(writeup_id=number, title="t", severity=pb.SEVERITY_LOW)),
            metadata=as_(caller),
        ),
        "switch": lambda caller: api.native.SetParserActionSettings(
            pb.SetParserActionSettingsRequest(), metadata=as_(caller)
        ),
        "learn": lambda caller: api.native.LearnParserActions(
            pb.LearnParserActionsRequest(source="nessus", key=KEY), metadata=as_(caller)
        ),
    }
    for name, call in calls.items():
        assert (await refusal(call("importer")))[0] is DENIED, name
        assert await refusal(call("limited")) == (DENIED, "CLIENT_GRANTS"), name
    assert (await api.action(caller="limited"))["action"] == "DEFAULT"
    assert await api.rows("SELECT 1 FROM imports") == []


async def test_nothing_of_another_tenant_is_there(api: Api) -> None:
    number = await api.writeup()
    await api.create()
    for wrong in (
        api.bulk(caller="stranger"),
        api.page(caller="stranger"),
        api.bulk(tenant_id=2),
        api.page(tenant_id=2),
    ):
        assert await refusal(wrong) == (MISSING, "TENANT_NOT_FOUND")
    listed = await api.native.ListParserActions(pb.ListParserActionsRequest(source="nessus"), metadata=as_("stranger"))
    assert (list(listed.actions), listed.total_size) == ([], 0)
    one = pb.GetParserActionRequest(source="nessus", action_id="10028")
    assert await refusal(api.native.GetParserAction(one, metadata=as_("stranger"))) == (
        MISSING,
        "PARSER_ACTION_NOT_FOUND",
    )
    for call in (
        api.native.GetWriteup(pb.GetWriteupRequest(writeup_id=number), metadata=as_("stranger")),
        api.native.DeleteWriteup(pb.DeleteWriteupRequest(writeup_id=number), metadata=as_("stranger")),
        api.native.CreateParserAction(
            pb.CreateParserActionRequest(
                action=pb.ParserAction(
                    source="nessus", action_id="1", title="t", severity=pb.SEVERITY_LOW,
                    action=pb.ACTION_CODE_LINK, writeup_id=number,
                )
            ),
            metadata=as_("stranger"),
        ),
    ):  # fmt: skip
        assert await refusal(call) == (MISSING, "WRITEUP_NOT_FOUND")


async def test_native_and_dialect_say_the_same(api: Api) -> None:
    made = await api.native.CreateWriteup(
        pb.CreateWriteupRequest(
            writeup=pb.Writeup(title="W", severity=pb.SEVERITY_HIGH, fields={"Effort": "low"}, references="r")
        ),
        metadata=as_("admin"),
    )
    number = made.writeup.writeup_id
    created = await api.native.CreateParserAction(
        pb.CreateParserActionRequest(
            action=pb.ParserAction(
                source="nessus", action_id="1", title="T", severity=pb.SEVERITY_CRITICAL,
                action=pb.ACTION_CODE_LINK, writeup_id=number,
            )
        ),
        metadata=as_("admin"),
    )  # fmt: skip
    assert (created.action.writeup_title, created.action.severity) == ("W", pb.SEVERITY_CRITICAL)
    shown = await api.action("1")
    assert (shown["action"], shown["severity"], shown["writeup"]["references"]) == ("LINK", "Critical", "r")
    updated = await api.native.UpdateParserActions(
        pb.UpdateParserActionsRequest(
            source="nessus",
            updates=[pb.ParserActionUpdate(action_id="1", action=pb.ACTION_CODE_FORCE_SEVERITY)],
        ),
        metadata=as_("admin"),
    )
    assert updated.updated_count == 1
    assert (await api.action("1"))["action"] == "DEFAULT"
    page = await api.native.ListWriteups(pb.ListWriteupsRequest(page_size=1), metadata=as_("viewer"))
    assert ([each.writeup_id for each in page.writeups], page.next_page_token) == ([number], "")


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"title": ""}, "FIELD_REQUIRED"),
        ({"title": "t" * 1_025}, "FIELD_TOO_LONG"),
        ({"severity": ""}, "FIELD_REQUIRED"),
        ({"severity": "Awful"}, "INVALID_SEVERITY"),
        ({"fields": "x"}, "INVALID_FIELDS"),
        ({"fields": {"a": "b"}}, "INVALID_FIELDS"),
        ({"fields": [{"label": str(n), "value": ""} for n in range(101)]}, "TOO_MANY_FIELDS"),
        ({"description": "d" * 100_001}, "FIELD_TOO_LONG"),
    ],
)
async def test_a_wrong_writeup_is_refused(api: Api, members: dict[str, Any], reason: str) -> None:
    assert await refusal(api.writeup(**members)) == (INVALID, reason)
    assert await api.rows("SELECT 1 FROM writeups") == []


async def test_learning_is_an_import_that_belongs_to_no_client(api: Api) -> None:
    request = pb.LearnParserActionsRequest(source="nessus", key=KEY, request_id="once")
    learned = [getattr(await api.native.LearnParserActions(request, metadata=as_("admin")), "import") for _ in range(2)]
    assert learned[0].import_id == learned[1].import_id
    assert (learned[0].client_id, learned[0].report_id, learned[0].client_name) == (0, 0, "")
    (row,) = await api.rows("SELECT * FROM imports")
    assert (row["target"], row["client_id"], row["report_id"], row["state"]) == ("parser_actions", 0, None, "QUEUED")
    wrong = pb.LearnParserActionsRequest(source="nmap-xml", key=KEY)
    assert await refusal(api.native.LearnParserActions(wrong, metadata=as_("admin"))) == (INVALID, "UNKNOWN_SOURCE")
    plain = importer_pb2.CreateImportRequest(source="nessus", key=KEY, report_id=1)
    assert await refusal(api.imports.CreateImport(plain, metadata=as_("admin"))) == (MISSING, "CLIENT_NOT_FOUND")
    # What was learned cannot be taken back.
    await api.rows("UPDATE imports SET state = 'SUCCEEDED', ended_at = now() RETURNING 1")
    undo = importer_pb2.UndoImportRequest(import_id=learned[0].import_id)
    assert await refusal(api.imports.UndoImport(undo, metadata=as_("admin"))) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "IMPORT_NOT_UNDOABLE",
    )


async def test_actions_made_at_the_same_time_are_made_once(api: Api) -> None:
    made = await asyncio.gather(*(api.create() for _ in range(5)), return_exceptions=True)
    assert sorted(isinstance(each, grpc.aio.AioRpcError) for each in made) == [False, True, True, True, True]


async def test_changes_are_in_the_audit_log_with_what_they_were_made_on(api: Api) -> None:
    await api.create()
    (event,) = [event for event in api.audit.events if event.method == "CreateParserAction"]
    assert (event.object["source"], event.object["action_id"]) == ("nessus", "10028")
