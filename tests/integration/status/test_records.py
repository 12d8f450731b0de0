"""Records of a workspace: pages by the native API, queries by AppFile's."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody

from hythe.dialects.appfile.v1 import appfile_pb2
from hythe.status.v1 import status_pb2
from tests.fakes.workspaces import FOREIGN, SECOND
from tests.integration.status.conftest import Api, as_, refusal
from tests.integration.status.rows import WHEN

FAMILIES: dict[str, dict[str, Any]] = {
    "F1": {"entityId": "F1", "name": "Garcia | Lee", "familySize": 4, "tags": ["new", "2026"], "disabled": False},
    "F2": {"entityId": "F2", "name": "Okafor", "address": {"zip": "94103"}, "disabled": False},
    "F3": {"entityId": "F3", "name": "Ng", "familySize": 2, "address": {"zip": "95814"}, "disabled": True},
    "F4": {"entityId": "F4", "name": "O'Neil", "familySize": "4", "note": None},
}


def call(entity: str, body: Any) -> appfile_pb2.QueryRecordsRequest:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    content = HttpBody(content_type="application/json", data=data)
    return appfile_pb2.QueryRecordsRequest(entity_type=entity, content=content)


async def asked(api: Api, body: Any, entity: str = "wks_family", *headers: tuple[str, str]) -> dict[str, Any]:
    document: dict[str, Any] = await api.streamed(
        api.appfile.QueryRecords(call(entity, body), metadata=(*as_("viewer"), *headers))
    )
    assert document["IsSuccess"] is True
    assert document["ResponseStatus"] == {"ErrorCode": "", "Message": "", "StackTrace": "", "Errors": []}
    return document


async def found(api: Api, query: Any, **more: Any) -> str:
    """The numbers of the families, in the order of the answer."""
    document = await asked(api, {"Query": query, **more})
    return "".join(each["entityId"].removeprefix("F") for each in document["Data"])


@pytest.fixture
def families(api: Api) -> Api:
    for key, document in FAMILIES.items():
        api.rows.record(json.dumps([key]), document)
    api.rows.record('["F9"]', None)
    api.rows.record('["F5"]', {"entityId": "F5"}, workspace_id=SECOND.workspace_id)
    api.rows.tenant_id = 2
    api.rows.record('["F6"]', {"entityId": "F6"})
    api.rows.record('["F7"]', {"entityId": "F7"}, workspace_id=FOREIGN.workspace_id)
    api.rows.tenant_id = 1
    return api


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({}, "1234"),
        ({"entityId": "F2"}, "2"),
        ({"entityId": {"$eq": "F2"}}, "2"),
        ({"entityId": {"$ne": "F2"}}, "134"),
        ({"entityId": {"$in": ["F1", "F3", "F9"]}}, "13"),
        ({"entityId": {"$nin": ["F1", "F3"]}}, "24"),
        ({"entityId": {"$in": []}}, ""),
        ({"familySize": 4}, "1"),
        ({"familySize": 4.0}, "1"),
        ({"familySize": "4"}, "4"),
        ({"familySize": {"$gt": 2}}, "1"),
        ({"familySize": {"$gte": 2}}, "13"),
        ({"familySize": {"$gte": 2, "$lt": 4}}, "3"),
        ({"familySize": {"$lte": 1e9}}, "13"),
        ({"entityId": {"$gt": "F2"}}, "34"),
        ({"familySize": {"$exists": True}}, "134"),
        ({"familySize": {"$exists": False}}, "2"),
        ({"note": {"$exists": True}}, "4"),
        ({"note": None}, "1234"),
        ({"familySize": None}, "2"),
        ({"familySize": {"$ne": None}}, "134"),
        ({"familySize": {"$in": [None, 2]}}, "23"),
        ({"disabled": True}, "3"),
        ({"disabled": {"$ne": True}}, "124"),
        ({"tags": "new"}, "1"),
        ({"tags": {"$nin": ["new"]}}, "234"),
        ({"address.zip": "95814"}, "3"),
        ({"address": {"$exists": True}}, "23"),
        ({"name": "O'Neil"}, "4"),
        ({"name": 'x" || 1 == 1 || "'}, ""),
        ({'name" ? (1 == 1)': "x"}, ""),
        ({"$or": [{"entityId": "F1"}, {"address.zip": "94103"}]}, "12"),
        ({"$and": [{"familySize": {"$gt": 1}}, {"disabled": False}]}, "1"),
        ({"$nor": [{"entityId": "F1"}, {"entityId": "F2"}]}, "34"),
        ({"familySize": {"$not": {"$gt": 2}}}, "234"),
        ({"name": "Ng", "familySize": 4}, ""),
    ],
    ids=json.dumps,
)
async def test_a_query_finds_what_fits(families: Api, query: Any, numbers: str) -> None:
    assert await found(families, query) == numbers


async def test_documents_come_back_as_they_are_stored(api: Api) -> None:
    document = {"entityId": "F1", "large": 9007199254740993, "exact": 0.1, "none": None, "text": 'é\n"', "list": [1]}
    api.rows.record('["F1"]', document)
    assert (await asked(api, b"")) == {
        "IsSuccess": True,
        "ResponseStatus": {"ErrorCode": "", "Message": "", "StackTrace": "", "Errors": []},
        "Total": 1,
        "Data": [document],
    }


async def test_pages_and_totals(families: Api) -> None:
    assert await found(families, {}, Skip=1, Take=2) == "23"
    assert (await asked(families, {"Take": 1}))["Total"] == 4
    assert (await asked(families, {"take": 1, "query": {"familySize": {"$gt": 1}}}))["Total"] == 2
    assert "Total" not in await asked(families, {"WithoutTotal": True})
    assert (await asked(families, {"Skip": 100}))["Data"] == []


async def test_sorting_goes_by_one_field_after_the_other(families: Api) -> None:
    assert await found(families, {}, Sort={"entityId": -1}) == "4321"
    # What is not there is the least; a text comes before a number.
    assert await found(families, {}, Sort={"familySize": 1}) == "2431"
    assert await found(families, {}, Sort={"familySize": -1}) == "1342"
    assert await found(families, {}, Sort={"disabled": -1, "name": 1}) == "3124"
    assert await found(families, {}, Sort={"name": 1, "disabled": -1}) == "1342"
    assert await found(families, {}, Sort={"address.zip": -1}, Take=2) == "32"


async def test_fields_and_distinct(families: Api) -> None:
    answer = await asked(families, {"Fields": ["disabled"], "Sort": {"entityId": 1}})
    assert answer["Data"] == [{"disabled": False}, {"disabled": False}, {"disabled": True}, {}]
    answer = await asked(families, {"Fields": ["disabled"], "Distinct": True, "Sort": {"disabled": -1}})
    assert (answer["Data"], answer["Total"]) == ([{"disabled": True}, {"disabled": False}, {}], 3)
    assert len((await asked(families, {"Distinct": True}))["Data"]) == 4


async def test_a_published_entity_is_its_entity_type_and_data_source(api: Api) -> None:
    for source in ("cc-family-income", "cc-family-need"):
        document = {"entityId": source}
        api.rows.record('["X"]', document, entity_type="wks_family_extensions", data_source=source)
    assert (await asked(api, {}, "family_income"))["Data"] == [{"entityId": "cc-family-income"}]
    assert len((await asked(api, {}, "wks_family_extensions"))["Data"]) == 2
    answer = await asked(api, {"DataSource": "cc-family-need"}, "wks_family_extensions")
    assert answer["Data"] == [{"entityId": "cc-family-need"}]
    assert (await asked(api, {}, "wks_unknown"))["Total"] == 0


async def test_the_workspace_is_the_one_that_is_named(families: Api) -> None:
    assert await found(families, {}, WorkspaceId="ws-second") == "5"
    assert await found(families, {}, bucketId="bk-second") == "5"
    headers = ("x-param-override-workspaceid", str(SECOND.workspace_id))
    assert (await asked(families, {"WorkspaceId": "ws-demo"}, "wks_family", headers))["Data"] == [{"entityId": "F5"}]
    foreign = call("wks_family", {"WorkspaceId": FOREIGN.name})
    denied = families.appfile.QueryRecords(foreign, metadata=as_("viewer"))
    assert await refusal(denied) == (grpc.StatusCode.PERMISSION_DENIED, "WORKSPACE_DENIED")
    theirs = await families.streamed(families.appfile.QueryRecords(call("wks_family", {}), metadata=as_("stranger")))
    assert theirs["Data"] == [{"entityId": "F7"}]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"[]", "INVALID_JSON"),
        (b"{", "INVALID_JSON"),
        (b'{"Query": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", "INVALID_JSON"),
        ({"Query": []}, "INVALID_QUERY"),
        ({"Query": {"a": {"$regex": "x"}}}, "UNKNOWN_OPERATOR"),
        ({"Query": {"$where": "1"}}, "UNKNOWN_OPERATOR"),
        ({"Query": {"a": {}}}, "INVALID_QUERY"),
        ({"Query": {"a": ["x"]}}, "INVALID_QUERY"),
        ({"Query": {"a": {"$gt": None}}}, "INVALID_QUERY"),
        ({"Query": {"a": {"$gt": [1]}}}, "INVALID_QUERY"),
        ({"Query": {"a": {"$in": "x"}}}, "INVALID_QUERY"),
        ({"Query": {"a": {"$in": [1] * 1_001}}}, "INVALID_QUERY"),
        ({"Query": {"a": {"$exists": 1}}}, "INVALID_QUERY"),
        ({"Query": {"a": 10**400}}, "INVALID_QUERY"),
        ({"Query": {"a\0": 1}}, "INVALID_QUERY"),
        ({"Query": {"a": "\0"}}, "INVALID_QUERY"),
        ({"Query": {"a..b": 1}}, "INVALID_QUERY"),
        ({"Query": {"$or": []}}, "INVALID_QUERY"),
        ({"Query": {"$or": [{str(number): 1} for number in range(101)]}}, "INVALID_QUERY"),
        ({"Sort": {"a": 2}}, "INVALID_QUERY"),
        ({"Sort": ["a"]}, "INVALID_QUERY"),
        ({"Fields": "a"}, "INVALID_QUERY"),
        ({"Fields": ["a.b"]}, "INVALID_QUERY"),
        ({"Fields": ["a"], "Distinct": True, "Sort": {"b": 1}}, "INVALID_QUERY"),
        ({"Take": 1_001}, "INVALID_QUERY"),
        ({"Take": 0}, "INVALID_QUERY"),
        ({"Skip": -1}, "INVALID_QUERY"),
        ({"Skip": 1.5}, "INVALID_QUERY"),
        ({"Distinct": "perhaps"}, "INVALID_FLAG"),
    ],
    ids=str,
)
async def test_what_cannot_be_asked_is_refused(api: Api, body: Any, reason: str) -> None:
    refused = await refusal(api.appfile.QueryRecords(call("wks_family", body), metadata=as_("viewer")))
    assert refused == (grpc.StatusCode.INVALID_ARGUMENT, reason)


async def test_records_are_not_for_who_may_see_certain_clients_only(families: Api) -> None:
    limited = families.limit_to(1001)
    denied = (grpc.StatusCode.PERMISSION_DENIED, "CLIENT_GRANTS")
    assert await refusal(families.appfile.QueryRecords(call("wks_family", {}), metadata=limited)) == denied
    request = status_pb2.ListRecordsRequest(entity_type="wks_family")
    assert await refusal(families.native.ListRecords(request, metadata=limited)) == denied


async def test_native_pages_go_by_data_source_and_key(families: Api) -> None:
    for number in range(3):
        families.rows.record(f'["{number}"]', {"n": number}, data_source="aa")
    keys, token, pages = [], "", 0
    while pages == 0 or token:
        request = status_pb2.ListRecordsRequest(entity_type="wks_family", page_size=2, page_token=token)
        reply = await families.native.ListRecords(request, metadata=as_("viewer"))
        keys += [(record.data_source, record.key) for record in reply.records]
        token, pages = reply.next_page_token, pages + 1
    assert pages == 4
    assert keys == [("aa", f'["{n}"]') for n in range(3)] + [("cc-family", f'["F{n}"]') for n in range(1, 5)]


async def test_a_native_record_has_all_there_is(api: Api) -> None:
    api.rows.record('["F1"]', {"b": 1, "a": 12345678901234567890})
    request = status_pb2.ListRecordsRequest(workspace="ws-demo", entity_type="wks_family", data_source="cc-family")
    (record,) = (await api.native.ListRecords(request, metadata=as_("viewer"))).records
    assert json.loads(record.document) == {"b": 1, "a": 12345678901234567890}
    assert (record.entity_type, record.data_source, record.key) == ("wks_family", "cc-family", '["F1"]')
    assert record.create_time.ToDatetime() == record.update_time.ToDatetime() == WHEN.replace(tzinfo=None)


@pytest.mark.parametrize("token", ["x", "W10=", "WyJhIl0=", "WyJhIiwxXQ==", "WyJhIiwiXHUwMDAwIl0=", "é"])
async def test_a_page_token_that_was_never_given_is_refused(api: Api, token: str) -> None:
    request = status_pb2.ListRecordsRequest(entity_type="wks_family", page_token=token)
    refused = await refusal(api.native.ListRecords(request, metadata=as_("viewer")))
    assert refused == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN")


async def test_native_workspaces_are_the_tenants_own(families: Api) -> None:
    request = status_pb2.ListRecordsRequest(workspace=FOREIGN.name, entity_type="wks_family")
    refused = await refusal(families.native.ListRecords(request, metadata=as_("viewer")))
    assert refused == (grpc.StatusCode.NOT_FOUND, "WORKSPACE_NOT_FOUND")
