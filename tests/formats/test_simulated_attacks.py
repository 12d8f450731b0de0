"""Tools that attack instead of scanning: Pentera, NodeZero, Scythe. And Nodeware, whose files are as little known."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from services.importer.formats.kit.format import DamagedFile, RecordError, WrongFormat
from services.importer.formats.pentera.findings import severity_of
from services.importer.formats.registry import BY_NAME, resolve
from services.importer.targets.findings.records import AffectedAsset, Asset, Caution, Finding, Severity

DATA = Path(__file__).parent.parent / "data"

THREAT = b"""{"threat": {"category": "User-Defined", "description": "An example.", "display_name": "Example",
  "operating_system_name": "windows", "script": {
    "0": {"conf": "--cp 192.0.2.1:443", "module": "https", "type": "initialization"},
    "1": {"module": "run", "request": "hostname", "rtags": ["att&ck-technique:T1082"], "type": "message"}}}}"""


def records_of(format_name: str, data: bytes) -> list[Any]:
    records: list[Any] = []
    for raw, _ in BY_NAME[format_name].walk(BytesIO(data)):
        try:
            records += BY_NAME[format_name].read(raw)
        except RecordError:
            continue
    return records


def of_sample(format_name: str, sample: str) -> list[Any]:
    return records_of(format_name, (DATA / sample).read_bytes())


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("0", Severity.INFORMATIONAL),
        ("", Severity.INFORMATIONAL),
        ("0.1", Severity.LOW),
        ("2.49", Severity.LOW),
        ("2.5", Severity.MEDIUM),
        ("4.7", Severity.MEDIUM),
        ("4.99", Severity.MEDIUM),
        ("5", Severity.HIGH),
        ("7.495", Severity.HIGH),
        ("7.5", Severity.CRITICAL),
        ("10", Severity.CRITICAL),
        ("High", Severity.HIGH),
    ],
)
def test_bands_of_pentera_have_no_holes(text: str, severity: Severity) -> None:
    assert severity_of(text) == (severity, ())


@pytest.mark.parametrize("text", ["10.1", "-1", "grave"])
def test_a_severity_that_pentera_does_not_have_is_told(text: str) -> None:
    severity, (caution,) = severity_of(text)
    assert (severity, caution.code) == (Severity.INFORMATIONAL, "UNKNOWN_SEVERITY")


@pytest.mark.parametrize(
    ("table", "report"),
    [
        (("pentera_csv", "pentera/actions.csv"), ("pentera", "pentera/report.json")),
        (("nodezero_csv", "nodezero/weaknesses.csv"), ("nodezero", "nodezero/page.json")),
        (("scythe_csv", "scythe/results.csv"), ("scythe", "scythe/campaign.json")),
        (("nodeware_csv", "nodeware/findings.csv"), ("nodeware", "nodeware/report.json")),
    ],
)
def test_the_same_finding_has_the_same_key_in_a_table_and_in_json(table: Any, report: Any) -> None:
    one, other = (
        {each.key: (each.number, each.title) for each in of_sample(*source) if isinstance(each, Finding)}
        for source in (table, report)
    )
    shared = one.keys() & other.keys()
    assert shared
    assert all(one[key] == other[key] for key in shared)


@pytest.mark.parametrize(
    ("format_name", "sample", "secrets"),
    [
        ("pentera", "pentera/report.json", ("Summer", "8846f7ea", "aad3b435", "0123456789abcdef")),
        ("pentera_csv", "pentera/actions.csv", ("Summer", "Autumn", "secret one", "645114", "9b6426", "8846f7ea")),
        ("nodezero", "nodezero/page.json", ("Summer",)),
        ("nodezero_csv", "nodezero/weaknesses.csv", ("Summer", "9b6426")),
        ("scythe", "scythe/campaign.json", ("Summer", "8846f7ea")),
    ],
)
def test_no_password_and_no_hash_comes_out(format_name: str, sample: str, secrets: tuple[str, ...]) -> None:
    text = (DATA / sample).read_text("utf-8")
    shown = repr(of_sample(format_name, sample))
    assert [secret for secret in secrets if secret not in text] == []
    assert [secret for secret in secrets if secret in shown] == []
    assert "[redacted]" in shown or format_name == "nodezero"


def test_what_came_to_nothing_leaves_the_host() -> None:
    table = b'Severity,Operation Type,Parameters,Status\n9.8,BlueKeep,"Host: 192.0.2.1",no results\n'
    records = records_of("pentera_csv", table)
    assert [type(record) for record in records] == [Asset, Caution]


def test_a_vulnerability_stands_on_the_host_that_its_id_names() -> None:
    records = of_sample("pentera", "pentera/report.json")
    hosts = {each.ref: each.name for each in reversed(records) if isinstance(each, Asset)}
    places = {(each.finding, hosts[each.asset]) for each in records if isinstance(each, AffectedAsset)}
    (bluekeep,) = {each.key for each in records if isinstance(each, Finding) and each.title.startswith("BlueKeep")}
    assert {host for key, host in places if key == bluekeep} == {"dc1.example.com", "192.0.2.11"}


def test_a_threat_definition_is_known_and_refused_by_name() -> None:
    format_ = resolve("scythe", THREAT)
    assert format_.name == "scythe"
    with pytest.raises(WrongFormat, match=r"threat definition of Scythe.*no results"):
        list(format_.walk(BytesIO(THREAT)))


def test_a_threat_definition_that_is_cut_is_damaged() -> None:
    with pytest.raises(DamagedFile) as caught:
        list(BY_NAME["scythe"].walk(BytesIO(THREAT[:-2])))
    assert caught.value.code == "TRUNCATED"


@pytest.mark.parametrize(
    ("outcome", "severity"),
    [
        ('"status": "Blocked by EDR"', Severity.INFORMATIONAL),
        ('"status": "error"', Severity.INFORMATIONAL),
        ('"status": "Success", "detected": "true"', Severity.LOW),
        ('"status": "Detected"', Severity.LOW),
        ('"status": "Not detected"', Severity.MEDIUM),
        ('"success": true', Severity.MEDIUM),
        ('"success": false', Severity.INFORMATIONAL),
        ('"severity": "High", "status": "Blocked"', Severity.HIGH),
    ],
)
def test_the_outcome_of_a_step_gives_its_severity(outcome: str, severity: Severity) -> None:
    data = f'{{"results": [{{"module": "run", "rtags": ["T1033"], "host": "ws1", {outcome}}}]}}'.encode()
    (finding,) = (each for each in records_of("scythe", data) if isinstance(each, Finding))
    assert finding.severity == severity


def test_a_second_value_of_the_same_meaning_is_kept() -> None:
    data = b'[{"title": "Open telnet", "severity": "high", "hostname": "nas", "device": "Kitchen"}]'
    (place,) = (each for each in records_of("nodeware", data) if isinstance(each, AffectedAsset))
    assert (place.asset, place.notes) == ("nas", "device: Kitchen")
