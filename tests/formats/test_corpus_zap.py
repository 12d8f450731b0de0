"""Real reports of ZAP, against what other projects' tests assert about them."""

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

# Findings by severity (critical first), instances, hosts. `<instance>` elements and alerts without any, counted by
# other means, are the instances.
REPORTS = {
    "dd-0_zap_sample_without_zap3.xml": ((0, 0, 0, 3, 0), 11, 1),
    "dd-1_zap_sample_0_and_new_absent.xml": ((0, 0, 1, 3, 0), 12, 1),
    "dd-2_zap_sample_0_and_new_endpoint.xml": ((0, 0, 1, 3, 0), 13, 1),
    "dd-juicy2.xml": ((0, 0, 2, 2, 2), 86, 1),
    "dd-some_2.9.0.xml": ((0, 0, 1, 5, 1), 17, 1),
    "dd-zap-results-first-scan.xml": ((0, 4, 3, 4, 4), 130, 1),
    "dd-zap-results-second-scan.xml": ((0, 4, 3, 6, 5), 126, 1),
    "dradis-ZAP_2.4.3_report-unmerged.xml": ((0, 2, 4, 4, 0), 295, 1),
    "reptor-zap-report-NoReqRes.xml": ((0, 3, 7, 0, 0), 661, 1),
    "reptor-zap-report.json": ((0, 3, 7, 0, 0), 661, 1),
    "saf-webgoat.json": ((0, 3, 5, 6, 10), 312, 4),
    "ssf-zaproxy-demo-site_1.4.0.1.xml": ((0, 4, 2, 2, 1), 67, 1),
    "ssf-zaproxy-wavsep_v1.4.0.1.xml": ((0, 3, 2, 8, 4), 2587, 2),
}


def read(file: str) -> list[Any]:
    """All records; no item of a real file may be rejected or warned of."""
    format_ = BY_NAME["zap_json" if file.endswith(".json") else "zap"]
    data = (CORPUS / "zap" / file).read_bytes()
    assert format_.sniff(data[:4096])
    records = [record for raw, _ in format_.walk(BytesIO(data)) for record in format_.read(raw)]
    assert not of_type(records, Caution)
    return records


def of_type(records: list[Any], kind: type) -> list[Any]:
    return [record for record in records if isinstance(record, kind)]


def findings(records: list[Any]) -> dict[str, Finding]:
    return {finding.key: finding for finding in of_type(records, Finding)}


@pytest.mark.parametrize("file", REPORTS)
def test_findings_instances_and_hosts_are_as_counted(file: str) -> None:
    records = read(file)
    severities = Counter(finding.severity for finding in findings(records).values())
    instances, hosts = of_type(records, AffectedAsset), {asset.ref for asset in of_type(records, Asset)}
    counted = tuple(severities[each] for each in Severity), len(instances), len(hosts)
    assert counted == REPORTS[file]
    assert {instance.finding for instance in instances} == set(findings(records))
    assert {instance.asset for instance in instances} <= hosts


def test_every_report_is_counted() -> None:
    assert {path.name for path in (CORPUS / "zap").iterdir()} == set(REPORTS)


def test_one_scan_in_xml_and_json_gives_the_same_findings() -> None:
    xml, json = (findings(read(f"reptor-zap-report{end}")) for end in ("-NoReqRes.xml", ".json"))
    assert xml.keys() == json.keys()
    assert [each.title for each in xml.values()] == [each.title for each in json.values()]


def test_alerts_of_one_plugin_are_told_apart_by_reference_or_name() -> None:
    by_reference = [each for each in findings(read("reptor-zap-report.json")).values() if each.number == 10055]
    assert {each.key for each in by_reference} == {"10055-4", "10055-5", "10055-6"}
    by_name = [each for each in findings(read("saf-webgoat.json")).values() if each.number == 90028]
    assert len({each.title for each in by_name}) == len(by_name) == 9
    worse = {each.title for each in by_name if each.severity == Severity.MEDIUM}
    assert worse == {"Insecure HTTP Method - PUT", "Insecure HTTP Method - PATCH"}


def test_identifiers_and_places_are_kept() -> None:
    records = read("dd-juicy2.xml")
    wildcard = next(each for each in findings(records).values() if each.title == "CSP: Wildcard Directive")
    assert (wildcard.number, wildcard.cwes, wildcard.severity) == (10055, (693,), Severity.MEDIUM)
    places = [each for each in of_type(records, AffectedAsset) if each.finding == wildcard.key]
    assert [(each.asset, each.port, each.service) for each in places] == [
        ("juice-shop.herokuapp.com", 443, "https")
    ] * 2
    library = next(each for each in findings(read("reptor-zap-report.json")).values() if "CVE-2012-6708" in each.cves)
    assert (library.number, library.cwes) == (10003, (829,))
