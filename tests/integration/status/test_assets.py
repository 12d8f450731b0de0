"""Assets of a client, of a report and of the tenant, with the findings on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from dialects.plextrac.findings import evidence_id
from hythe.dialects.plextrac.v2 import plextrac_pb2 as pb
from hythe.status.v1 import status_pb2
from tests.integration.status.conftest import Api, as_, check_shape, page_of, refusal
from tests.integration.status.rows import WHEN_MS, Rows


@dataclass
class Estate:
    """Three assets: the first with one finding in two reports and one in one, the second with one, the third bare."""

    client_id: int
    reports: list[int]
    assets: list[int]
    proof: int


@pytest.fixture
def estate(rows: Rows) -> Estate:
    client_id = rows.client("Karbo")
    reports = [rows.report(client_id, name) for name in ("Q1", "Q2")]
    ports = {"22/tcp": {"number": 22, "protocol": "tcp", "service": "ssh", "version": "8"}}
    assets = [
        rows.asset(client_id, "b", ips=["10.1.1.1"], mac="00:11", netbios="B", type="Server", ports=ports),
        rows.asset(client_id, "a", hostname="a.example.com", tags=["dmz"]),
        rows.asset(client_id, "c"),
    ]
    same = [rows.finding(client_id, report_id, 100, severity=0) for report_id in reports]
    other = rows.finding(client_id, reports[0], 7, severity=3)
    first = rows.place(same[0], assets[0], 22, service="ssh")
    rows.place(same[1], assets[0], 2222)
    rows.place(other, assets[0])
    rows.place(other, assets[1])
    return Estate(client_id, reports, assets, rows.evidence(first, "banner"))


async def client_assets(api: Api, estate: Estate) -> list[dict[str, Any]]:
    request = pb.ClientRequest(client_id=estate.client_id)
    found: list[dict[str, Any]] = await api.streamed(api.plextrac.ListClientAssetRows(request, metadata=as_()))
    return found


async def test_client_assets_carry_the_findings_of_all_reports(api: Api, estate: Estate) -> None:
    found = await client_assets(api, estate)
    check_shape("Assets", found)
    assert [(asset["id"], list(asset["findings"])) for asset in found] == [
        (str(estate.assets[0]), ["7", "100"]),
        (str(estate.assets[1]), ["7"]),
        (str(estate.assets[2]), []),
    ]
    critical = found[0]["findings"]["100"]
    assert (critical["id"], critical["severity"]) == (100, "Critical")
    assert list(critical["instances"]) == [str(report_id) for report_id in estate.reports]
    assert list(critical["ports"]) == ["22", "2222"]
    assert critical["evidence"] == [evidence_id(1, estate.proof)]


async def test_a_client_asset_is_described(api: Api, estate: Estate) -> None:
    asset = (await client_assets(api, estate))[0]
    assert (asset["asset"], asset["mac_address"], asset["netbios_name"], asset["type"]) == ("b", "00:11", "B", "Server")
    assert asset["ports"] == {
        "22": {
            "number": "22",
            "protocol": "tcp",
            "service": "ssh",
            "version": "8",
            "script": "",
            "last_seen": WHEN_MS,
        }
    }
    assert asset["created"] == "Wed Mar 04 2026 05:06:07 GMT+0000"


async def test_a_single_asset_is_the_same_as_in_the_list(api: Api, estate: Estate) -> None:
    request = pb.AssetRequest(client_id=estate.client_id, asset_id=str(estate.assets[0]))
    asset = await api.streamed(api.plextrac.GetClientAsset(request, metadata=as_()))
    check_shape("Asset", asset)
    assert asset == (await client_assets(api, estate))[0]


@pytest.mark.parametrize("asset_id", ["", "x", "99999999999", "9" * 30, "-1", "\u0661"])
async def test_an_unknown_asset_is_not_found(api: Api, estate: Estate, asset_id: str) -> None:
    request = pb.AssetRequest(client_id=estate.client_id, asset_id=asset_id)
    call = api.plextrac.GetClientAsset(request, metadata=as_())
    assert await refusal(call) == (grpc.StatusCode.NOT_FOUND, "ASSET_NOT_FOUND")


async def test_assets_of_a_report_are_those_it_has_findings_on(api: Api, estate: Estate) -> None:
    found = []
    for report_id in estate.reports:
        request = pb.ReportRequest(client_id=estate.client_id, report_id=report_id)
        assets = await api.streamed(api.plextrac.ListReportAssets(request, metadata=as_()))
        check_shape("Assets", assets)
        found.append([(asset["asset"], list(asset["findings"])) for asset in assets])
    assert found == [[("b", ["7", "100"]), ("a", ["7"])], [("b", ["100"])]]


async def test_a_page_of_client_assets_counts_findings(api: Api, estate: Estate) -> None:
    payload = page_of(sort=[{"by": "asset", "order": "ASC"}])
    request = pb.ClientListRequest(client_id=estate.client_id, payload=payload)
    page = await api.streamed(api.plextrac.ListClientAssets(request, metadata=as_()))
    check_shape("ClientAssetPage", page)
    assert [(asset["asset"], asset["findings"]["total"]) for asset in page["data"]] == [("a", 1), ("b", 3), ("c", 0)]
    assert page["data"][1]["findings"] == {"critical": 2, "high": 0, "medium": 0, "low": 1, "info": 0, "total": 3}
    request.payload.CopyFrom(page_of(filters=[{"by": "tags", "value": ["none"]}]))
    page = await api.streamed(api.plextrac.ListClientAssets(request, metadata=as_()))
    assert [asset["asset"] for asset in page["data"]] == ["b", "c"]


async def test_a_page_of_tenant_assets_is_in_camel_case(api: Api, estate: Estate) -> None:
    other = api.rows.client("other")
    api.rows.asset(other, "elsewhere")
    request = pb.ListRequest(payload=page_of(2, sort=[{"by": "asset", "order": "DESC"}]))
    page = await api.streamed(api.plextrac.ListTenantAssets(request, metadata=as_()))
    check_shape("TenantAssetPage", page)
    assert [asset["asset"] for asset in page["assets"]] == ["elsewhere", "c"]
    assert page["meta"]["pagination"] == {"offset": 0, "limit": 2, "total": 4}
    for given, expected in (
        ({"by": "client_id", "value": [other]}, ["elsewhere"]),
        ({"by": "searchTerm", "value": "10.1.1"}, ["b"]),
        ({"by": "searchTerm", "value": "EXAMPLE"}, ["a"]),
        ({"by": "type", "value": "Server"}, ["b"]),
        ({"by": "pci_status", "value": "pass"}, []),
    ):
        request = pb.ListRequest(payload=page_of(filters=[given]))
        page = await api.streamed(api.plextrac.ListTenantAssets(request, metadata=as_()))
        assert [asset["asset"] for asset in page["assets"]] == expected


async def test_pages_and_single_assets_may_be_longer_than_a_message(api: Api, estate: Estate) -> None:
    api.rows.connection.execute("UPDATE assets SET description = repeat('x', 2000000)")
    client_assets = pb.ClientListRequest(client_id=estate.client_id, payload=page_of())
    page = await api.streamed(api.plextrac.ListClientAssets(client_assets, metadata=as_()))
    assert [len(asset["description"]) for asset in page["data"]] == [2_000_000] * 3
    page = await api.streamed(api.plextrac.ListTenantAssets(pb.ListRequest(payload=page_of()), metadata=as_()))
    assert [len(asset["description"]) for asset in page["assets"]] == [2_000_000] * 3
    api.rows.connection.execute("UPDATE assets SET description = repeat('x', 5000000)")
    one = pb.AssetRequest(client_id=estate.client_id, asset_id=str(estate.assets[0]))
    asset = await api.streamed(api.plextrac.GetClientAsset(one, metadata=as_()))
    assert len(asset["description"]) == 5_000_000


async def test_native_assets_are_paged_by_client_or_report(api: Api, estate: Estate) -> None:
    request = status_pb2.ListAssetsRequest(client_id=estate.client_id, page_size=2)
    first = await api.native.ListAssets(request, metadata=as_())
    request.page_token = first.next_page_token
    second = await api.native.ListAssets(request, metadata=as_())
    assert [int(asset.asset_id) for asset in (*first.assets, *second.assets)] == estate.assets
    report = status_pb2.ListAssetsRequest(client_id=estate.client_id, report_id=estate.reports[1])
    found = await api.native.ListAssets(report, metadata=as_())
    assert [(asset.name, asset.mac_address) for asset in found.assets] == [("b", "00:11")]
