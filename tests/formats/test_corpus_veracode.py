"""Real exports of Veracode, against what other projects' own tests assert about them.

Skipped where the corpus is not beside the checkout. Peers count flaws, which are our places; ours are weaknesses.
"""

from __future__ import annotations

from collections import Counter
from io import BytesIO
from pathlib import Path

import pytest

from services.importer.formats.registry import FORMATS
from services.importer.targets.findings.records import AffectedAsset, Finding, Severity

FOLDER = Path(__file__).parents[3] / "shared" / "corpus" / "veracode"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the corpus of real files is not here")

# Places and findings of each file. The two of JSON have five flaws, of which two are closed.
COUNTS = {
    "dd-dynamic_embedded_format.json": (3, 3),
    "dd-dynamic_findings_list_format.json": (3, 3),
    "dd-many_findings_different_hash_code_different_unique_id.xml": (4, 4),
    "dd-sca-veracode_sca.csv": (3, 3),
    "dd-veracode_scan.xml": (7, 6),
    "dd-veracode_scan_changed_severity.xml": (7, 6),
    "dradis-veracode-scrubbed.xml": (7, 6),
    "saf-veracode.xml": (235, 58),
    "threadfix-194944.xml": (81, 9),
    "threadfix-198331.xml": (83, 10),
    "threadfix-22881.xml": (284, 11),
    "threadfix-22882.xml": (24, 8),
    "threadfix-22883.xml": (17, 6),
    "threadfix-22892.xml": (180, 16),
    "threadfix-22933.xml": (7, 1),
}
# What DefectDojo asserts, for each place.
SEVERITIES = {
    "dd-dynamic_embedded_format.json": {Severity.HIGH: 1, Severity.MEDIUM: 2},
    "dd-many_findings_different_hash_code_different_unique_id.xml": {Severity.MEDIUM: 2, Severity.HIGH: 2},
    "dd-sca-veracode_sca.csv": {Severity.MEDIUM: 2, Severity.HIGH: 1},
    "dd-veracode_scan.xml": {Severity.LOW: 3, Severity.MEDIUM: 4},
    "dd-veracode_scan_changed_severity.xml": {Severity.LOW: 5, Severity.MEDIUM: 2},
}


def records(file: str) -> list[object]:
    data = (FOLDER / file).read_bytes()
    (format_,) = (each for each in FORMATS if each.sniff(data[:4096]))
    assert format_.family == "veracode"
    return [record for raw, _ in format_.walk(BytesIO(data)) for record in format_.read(raw)]


def test_every_file_is_looked_at() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(COUNTS)


@pytest.mark.parametrize("file", COUNTS)
def test_places_and_findings_are_those_of_the_file(file: str) -> None:
    found = records(file)
    places = sum(isinstance(record, AffectedAsset) for record in found)
    keys = {record.key for record in found if isinstance(record, Finding)}
    assert (places, len(keys)) == COUNTS[file]


@pytest.mark.parametrize("file", SEVERITIES)
def test_severities_are_those_that_peers_assert(file: str) -> None:
    assert Counter(record.severity for record in records(file) if isinstance(record, Finding)) == SEVERITIES[file]


def test_a_component_has_what_peers_assert() -> None:
    found = {record.key: record for record in records("dd-veracode_scan.xml") if isinstance(record, Finding)}
    one = found["CVE-2012-6153"]
    assert (one.cwes, one.scores[0].base, one.severity) == ((20,), 4.3, Severity.MEDIUM)


def test_a_dynamic_flaw_has_its_place() -> None:
    (place, *_) = (each for each in records("dd-dynamic_embedded_format.json") if isinstance(each, AffectedAsset))
    assert (place.asset, place.port, place.parameters) == ("application.insecure-company-alliance.com", 443, ("api",))
