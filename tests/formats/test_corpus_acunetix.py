"""Real reports of Acunetix, Acunetix 360 and Invicti Enterprise, against what other projects' tests assert."""

from __future__ import annotations

from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from services.importer.formats.registry import BY_NAME
from services.importer.targets.findings.records import AffectedAsset, Asset, Caution, Finding, Severity

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real files is not here")

# Findings by severity (critical first), places (report items, vulnerabilities), hosts besides the target's.
REPORTS = {
    "acunetix/dd-XML_http_example_co_id_.xml": ((0, 0, 3, 3, 1), 19, {"example.co.id"}),
    "acunetix/dd-acunetix360_multiple_cwe.json": ((0, 0, 1, 0, 0), 1, {"php.testsparker.com"}),
    "acunetix/dd-acunetix360_one_finding_accepted_risk.json": ((0, 0, 1, 0, 0), 1, {"php.testsparker.com"}),
    "acunetix/dd-issue_10435.json": ((0, 0, 0, 1, 0), 1, {"xxxx"}),
    "acunetix/dd-one_finding.xml": ((0, 0, 1, 0, 0), 1, {"vijaytest.com"}),
    "acunetix/dradis-code-pre.acunetix.xml": ((0, 1, 0, 0, 0), 1, {"testphp.vulnweb.com"}),
    "acunetix/dradis-simple.acunetix.xml": ((0, 0, 1, 1, 0), 2, {"testphp.vulnweb.com"}),
    "acunetix/ssf-20200228_XML_http_www_itsecgames_com_.xml": ((0, 0, 1, 2, 1), 4, {"www.itsecgames.com"}),
    "acunetix/ssf-XML_http_example_co_id_.xml": ((0, 0, 3, 3, 1), 19, {"example.co.id"}),
    "invicti/dd-invicti_one_finding.json": ((0, 0, 1, 0, 0), 1, {"php.testsparker.com"}),
    "invicti/dd-netsparker-issue_11020.json": ((2, 0, 0, 1, 0), 3, {"php.testsparker.com"}),
    "invicti/saf-sample-netsparker-invicti.xml": ((0, 0, 2, 1, 0), 3, {"foo.bar"}),
}
LARGE = "acunetix/dd-acunetix360_many_findings_large_constructed.json"
FORMATS = {
    ("acunetix", ".xml"): "acunetix",
    ("acunetix", ".json"): "acunetix_360_json",
    ("invicti", ".xml"): "invicti_enterprise",
    ("invicti", ".json"): "invicti_json",
}


def read(file: str) -> list[Any]:
    """All records; no item of a real file may be rejected or warned of."""
    path = CORPUS / file
    format_ = BY_NAME[FORMATS[path.parent.name, path.suffix]]
    data = path.read_bytes()
    assert format_.sniff(data[:4096])
    records = [record for raw, _ in format_.walk(BytesIO(data)) for record in format_.read(raw)]
    assert not of_type(records, Caution)
    return records


def of_type(records: list[Any], kind: type) -> list[Any]:
    return [record for record in records if isinstance(record, kind)]


def counted(records: list[Any]) -> tuple[int, ...]:
    worst: dict[str, Severity] = {}
    for finding in of_type(records, Finding):
        worst[finding.key] = min(finding.severity, worst.get(finding.key, finding.severity))
    severities = Counter(worst.values())
    return tuple(severities[each] for each in Severity)


@pytest.mark.parametrize("file", REPORTS)
def test_findings_places_and_hosts_are_as_counted(file: str) -> None:
    records = read(file)
    places, hosts = of_type(records, AffectedAsset), {asset.ref for asset in of_type(records, Asset)}
    assert (counted(records), len(places), hosts) == REPORTS[file]


def test_the_large_report_has_the_severities_that_were_asserted() -> None:
    records = read(LARGE)
    assert counted(records) == (205, 192, 240, 209, 204)
    assert len(of_type(records, AffectedAsset)) == 1350


def test_every_acunetix_report_is_counted() -> None:
    assert {f"acunetix/{path.name}" for path in (CORPUS / "acunetix").iterdir()} == {
        file for file in (*REPORTS, LARGE) if file.startswith("acunetix/")
    }


def test_items_of_one_name_are_one_finding_with_all_places_and_their_proof() -> None:
    records = read("acunetix/dd-XML_http_example_co_id_.xml")
    form = next(each for each in of_type(records, Finding) if each.title == "HTML form without CSRF protection")
    assert (form.cwes, form.scores[-1].vector) == ((352,), "CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:U/C:N/I:L/A:N")
    places = [each for each in of_type(records, AffectedAsset) if each.finding == form.key]
    assert [each.location for each in places] == ["example.co.id/h/search", *["example.co.id/m/zmain"] * 2]
    assert all(
        [piece.caption for piece in each.evidence] == ["Details", "Request"]
        and each.evidence[1].code.startswith(f"GET {each.location.removeprefix('example.co.id')} HTTP/1.1")
        for each in places
    )


def test_numbers_and_vectors_of_issues_are_kept() -> None:
    (finding,) = of_type(read("acunetix/dd-acunetix360_multiple_cwe.json"), Finding)
    assert (finding.key, finding.cwes) == ("CookieNotMarkedAsHttpOnly", (16, 200))
    (score,) = finding.scores
    assert (score.vector, score.base, score.temporal) == (
        "CVSS:3.0/AV:N/AC:L/PR:L/UI:R/S:U/C:H/I:N/A:N/E:H/RL:O/RC:C", 5.7, 5.5,
    )  # fmt: skip


def test_what_was_made_html_in_a_request_is_text_again() -> None:
    (place,) = of_type(read("acunetix/dradis-code-pre.acunetix.xml"), AffectedAsset)
    request = next(piece.code for piece in place.evidence if piece.caption == "Request")
    assert "signup=signup&uaddress=" in request
    assert (place.port, place.service, place.parameters) == (80, "http", ("uuname",))
    assert place.location == "http://testphp.vulnweb.com:80/secured/newuser.php"
