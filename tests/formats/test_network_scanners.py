"""Decisions of the OpenVAS, Nexpose, Nipper and Core Impact formats that no count shows."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest

from services.importer.formats.kit.format import WrongFormat
from services.importer.formats.nexpose.markup import plain_text
from services.importer.formats.nexpose.report import is_excepted, status_of
from services.importer.formats.openvas.findings import place_of, severity_of
from services.importer.formats.registry import BY_NAME
from services.importer.targets.findings.records import AffectedAsset, Caution, Finding, Severity
from tests.formats.golden import items

RESULT = (
    '<result id="1"><host>192.0.2.1</host><port>22/tcp</port>'
    '{nvt}<threat>Low</threat><severity>2.1</severity><notes><note id="n"><nvt oid="9.9"><name>Of a note</name></nvt>'
    "<text>Seen.</text></note></notes></result>"
)
NVT = '<nvt oid="1.2"><name>Own</name><tags>summary=Its own.</tags></nvt>'


def records_of(name: str, data: str) -> list[Any]:
    format_ = BY_NAME[name]
    return [record for raw, _ in format_.walk(BytesIO(data.encode())) for record in format_.read(raw)]


def of_type(records: list[Any], kind: type) -> list[Any]:
    return [record for record in records if isinstance(record, kind)]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("openvas", "<report><title>Sales</title></report>"),
        ("openvas", "<result><value>1</value></result>"),
        ("nipper", '<document xmlversion="2"><information/></document>'),
        ("coreimpact", '<entities creator="somebody"><entity class="host" name="/192.0.2.1"/></entities>'),
    ],
)
def test_somebody_elses_document_with_the_same_root_is_refused(name: str, data: str) -> None:
    assert not BY_NAME[name].sniff(data.encode())
    with pytest.raises(WrongFormat, match="XML with the root element"):
        records_of(name, data)


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("<report><report><results>", "</results></report></report>"),
        ("<report><results>", "</results></report>"),
        (
            '<get_reports_response status="200"><report><report><results>',
            "</results></report></report></get_reports_response>",
        ),
        ('<get_results_response status="200">', "</get_results_response>"),
    ],
)
def test_openvas_results_are_found_in_every_wrapping(opening: str, closing: str) -> None:
    data = opening + 2 * RESULT.format(nvt=NVT) + closing
    assert BY_NAME["openvas"].sniff(data.encode())
    assert [each.key for each in of_type(records_of("openvas", data), Finding)] == ["1.2", "1.2"]


def test_openvas_test_of_a_note_is_not_that_of_the_result() -> None:
    # The second time, the bytes of both are known.
    data = f"<report><results>{3 * RESULT.format(nvt=NVT)}{RESULT.format(nvt='')}</results></report>"
    raws = [raw for raw, _ in items(BY_NAME["openvas"], BytesIO(data.encode()))]
    assert [raw.test.oid if raw.test else "" for raw in raws] == ["1.2", "1.2", "1.2", ""]


def test_openvas_page_of_a_report_is_told() -> None:
    host = "<host><ip>192.0.2.1</ip></host>"
    for found, told in ((2, 0), (3, 1)):
        count = f"<result_count>9<filtered>{found}</filtered></result_count>"
        data = f"<report><results>{2 * RESULT.format(nvt=NVT)}</results>{count}{host}</report>"
        codes = [each.code for each in of_type(records_of("openvas", data), Caution)]
        assert codes == ["RESULTS_LEFT_OUT"] * told


@pytest.mark.parametrize(
    ("threat", "number", "severity"),
    [
        ("Critical", "9.8", Severity.CRITICAL),
        ("High", "9.8", Severity.HIGH),
        ("Alarm", "9.8", Severity.CRITICAL),
        ("", "4.0", Severity.MEDIUM),
        ("Log", "0.0", Severity.INFORMATIONAL),
        ("", "", Severity.INFORMATIONAL),
    ],
)
def test_openvas_severity_is_the_word_else_the_number(threat: str, number: str, severity: Severity) -> None:
    assert severity_of(threat, number) == severity


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("443/tcp", (443, "tcp", "")),
        ("https (443/tcp)", (443, "tcp", "https")),
        ("general/icmp", (0, "icmp", "")),
        ("package", (0, "", "package")),
        ("", (0, "", "")),
    ],
)
def test_openvas_ports_of_all_versions_are_read(text: str, place: tuple[int, str, str]) -> None:
    assert place_of(text) == place


@pytest.mark.parametrize(
    ("attributes", "status", "excepted"),
    [
        ({"status": "vulnerable-exploited"}, "vulnerable-exploited", False),
        ({"status": "vulnerable-potential"}, "vulnerable-potential", False),
        ({"status": "exception-vulnerable-version"}, "exception-vulnerable-version", True),
        ({"status": "vulnerable-version-with-exception-applied"}, "vulnerable-version-with-exception-applied", True),
        ({"resultCode": "VV"}, "vulnerable-version", False),
        ({"resultCode": "EE"}, "exception-vulnerable-exploited", True),
        ({}, "", False),
        ({"status": "not-vulnerable"}, None, False),
        ({"status": "skipped-version"}, None, False),
        ({"status": "error"}, None, False),
        ({"resultCode": "NV"}, None, False),
    ],
)
def test_nexpose_checks_that_found_something(attributes: dict[str, str], status: str | None, excepted: bool) -> None:
    assert status_of(attributes) == status
    assert is_excepted(status or "") is excepted


def test_nexpose_ids_join_whatever_their_case() -> None:
    node = '<node address="192.0.2.1"><tests><test id="A-Flaw" status="vulnerable-version"/></tests></node>'
    defined = '<VulnerabilityDefinitions><vulnerability id="a-FLAW" title="A flaw"/></VulnerabilityDefinitions>'
    records = records_of("nexpose", f"<NexposeReport><nodes>{node}</nodes>{defined}</NexposeReport>")
    assert [each.finding for each in of_type(records, AffectedAsset)] == ["a-flaw"]
    assert [each.key for each in of_type(records, Finding)] == ["a-flaw"]


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<d>plain</d>", "plain"),
        ("<d><Paragraph>a\n   b</Paragraph><Paragraph>c</Paragraph></d>", "a b\n\nc"),
        ("<d><Paragraph>a<Paragraph>b</Paragraph>c</Paragraph></d>", "a\n\nb\n\nc"),
        ("<d>a<UnorderedList><ListItem>b</ListItem><ListItem/></UnorderedList></d>", "a\n- b"),
        (
            "<d><OrderedList><ListItem>a<OrderedList><ListItem>b</ListItem></OrderedList></ListItem></OrderedList>c</d>",
            "1. a\n  1. b\n\nc",
        ),
        ('<d>see <URLLink LinkURL="https://example.com/">this</URLLink></d>', "see this (https://example.com/)"),
        ('<d><Paragraph preformat="true">\na\n  b\n</Paragraph></d>', "a\n  b"),
    ],
)
def test_nexpose_markup_becomes_plain_text(markup: str, text: str) -> None:
    assert plain_text(fromstring(markup)) == text  # noqa: S314 - of this test
