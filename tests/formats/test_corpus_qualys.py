"""Real exports of Qualys VM and Qualys WAS, against what other projects' own tests assert about them.

Skipped where the corpus is not beside the checkout. Where the numbers are others than those of the other projects,
`docs/formats.md` says why.
"""

from __future__ import annotations

from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from services.importer.formats.registry import FORMATS
from services.importer.targets.findings.records import AffectedAsset, Asset, Caution, Finding, Severity

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
FAMILIES = ("qualys_vm", "qualys_was")

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real files is not here")


class Expected(NamedTuple):
    """Of one file: its format, its items, the findings of each severity from the worst, hosts, and instances."""

    format: str
    items: int
    findings: tuple[int, int, int, int, int]
    assets: int
    affected: int


FILES = {
    "qualys_vm/dd-Qualys_Sample_Report.csv": Expected("qualys_vm_csv", 6, (3, 0, 0, 0, 0), 4, 6),
    "qualys_vm/dd-empty.xml": Expected("qualys_vm_report", 0, (0, 0, 0, 0, 0), 0, 0),
    "qualys_vm/dd-hg-many_finding.csv": Expected("qualys_vm_csv", 4, (0, 0, 0, 2, 1), 3, 4),
    "qualys_vm/dd-infrascan-qualys_infrascan_webgui_1.xml": Expected("qualys_vm_scan", 2, (1, 0, 0, 0, 0), 1, 1),
    "qualys_vm/dd-infrascan-qualys_infrascan_webgui_3.xml": Expected("qualys_vm_scan", 2, (0, 0, 0, 1, 0), 1, 1),
    "qualys_vm/dd-vmdr-many_vulns_qid.csv": Expected("qualys_vm_csv", 5, (1, 1, 0, 1, 1), 5, 4),
    "qualys_vm/dd-vmdr-one_vuln_cve.csv": Expected("qualys_vm_csv", 1, (1, 0, 0, 0, 0), 1, 1),
    "qualys_vm/dd-vmdr-one_vuln_no_metadata_cve.csv": Expected("qualys_vm_csv", 1, (1, 0, 0, 0, 0), 1, 1),
    "qualys_vm/dradis-simple_asset.xml": Expected("qualys_vm_report", 2, (0, 0, 0, 1, 0), 1, 1),
    "qualys_vm/dradis-with_ciphers.xml": Expected("qualys_vm_scan", 2, (0, 0, 0, 0, 1), 1, 1),
    "qualys_was/dd-qualys_webapp_many_vuln.xml": Expected("qualys_was_report", 44, (0, 0, 2, 7, 12), 2, 22),
    "qualys_was/dd-qualys_webapp_one_vuln.xml": Expected("qualys_was_report", 30, (0, 0, 3, 6, 6), 2, 14),
    "qualys_was/ssf-Scan_Report_01_2020-04-01.xml": Expected("qualys_was_report", 41, (0, 0, 1, 7, 12), 2, 20),
    "qualys_was/ssf-Scan_Report_02_2020-04-01.xml": Expected("qualys_was_report", 31, (0, 0, 3, 6, 6), 2, 15),
    "qualys_was/threadfix-testasp.xml": Expected("qualys_was_api", 60, (3, 0, 5, 4, 14), 2, 59),
}


def read(file: str) -> tuple[str, int, list[Any]]:
    """The name of the format that takes a file, the number of its items, and all records; no item is rejected."""
    data = (CORPUS / file).read_bytes()
    (format_,) = (each for each in FORMATS if each.sniff(data[:4096]))
    raws = [raw for raw, _ in format_.walk(BytesIO(data))]
    return format_.name, len(raws), [record for raw in raws for record in format_.read(raw)]


def findings_of(records: list[Any]) -> dict[str, Finding]:
    return {record.key: record for record in records if isinstance(record, Finding)}


def places_of(records: list[Any]) -> list[AffectedAsset]:
    return [record for record in records if isinstance(record, AffectedAsset)]


def assets_of(records: list[Any]) -> dict[str, Asset]:
    return {record.ref: record for record in records if isinstance(record, Asset)}


def test_every_file_is_in_the_table() -> None:
    assert {f"{family}/{path.name}" for family in FAMILIES for path in (CORPUS / family).iterdir()} == set(FILES)


@pytest.mark.parametrize("file", FILES)
def test_the_numbers_are_as_counted(file: str) -> None:
    name, items, records = read(file)
    severities = Counter(finding.severity for finding in findings_of(records).values())
    counted = tuple(severities[severity] for severity in Severity)
    assert Expected(name, items, counted, len(assets_of(records)), len(places_of(records))) == FILES[file]  # type: ignore[arg-type]


@pytest.mark.parametrize("file", FILES)
def test_every_instance_has_its_finding_and_its_asset(file: str) -> None:
    _, _, records = read(file)
    keys, refs = set(findings_of(records)), set(assets_of(records))
    assert all(place.finding in keys and place.asset in refs for place in places_of(records))


def test_a_report_keeps_vectors_of_scores_and_names_of_hosts() -> None:
    _, _, records = read("qualys_vm/dd-Qualys_Sample_Report.csv")
    finding = findings_of(records)["105971"]
    assert finding.title == "EOL/Obsolete Software: Microsoft ASP.NET 1.0 Detected"
    assert [score.vector for score in finding.scores] == ["CVSS:3.0/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H/E:U/RL:U/RC:C"]
    assert assets_of(records)["10.98.57.180"].hostname == "ip-10-98-57-180.eu-west-1.compute.internal"
    assert len(findings_of(records)["91762"].cves) == 23


def test_a_detection_marked_as_fixed_is_told_and_left_out() -> None:
    _, _, records = read("qualys_vm/dd-vmdr-many_vulns_qid.csv")
    assert [record.code for record in records if isinstance(record, Caution)] == ["FIXED"]
    assert "100003" not in findings_of(records)
    assert assets_of(records)["10.0.0.20"].ips == ("10.0.0.20", "10.0.0.21")


def test_an_export_by_cve_keeps_the_scores_of_the_cve() -> None:
    _, _, records = read("qualys_vm/dd-vmdr-one_vuln_cve.csv")
    finding = findings_of(records)["730143"]
    assert finding.cves == ("CVE-2021-44228",)
    assert [(score.system, score.base) for score in finding.scores] == [("cvss2", 9.3), ("cvss3_1", 10.0)]


def test_a_scan_keeps_the_cves_of_both_places() -> None:
    _, _, records = read("qualys_vm/dd-infrascan-qualys_infrascan_webgui_1.xml")
    finding = findings_of(records)["123168"]
    assert finding.title == "Oracle Java SE Critical Patch Update - January 2015"
    assert len(finding.cves) == 19


def test_a_web_report_keeps_requests_and_responses() -> None:
    _, _, records = read("qualys_was/dd-qualys_webapp_many_vuln.xml")
    weak = [place for place in places_of(records) if place.finding == "150004"]
    assert {piece.caption for place in weak for piece in place.evidence} == {"Payload", "Request", "Response"}
    assert all(place.asset == "store.example.com" and place.port == 443 for place in weak)
    known = assets_of(records)["application"]
    assert (known.name, known.operating_systems) == ("store.example.com", ("NetScaler",))


def test_the_levels_of_a_scan_without_any_are_those_of_its_statistics() -> None:
    _, _, records = read("qualys_was/threadfix-testasp.xml")
    levels = {key: finding.fields.get("qualys_severity") for key, finding in findings_of(records).items()}
    found = Counter(levels[place.finding] for place in places_of(records) if levels[place.finding])
    assert found == {"5": 15, "3": 19, "2": 5, "1": 8}
