"""Real reports of Burp Suite in HTML and JSON, against what the tests of other projects assert about them.

Skipped where the corpus is not beside the checkout. `docs/formats.md` says where the numbers differ, and why.
"""

from __future__ import annotations

from collections import Counter
from io import BytesIO
from pathlib import Path

import pytest

from services.importer.formats.kit.format import RecordError
from services.importer.formats.registry import BY_NAME, FORMATS, resolve
from services.importer.targets.findings.records import AffectedAsset, Asset, Caution, Finding, FindingsRecord, Severity

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "burp"

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real files is not here")

HIGH, LOW, INFORMATIONAL = Severity.HIGH, Severity.LOW, Severity.INFORMATIONAL

# File -> format, items, findings by their gravest severity, hosts.
EXPECTED = {
    "dd-api-example.json": ("burp_json", 5, {INFORMATIONAL: 3}, ["whitespots.io"]),
    "dd-api-many_vulns.json": ("burp_json", 25, {INFORMATIONAL: 7, LOW: 1}, ["juice-shop.herokuapp.com"]),
    "dd-graphql-no_findings.json": ("burp_json", 0, {}, []),
    "dd-graphql-two_findings.json": ("burp_json", 3, {HIGH: 2}, ["www.test.com"]),
    "dd-dast-many_vulns.html": ("burp_dast_html", 29, {HIGH: 1, LOW: 2, INFORMATIONAL: 9}, ["example.com"]),
    "dradis-burp.html": ("burp_html", 1, {HIGH: 1}, ["1.1.1.1"]),
}


def items_of(name: str) -> list[tuple[FindingsRecord, ...]]:
    format_ = BY_NAME[EXPECTED[name][0]]
    return [tuple(format_.read(raw)) for raw, _ in format_.walk(BytesIO((CORPUS / name).read_bytes()))]


def records_of(name: str) -> list[FindingsRecord]:
    return [record for item in items_of(name) for record in item]


def findings_of(name: str) -> dict[str, Finding]:
    """By key, the gravest of each."""
    found: dict[str, Finding] = {}
    for record in records_of(name):
        if isinstance(record, Finding) and (record.key not in found or record.severity < found[record.key].severity):
            found[record.key] = record
    return found


def test_every_file_of_these_formats_is_here() -> None:
    there = {path.name for path in CORPUS.iterdir() if path.suffix in {".html", ".json"}}
    assert there == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_items_findings_severities_and_hosts_are_as_expected(name: str) -> None:
    format_name, items, severities, hosts = EXPECTED[name]
    head = (CORPUS / name).read_bytes()[:4096]
    assert [each.name for each in FORMATS if each.sniff(head)] == [format_name]
    assert resolve("burphtml" if name.endswith("html") else "burp", head).name == format_name
    assert len(items_of(name)) == items
    assert Counter(finding.severity for finding in findings_of(name).values()) == severities
    assert sorted({record.ref for record in records_of(name) if isinstance(record, Asset)}) == hosts
    assert not [record for record in records_of(name) if isinstance(record, Caution)]
    assert sum(isinstance(record, AffectedAsset) for record in records_of(name)) == items


def test_requests_and_responses_of_the_rest_api_are_decoded() -> None:
    first = next(record for record in records_of("dd-api-example.json") if isinstance(record, AffectedAsset))
    request, response = first.evidence
    assert request.code.startswith("GET /build-ssdlc HTTP/1.1\r\nHost: whitespots.io\r\n")
    assert request.length == 314
    assert "Set-Cookie: ipp_uid_tst=" in response.code


def test_types_are_known_by_their_number_whichever_report_has_them() -> None:
    rest, dast = findings_of("dd-api-many_vulns.json"), findings_of("dd-dast-many_vulns.html")
    assert {"16777984", "2098688", "7340288"} <= set(rest) & set(dast)
    assert "16777984" in findings_of("dradis-burp.html")
    assert [key for key, finding in dast.items() if not finding.fields] == [
        finding.key for finding in dast.values() if finding.title == "WAF Detected: redacted"
    ]


def test_a_dast_report_says_what_peers_read_of_it() -> None:
    first = next(iter(findings_of("dd-dast-many_vulns.html").values()))
    assert (first.title, first.severity, first.cwes) == (
        "Cross-origin resource sharing: arbitrary origin trusted",
        HIGH,
        (942,),
    )


def test_messages_of_one_index_belong_together() -> None:
    places = [record for record in records_of("dd-graphql-two_findings.json") if isinstance(record, AffectedAsset)]
    assert [(len(place.evidence), place.location) for place in places] == [
        (2, "https://www.test.com/path"),
        (3, "https://www.test.com/path2"),
        (3, "https://www.test.com/path3"),
    ]


@pytest.mark.parametrize("name", EXPECTED)
def test_nothing_of_these_files_is_rejected(name: str) -> None:
    try:
        items_of(name)
    except RecordError as error:
        pytest.fail(f"{error.code}: {error.message}")
