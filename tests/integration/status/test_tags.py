from __future__ import annotations

import grpc
import pytest

from hythe.dialects.plextrac.v2 import plextrac_pb2 as pb
from hythe.status.v1 import status_pb2
from tests.integration.status.conftest import Api, as_, check_shape, refusal
from tests.integration.status.rows import WHEN, WHEN_MS


def tagged(api: Api, *names: str) -> None:
    for name in names:
        api.rows.insert("tags", tag=name, created_at=WHEN)


async def names(api: Api, who: str = "importer", **query: str) -> list[str]:
    request = pb.TenantTagsRequest(tenant_id=1, **query)
    rows = await api.streamed(api.plextrac.ListTenantTags(request, metadata=as_(who)))
    check_shape("Tags", rows)
    return [row["name"] for row in rows]


async def test_the_tags_of_a_tenant_are_listed_with_their_ids(api: Api) -> None:
    tagged(api, "web_app", "dmz")
    rows = await api.streamed(api.plextrac.ListTenantTags(pb.TenantTagsRequest(tenant_id=1), metadata=as_()))
    check_shape("Tags", rows)
    assert rows == [
        {"id": "tag_tenant_1_dmz", "name": "dmz", "scope": "tenant", "ownerId": 1, "createdAt": WHEN_MS},
        {"id": "tag_tenant_1_web_app", "name": "web_app", "scope": "tenant", "ownerId": 1, "createdAt": WHEN_MS},
    ]
    page = await api.native.ListTags(status_pb2.ListTagsRequest(), metadata=as_())
    assert [(tag.tag_id, tag.name) for tag in page.tags] == [(row["id"], row["name"]) for row in rows]
    assert page.tags[0].create_time.ToDatetime(WHEN.tzinfo) == WHEN


async def test_no_tags_are_an_empty_array(api: Api) -> None:
    assert await names(api) == []
    assert list((await api.native.ListTags(status_pb2.ListTagsRequest(), metadata=as_())).tags) == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["a", "b", "c"]),
        ({"limit": "2"}, ["a", "b"]),
        ({"limit": "2", "offset": "1"}, ["b", "c"]),
        ({"offset": "2"}, ["c"]),
        # As PlexTrac's own wrapper asks.
        ({"limit": "10?offset=0"}, ["a", "b", "c"]),
        ({"limit": "1?offset=1"}, ["b"]),
        ({"limit": "0"}, []),
    ],
)
async def test_pages_of_tags(api: Api, query: dict[str, str], expected: list[str]) -> None:
    tagged(api, "c", "a", "b")
    assert await names(api, **query) == expected


async def test_native_pages_go_on_behind_the_last_tag(api: Api) -> None:
    tagged(api, "c", "a", "b")
    first = await api.native.ListTags(status_pb2.ListTagsRequest(page_size=2), metadata=as_())
    second = await api.native.ListTags(
        status_pb2.ListTagsRequest(page_size=2, page_token=first.next_page_token), metadata=as_()
    )
    assert [tag.name for page in (first, second) for tag in page.tags] == ["a", "b", "c"]
    assert second.next_page_token == ""


@pytest.mark.parametrize("query", [{"limit": "-1"}, {"limit": "ten"}, {"offset": "1.5"}, {"limit": "9" * 40}])
async def test_a_page_that_is_no_number_is_refused(api: Api, query: dict[str, str]) -> None:
    call = api.streamed(api.plextrac.ListTenantTags(pb.TenantTagsRequest(tenant_id=1, **query), metadata=as_()))
    assert await refusal(call) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PAGINATION")


@pytest.mark.parametrize("token", ["x" * 256, "a\0"])
async def test_a_token_that_is_no_tag_is_refused(api: Api, token: str) -> None:
    call = api.native.ListTags(status_pb2.ListTagsRequest(page_token=token), metadata=as_())
    assert await refusal(call) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN")


async def test_another_tenants_tags_do_not_exist(api: Api) -> None:
    api.rows.insert("tags", tag="secret", tenant_id=2)
    assert await names(api) == []
    call = api.streamed(api.plextrac.ListTenantTags(pb.TenantTagsRequest(tenant_id=2), metadata=as_()))
    assert await refusal(call) == (grpc.StatusCode.NOT_FOUND, "TENANT_NOT_FOUND")


async def test_who_may_see_certain_clients_is_shown_the_tags_in_use_there(api: Api) -> None:
    mine, other = api.rows.client("mine", tags=["of_client"]), api.rows.client("other")
    report_id = api.rows.report(mine, tags=["of_report"])
    api.rows.finding(mine, report_id, 1, tags=["of_finding"])
    api.rows.asset(mine, "a", tags=["of_asset"])
    api.rows.asset(other, "b", tags=["of_other"])
    tagged(api, "of_client", "of_report", "of_finding", "of_asset", "of_other", "unused")
    shown = ["of_asset", "of_client", "of_finding", "of_report"]
    api.limit_to(mine)
    assert await names(api, "limited") == shown
    page = await api.native.ListTags(status_pb2.ListTagsRequest(), metadata=as_("limited"))
    assert [tag.name for tag in page.tags] == shown
    api.limit_to()
    assert await names(api, "limited") == []
