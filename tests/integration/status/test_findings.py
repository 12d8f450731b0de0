"""Findings, affected assets and evidence, as PlexTrac and the native API show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from dialects.plextrac.findings import evidence_id
from hythe.dialects.plextrac.v2 import plextrac_pb2 as pb
from hythe.status.v1 import status_pb2
from tests.integration.status.conftest import Api, as_, check_shape, page_of, refusal
from tests.integration.status.rows import WHEN, WHEN_MS, Rows

HTML = "<p>cross & <script>alert('site')</script></p>"


@dataclass
class Scan:
    """A report with two findings; the first is in three places of one asset and in one of another."""

    client_id: int
    report_id: int
    finding_id: int
    web: int
    mail: int
    proofs: list[int]

    @property
    def report(self) -> dict[str, Any]:
        return {"client_id": self.client_id, "report_id": self.report_id}


@pytest.fixture
def scan(rows: Rows) -> Scan:
    client_id = rows.client("Karbo")
    report_id = rows.report(client_id, "Q1")
    scores = [
        {"system": "cvss3_1", "vector": "CVSS:3.1/AV:N", "base": 7.5, "temporal": 6.5},
        {"system": "cvss2", "vector": "AV:N", "base": 5.0, "temporal": None},
    ]
    finding_id = rows.finding(
        client_id,
        report_id,
        10863,
        title="SSL Certificate",
        severity=1,
        description=HTML,
        cves=["CVE-2023-5463", "odd"],
        cwes=[79],
        scores=scores,
        fields={"Plugin family": "General", "Scores": "x"},
        tags=["a_tag"],
    )
    rows.finding(client_id, report_id, 0, title="Ping", severity=4, status="Closed", closed_at=WHEN)
    ports = {
        "443/tcp": {"number": 443, "protocol": "tcp", "service": "https", "version": "nginx 1"},
        "53/tcp": {"number": 53, "protocol": "tcp", "service": "dns", "version": ""},
        "53/udp": {"number": 53, "protocol": "udp", "service": "dns", "version": ""},
    }
    web = rows.asset(
        client_id, "web", hostname="web.example.com", ips=["10.0.0.1"], ports=ports, operating_systems=["Linux"]
    )
    mail = rows.asset(client_id, "mail", tags=["dmz"])
    first = rows.place(
        finding_id, web, 443, service="https", location="https://web/a", parameters=["q", "r"], notes="one"
    )
    rows.place(finding_id, web, 8443, location="https://web/b", notes="two", status="Closed")
    rows.place(finding_id, web, 0, notes="one")
    rows.place(finding_id, mail, 25, status="Closed")
    proofs = [rows.evidence(first, "output 1"), rows.evidence(first, "output 2", length=5_000_000)]
    return Scan(client_id, report_id, finding_id, web, mail, proofs)


async def test_flaws_are_rows_of_twelve_items(api: Api, scan: Scan) -> None:
    flaws = await api.streamed(api.plextrac.ListFlaws(pb.ReportRequest(**scan.report), metadata=as_()))
    check_shape("FlawRows", flaws)
    ping, ssl = flaws
    assert ping["id"] == f"flaw_{scan.client_id}-{scan.report_id}-0"
    assert ping["data"][:8] == [0, "Informational", "Ping", "Closed", WHEN_MS, None, WHEN_MS, WHEN_MS]
    assert ssl["data"] == [
        10863,
        "High",
        "SSL Certificate",
        "Open",
        WHEN_MS,
        None,
        WHEN_MS,
        None,
        None,
        None,
        "published",
        "",
    ]


async def test_a_report_without_findings_is_an_empty_array(api: Api) -> None:
    client_id = api.rows.client()
    request = pb.ReportRequest(client_id=client_id, report_id=api.rows.report(client_id))
    assert await api.streamed(api.plextrac.ListFlaws(request, metadata=as_())) == []
    assert await api.streamed(api.plextrac.ListReportAssets(request, metadata=as_())) == []


async def one_flaw(api: Api, scan: Scan, flaw_id: int = 10863) -> dict[str, Any]:
    request = pb.FlawRequest(**scan.report, flaw_id=flaw_id)
    flaw: dict[str, Any] = await api.streamed(api.plextrac.GetFlaw(request, metadata=as_()))
    return flaw


async def test_a_finding_is_shown_whole(api: Api, scan: Scan) -> None:
    flaw = await one_flaw(api, scan)
    check_shape("Flaw", flaw)
    assert (flaw["id"], flaw["flaw_id"], flaw["sev"], flaw["severity"]) == (10863, 10863, 1, "High")
    assert (flaw["client_name"], flaw["report_name"], flaw["tags"]) == ("Karbo", "Q1", ["a_tag"])
    assert flaw["description"] == HTML
    assert [cve["year"] for cve in flaw["common_identifiers"]["CVE"]] == [2023, None]
    assert flaw["risk_score"]["CVSS3_1"] == {
        "vector": "CVSS:3.1/AV:N",
        "overall": 6.5,
        "subScore": {"base": 7.5, "temporal": 6.5},
    }
    assert flaw["fields"]["plugin_family"]["value"] == "General"
    assert flaw["fields"]["scores"]["cvss"]["value"] == "5"


async def test_a_finding_without_assets_and_fields_has_both_members(api: Api, scan: Scan) -> None:
    flaw = await one_flaw(api, scan, flaw_id=0)
    check_shape("Flaw", flaw)
    assert (flaw["affected_assets"], flaw["fields"], flaw["risk_score"]) == ({}, {"scores": {}}, {})


async def test_all_places_on_an_asset_are_one_affected_asset(api: Api, scan: Scan) -> None:
    affected = (await one_flaw(api, scan))["affected_assets"]
    assert list(affected) == [str(scan.web), str(scan.mail)]
    web, mail = affected.values()
    # The ports of the finding there, and not all that the asset has.
    assert web["ports"] == {
        "443": {"number": "443", "protocol": "tcp", "service": "https", "version": ""},
        "8443": {"number": "8443", "protocol": "tcp", "service": "", "version": ""},
    }
    assert web["locationUrl"] == "https://web/a, https://web/b"
    assert [parameter["text"] for parameter in web["vulnerableParameters"]] == ["q", "r"]
    assert web["notes"] == "one\n\ntwo"
    assert web["evidence"] == [evidence_id(1, proof) for proof in scan.proofs]
    assert (web["status"], mail["status"]) == ("Open", "Closed")
    assert (web["knownIps"], web["operating_system"]) == (["10.0.0.1"], ["Linux"])


async def test_the_evidence_on_an_affected_asset_is_listed(api: Api, scan: Scan) -> None:
    request = pb.ScanOutputRequest(**scan.report, flaw_id=10863, asset_id=str(scan.web))
    proofs = await api.streamed(api.plextrac.ListScanOutput(request, metadata=as_()))
    check_shape("ScanOutput", proofs)
    assert [(proof["id"], proof["code"], proof["isTruncated"]) for proof in proofs] == [
        (evidence_id(1, scan.proofs[0]), "output 1", False),
        (evidence_id(1, scan.proofs[1]), "output 2", True),
    ]
    assert proofs[0]["assets"] == [str(scan.web)]
    request.asset_id = str(scan.mail)
    assert await api.streamed(api.plextrac.ListScanOutput(request, metadata=as_())) == []


async def test_a_page_of_findings_has_everything_of_each(api: Api, scan: Scan) -> None:
    request = pb.ReportListRequest(**scan.report, payload=page_of(sort=[{"by": "flawId", "order": "DESC"}]))
    page = await api.streamed(api.plextrac.ListFindings(request, metadata=as_()))
    check_shape("FindingPage", page)
    assert page["meta"]["flawIds"] == [10863, 0]
    assert page["data"] == [await one_flaw(api, scan), await one_flaw(api, scan, flaw_id=0)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"by": "severity", "value": ["High", "critical"]}, [10863]),
        ({"by": "status", "value": "Closed"}, [0]),
        ({"by": "title", "value": "certif"}, [10863]),
        ({"by": "findingTags", "value": ["a_tag", "b"]}, [10863]),
        ({"by": "findingTags", "value": ["none"]}, [0]),
        ({"by": "flaw_id", "value": [0]}, [0]),
        ({"by": "closedAt", "value": [WHEN_MS - 1, None]}, [0]),
        ({"by": "createdAt", "value": {"to": "2026-03-04T00:00:00Z"}}, []),
        ({"by": "assignedTo", "value": "ann@example.com"}, []),
        ({"by": "assignedTo", "value": [None]}, [10863, 0]),
        ({"by": "status", "value": []}, [10863, 0]),
    ],
)
async def test_findings_are_filtered(api: Api, scan: Scan, given: dict[str, Any], expected: list[int]) -> None:
    request = pb.ReportListRequest(**scan.report, payload=page_of(filters=[given]))
    page = await api.streamed(api.plextrac.ListFindings(request, metadata=as_()))
    assert [finding["flaw_id"] for finding in page["data"]] == expected
    assert page["meta"]["pagination"]["total"] == len(expected)


@pytest.mark.parametrize("by", ["title", "severity", "source", "cvss3_1", "cve_id", "cwe_id", "subStatus", "createdAt"])
@pytest.mark.parametrize("order", ["ASC", "DESC"])
async def test_findings_are_sorted_by_every_kind_of_key(api: Api, scan: Scan, by: str, order: str) -> None:
    request = pb.ReportListRequest(**scan.report, payload=page_of(sort=[{"by": by, "order": order}]))
    page = await api.streamed(api.plextrac.ListFindings(request, metadata=as_()))
    ids = [finding["flaw_id"] for finding in page["data"]]
    # What has no score, CVE or CWE comes last either way; by what nothing has, it is as if no order were asked for.
    expected = {"title": [0, 10863], "severity": [10863, 0]}.get(by)
    if expected:
        assert ids == (expected if order == "ASC" else expected[::-1])
    else:
        assert ids == ([10863, 0] if by in {"cvss3_1", "cve_id", "cwe_id", "subStatus"} else [0, 10863])


async def test_a_page_may_be_longer_than_a_message(api: Api, scan: Scan) -> None:
    api.rows.connection.execute("UPDATE findings SET description = repeat('x', 5000000)")
    request = pb.ReportListRequest(**scan.report, payload=page_of())
    page = await api.streamed(api.plextrac.ListFindings(request, metadata=as_()))
    assert [len(finding["description"]) for finding in page["data"]] == [5_000_000, 5_000_000]


async def test_a_hundred_findings_on_a_hundred_assets_each_are_one_page(api: Api) -> None:
    client_id = api.rows.client()
    report_id = api.rows.report(client_id)
    with api.rows.connection.transaction():
        assets = [api.rows.asset(client_id, f"host {number}") for number in range(100)]
        findings = [api.rows.finding(client_id, report_id, number) for number in range(100)]
        for finding_id in findings:
            for asset_id in assets:
                api.rows.place(finding_id, asset_id, 443)
    request = pb.ReportListRequest(client_id=client_id, report_id=report_id, payload=page_of(100))
    page = await api.streamed(api.plextrac.ListFindings(request, metadata=as_()))
    assert page["meta"]["flawIds"] == [finding["flaw_id"] for finding in page["data"]] == list(range(100))
    assert {tuple(finding["affected_assets"]) for finding in page["data"]} == {tuple(map(str, assets))}


async def test_native_findings_count_their_assets(api: Api, scan: Scan) -> None:
    request = status_pb2.ListFindingsRequest(**scan.report, page_size=1)
    first = await api.native.ListFindings(request, metadata=as_())
    request.page_token = first.next_page_token
    second = await api.native.ListFindings(request, metadata=as_())
    found = [*first.findings, *second.findings]
    assert [(finding.flaw_id, finding.affected_asset_count) for finding in found] == [(0, 0), (10863, 2)]
    assert (found[1].severity, list(found[1].cwes), second.next_page_token) == ("High", [79], "")


async def test_a_native_page_ends_before_a_message_is_too_long(api: Api, scan: Scan) -> None:
    api.rows.connection.execute("UPDATE findings SET description = repeat('x', 2000000)")
    request = status_pb2.ListFindingsRequest(**scan.report)
    first = await api.native.ListFindings(request, metadata=as_())
    request.page_token = first.next_page_token
    second = await api.native.ListFindings(request, metadata=as_())
    assert [[finding.flaw_id for finding in page.findings] for page in (first, second)] == [[0], [10863]]


async def test_what_is_not_there_is_refused_before_the_first_byte(api: Api, scan: Scan) -> None:
    unknown_report: dict[str, Any] = {"client_id": scan.client_id, "report_id": scan.report_id + 1}
    wrong_client: dict[str, Any] = {"client_id": scan.client_id + 1, "report_id": scan.report_id}
    for report in (unknown_report, wrong_client):
        for call in (
            api.plextrac.ListFlaws(pb.ReportRequest(**report), metadata=as_()),
            api.plextrac.GetFlaw(pb.FlawRequest(**report, flaw_id=10863), metadata=as_()),
            api.plextrac.ListReportAssets(pb.ReportRequest(**report), metadata=as_()),
            api.plextrac.ListFindings(pb.ReportListRequest(**report, payload=page_of()), metadata=as_()),
            api.native.ListFindings(status_pb2.ListFindingsRequest(**report), metadata=as_()),
            api.plextrac.ListScanOutput(pb.ScanOutputRequest(**report, flaw_id=10863, asset_id="1"), metadata=as_()),
        ):
            assert await refusal(call) == (grpc.StatusCode.NOT_FOUND, "REPORT_NOT_FOUND")
    for flaw in (
        api.plextrac.GetFlaw(pb.FlawRequest(**scan.report, flaw_id=7), metadata=as_()),
        api.plextrac.ListScanOutput(pb.ScanOutputRequest(**scan.report, flaw_id=7, asset_id="1"), metadata=as_()),
    ):
        assert await refusal(flaw) == (grpc.StatusCode.NOT_FOUND, "FINDING_NOT_FOUND")


@pytest.mark.parametrize("caller", ["stranger", "limited"])
async def test_neither_another_tenant_nor_a_grant_elsewhere_sees_anything(api: Api, scan: Scan, caller: str) -> None:
    for call in (
        api.plextrac.ListFlaws(pb.ReportRequest(**scan.report), metadata=as_(caller)),
        api.plextrac.GetFlaw(pb.FlawRequest(**scan.report, flaw_id=10863), metadata=as_(caller)),
        api.plextrac.ListFindings(pb.ReportListRequest(**scan.report, payload=page_of()), metadata=as_(caller)),
        api.native.ListFindings(status_pb2.ListFindingsRequest(**scan.report), metadata=as_(caller)),
        api.plextrac.ListReportAssets(pb.ReportRequest(**scan.report), metadata=as_(caller)),
        api.plextrac.ListClientAssetRows(pb.ClientRequest(client_id=scan.client_id), metadata=as_(caller)),
        api.native.ListAssets(status_pb2.ListAssetsRequest(client_id=scan.client_id), metadata=as_(caller)),
        api.plextrac.GetClientAsset(
            pb.AssetRequest(client_id=scan.client_id, asset_id=str(scan.web)), metadata=as_(caller)
        ),
        api.plextrac.ListScanOutput(
            pb.ScanOutputRequest(**scan.report, flaw_id=10863, asset_id=str(scan.web)), metadata=as_(caller)
        ),
        api.plextrac.ListClientAssets(
            pb.ClientListRequest(client_id=scan.client_id, payload=page_of()), metadata=as_(caller)
        ),
    ):
        assert (await refusal(call))[0] == grpc.StatusCode.NOT_FOUND
    page = await api.streamed(api.plextrac.ListTenantAssets(pb.ListRequest(payload=page_of()), metadata=as_(caller)))
    assert page["assets"] == []
