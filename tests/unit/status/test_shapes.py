"""What PlexTrac's objects are made of, where a database has little to do with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from dialects.plextrac.assets import affected_asset, client_asset_item, finding_on_asset, tenant_asset
from dialects.plextrac.findings import cve_identifier, fields_map, finding_head, flaw_row, risk_score
from dialects.plextrac.reports import report_item, report_row
from dialects.plextrac.times import epoch_ms, iso_or_none

WHEN = datetime(2026, 3, 4, 5, 6, 7, 890_000, tzinfo=UTC)
WHEN_MS = 1_772_600_767_890
ASSET: dict[str, Any] = {
    "tenant_id": 1,
    "asset_id": 5,
    "client_id": 7,
    "name": "web",
    "hostname": "",
    "ips": [],
    "mac": "",
    "netbios": "",
    "operating_systems": [],
    "type": "",
    "description": "",
    "ports": {},
    "tags": [],
    "created_at": WHEN,
    "updated_at": WHEN,
}
FINDING: dict[str, Any] = {
    "tenant_id": 1,
    "finding_id": 9,
    "flaw_id": 10863,
    "client_id": 7,
    "report_id": 3,
    "title": "T",
    "severity": 4,
    "status": "Open",
    "visibility": "published",
    "source": "Nessus",
    "description": "",
    "recommendations": "",
    "references": "",
    "cves": [],
    "cwes": [],
    "scores": [],
    "fields": {},
    "tags": [],
    "created_at": WHEN,
    "updated_at": WHEN,
    "closed_at": None,
}
NAMES = {"client_name": "Karbo", "report_name": "Q1"}
REPORT: dict[str, Any] = {
    "tenant_id": 1,
    "report_id": 3,
    "client_id": 7,
    "client_name": "Karbo",
    "name": "Q1",
    "description": "",
    "status": "Draft",
    "details": {},
    "tags": [],
    "created_at": WHEN,
    "finding_count": 2,
}


def place(row: dict[str, Any] = ASSET, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "affected_id": 1,
        "port": 0,
        "protocol": "",
        "service": "",
        "location": "",
        "parameters": [],
        "notes": "",
        "status": "Open",
        "created_at": WHEN,
        "updated_at": WHEN,
        "evidence_ids": [],
    }
    return row | {f"place_{name}": value for name, value in (values | changes).items()}


def score(system: str, base: float | None = None, temporal: float | None = None) -> dict[str, Any]:
    return {"system": system, "vector": f"{system}-vector", "base": base, "temporal": temporal}


def test_moments_are_milliseconds_and_iso_in_utc_wherever_they_come_from() -> None:
    elsewhere = WHEN.astimezone(timezone(timedelta(hours=-7)))
    assert (epoch_ms(elsewhere), iso_or_none(elsewhere)) == (WHEN_MS, "2026-03-04T05:06:07.890Z")
    assert iso_or_none(None) is None


def test_the_worst_severity_is_zero() -> None:
    heads = [finding_head(FINDING | {"severity": number}, NAMES) for number in range(5)]
    assert [(head["sev"], head["severity"]) for head in heads] == [
        (0, "Critical"),
        (1, "High"),
        (2, "Medium"),
        (3, "Low"),
        (4, "Informational"),
    ]
    assert flaw_row(FINDING)["data"][1] == "Informational"


@pytest.mark.parametrize(
    ("name", "year", "number"),
    [("CVE-2023-5463", 2023, 5463), ("cve-1999-0001", 1999, 1), ("CVE-ODD", None, None), ("", None, None)],
)
def test_a_cve_gives_its_year_and_number_where_it_has_them(name: str, year: int | None, number: int | None) -> None:
    found = cve_identifier(name)
    assert (found["name"], found["year"], found["id"]) == (name, year, number)


def test_fields_have_keys_of_their_own_whatever_their_labels_are() -> None:
    fields = fields_map({"Plugin family": "a", "plugin-family": "b", "Scores": "c", "!": "d", "Größe": "e"}, {})
    assert {key: field.get("label") for key, field in fields.items()} == {
        "field": "!",
        "größe": "Größe",
        "plugin_family": "Plugin family",
        "scores_2": "Scores",
        "plugin_family_2": "plugin-family",
        "scores": None,
    }
    orders = [field["sort_order"] for key, field in fields.items() if key != "scores"]
    assert orders == sorted(orders)


def test_the_newest_cvss_is_the_selected_one_and_every_one_is_told() -> None:
    head = finding_head(
        FINDING | {"scores": [score("cvss2", 5), score("cvss3", 6), score("cvss3_1", 7.5, 6.5), score("other", 1)]},
        NAMES,
    )
    assert head["selectedScore"] == "cvss3_1"
    assert sorted(head["risk_score"]) == ["CVSS2", "CVSS3", "CVSS3_1"]
    assert head["fields"]["scores"]["cvss3"] == {
        "type": "cvss3",
        "label": "CVSSv3.1 Base Score",
        "value": "7.5",
        "calculation": "cvss3_1-vector",
    }
    assert head["fields"]["scores"]["cvss"]["value"] == "5"


@pytest.mark.parametrize(
    ("given", "overall", "parts"),
    [
        (score("cvss2", 5.0, 4.1), 4.1, {"base": 5.0, "temporal": 4.1}),
        (score("cvss2", 0.0), 0.0, {"base": 0.0}),
        (score("cvss2"), None, {}),
    ],
)
def test_a_score_is_overall_the_most_specific_there_is(given: dict[str, Any], overall: Any, parts: Any) -> None:
    found = risk_score(given)
    assert (found["overall"], found["subScore"]) == (overall, parts)


def test_two_protocols_on_one_port_are_two_ports() -> None:
    places = [place(port=53, protocol="udp"), place(port=53, protocol="tcp"), place(port=53, protocol="udp")]
    ports = affected_asset(places)["ports"]
    assert {key: port["protocol"] for key, port in ports.items()} == {"53": "udp", "53_tcp": "tcp"}


def test_the_whole_host_is_no_port() -> None:
    assert affected_asset([place()])["ports"] == {}


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [(["Closed", "Open"], "Open"), (["Closed", "In Process"], "In Process"), (["Closed"], "Closed"), (["Odd"], "Odd")],
)
def test_an_asset_is_as_open_as_its_most_open_place(statuses: list[str], expected: str) -> None:
    assert affected_asset([place(status=status) for status in statuses])["status"] == expected


def test_what_is_said_twice_is_shown_once() -> None:
    places = [
        place(location="/a", notes="n", evidence_ids=[1, 2]),
        place(location="/a", notes="n", evidence_ids=[2]),
        place(location="/b"),
    ]
    affected = affected_asset(places)
    assert (affected["locationUrl"], affected["notes"], len(affected["evidence"])) == ("/a, /b", "n", 2)


def test_parameters_of_different_places_have_different_ids() -> None:
    places = [place(affected_id=number, parameters=["q", "r"]) for number in (1, 2)]
    parameters = affected_asset(places)["vulnerableParameters"]
    assert [parameter["text"] for parameter in parameters] == ["q", "r", "q", "r"]
    assert len({parameter["id"] for parameter in parameters}) == 4


def test_a_relation_lasts_from_the_first_place_to_the_last_change() -> None:
    second = timedelta(seconds=1)
    affected = affected_asset([place(created_at=WHEN + second), place(updated_at=WHEN + 2 * second)])
    assert (affected["createdAt"], affected["updatedAt"]) == (WHEN_MS, WHEN_MS + 2000)


def test_findings_of_two_reports_with_one_id_are_instances_and_the_newest_names_them() -> None:
    old = place(FINDING | {"severity": 1, "title": "old"})
    new = place(FINDING | {"report_id": 4, "title": "new", "updated_at": WHEN + timedelta(days=1)})
    found = finding_on_asset([old, new])
    assert (found["title"], found["severity"]) == ("new", "Informational")
    assert {report: each["report_severity"] for report, each in found["instances"].items()} == {
        "3": "High",
        "4": "Informational",
    }


def test_counts_of_findings_are_named_and_summed() -> None:
    counted = client_asset_item(ASSET, {0: 1, 4: 2})["findings"]
    assert counted == {"critical": 1, "high": 0, "medium": 0, "low": 0, "info": 2, "total": 3}


def test_tenant_assets_have_no_member_with_an_underscore() -> None:
    assert [name for name in tenant_asset(ASSET) if "_" in name] == []


def test_details_of_a_report_that_are_no_list_or_text_are_left_out() -> None:
    odd = REPORT | {"details": {"reviewers": "ann", "template": 7, "includeEvidence": "true"}}
    item = report_item(odd)
    assert (item["reviewers"], item["template"], item["includeEvidence"]) == ([], None, False)
    assert report_row(odd)["data"][6] == []
