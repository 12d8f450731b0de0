"""Real reports of Checkmarx, against what other projects' tests assert about them.

They count results; here results of a query are places of one finding. Results with equal query, source and sink are one
place.
"""

from __future__ import annotations

from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from services.importer.formats.registry import resolve
from services.importer.targets.findings.records import AffectedAsset, Asset, Caution, Finding, Severity

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "checkmarx"

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real files is not here")


class Counts(NamedTuple):
    """`severities` of findings, critical first; `results` that became places, `places` that differ; `left_out`."""

    format: str
    severities: tuple[int, int, int, int, int]
    results: int
    places: int
    assets: int
    left_out: int = 0


REPORTS = {
    "cxflow-2-findings-different-severity.xml": Counts("checkmarx", (0, 1, 0, 0, 0), 2, 2, 1),
    "cxflow-200-findings.xml": Counts("checkmarx", (0, 0, 4, 32, 1), 561, 561, 92),
    "cxflow-3-findings-5-nodes-different-files.xml": Counts("checkmarx", (0, 2, 0, 0, 0), 3, 3, 3),
    "cxflow-300-findings.xml": Counts("checkmarx", (0, 0, 16, 38, 1), 931, 931, 98),
    "cxflow-4-low-3-medium-2-high-unique.xml": Counts("checkmarx", (0, 1, 1, 1, 0), 9, 9, 4),
    "cxflow-empty-results.xml": Counts("checkmarx", (0, 0, 0, 0, 0), 0, 0, 0),
    "cxflow-many-findings-different-vuln-different-files.xml": Counts("checkmarx", (0, 1, 1, 2, 0), 22, 22, 6),
    "dd-multiple_findings.xml": Counts("checkmarx", (0, 1, 0, 0, 0), 3, 3, 2),
    "dd-multiple_findings_different_sourceFilename_same_sinkFilename.xml": Counts(
        "checkmarx", (0, 0, 1, 0, 0), 2, 2, 2
    ),
    "dd-multiple_findings_line_changed.xml": Counts("checkmarx", (0, 1, 0, 0, 0), 3, 3, 2),
    "dd-multiple_findings_same_file_different_line_number.xml": Counts("checkmarx", (0, 1, 0, 0, 0), 3, 3, 1),
    "dd-multiple_findings_same_query_id.xml": Counts("checkmarx", (0, 0, 0, 7, 1), 11, 11, 3),
    "dd-utf8_various_non_ascii_char.xml": Counts("checkmarx", (0, 1, 0, 0, 0), 1, 1, 1),
    "ssf-Bodgeit-checkmarx.xml": Counts("checkmarx", (0, 4, 16, 17, 0), 851, 725, 22),
    "ssf-checkmarx_v7.1.5_HF6.xml": Counts("checkmarx", (0, 1, 0, 0, 1), 3, 3, 2),
    "dd-cxflow-1-finding.json": Counts("checkmarx_cxflow", (0, 1, 0, 0, 0), 1, 1, 1),
    "dd-multiple_findings.json": Counts("checkmarx_report", (0, 1, 1, 2, 0), 10, 10, 6),
    "dd-one-many_findings.json": Counts("checkmarx_one", (0, 1, 2, 2, 0), 6, 5, 5),
    "dd-one-vulnerabilities_from_scan_results.json": Counts("checkmarx_report", (0, 1, 10, 7, 3), 146, 144, 41),
    "dd-one-vulnerabilities_from_scan_results_sast_only.json": Counts("checkmarx_report", (0, 1, 0, 1, 0), 2, 2, 2),
    "dd-osa-multiple_findings.json": Counts("checkmarx_osa", (0, 10, 5, 0, 0), 16, 16, 56, left_out=2),
    "dd-osa-single_finding.json": Counts("checkmarx_osa", (0, 1, 0, 0, 0), 1, 1, 1),
    "ssf-yavdb_checkmarx.json": Counts("checkmarx_one", (0, 0, 0, 1, 0), 3, 3, 1),
}


def read(file: str) -> list[Any]:
    """All records; no item of a real file may be rejected."""
    data = (CORPUS / file).read_bytes()
    format_ = resolve("checkmarx", data[:4096])
    assert format_.name == REPORTS[file].format
    return [record for raw, _ in format_.walk(BytesIO(data)) for record in format_.read(raw)]


def of_type(records: list[Any], kind: type) -> list[Any]:
    return [record for record in records if isinstance(record, kind)]


def test_every_file_is_counted() -> None:
    assert set(REPORTS) == {path.name for path in CORPUS.iterdir()}


@pytest.mark.parametrize("file", REPORTS)
def test_a_query_is_a_finding_and_a_result_a_place(file: str) -> None:
    records = read(file)
    worst: dict[str, Severity] = {}
    for finding in of_type(records, Finding):
        worst[finding.key] = min(finding.severity, worst.get(finding.key, finding.severity))
    affected = of_type(records, AffectedAsset)
    assert {each.finding for each in affected} == set(worst)
    assert {each.asset for each in affected} <= {asset.ref for asset in of_type(records, Asset)}
    severities = Counter(worst.values())
    assert (
        Counts(
            REPORTS[file].format,
            tuple(severities[level] for level in Severity),  # type: ignore[arg-type]
            len(affected),
            len({(each.finding, each.asset, each.location, each.parameters) for each in affected}),
            len({asset.ref for asset in of_type(records, Asset)}),
            len(of_type(records, Caution)),
        )
        == REPORTS[file]
    )


def test_severities_of_single_results_are_kept_in_notes() -> None:
    records = read("cxflow-2-findings-different-severity.xml")
    notes = [each.notes for each in of_type(records, AffectedAsset)]
    assert sum("Severity: Medium" in text for text in notes) == 1


def test_the_path_through_the_code_is_evidence() -> None:
    records = read("dd-multiple_findings.xml")
    first = of_type(records, AffectedAsset)[0]
    assert first.location.endswith("Assignment5.java:50:53")
    assert "statement.executeQuery();" in first.evidence[0].code
    assert first.evidence[0].code.count("Assignment5.java") == 6


def test_a_file_name_of_odd_characters_is_kept() -> None:
    (asset,) = of_type(read("dd-utf8_various_non_ascii_char.xml"), Asset)
    assert "¡¢£¤" in asset.name


def test_details_at_the_end_of_a_report_reach_the_finding() -> None:
    records = read("dd-one-vulnerabilities_from_scan_results.json")
    (finding,) = [each for each in of_type(records, Finding) if each.title == "Reflected XSS"]
    assert finding.cwes == (79,)
    assert "A successful XSS exploit" in finding.description
    assert "Fully encode all dynamic data" in finding.recommendations


def test_libraries_that_follow_are_the_assets_of_vulnerabilities() -> None:
    records = read("dd-osa-single_finding.json")
    (affected,) = of_type(records, AffectedAsset)
    (library,) = of_type(records, Asset)
    assert affected.asset == library.ref
    assert library.name == "com.fasterxml.jackson.core:jackson-databind-2.10.2"
    assert of_type(records, Finding)[0].cves == ("CVE-2020-25649",)
