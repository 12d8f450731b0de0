"""Real reports of OpenVAS, Nexpose, Nipper and Core Impact, against what other projects' tests assert about them.

Those count a result as a finding (OpenVAS), or add one for each open port and each host (Nexpose); ours is one for each
test or vulnerability, so places are compared where findings cannot be.
"""

from __future__ import annotations

from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from services.importer.formats.kit.format import DamagedFile, RecordError, WrongFormat
from services.importer.formats.registry import BY_NAME
from services.importer.targets.findings.records import AffectedAsset, Asset, Caution, Finding, Severity

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real files is not here")


class Counts(NamedTuple):
    """Items, findings by severity (critical first), instances, hosts."""

    items: int
    severities: tuple[int, int, int, int, int]
    instances: int
    hosts: int


COUNTS = {
    "core_impact/dradis-example.xml": Counts(2, (0, 0, 2, 0, 0), 2, 2),
    "nexpose/dd-dns.xml": Counts(9, (0, 0, 2, 1, 0), 5, 1),
    "nexpose/dd-report_auth.xml": Counts(34, (0, 1, 1, 2, 0), 26, 4),
    "nexpose/dradis-ssl.xml": Counts(2, (0, 0, 0, 1, 0), 0, 1),
    "nipper/dradis-sample_v2.5.xml": Counts(2, (0, 1, 0, 0, 0), 1, 1),
    "openvas/dd-many_vuln.csv": Counts(4, (0, 1, 2, 1, 0), 4, 1),
    "openvas/dd-many_vuln.xml": Counts(45, (0, 16, 24, 0, 0), 44, 1),
    "openvas/dd-one_vuln.csv": Counts(1, (0, 0, 1, 0, 0), 1, 1),
    "openvas/dd-report_using_CVE.csv": Counts(43, (0, 21, 22, 0, 0), 43, 1),
    "openvas/dradis-result.xml": Counts(1, (0, 1, 0, 0, 0), 1, 1),
    "openvas/reptor-openvas.xml": Counts(37, (0, 22, 12, 2, 0), 36, 1),
}
REFUSED = {"nexpose/dradis-lists.xml": "ContainerBlockElement"}


def format_of(file: str) -> str:
    folder, _, name = file.partition("/")
    return {"core_impact": "coreimpact", "openvas": "openvas_csv" if name.endswith(".csv") else "openvas"}.get(
        folder, folder
    )


def read(file: str) -> tuple[int, list[Any]]:
    """The number of items, and all records; no item of a real file may be rejected."""
    format_ = BY_NAME[format_of(file)]
    data = (CORPUS / file).read_bytes()
    assert format_.sniff(data[:4096])
    raws = [raw for raw, _ in format_.walk(BytesIO(data))]
    return len(raws), [record for raw in raws for record in format_.read(raw)]


def of_type(records: list[Any], kind: type) -> list[Any]:
    return [record for record in records if isinstance(record, kind)]


def findings(records: list[Any]) -> dict[str, Finding]:
    """The gravest definition of each key, as the merge takes it."""
    found: dict[str, Finding] = {}
    for each in of_type(records, Finding):
        if each.key not in found or each.severity < found[each.key].severity:
            found[each.key] = each
    return found


@pytest.mark.parametrize("file", COUNTS)
def test_counts_are_as_told(file: str) -> None:
    items, records = read(file)
    severities = Counter(each.severity for each in findings(records).values())
    assert (
        Counts(
            items,
            tuple(severities[severity] for severity in Severity),  # type: ignore[arg-type]
            len(of_type(records, AffectedAsset)),
            len({asset.ref for asset in of_type(records, Asset)}),
        )
        == (COUNTS[file])
    )
    assert not of_type(records, Caution)


@pytest.mark.parametrize("file", COUNTS)
def test_every_instance_has_its_finding_and_host(file: str) -> None:
    _, records = read(file)
    instances = of_type(records, AffectedAsset)
    assert {each.finding for each in instances} <= set(findings(records))
    assert {each.asset for each in instances} <= {asset.ref for asset in of_type(records, Asset)}


@pytest.mark.parametrize("file", REFUSED)
def test_what_is_no_report_is_refused_by_name(file: str) -> None:
    with pytest.raises(WrongFormat, match=REFUSED[file]):
        read_anyway(file)


def test_a_row_without_anything_is_rejected() -> None:
    with pytest.raises(RecordError) as caught:
        read("openvas/ssf-openvas.csv")
    assert (caught.value.code, caught.value.field) == ("MISSING_FIELD", "host")


def test_no_file_ends_outside_the_contract() -> None:
    for folder in ("core_impact", "nexpose", "nipper", "openvas"):
        for path in sorted((CORPUS / folder).iterdir()):
            try:
                read_anyway(f"{folder}/{path.name}")
            except (WrongFormat, DamagedFile, RecordError):
                assert f"{folder}/{path.name}" not in COUNTS


def read_anyway(file: str) -> None:
    format_ = BY_NAME[format_of(file)]
    for raw, _ in format_.walk(BytesIO((CORPUS / file).read_bytes())):
        format_.read(raw)


def test_openvas_critical_of_the_peer_is_high_with_nine_or_more() -> None:
    _, records = read("openvas/reptor-openvas.xml")
    high = [each for each in findings(records).values() if each.severity == Severity.HIGH]
    assert sum(float(each.fields["severity"]) >= 9.0 for each in high) == 11
    assert len({each.title for each in findings(records).values()}) == 36
    assert all(each.evidence for each in of_type(records, AffectedAsset))


def test_openvas_keeps_references_scores_and_host() -> None:
    _, records = read("openvas/reptor-openvas.xml")
    httpd = findings(records)["1.3.6.1.4.1.25623.1.0.811214"]
    assert httpd.cves == ("CVE-2017-7679", "CVE-2017-3169", "CVE-2017-3167")
    assert [score.vector for score in httpd.scores] == ["CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"]
    assert httpd.recommendations.startswith("Update to Apache HTTP Server 2.2.33")
    assert "http://seclists.org/oss-sec/2017/q2/509" in httpd.references.splitlines()
    place = next(each for each in of_type(records, AffectedAsset) if each.finding == httpd.key)
    assert (place.asset, place.port, place.protocol) == ("10.20.0.125", 8080, "tcp")


def test_openvas_has_a_place_for_each_result() -> None:
    _, records = read("openvas/dd-many_vuln.xml")
    places = [(each.asset, each.port, each.protocol) for each in of_type(records, AffectedAsset)]
    assert len(places) == 44
    assert len(set(places)) == 15
    assert places[0] == ("192.168.1.1001", 512, "tcp")


def test_openvas_oldest_descriptions_are_taken_apart() -> None:
    _, records = read("openvas/dradis-result.xml")
    (found,) = findings(records).values()
    assert found.description.startswith("This host is installed with Oracle Java SE JRE")
    assert found.recommendations.startswith("Upgrade to Oracle Java SE JRE versions 7 Update 3")
    assert len(found.cves) == 6
    assert len(found.references.splitlines()) == 5


def test_openvas_tables_keep_what_is_asserted() -> None:
    _, records = read("openvas/dd-many_vuln.csv")
    last = of_type(records, AffectedAsset)[-1]
    found = findings(records)[last.finding]
    assert found.title == "HTTP Brute Force Logins With Default Credentials Reporting"
    assert found.severity == Severity.HIGH
    assert (of_type(records, Asset)[-1].hostname, last.protocol, last.port) == ("LOGSRV", "tcp", 9200)
    assert "CVE-2011-3389" in {cve for each in findings(records).values() for cve in each.cves}
    _, records = read("openvas/dd-report_using_CVE.csv")
    assert findings(records)["CVE-2014-0117"].cves == ("CVE-2014-0117",)
    assert findings(records)["CVE-2014-0117"].fields["severity"] == "4.3"


def test_nexpose_keeps_ports_and_proof() -> None:
    _, records = read("nexpose/dd-dns.xml")
    places = {(each.finding, each.port, each.protocol, each.service) for each in of_type(records, AffectedAsset)}
    assert {place for place in places if place[0] == "dns-allows-cache-snooping"} == {
        ("dns-allows-cache-snooping", 53, "tcp", "DNS"),
        ("dns-allows-cache-snooping", 53, "udp", "DNS"),
    }
    (host,) = of_type(records, Asset)
    assert (host.mac, host.operating_systems) == ("00:11:22:33:44:55", ("Linux 2.6.32",))
    assert [(port.number, port.version) for port in host.ports] == [(53, "PowerDNS Recursor 4.3.5")] * 2
    proof = {piece.code for each in of_type(records, AffectedAsset) for piece in each.evidence}
    assert "Nameserver resolved www.google.com to:\n- www.google.com. 12 IN A 172.217.17.100" in proof


def test_nexpose_joins_every_host() -> None:
    _, records = read("nexpose/dd-report_auth.xml")
    instances = Counter(each.finding for each in of_type(records, AffectedAsset))
    assert instances == {
        "linux-icmp-redirect": 4,
        "linux-grub-missing-passwd": 4,
        "unix-user-home-dir-mode": 16,
        "generic-tcp-timestamp": 2,
    }
    assert {asset.hostname for asset in of_type(records, Asset)} == {"host0", "host1", "host3", "host4"}


def test_nipper_keeps_the_table() -> None:
    _, records = read("nipper/dradis-sample_v2.5.xml")
    (place,) = of_type(records, AffectedAsset)
    assert place.asset == "PA-200"
    assert place.evidence[0].code.splitlines()[-1] == "Row 2A | Row 2B | Row 2C"
    assert of_type(records, Asset)[0].operating_systems == ("PANOS 7.0.0",)


def test_core_impact_keeps_ports_and_leaves_out_what_was_imported() -> None:
    _, records = read("core_impact/dradis-example.xml")
    places = {(each.finding, each.asset, each.port, each.protocol) for each in of_type(records, AffectedAsset)}
    assert places == {
        ("CVE-2014-0224", "10.0.10.41", 443, "tcp"),
        ("CVE-1999-0516", "10.0.10.53", 161, "udp"),
    }
    host = next(each for each in of_type(records, Asset) if each.ref == "10.0.10.41")
    assert {port.number for port in host.ports} == {23, 80, 443, 623, 5120}
    assert host.tags == ("web_server",)
