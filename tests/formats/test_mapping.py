"""Cases of the mapping that a sample of a few lines cannot show: limits, fallbacks, odd hosts."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Any

import pytest

from services.importer.formats.burp.xml import FORMAT as BURP
from services.importer.formats.kit.evidence import EVIDENCE_LIMIT
from services.importer.formats.kit.format import Format, RecordError
from services.importer.formats.kit.values import TEXT_LIMIT
from services.importer.formats.nessus.xml import FORMAT as NESSUS
from services.importer.formats.nmap.xml import ASSETS as NMAP_ASSETS
from services.importer.formats.nmap.xml import FINDINGS as NMAP
from services.importer.targets.findings.records import AffectedAsset, Asset, Caution, Finding, Severity


def records(format_: Format, data: str) -> list[Any]:
    return [record for raw, _ in format_.walk(BytesIO(data.encode())) for record in format_.read(raw)]


def only(found: list[Any], kind: type) -> Any:
    (one,) = (record for record in found if isinstance(record, kind))
    return one


def nessus(
    item: str = "", attributes: str = 'severity="2" pluginID="7" pluginName="n"', tags: str = "", host: str = "h"
) -> str:
    listed = "".join(
        f'<tag name="{pair.split("=", 1)[0]}">{pair.split("=", 1)[1]}</tag>' for pair in tags.split("|") if pair
    )
    return (
        f'<NessusClientData_v2><Report><ReportHost name="{host}"><HostProperties>{listed}</HostProperties>'
        f'<ReportItem port="80" svc_name="www" protocol="tcp" {attributes}>{item}</ReportItem>'
        "</ReportHost></Report></NessusClientData_v2>"
    )


def burp(issue: str) -> str:
    return (
        '<issues burpVersion="2"><issue><type>16777472</type><name>n</name><host ip="192.0.2.1">https://h.example</host>'
        f"<path>/p</path><severity>Low</severity>{issue}</issue></issues>"
    )


def nmap(host: str) -> str:
    return f'<nmaprun scanner="nmap">{host}<runstats/></nmaprun>'


def with_vulners(rows: str) -> str:
    return (
        '<host><status state="up"/><address addr="192.0.2.1" addrtype="ipv4"/><ports><port protocol="tcp" portid="1">'
        '<state state="open"/><script id="vulners" output="x">'
        f'<table key="c">{rows}</table></script></port></ports></host>'
    )


def test_nessus_output_beyond_the_limit_is_cut_and_told() -> None:
    found = records(NESSUS, nessus(f"<plugin_output>{'x' * (EVIDENCE_LIMIT + 5)}</plugin_output>"))
    (piece,) = only(found, AffectedAsset).evidence
    assert (len(piece.code), piece.length) == (EVIDENCE_LIMIT, EVIDENCE_LIMIT + 5)
    assert only(found, Caution).code == "EVIDENCE_CUT"


def test_nessus_description_beyond_the_limit_is_cut_and_told() -> None:
    found = records(NESSUS, nessus(f"<description>{'x' * (TEXT_LIMIT + 5)}</description>"))
    assert len(only(found, Finding).description) == TEXT_LIMIT
    assert only(found, Caution).code == "TEXT_CUT"


@pytest.mark.parametrize(
    ("attributes", "item", "severity"),
    [
        ('severity="4" pluginID="7" pluginName="n"', "<risk_factor>Low</risk_factor>", Severity.CRITICAL),
        ('pluginID="7" pluginName="n"', "<risk_factor>High</risk_factor>", Severity.HIGH),
        ('severity="" pluginID="7" pluginName="n"', "<cvss3_base_score>5.0</cvss3_base_score>", Severity.MEDIUM),
        ('severity="x" pluginID="7" pluginName="n"', "", Severity.INFORMATIONAL),
    ],
)
def test_nessus_severity_is_the_attribute_then_the_word_then_the_score(
    attributes: str, item: str, severity: Severity
) -> None:
    assert only(records(NESSUS, nessus(item, attributes)), Finding).severity is severity


@pytest.mark.parametrize(
    ("result", "severity"),
    [
        ("FAILED", Severity.HIGH),
        ("WARNING", Severity.MEDIUM),
        ("PASSED", Severity.INFORMATIONAL),
        ("INFO", Severity.INFORMATIONAL),
        ("ERROR", Severity.INFORMATIONAL),
    ],
)
def test_nessus_compliance_severity_is_that_of_the_result(result: str, severity: Severity) -> None:
    name = "<cm:compliance-check-name>c</cm:compliance-check-name>"
    told = f"<cm:compliance-result>{result}</cm:compliance-result>"
    found = records(NESSUS, nessus(f"<compliance>true</compliance>{name}{told}"))
    assert only(found, Finding).severity is severity
    assert only(found, Finding).title == "c"
    assert only(found, AffectedAsset).notes == f"Result: {result}"


@pytest.mark.parametrize(
    ("tags", "hostname"),
    [
        ("host-fqdn=a.example|host-rdns=b.example", "a.example"),
        ("host-rdns=192.0.2.1|hostname=c.example", "c.example"),
        ("host-fqdns=not json", ""),
        ("host-fqdns=[1, null]", ""),
        ("host-fqdns=" + "[" * 5_000, ""),
    ],
)
def test_nessus_hostname_is_the_best_of_what_is_told(tags: str, hostname: str) -> None:
    assert only(records(NESSUS, nessus(tags=tags, host="192.0.2.1")), Asset).hostname == hostname


def test_nessus_host_without_name_takes_its_address() -> None:
    asset = only(
        records(NESSUS, nessus(tags="host-ip=192.0.2.9|operating-system=A\nB\nA|mac-address=x", host="")), Asset
    )
    assert (asset.ref, asset.ips, asset.operating_systems, asset.mac) == ("192.0.2.9", ("192.0.2.9",), ("A", "B"), "")


def test_nessus_host_without_anything_is_rejected() -> None:
    with pytest.raises(RecordError, match="neither name nor address"):
        records(NESSUS, nessus(host=""))


def test_burp_body_beyond_the_limit_is_cut_and_told() -> None:
    body = base64.b64encode(b"x" * (EVIDENCE_LIMIT + 7)).decode()
    found = records(
        BURP, burp(f'<requestresponse><response base64="true"><![CDATA[{body}]]></response></requestresponse>')
    )
    (piece,) = only(found, AffectedAsset).evidence
    assert (piece.caption, len(piece.code), piece.length) == ("Response", EVIDENCE_LIMIT, EVIDENCE_LIMIT + 7)
    assert only(found, Caution).code == "EVIDENCE_CUT"


@pytest.mark.parametrize(
    ("location", "parameters"),
    [
        ("/p [q parameter]", ("q",)),
        ("/p [a [0] JSON parameter]", ("a [0]",)),
        ("/p [sid cookie]", ("sid",)),
        ("/p [Host HTTP header]", ("Host",)),
        ("/p [name of an arbitrarily supplied URL parameter]", ("name of an arbitrarily supplied URL",)),
        ("/p", ()),
        ("/p []", ()),
        ("", ()),
    ],
)
def test_burp_parameters_are_the_insertion_point(location: str, parameters: tuple[str, ...]) -> None:
    assert only(records(BURP, burp(f"<location>{location}</location>")), AffectedAsset).parameters == parameters


def test_nmap_ports_are_open_ones_with_their_software() -> None:
    host = (
        '<host><status state="up"/><address addr="192.0.2.1" addrtype="ipv4"/><ports>'
        '<port protocol="TCP" portid="8443"><state state="open"/>'
        '<service name="http" product="p" version="1" extrainfo="e" tunnel="ssl"/></port>'
        '<port protocol="tcp" portid="1"><state state="closed"/></port>'
        '<port protocol="tcp" portid="2"><state state="open|filtered"/></port></ports></host>'
    )
    (port,) = only(records(NMAP_ASSETS, nmap(host)), Asset).ports
    assert (port.number, port.protocol, port.service, port.version) == (8443, "tcp", "ssl/http", "p 1 e")


def test_nmap_with_too_many_vulnerabilities_of_one_port_is_rejected() -> None:
    rows = "".join(f'<table><elem key="id">CVE-2024-{10_000 + number}</elem></table>' for number in range(10_001))
    with pytest.raises(RecordError, match="more than 10000"):
        records(NMAP, nmap(with_vulners(rows)))


def test_nmap_rows_without_id_or_score_are_taken_as_they_are() -> None:
    rows = (
        '<table><elem key="type">cve</elem></table>'
        '<table><elem key="id">CVE-2024-10001</elem><elem key="cvss">n/a</elem></table>'
    )
    finding = only(records(NMAP, nmap(with_vulners(rows))), Finding)
    assert (finding.key, finding.severity, finding.scores) == ("CVE-2024-10001", Severity.INFORMATIONAL, ())
