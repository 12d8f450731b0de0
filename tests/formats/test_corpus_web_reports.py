"""Real reports of AppScan and of Invicti Standard, against what other projects' tests assert about them."""

from __future__ import annotations

from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from services.importer.formats.registry import resolve
from services.importer.targets.findings.records import AffectedAsset, Asset, Caution, Finding, Severity

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real files is not here")

# Findings by severity (critical first), issues, hosts, pieces of evidence, codes of cautions.
REPORTS = {
    "hcl_appscan/dd-ibm-testfire.xml": ((0, 3, 4, 12, 8), 115, {"demo.testfire.net"}, 224, set()),
    "hcl_appscan/dd-many_findings.xml": ((0, 1, 9, 1, 2), 60, {"mani-virtual-machine"}, 120, set()),
    "hcl_appscan/dd-no_findings.xml": ((0, 0, 0, 0, 0), 0, set(), 0, {"ISSUES_NOT_LISTED"}),
    "invicti/dradis-example-evidence.xml": ((0, 0, 0, 0, 1), 2, {"snorby.org"}, 5, set()),
    "invicti/dradis-multiple-nodes.xml": ((0, 0, 0, 0, 1), 2, {"snorby.org", "example.com"}, 5, set()),
    "invicti/dradis-testsparker.xml": ((7, 6, 5, 14, 17), 61, {"php.testsparker.com"}, 171, set()),
}
SOURCES = {"hcl_appscan": "hclappscan", "invicti": "netsparker"}


def read(file: str) -> list[Any]:
    """All records; no item of a real file may be rejected."""
    data = (CORPUS / file).read_bytes()
    format_ = resolve(SOURCES[file.split("/", maxsplit=1)[0]], data[:4096])
    return [record for raw, _ in format_.walk(BytesIO(data)) for record in format_.read(raw)]


def of_type(records: list[Any], kind: type) -> list[Any]:
    return [record for record in records if isinstance(record, kind)]


@pytest.mark.parametrize("file", REPORTS)
def test_types_are_findings_and_issues_places(file: str) -> None:
    records = read(file)
    worst: dict[str, Severity] = {}
    for finding in of_type(records, Finding):
        worst[finding.key] = min(finding.severity, worst.get(finding.key, finding.severity))
    affected = of_type(records, AffectedAsset)
    assert {each.finding for each in affected} == set(worst)
    severities = Counter(worst.values())
    assert (
        tuple(severities[level] for level in Severity),
        len(affected),
        {asset.name for asset in of_type(records, Asset)},
        sum(len(each.evidence) for each in affected),
        {caution.code for caution in of_type(records, Caution)},
    ) == REPORTS[file]


def test_appscan_brings_advisory_and_advice_together() -> None:
    records = read("hcl_appscan/dd-ibm-testfire.xml")
    (finding,) = [each for each in of_type(records, Finding) if each.key == "attCrossSiteScripting"]
    assert finding.severity is Severity.HIGH
    assert (finding.cves, finding.cwes) == (("CVE-2022-00001",), (79,))
    assert "does not correctly neutralize user-controllable input" in finding.description
    assert "Use a vetted library or framework" in finding.recommendations
    assert "http://projects.webappsec.org/Cross-Site+Scripting" in finding.references


def test_appscan_on_cloud_has_its_articles_and_scores() -> None:
    records = read("hcl_appscan/dd-many_findings.xml")
    finding = of_type(records, Finding)[0]
    assert finding.title == "Unencrypted Login Request"
    assert finding.scores[0].base == 8.2
    assert "SSL (Secure Socket Layer) provides data confidentiality" in finding.description


def test_invicti_keeps_scores_of_both_versions_parameter_and_proof() -> None:
    records = read("invicti/dradis-testsparker.xml")
    (finding,) = [each for each in of_type(records, Finding) if each.key == "ConfirmedBooleanSqlInjection"]
    assert [score.system for score in finding.scores] == ["cvss3", "cvss3_1"]
    assert finding.cwes == (89,)
    (place,) = [each for each in of_type(records, AffectedAsset) if each.finding == finding.key]
    assert place.parameters == ("id",)
    assert "Identified Database User: root@localhost" in place.evidence[0].code
    assert place.evidence[1].code.startswith("GET /artist.php")


def test_invicti_names_the_cves_of_old_software() -> None:
    records = read("invicti/dradis-testsparker.xml")
    cves = {
        finding.key: len(finding.cves) for finding in of_type(records, Finding) if finding.key.endswith("OutOfDate")
    }
    assert cves == {"ApacheOutOfDate": 62, "MySqlOutOfDate": 368, "PhpOutOfDate": 304}
