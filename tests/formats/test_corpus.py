"""Real exports of other projects, against what those projects' own tests assert about them.

Skipped where the corpus is not beside the checkout. Counts are compared where both sides define a finding alike: Nessus
by plugin, Burp by issue type, Nmap by host.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from services.importer.formats.burp.xml import FORMAT as BURP
from services.importer.formats.kit.format import DamagedFile, RecordError, WrongFormat
from services.importer.formats.nessus.xml import FORMAT as NESSUS
from services.importer.formats.nmap.xml import ASSETS as NMAP_ASSETS
from services.importer.formats.nmap.xml import FINDINGS as NMAP
from services.importer.formats.registry import BY_NAME
from services.importer.targets.findings.records import AffectedAsset, Asset, Caution, Finding, Severity

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real files is not here")

# Items of each file: ReportItems (or hosts without any), issues, hosts, counted by other means.
ITEMS = {
    "nessus/dd-nessus_with_cvssv3.nessus": 49,
    "nessus/dd-was-nessus_was_many_vuln.xml": 5,
    "nessus/dd-was-nessus_was_no_vuln.xml": 1,
    "nessus/dradis-vulnerability_priority_rating.xml": 1,
    "nessus/reptor-nessus_multi_host.xml": 23,
    "nessus/reptor-test.nessus": 2,
    "nessus/rubynessus-example_v3.nessus": 155,
    "nessus/saf-sample.nessus": 149,
    "nessus/seccubus-compliance.nessus": 398,
    "burp/dd-seven_findings.xml": 16,
    "burp/dradis-burp.xml": 4,
    "burp/dradis-burp_issue_severity.xml": 5,
    "burp/ssf-burpvulns_v2_1_02.xml": 17,
    "nmap/dd-issue12411.xml": 2,
    "nmap/dd-nmap_multiple_port.xml": 1,
    "nmap/dradis-sample.xml": 1,
    "nmap/libnmap-1_host_ping.xml": 1,
    "nmap/libnmap-1_hosts_diff.xml": 1,
    "nmap/libnmap-2_hosts_version.xml": 2,
    "nmap/libnmap-full_sudo5.xml": 256,
    "nmap/libnmap-full_sudo6.xml": 256,
    "nmap/libnmap-os_scan6.xml": 256,
    "nmap/libnmap-test_osclass.xml": 1,
    "nmap/reptor-nmap_multi_target.xml": 2,
    "nmap/reptor-nmap_single_target_single_port.xml": 1,
    "nmap/reptor-nmap_with_mac.xml": 1,
    "nmap/scb-localhost.xml": 1,
    "nmap/scb-scanme.nmap.org-ipv6.xml": 1,
    "nmap/seccubus-nmap.xml": 2,
    "nmap/seccubus-nmap_script_output.xml": 1,
    "nmap/ssf-nmap_v6.40.xml": 1,
    "nmap_vulners/libnmap-dionaea_scan.xml": 1,
    "nmap_vulners/vulners-golden_1x.xml": 1,
}
DEFECTDOJO_WORDS = {
    "Info": Severity.INFORMATIONAL,
    "Low": Severity.LOW,
    "Medium": Severity.MEDIUM,
    "High": Severity.HIGH,
}
FORMATS_OF = {"nessus": ("nessus",), "burp": ("burp",), "nmap": ("nmap", "nmap_assets"), "nmap_vulners": ("nmap",)}


def read(format_name: str, file: str) -> tuple[int, list[Any]]:
    """The number of items, and all records; no item of a real file may be rejected."""
    format_ = BY_NAME[format_name]
    raws = [raw for raw, _ in format_.walk(BytesIO((CORPUS / file).read_bytes()))]
    return len(raws), [record for raw in raws for record in format_.read(raw)]


def of_type(records: Iterable[Any], kind: type) -> list[Any]:
    return [record for record in records if isinstance(record, kind)]


def worst(records: Iterable[Any]) -> dict[str, Severity]:
    found: dict[str, Severity] = {}
    for finding in of_type(records, Finding):
        found[finding.key] = min(finding.severity, found.get(finding.key, finding.severity))
    return found


def expected(file: str) -> dict[str, Any]:
    for text in (CORPUS / "EXPECTED.jsonl").read_text("utf-8").splitlines():
        entry: dict[str, Any] = json.loads(text)
        if entry["file"] == file:
            return entry
    raise LookupError(file)


@pytest.mark.parametrize("file", ITEMS)
def test_every_item_is_given_and_none_is_rejected(file: str) -> None:
    for name in FORMATS_OF[file.split("/", maxsplit=1)[0]]:
        count, records = read(name, file)
        assert count == ITEMS[file]
        assert records


@pytest.mark.parametrize("folder", FORMATS_OF)
def test_no_file_ends_outside_the_contract(folder: str) -> None:
    for path in sorted((CORPUS / folder).iterdir()):
        for name in FORMATS_OF[folder]:
            try:
                for raw, _ in BY_NAME[name].walk(BytesIO(path.read_bytes())):
                    BY_NAME[name].read(raw)
            except (WrongFormat, DamagedFile, RecordError):
                assert f"{folder}/{path.name}" not in ITEMS


def test_no_file_of_another_tool_is_sniffed() -> None:
    for path in sorted(CORPUS.glob("*/*")):
        head = path.read_bytes()[:4096]
        for format_ in (NESSUS, BURP, NMAP, NMAP_ASSETS):
            if not path.parent.name.startswith(format_.family):
                assert not format_.sniff(head), path


@pytest.mark.parametrize(
    "file", [file for file in ITEMS if file.startswith("nessus/dd-")] + ["nessus/reptor-nessus_multi_host.xml"]
)
def test_nessus_has_as_many_findings_as_asserted(file: str) -> None:
    _, records = read("nessus", file)
    assert len(worst(records)) == expected(file)["findings"]


def test_nessus_keeps_the_severities_of_the_web_scan() -> None:
    file = "nessus/dd-was-nessus_was_many_vuln.xml"
    _, records = read("nessus", file)
    told = expected(file)["observed_when_run"]["severities"]
    assert Counter(worst(records).values()) == {DEFECTDOJO_WORDS[word]: count for word, count in told.items()}


def test_nessus_keeps_the_vector_of_version_3() -> None:
    _, records = read("nessus", "nessus/dd-nessus_with_cvssv3.nessus")
    vectors = {score.vector for finding in of_type(records, Finding) for score in finding.scores}
    assert "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:L/I:N/A:N" in vectors


def test_nessus_keeps_hosts_and_ports_apart() -> None:
    file = "nessus/reptor-nessus_multi_host.xml"
    _, records = read("nessus", file)
    places = {(each.finding, each.asset, each.port) for each in of_type(records, AffectedAsset)}
    assert len({asset.ref for asset in of_type(records, Asset)}) == expected(file)["hosts"]
    assert {place[1:] for place in places if place[0] == "12218"} == {("192.168.1.111", 5353), ("192.168.1.112", 5353)}
    assert len([place for place in places if place[0] == "11219"]) == 8


def test_old_compliance_checks_are_findings_of_their_own() -> None:
    _, records = read("nessus", "nessus/seccubus-compliance.nessus")
    results = Counter(each.notes for each in of_type(records, AffectedAsset) if each.notes)
    assert results == {"Result: FAILED": 352, "Result: PASSED": 42}


@pytest.mark.parametrize("file", ["burp/dd-seven_findings.xml", "burp/dradis-burp.xml"])
def test_burp_has_as_many_findings_as_asserted(file: str) -> None:
    _, records = read("burp", file)
    assert len(worst(records)) == expected(file)["findings"]


def test_burp_keeps_severities_and_request_and_response() -> None:
    file = "burp/dd-seven_findings.xml"
    _, records = read("burp", file)
    told = expected(file)["observed_when_run"]["severities"]
    assert Counter(worst(records).values()) == {DEFECTDOJO_WORDS[word]: count for word, count in told.items()}
    proof = [piece for each in of_type(records, AffectedAsset) for piece in each.evidence]
    assert all(piece.code.startswith(("GET ", "POST ", "HTTP/1")) for piece in proof)
    data = (CORPUS / file).read_bytes()
    assert len(proof) == data.count(b"<request ") + data.count(b"<response ")


def test_burp_keeps_what_different_extensions_found_apart() -> None:
    _, records = read("burp", "burp/ssf-burpvulns_v2_1_02.xml")
    assert len(worst(records)) == 15
    assert len({finding.title for finding in of_type(records, Finding)}) == 15


@pytest.mark.parametrize("file", ["nmap/libnmap-2_hosts_version.xml", "nmap/reptor-nmap_multi_target.xml"])
def test_nmap_has_as_many_hosts_as_asserted(file: str) -> None:
    _, records = read("nmap_assets", file)
    assert len(of_type(records, Asset)) == expected(file)["hosts"]


@pytest.mark.parametrize(
    ("file", "ports"),
    [
        ("nmap/reptor-nmap_multi_target.xml", 4),
        ("nmap/dd-nmap_multiple_port.xml", 13),
        ("nmap/scb-localhost.xml", 4),
        ("nmap/scb-scanme.nmap.org-ipv6.xml", 3),
    ],
)
def test_nmap_has_as_many_open_ports_as_asserted(file: str, ports: int) -> None:
    _, records = read("nmap_assets", file)
    assert sum(len(asset.ports) for asset in of_type(records, Asset)) == ports


def test_nmap_gives_hosts_that_are_up_only() -> None:
    for file, up in (("full_sudo5", 4), ("full_sudo6", 4), ("os_scan6", 3)):
        _, records = read("nmap_assets", f"nmap/libnmap-{file}.xml")
        assert len(of_type(records, Asset)) == up


def test_vulners_gives_cves_and_exploits_that_name_none() -> None:
    _, records = read("nmap", "nmap_vulners/vulners-golden_1x.xml")
    assert worst(records) == {
        "CVE-2018-16843": Severity.HIGH,
        "CVE-2019-20372": Severity.MEDIUM,
        "EDB-ID:45233": Severity.INFORMATIONAL,
    }
    assert [caution.code for caution in of_type(records, Caution)] == ["INVALID_PORT"]
    _, records = read("nmap", "nmap_vulners/libnmap-dionaea_scan.xml")
    assert Counter(worst(records).values()) == {Severity.HIGH: 2, Severity.MEDIUM: 3, Severity.INFORMATIONAL: 1}


def test_the_empty_file_and_the_old_version_are_refused() -> None:
    with pytest.raises(DamagedFile):
        read("nessus", "nessus/libnessus-xxxxxxxx.nessus")
    with pytest.raises(WrongFormat, match="NessusClientData>"):
        read("nessus", "nessus/libnessus-nessus_report_test_local.nessus.v1")
