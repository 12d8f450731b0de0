"""Clients and reports."""

from __future__ import annotations

import grpc
import pytest

from dialects.plextrac.ids import cuid
from hythe.dialects.plextrac.v2 import plextrac_pb2 as pb
from hythe.status.v1 import status_pb2
from tests.integration.status.conftest import Api, as_, check_shape, page_of, payload, refusal
from tests.integration.status.rows import WHEN_MS, Rows


async def test_rows_of_clients_have_exactly_three_items(api: Api) -> None:
    client_id = api.rows.client("Karbo")
    rows = await api.streamed(api.plextrac.ListClientRows(pb.Empty(), metadata=as_()))
    assert rows == [{"id": f"client_{client_id}", "doc_id": [client_id], "data": [client_id, "Karbo", None]}]
    check_shape("ClientRows", rows)


async def test_no_clients_are_an_empty_array(api: Api) -> None:
    assert await api.streamed(api.plextrac.ListClientRows(pb.Empty(), metadata=as_())) == []


async def test_a_client_is_shown_whole(api: Api) -> None:
    client_id = api.rows.client("Karbo", poc="Ann", poc_email="ann@example.com", tags=["web"], description="<b>x</b>")
    client = await api.answered(api.plextrac.GetClient(pb.ClientRequest(client_id=client_id), metadata=as_()))
    check_shape("Client", client)
    assert client["cuid"] == cuid("client", 1, client_id)
    assert (client["name"], client["poc"], client["tags"]) == ("Karbo", "Ann", ["web"])
    assert client["description"] == "<b>x</b>"


async def test_clients_are_paged_sorted_and_filtered(api: Api) -> None:
    for name, tags in (("b", ["web"]), ("a", []), ("C", ["web", "api"])):
        api.rows.client(name, tags=tags)
    request = page_of(2, sort=[{"by": "name", "order": "DESC"}], filters=[{"by": "tags", "value": ["web"]}])
    page = await api.answered(api.plextrac.ListClients(pb.ListRequest(payload=request), metadata=as_()))
    check_shape("ClientPage", page)
    assert {client["name"] for client in page["data"]} == {"b", "C"}
    assert page["meta"] == {
        "pagination": {"offset": 0, "limit": 2, "total": 2},
        "sort": [{"by": "name", "order": "DESC"}],
        "filters": [{"by": "tags", "value": ["web"]}],
    }
    second = page_of(1, 1, filters=[{"by": "searchTerm", "value": "A"}])
    page = await api.answered(api.plextrac.ListClients(pb.ListRequest(payload=second), metadata=as_()))
    assert (page["data"], page["meta"]["pagination"]["total"]) == ([], 1)


async def test_clients_without_tags_are_found_by_none(api: Api) -> None:
    api.rows.client("tagged", tags=["web"])
    api.rows.client("bare")
    request = page_of(filters=[{"by": "tags", "value": ["none"]}])
    page = await api.answered(api.plextrac.ListClients(pb.ListRequest(payload=request), metadata=as_()))
    assert [client["name"] for client in page["data"]] == ["bare"]


async def test_a_percent_sign_in_a_search_is_a_letter(api: Api) -> None:
    api.rows.client("100% Inc")
    api.rows.client("1000 Inc")
    request = page_of(filters=[{"by": "name", "value": "0%"}])
    page = await api.answered(api.plextrac.ListClients(pb.ListRequest(payload=request), metadata=as_()))
    assert [client["name"] for client in page["data"]] == ["100% Inc"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "PAGINATION_REQUIRED"),
        ({"pagination": {"offset": 0, "limit": 99999}}, "INVALID_PAGINATION"),
        ({"pagination": {"offset": 0, "limit": 10}, "sort": [{"by": "colour"}]}, "UNKNOWN_SORT"),
        ({"pagination": {"offset": 0, "limit": 10}, "filters": [{"by": "colour", "value": 1}]}, "UNKNOWN_FILTER"),
    ],
)
async def test_a_list_that_cannot_be_read_is_refused(api: Api, body: dict[str, object], reason: str) -> None:
    call = api.plextrac.ListReports(pb.ListRequest(payload=payload(body)), metadata=as_())
    assert await refusal(call) == (grpc.StatusCode.INVALID_ARGUMENT, reason)


async def test_rows_of_reports_have_their_members_by_position(api: Api) -> None:
    client_id = api.rows.client()
    report_id = api.rows.report(client_id, "Q1", {"operators": ["ann"], "start_date": "2026-01-01"}, tags=["x"])
    api.rows.finding(client_id, report_id, 1)
    request = pb.ClientRequest(client_id=client_id)
    rows = await api.streamed(api.plextrac.ListReportRows(request, metadata=as_()))
    check_shape("ReportRows", rows)
    data = [report_id, "Q1", None, "Draft", 1, ["ann"], [], WHEN_MS, "2026-01-01", None, ["x"], None, None]
    assert rows == [{"id": report_id, "doc_id": [client_id], "data": data}]


async def test_reports_of_all_clients_are_listed_with_their_findings_counted(api: Api) -> None:
    first, second = api.rows.client("one"), api.rows.client("two")
    quiet, busy = api.rows.report(first, "b"), api.rows.report(second, "a", {"reviewers": ["eve@example.com"]})
    for flaw_id in (1, 2):
        api.rows.finding(second, busy, flaw_id)
    request = pb.ListRequest(payload=page_of(sort=[{"by": "name", "order": "ASC"}]))
    page = await api.answered(api.plextrac.ListReports(request, metadata=as_()))
    check_shape("ReportPage", page)
    assert [(report["id"], report["findings"]) for report in page["data"]] == [(busy, 2), (quiet, 0)]
    for given, expected in (
        ({"by": "clients", "value": [first]}, [quiet]),
        ({"by": "reviewers", "value": ["eve@example.com"]}, [busy]),
        ({"by": "status", "value": "Published"}, []),
    ):
        page = await api.answered(
            api.plextrac.ListReports(pb.ListRequest(payload=page_of(filters=[given])), metadata=as_())
        )
        assert [report["id"] for report in page["data"]] == expected


async def test_a_report_is_shown_whole(api: Api) -> None:
    client_id = api.rows.client("Karbo")
    report_id = api.rows.report(client_id, "Q1")
    request = pb.ReportRequest(client_id=client_id, report_id=report_id)
    report = await api.answered(api.plextrac.GetReport(request, metadata=as_()))
    check_shape("Report", report)
    assert (report["id"], report["report_id"], report["client_name"]) == (report_id, report_id, "Karbo")


async def test_native_lists_go_on_behind_their_page_token(api: Api) -> None:
    clients = [api.rows.client(name) for name in "abc"]
    reports = [api.rows.report(clients[0], name) for name in "de"]
    first = await api.native.ListClients(status_pb2.ListClientsRequest(page_size=2), metadata=as_())
    second = await api.native.ListClients(
        status_pb2.ListClientsRequest(page_size=2, page_token=first.next_page_token), metadata=as_()
    )
    assert [client.client_id for client in (*first.clients, *second.clients)] == clients
    assert second.next_page_token == ""
    request = status_pb2.ListReportsRequest(client_id=clients[0], page_size=2)
    page = await api.native.ListReports(request, metadata=as_())
    assert [report.report_id for report in page.reports] == reports
    assert page.next_page_token == ""


async def test_another_tenants_client_is_not_there(api: Api) -> None:
    theirs = Rows(api.rows.connection, tenant_id=2)
    client_id = theirs.client("Theirs")
    report_id = theirs.report(client_id)
    assert await api.streamed(api.plextrac.ListClientRows(pb.Empty(), metadata=as_())) == []
    for call in (
        api.plextrac.GetClient(pb.ClientRequest(client_id=client_id), metadata=as_()),
        api.plextrac.ListReportRows(pb.ClientRequest(client_id=client_id), metadata=as_()),
        api.plextrac.GetReport(pb.ReportRequest(client_id=client_id, report_id=report_id), metadata=as_()),
    ):
        assert (await refusal(call))[0] == grpc.StatusCode.NOT_FOUND


async def test_a_grant_hides_the_other_clients(api: Api) -> None:
    seen, hidden = api.rows.client("seen"), api.rows.client("hidden")
    report_id, hidden_report = api.rows.report(seen), api.rows.report(hidden)
    caller = api.limit_to(seen)
    rows = await api.streamed(api.plextrac.ListClientRows(pb.Empty(), metadata=caller))
    assert [row["doc_id"] for row in rows] == [[seen]]
    page = await api.answered(api.plextrac.ListReports(pb.ListRequest(payload=page_of()), metadata=caller))
    assert [report["id"] for report in page["data"]] == [report_id]
    request = pb.ReportRequest(client_id=hidden, report_id=hidden_report)
    assert await refusal(api.plextrac.GetReport(request, metadata=caller)) == (
        grpc.StatusCode.NOT_FOUND,
        "CLIENT_NOT_FOUND",
    )
