"""Object schemas, types and objects as the Assets API reads them back."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import timedelta
from typing import Any
from uuid import UUID

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody
from jsonschema import Draft201909Validator

from hythe.dialects.assets.v1 import assets_pb2 as pb
from tests.fakes.workspaces import FOREIGN, HOME, SECOND
from tests.integration.serving import PUBLIC_URL
from tests.integration.status.asset_rows import SOURCE, AssetRows
from tests.integration.status.conftest import Api, as_, check_shape, payload, refusal
from tests.integration.status.rows import WHEN, WHEN_ISO

SHAPES = "assets/v1"
WORKSPACE = str(HOME.workspace_id)
BASE = f"{PUBLIC_URL}/jsm/assets/workspace/{WORKSPACE}/v1"
NO_OBJECT = (grpc.StatusCode.NOT_FOUND, "OBJECT_NOT_FOUND")
PICTURE = b"\x89PNG and so on"


@pytest.fixture
def assets(api: Api) -> AssetRows:
    """Hosts with all kinds of values, of a type that stands under another one, and sites that they are at."""
    assets = AssetRows(api.rows)
    icons = [{"key": "server", "name": "Server", "png48": b64encode(PICTURE).decode()}]
    statuses = [{"name": "In use", "description": "It runs.", "category": "active"}]
    statuses.append({"name": "Ordered", "description": "", "category": "pending"})
    schema = assets.schema(icons=icons, statuses=statuses)
    site = assets.type(schema, "Site", position=1)
    machine = assets.type(schema, "Machine", is_abstract=True)
    host = assets.type(schema, "Host", parent_id=machine, is_inherited=True, icon="server", external_id="x/host")
    assets.ids |= {"schema": schema, "site": site, "machine": machine, "host": host}
    for name, kind, more in (
        ("Name", "text", {"is_label": True}),
        ("Cores", "integer", {}),
        ("Load", "double", {}),
        ("Active", "boolean", {}),
        ("Bought", "date", {}),
        ("Tags", "select", {"maximum_cardinality": -1, "options": ["a", "b"]}),
        ("State", "status", {"options": ["In use", "Ordered"]}),
        ("Owner", "user", {}),
        ("Team", "group", {}),
        ("Site", "referenced_object", {"reference_type_id": site}),
        ("Peers", "referenced_object", {"reference_type_id": host, "maximum_cardinality": -1}),
    ):
        assets.ids[name.lower() + " of host"] = assets.attribute(host, name, kind, **more)
    assets.ids["serial"] = assets.attribute(machine, "Serial Number", "text", is_unique=True)
    assets.ids["site name"] = assets.attribute(site, "Name", is_label=True)
    return assets


def host(assets: AssetRows, label: str, **values: Any) -> int:
    """`values` by the names of attributes in lower case."""
    document = {
        assets.ids["name of host"]: label,
        **{assets.ids[f"{name} of host"]: each for name, each in values.items()},
    }
    number = assets.object(assets.ids["host"], label, document)
    for name in ("site", "peers"):
        found = values.get(name, [])
        assets.refer(number, assets.ids[f"{name} of host"], *(found if isinstance(found, list) else [found]))
    return number


def filled(assets: AssetRows) -> int:
    zurich = assets.object(assets.ids["site"], "Zürich", {assets.ids["site name"]: "Zürich"})
    gone = assets.object(assets.ids["site"], "gone", None)
    number = host(
        assets, "web-1", cores=8, load=0.5, active=True, bought="2025-01-31", tags=["a", "b"], state="Ordered",
        owner="ada@example.com", team="ops", site=zurich, peers=[gone],
    )  # fmt: skip
    document = {assets.ids["serial"]: "S-1"}
    api_rows = assets.rows.connection
    api_rows.execute(
        "UPDATE objects SET document = document || %s::jsonb WHERE object_id = %s",
        [json.dumps({str(key): value for key, value in document.items()}), number],
    )
    return number


async def query(api: Api, text: str, caller: str = "viewer", **members: Any) -> Any:
    body = {"qlQuery": text, **members.pop("body", {})}
    request = pb.QueryRequest(workspace_id=WORKSPACE, payload=payload(body), **members)
    found = await api.streamed(api.assets.QueryObjects(request, metadata=as_(caller)))
    check_shape("Objects", found, SHAPES)
    return found


async def reading(api: Api, method: str, number: object, caller: str = "viewer", **members: Any) -> Any:
    """The document of any call that has a number in its path."""
    requests: dict[str, Any] = {"ListObjectTypes": pb.ObjectTypesRequest, "ListObjectTypesFlat": pb.ObjectTypesRequest}
    requests |= {"GetObjectSchema": pb.ObjectSchemaRequest, "ListSchemaAttributes": pb.ObjectSchemaRequest}
    requests |= {"GetObjectType": pb.ObjectTypeRequest, "ListObjectTypeAttributes": pb.ObjectTypeRequest}
    requests |= {
        "ListObjectHistory": pb.ObjectHistoryRequest,
        "GetIcon": pb.IconRequest,
        "GetIconImage": pb.IconRequest,
    }
    request = requests.get(method, pb.ObjectRequest)(**{"workspace_id": WORKSPACE, "id": str(number), **members})
    call = getattr(api.assets, method)(request, metadata=as_(caller))
    if hasattr(call, "__aiter__"):
        return await api.streamed(call)
    answer = await call
    return answer if isinstance(answer, HttpBody) else await api.answered(call)


async def test_an_object_has_the_values_of_all_its_attributes(api: Api, assets: AssetRows) -> None:
    number = filled(assets)
    found = await reading(api, "GetObject", number)
    check_shape("Object", found, SHAPES)
    attributes = found.pop("attributes")
    object_type = found.pop("objectType")
    icon = f"{BASE}/icon/{assets.ids['host']}/icon.png"
    assert found == {
        "workspaceId": WORKSPACE,
        "globalId": f"{WORKSPACE}:{number}",
        "id": str(number),
        "label": "web-1",
        "objectKey": f"IT-{number}",
        "avatar": {
            "workspaceId": WORKSPACE,
            "globalId": f"{WORKSPACE}:{number}",
            "objectId": str(number),
            "url16": f"{icon}?size=16",
            **{f"url{size}": f"{icon}?size=48" for size in (48, 72, 144, 288)},
        },
        "created": WHEN_ISO,
        "updated": WHEN_ISO,
        "hasAvatar": False,
        "timestamp": 1_772_600_767_890,
        "_links": {"self": f"{BASE}/object/{number}"},
    }
    assert object_type == {
        "workspaceId": WORKSPACE,
        "globalId": f"{WORKSPACE}:{assets.ids['host']}",
        "id": str(assets.ids["host"]),
        "name": "Host",
        "description": "",
        "icon": {
            "id": str(assets.ids["host"]),
            "name": "server",
            "url16": f"{icon}?size=16",
            "url48": f"{icon}?size=48",
        },
        "position": 0,
        "created": WHEN_ISO,
        "updated": WHEN_ISO,
        "objectCount": 0,
        "objectSchemaId": str(assets.ids["schema"]),
        "inherited": False,
        "abstractObjectType": False,
        "parentObjectTypeInherited": True,
        "parentObjectTypeId": assets.ids["machine"],
        "externalId": "x/host",
    }
    values = {each["objectTypeAttribute"]["name"]: each["objectAttributeValues"] for each in attributes}
    shown = {name: [each["displayValue"] for each in found] for name, found in values.items()}
    assert list(shown.items()) == [
        ("Serial Number", ["S-1"]),
        ("Name", ["web-1"]),
        ("Cores", ["8"]),
        ("Load", ["0.5"]),
        ("Active", ["true"]),
        ("Bought", ["2025-01-31"]),
        ("Tags", ["a", "b"]),
        ("State", ["Ordered"]),
        ("Owner", ["ada@example.com"]),
        ("Team", ["ops"]),
        ("Site", ["Zürich"]),
    ]
    assert values["Cores"] == [{"value": "8", "displayValue": "8", "searchValue": "8", "referencedType": False}]
    assert values["State"][0]["status"] == {"id": "2", "name": "Ordered", "description": "", "category": 2}
    assert values["Owner"][0]["user"]["key"] == "ada@example.com"
    assert values["Team"][0]["group"]["name"] == "ops"
    zurich = assets.ids["Zürich"]
    assert values["Site"] == [
        {
            "value": f"IT-{zurich}",
            "displayValue": "Zürich",
            "searchValue": f"IT-{zurich}",
            "referencedType": True,
            "referencedObject": {
                "workspaceId": WORKSPACE,
                "globalId": f"{WORKSPACE}:{zurich}",
                "id": str(zurich),
                "label": "Zürich",
                "objectKey": f"IT-{zurich}",
                "objectType": {"id": str(assets.ids["site"]), "name": "Site"},
                "hasAvatar": False,
                "_links": {"self": f"{BASE}/object/{zurich}"},
            },
        }
    ]
    by_key = await reading(api, "ListObjectAttributes", f"it-{number}")
    check_shape("ObjectAttributes", by_key, SHAPES)
    assert by_key == attributes


async def test_objects_of_others_are_not_there(api: Api, assets: AssetRows) -> None:
    number = filled(assets)
    elsewhere = assets.schema(key="IT", workspace_id=SECOND.workspace_id)
    theirs = assets.object(assets.type(elsewhere, "Host"), "theirs", {})
    for asked in (theirs, f"IT-{theirs}", f"HR-{number}", assets.ids["gone"], 10**18, "x", "", "-1", 2**70):
        for method in ("GetObject", "ListObjectAttributes", "ListObjectHistory", "ListObjectReferences"):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await reading(api, method, asked)
            assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    request = pb.ObjectRequest(workspace_id=WORKSPACE, id=str(number))
    no_workspace = (grpc.StatusCode.NOT_FOUND, "WORKSPACE_NOT_FOUND")
    assert await refusal(api.assets.GetObject(request, metadata=as_("stranger"))) == no_workspace
    request.workspace_id = str(FOREIGN.workspace_id)
    assert await refusal(api.assets.GetObject(request, metadata=as_("stranger"))) == NO_OBJECT
    request.workspace_id = WORKSPACE
    assert (await refusal(api.assets.GetObject(request, metadata=as_("limited"))))[1] == "CLIENT_GRANTS"
    # A container token is for imports, and reads no objects.
    assert (await refusal(api.assets.GetObject(request, metadata=as_("container"))))[
        0
    ] is grpc.StatusCode.PERMISSION_DENIED


async def test_a_query_answers_a_page_of_objects(api: Api, assets: AssetRows) -> None:
    numbers = [host(assets, f"host-{each}", cores=each) for each in range(60)]
    filled_one = filled(assets)
    found = await query(api, "objectType = Host AND Cores < 100 ORDER BY objectId ASC", max_results=55)
    assert (found["startAt"], found["maxResults"], found["total"]) == (0, 55, 61)
    assert (found["hasMoreResults"], found["isLast"], found["last"]) == (True, False, False)
    assert [each["id"] for each in found["values"]] == [str(each) for each in numbers[:55]]
    names = [each["name"] for each in found["objectTypeAttributes"]]
    assert (names[0], names[1], len(names)) == ("Serial Number", "Name", 12)
    assert found["objectTypeAttributes"][1]["defaultType"] == {"id": 0, "name": "Text"}
    assert "objectTypeAttribute" not in found["values"][0]["attributes"][0]
    rest = await query(api, "objectType = Host ORDER BY objectId ASC", body={"startAt": 60, "maxResults": 10})
    assert [each["id"] for each in rest["values"]] == [str(filled_one)]
    assert (rest["isLast"], rest["hasMoreResults"], rest["total"]) == (True, False, 61)
    site = next(
        each
        for each in rest["values"][0]["attributes"]
        if each["objectTypeAttributeId"] == str(assets.ids["site of host"])
    )
    assert site["objectAttributeValues"][0]["referencedObject"]["label"] == "Zürich"


@pytest.mark.parametrize("members", [{"include_attributes": False}, {"body": {"includeAttributes": False}}])
async def test_a_query_can_do_without_attributes(api: Api, assets: AssetRows, members: dict[str, Any]) -> None:
    filled(assets)
    found = await query(api, 'Name = "web-1"', **members)
    assert [each["label"] for each in found["values"]] == ["web-1"]
    assert "attributes" not in found["values"][0]


async def test_an_empty_page_is_whole(api: Api, assets: AssetRows) -> None:
    found = await query(api, "objectType = Host", body={"startAt": 5})
    assert (found["values"], found["objectTypeAttributes"], found["total"], found["isLast"]) == ([], [], 0, True)


async def test_older_clients_ask_for_pages_by_number(api: Api, assets: AssetRows) -> None:
    for each in range(5):
        host(assets, f"host-{each}", cores=each)
    text = "objectType = Host ORDER BY objectId ASC"
    by_path = pb.NavigationRequest(workspace_id=WORKSPACE, iql=text, page=2, result_per_page=2)
    body = payload({"qlQuery": text, "page": 2, "resultPerPage": 2})
    for request in (by_path, pb.NavigationRequest(workspace_id=WORKSPACE, payload=body)):
        found = await api.streamed(api.assets.NavigateObjects(request, metadata=as_("viewer")))
        check_shape("ObjectEntries", found, SHAPES)
        assert [each["label"] for each in found.pop("objectEntries")] == ["host-2", "host-3"]
        assert len(found.pop("objectTypeAttributes")) == 12
        assert found == {
            "qlQuery": text,
            "qlQuerySearchResult": True,
            "totalFilterCount": 5,
            "startIndex": 2,
            "toIndex": 3,
            "pageObjectSize": 2,
            "pageNumber": 2,
            "pageSize": 3,
        }
    request = pb.NavigationRequest(
        workspace_id=WORKSPACE, page=4, result_per_page=2, include_attributes=False, include_type_attributes=False
    )
    found = await api.streamed(api.assets.NavigateObjects(request, metadata=as_("viewer")))
    assert (found["objectEntries"], found["objectTypeAttributes"], found["pageObjectSize"]) == ([], [], 0)
    request.page = 2**31 - 1
    refused = await refusal(api.assets.NavigateObjects(request, metadata=as_()))
    assert refused == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PAGE_SIZE")


async def test_a_query_counts(api: Api, assets: AssetRows) -> None:
    filled(assets)
    request = pb.QueryRequest(workspace_id=WORKSPACE, payload=payload({"qlQuery": 'Name LIKE "web"'}))
    found = await api.answered(api.assets.CountObjects(request, metadata=as_()))
    check_shape("ObjectCount", found, SHAPES)
    assert found == {"totalCount": 1}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"qlQuery": 7},
        {"qlQuery": "Name ="},
        {"qlQuery": "Unheard = 1"},
        {"qlQuery": "", "maxResults": -1},
        {"qlQuery": "", "startAt": 0.5},
        {"qlQuery": "", "startAt": "0"},
        {"qlQuery": "", "includeAttributes": "no"},
    ],
)
async def test_a_query_that_cannot_be_read_is_refused(api: Api, assets: AssetRows, body: dict[str, Any]) -> None:
    request = pb.QueryRequest(workspace_id=WORKSPACE, payload=payload(body))
    assert (await refusal(api.assets.QueryObjects(request, metadata=as_())))[0] is grpc.StatusCode.INVALID_ARGUMENT


def ended(assets: AssetRows, number: int) -> UUID:
    """A run that had begun before all others ended."""
    begun, over = WHEN - timedelta(hours=1), WHEN + timedelta(minutes=number)
    return assets.run("SUCCEEDED", flip_number=number, created_at=begun, ended_at=over)


async def test_the_history_is_what_imports_have_changed(api: Api, assets: AssetRows) -> None:
    assets.source(assets.ids["schema"])
    number = filled(assets)
    name, cores, site = (assets.ids[f"{each} of host"] for each in ("name", "cores", "site"))
    made, first, second = (ended(assets, each) for each in (1, 2, 3))
    assets.rows.connection.execute("UPDATE objects SET import_id = %s WHERE object_id = %s", [made, number])
    now = {int(key): value for key, value in stored(assets, number).items()}
    # An image of the later merge that is older, as its transaction began before the other one.
    assets.image(second, number, now | {site: 99, cores: 4}, WHEN - timedelta(seconds=1))
    assets.image(first, number, {**now, cores: 4, site: 99, name: "web"}, WHEN)
    found = await reading(api, "ListObjectHistory", number)
    check_shape("ObjectHistory", found, SHAPES)
    told = [
        (each["historyType"], each.get("affectedAttribute"), each.get("oldValue"), each.get("newValue"))
        for each in found
    ]
    assert told == [
        ("CHANGED", "Cores", "4", "8"),
        ("CHANGED", "Site", "IT-99", f"IT-{assets.ids['Zürich']}"),
        ("CHANGED", "Name", "web", "web-1"),
        ("CREATED", None, None, None),
    ]
    assert [each["executionId"] for each in found] == [str(each) for each in (second, second, first, made)]
    assert found[0]["actor"]["name"] == "importer@example.com"
    assert found[0]["importSourceId"] == str(SOURCE)
    assert (found[0]["type"], found[3]["type"], found[3]["created"]) == (1, 0, WHEN_ISO)
    assert len({each["id"] for each in found}) == 4
    turned = await reading(api, "ListObjectHistory", number, asc=True)
    assert [each["executionId"] for each in turned] == [str(each) for each in (made, first, second, second)]
    assert turned[1] == found[2]
    page = await reading(api, "ListObjectHistory", number, start_at=1, max_results=1)
    assert page == [found[2]]
    assert await reading(api, "ListObjectHistory", number, start_at=2) == [found[3]]


async def test_the_history_tells_of_people_between_the_imports(api: Api, assets: AssetRows) -> None:
    number = filled(assets)
    cores = assets.ids["cores of host"]
    first, second = (ended(assets, each) for each in (2, 4))
    before = {int(key): value for key, value in stored(assets, number).items()}
    assets.edit(number, None, WHEN, is_creation=True)
    assets.image(first, number, before | {cores: 1})
    assets.edit(number, before | {cores: 2}, WHEN + timedelta(minutes=3))
    assets.image(second, number, before | {cores: 3})
    assets.edit(number, before | {cores: 4}, WHEN + timedelta(minutes=5))
    assets.edit(number, None, WHEN + timedelta(minutes=7))
    assets.edit(number, before | {cores: 5}, WHEN + timedelta(minutes=6))
    found = await reading(api, "ListObjectHistory", number)
    check_shape("ObjectHistory", found, SHAPES)
    assert [(each["historyType"], each.get("oldValue"), each.get("newValue")) for each in found] == [
        ("RESTORED", None, None),
        ("REMOVED", None, None),
        ("CHANGED", "4", "5"),
        ("CHANGED", "3", "4"),
        ("CHANGED", "2", "3"),
        ("CHANGED", "1", "2"),
        ("CREATED", None, None),
    ]
    by_import = [each.get("executionId") for each in found]
    assert by_import == [None, None, None, str(second), None, str(first), None]
    assert {each["actor"]["name"] for each in found if "executionId" not in each} == {"editor@example.com"}
    assert len({each["id"] for each in found}) == len(found)
    # An undo has handed the image of an earlier import on to the second one, which had only seen the object.
    assets.rows.connection.execute("UPDATE before_images SET changed_at = %s", [WHEN - timedelta(days=1)])
    handed_on = await reading(api, "ListObjectHistory", number, asc=True)
    assert [each.get("executionId") for each in handed_on][1:3] == [str(first), str(second)]


async def test_the_history_tells_of_a_removal_and_a_return(api: Api, assets: AssetRows) -> None:
    number = filled(assets)
    removed, back = (assets.run("SUCCEEDED", flip_number=each, import_source_id=None) for each in (1, 2))
    assets.image(removed, number, {})
    assets.image(back, number, None)
    found = await reading(api, "ListObjectHistory", number)
    assert [each["historyType"] for each in found] == ["RESTORED", "REMOVED", "CREATED"]
    assert found[2]["actor"] == {}


async def test_references_are_counted_by_types(api: Api, assets: AssetRows) -> None:
    number = filled(assets)
    for each in ("a", "b"):
        host(assets, each, peers=[number], site=assets.ids["Zürich"])
    found = await reading(api, "ListObjectReferences", number)
    check_shape("ObjectReferences", found, SHAPES)
    assert [(each["objectType"]["name"], each["numberOfReferencedObjects"]) for each in found] == [("Host", 2)]
    assert found[0]["objectTypeAttributes"] == [
        {"id": str(assets.ids["peers of host"]), "name": "Peers", "numberOfReferencedObjects": 2}
    ]
    referring = await query(api, found[0]["qlQuery"])
    assert sorted(each["label"] for each in referring["values"]) == ["a", "b"]
    assert await reading(api, "ListObjectReferences", assets.ids["a"]) == []


def stored(assets: AssetRows, number: int) -> dict[str, Any]:
    row = assets.rows.connection.execute("SELECT document FROM objects WHERE object_id = %s", [number]).fetchone()
    assert row is not None
    found: dict[str, Any] = row[0]
    return found


async def test_object_schemas_are_listed_with_their_counts(api: Api, assets: AssetRows) -> None:
    filled(assets)
    assets.schema("People", "HR")
    assets.schema("Elsewhere", "EL", workspace_id=SECOND.workspace_id)

    async def listed(**members: Any) -> Any:
        request = pb.ObjectSchemasRequest(workspace_id=WORKSPACE, **members)
        found = await api.answered(api.assets.ListObjectSchemas(request, metadata=as_("viewer")))
        check_shape("ObjectSchemas", found, SHAPES)
        return found

    found = await listed()
    assert (found["total"], found["isLast"]) == (2, True)
    assert found["values"][0] == {
        "workspaceId": WORKSPACE,
        "globalId": f"{WORKSPACE}:{assets.ids['schema']}",
        "id": str(assets.ids["schema"]),
        "name": "Computers",
        "objectSchemaKey": "IT",
        "description": "",
        "status": "Ok",
        "created": WHEN_ISO,
        "updated": WHEN_ISO,
        "objectCount": 2,
        "objectTypeCount": 3,
    }
    assert [each["name"] for each in (await listed(query="peop"))["values"]] == ["People"]
    assert (await listed(include_counts=False))["values"][0]["objectCount"] == 0
    page = await listed(start_at=1, max_results=1)
    assert [each["objectSchemaKey"] for each in page["values"]] == ["HR"]
    one = await reading(api, "GetObjectSchema", assets.ids["schema"])
    check_shape("ObjectSchema", one, SHAPES)
    assert one == found["values"][0]


async def test_object_types_are_listed_flat_and_as_a_tree(api: Api, assets: AssetRows) -> None:
    filled(assets)
    schema = assets.ids["schema"]
    for method, expected in (
        ("ListObjectTypes", ["Machine", "Host", "Site"]),
        ("ListObjectTypesFlat", ["Site", "Machine", "Host"]),
    ):
        found = await reading(api, method, schema)
        check_shape("ObjectTypes", found, SHAPES)
        assert [each["name"] for each in found] == expected
    by_name = {each["name"]: each for each in found}
    assert {name: each["objectCount"] for name, each in by_name.items()} == {"Site": 1, "Machine": 0, "Host": 1}
    assert (by_name["Machine"]["inherited"], by_name["Machine"]["abstractObjectType"]) == (True, True)
    assert "parentObjectTypeId" not in by_name["Machine"]
    some = await reading(api, "ListObjectTypes", schema, exclude_abstract=True, include_object_counts=False, query="O")
    assert [(each["name"], each["objectCount"]) for each in some] == [("Host", 0)]
    one = await reading(api, "GetObjectType", assets.ids["host"])
    check_shape("ObjectType", one, SHAPES)
    assert one == by_name["Host"]


async def test_attributes_come_down_from_the_type_above(api: Api, assets: AssetRows) -> None:
    found = await reading(api, "ListObjectTypeAttributes", assets.ids["host"])
    check_shape("ObjectTypeAttributes", found, SHAPES)
    assert [each["name"] for each in found][:3] == ["Serial Number", "Name", "Cores"]
    by_name = {each["name"]: each for each in found}
    assert by_name["Serial Number"]["objectType"]["name"] == "Machine"
    assert (by_name["Serial Number"]["uniqueAttribute"], by_name["Name"]["label"]) == (True, True)
    assert by_name["Site"]["referenceObjectType"]["name"] == "Site"
    assert (by_name["Site"]["type"], by_name["Site"]["referenceObjectTypeId"]) == (1, str(assets.ids["site"]))
    assert (by_name["Tags"]["options"], by_name["Tags"]["maximumCardinality"]) == ("a,b", -1)
    assert (by_name["State"]["type"], by_name["State"]["typeValueMulti"]) == (7, ["In use", "Ordered"])
    assert [by_name[name]["type"] for name in ("Owner", "Team")] == [2, 4]
    whole = await reading(api, "ListSchemaAttributes", assets.ids["schema"])
    check_shape("ObjectTypeAttributes", whole, SHAPES)
    assert len(whole) == 13
    assert len(await reading(api, "ListObjectTypeAttributes", assets.ids["machine"])) == 1


async def test_a_type_has_its_icon_or_a_blank_one(api: Api, assets: AssetRows) -> None:
    icon = await reading(api, "GetIcon", assets.ids["host"])
    check_shape("Icon", icon, SHAPES)
    assert (icon["id"], icon["name"]) == (str(assets.ids["host"]), "server")
    image = await reading(api, "GetIconImage", assets.ids["host"])
    assert (image.content_type, image.data) == ("image/png", PICTURE)
    image = await reading(api, "GetIconImage", assets.ids["site"])
    assert image.data.startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("GetObjectSchema", "OBJECT_SCHEMA_NOT_FOUND"),
        ("ListObjectTypes", "OBJECT_SCHEMA_NOT_FOUND"),
        ("ListObjectTypesFlat", "OBJECT_SCHEMA_NOT_FOUND"),
        ("ListSchemaAttributes", "OBJECT_SCHEMA_NOT_FOUND"),
        ("GetObjectType", "OBJECT_TYPE_NOT_FOUND"),
        ("ListObjectTypeAttributes", "OBJECT_TYPE_NOT_FOUND"),
        ("GetIcon", "OBJECT_TYPE_NOT_FOUND"),
        ("GetIconImage", "OBJECT_TYPE_NOT_FOUND"),
    ],
)
async def test_schemas_and_types_of_others_are_not_there(api: Api, assets: AssetRows, method: str, reason: str) -> None:
    elsewhere = assets.schema(key="E", workspace_id=SECOND.workspace_id)
    theirs = elsewhere if "SCHEMA" in reason else assets.type(elsewhere, "Host")
    for asked in (theirs, 2**31, "x", ""):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await reading(api, method, asked)
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND, asked
    for caller in ("stranger", "limited", "container"):
        with pytest.raises(grpc.aio.AioRpcError):
            await reading(api, method, assets.ids["schema"], caller)


@pytest.mark.parametrize("version", ["2021_09_15", "2023_10_19"])
async def test_the_schemas_of_mappings_are_there_for_everybody(api: Api, version: str) -> None:
    body = await api.assets.GetMappingSchema(pb.MappingSchemaRequest(version=version))
    schema = json.loads(body.data)
    Draft201909Validator.check_schema(schema)
    assert schema["$id"] == f"{PUBLIC_URL}/jsm/assets/imports/external/schema/versions/{version}"


async def test_other_versions_of_them_are_not(api: Api) -> None:
    call = api.assets.GetMappingSchema(pb.MappingSchemaRequest(version="2020_01_01"))
    assert await refusal(call) == (grpc.StatusCode.NOT_FOUND, "MAPPING_SCHEMA_NOT_FOUND")
