"""Real tables of Nessus, Tenable and RapidFire, against what other projects' tests assert about them."""

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

# Rows, findings by severity (critical first), hosts.
TABLES = {
    "nessus/dd-nessus-template.csv": (5, (1, 1, 3, 0, 0), 2),
    "nessus/dd-nessus_many_vuln2-all.csv": (30, (0, 0, 1, 0, 24), 1),
    "nessus/dd-nessus_many_vuln2-default.csv": (30, (0, 0, 1, 0, 24), 1),
    "nessus/ssf-sc_vulnerability_list_v00.csv": (2, (1, 0, 0, 0, 0), 2),
    "nessus/ssf-sc_vulnerability_summary_v00.csv": (2, (1, 1, 0, 0, 0), 0),
    "rapidfire/dd-pr11909-many_vulns.csv": (9, (1, 4, 2, 2, 0), 9),
    "rapidfire/dd-pr11909-one_vuln.csv": (1, (0, 1, 0, 0, 0), 1),
    "rapidfire/dd-pr11913-one_vuln.csv": (1, (0, 1, 0, 0, 0), 1),
}


def read(file: str) -> list[list[Any]]:
    """The records of each row; no row of a real table may be rejected."""
    format_ = BY_NAME["nessus_csv" if file.startswith("nessus") else "rapidfire_csv"]
    data = (CORPUS / file).read_bytes()
    assert format_.sniff(data[:4096])
    return [list(format_.read(raw)) for raw, _ in format_.walk(BytesIO(data))]


def of_type(rows: list[list[Any]], kind: type) -> list[Any]:
    return [record for records in rows for record in records if isinstance(record, kind)]


@pytest.mark.parametrize("file", TABLES)
def test_rows_findings_and_hosts_are_as_counted(file: str) -> None:
    rows = read(file)
    findings = {finding.key: finding for finding in of_type(rows, Finding)}
    severities = Counter(finding.severity for finding in findings.values())
    hosts = {asset.ref for asset in of_type(rows, Asset)}
    assert (len(rows), tuple(severities[each] for each in Severity), len(hosts)) == TABLES[file]


@pytest.mark.parametrize("name", ["nessus", "rapidfire"])
def test_every_table_is_counted(name: str) -> None:
    assert {f"{name}/{path.name}" for path in (CORPUS / name).glob("*.csv")} == {
        file for file in TABLES if file.startswith(f"{name}/")
    }


def test_a_table_that_lost_its_decimal_points_gets_them_back() -> None:
    first, second, *_ = of_type(read("nessus/dd-nessus-template.csv"), Finding)
    assert (first.title, first.cves) == ("SSL Medium Strength Cipher Suites Supported (SWEET32)", ("CVE-2016-2183",))
    assert (first.fields["epss_score"], second.fields["epss_score"]) == ("0.3833", "0.8269")
    assert [score.base for score in first.scores] == [5.0, 7.5]


def test_the_short_and_the_long_table_of_a_scan_have_the_same_places_and_proof() -> None:
    short, long = (
        of_type(read(f"nessus/dd-nessus_many_vuln2-{name}.csv"), AffectedAsset) for name in ("default", "all")
    )
    assert short == long
    assert [each.finding for each in short].count("10107") == 2


def test_a_summary_says_that_it_has_no_hosts() -> None:
    rows = read("nessus/ssf-sc_vulnerability_summary_v00.csv")
    assert {caution.code for caution in of_type(rows, Caution)} == {"NO_HOSTS"}


@pytest.mark.parametrize("file", ["rapidfire/dd-pr11909-one_vuln.csv", "rapidfire/dd-pr11913-one_vuln.csv"])
def test_rapidfire_keeps_test_id_cves_and_place(file: str) -> None:
    rows = read(file)
    (finding,), (place,), (device,) = (of_type(rows, kind) for kind in (Finding, AffectedAsset, Asset))
    assert finding.key == "1.3.6.1.4.1.25623.1.0.170598"
    assert finding.cves == ("CVE-2023-42795", "CVE-2023-44487", "CVE-2023-45648")
    assert (place.port, place.protocol, place.service) == (8080, "tcp", "http-alt")
    assert device.hostname.startswith("norming-sandbox.")
    assert finding.title == "Apache Tomcat Multiple Vulnerabilities (Oct 2023) - Windows"
