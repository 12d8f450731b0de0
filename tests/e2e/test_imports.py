from __future__ import annotations

import base64
import json
import secrets

import httpx
import pytest

from tests.e2e.rest import Rest, login, rest
from tests.e2e.test_commands import ended
from tests.scans import nessus
from tests.stack import LiveStack


def test_a_scan_goes_in_and_its_findings_come_out(caller: Rest) -> None:
    row = caller.imported(nessus(hosts=3, plugins=4), tags=json.dumps({"assets": ["A tag"], "findings": ["f"]}))
    assert row["status"] == "IMPORT COMPLETE"
    assert (row["progress"], row["errorStatus"], row["state"]) == (100, None, "SUCCEEDED")
    flaws = caller.flaws()
    assert len(flaws) == 4
    flaw = caller.flaw(flaws[0]["data"][0])
    assert len(flaw["affected_assets"]) == 3
    assert flaw["tags"] == ["f"]
    affected = next(iter(flaw["affected_assets"].values()))
    assert affected["tags"] == ["a_tag"]
    tenant_id, registered = tenant_tags(caller)
    assert {f"tag_tenant_{tenant_id}_{name}": name for name in ("a_tag", "f")}.items() <= registered.items()
    output = caller.get(
        f"/api/v1/client/{caller.client_id}/report/{caller.report_id}/flaw/{flaw['flaw_id']}/asset/{affected['id']}/scanoutput"
    )
    assert len(output) == len(affected["evidence"]) > 0


def test_a_page_of_findings_comes_whole_however_many_assets_they_affect(caller: Rest) -> None:
    caller.imported(nessus(hosts=60, plugins=100))
    path = f"/api/v2/clients/{caller.client_id}/reports/{caller.report_id}/findings"
    # As a stream, which is not compared with the document: for 6,000 places that takes a minute.
    with caller.http.stream("POST", path, json={"pagination": {"offset": 0, "limit": 100}}) as response:
        page = json.loads(response.read())
    assert (len(page["data"]), page["meta"]["pagination"]["total"]) == (100, 100)
    assert {len(finding["affected_assets"]) for finding in page["data"]} == {60}
    # More than a gRPC message or a buffer of the gateway holds.
    assert len(json.dumps(page)) > 4 * 1024 * 1024


def test_the_same_file_again_is_recognised_and_not_merged(caller: Rest) -> None:
    first, again = (caller.imported(nessus(hosts=3, plugins=4)) for _ in range(2))
    detail = caller.detail(again["key"])
    assert again["status"] == "IMPORT COMPLETE"
    assert {name: count for name, count in detail["counters"].items() if count} == {"read": 12, "skipped": 12}
    (caution,) = detail["cautions"]
    assert caution["code"] == "ALREADY_IMPORTED"
    assert first["key"] in caution["message"]


def test_a_second_import_of_an_overlapping_scan_adds_only_what_is_new(caller: Rest) -> None:
    first = caller.imported(nessus(hosts=3, plugins=4))
    again = caller.imported(nessus(hosts=3, plugins=4), force=True)
    more = caller.imported(nessus(hosts=5, plugins=4))
    assert len(caller.flaws()) == 4
    assert len(caller.get(f"/api/v1/client/{caller.client_id}/assets")) == 5
    counters = [caller.detail(row["key"])["counters"] for row in (first, again, more)]
    assert [(each["inserted"], each["unchanged"]) for each in counters] == [(12, 0), (0, 12), (8, 12)]
    for each in counters:
        outcomes = ("inserted", "updated", "unchanged", "deleted", "skipped", "rejected")
        assert each["read"] == sum(each[name] for name in outcomes)


def test_my_imports_is_the_callers_history_newest_first_and_pages(caller: Rest) -> None:
    ids = [caller.imported(nessus())["key"] for _ in range(3)]
    listed = [row["key"] for row in caller.get("/api/v2/my-imports", params={"limit": 3})]
    assert listed == ids[::-1]
    first = caller.get("/api/v2/my-imports", params={"limit": 2})
    rest_of_it = caller.get("/api/v2/my-imports", params={"limit": 1, "page_token": first[-1]["key"]})
    assert [row["key"] for row in first + rest_of_it] == ids[::-1]


def test_a_queued_or_running_import_is_cancelled_by_rest(caller: Rest) -> None:
    import_id = caller.trigger(caller.upload(nessus(hosts=2_000, plugins=30)))
    response = caller.http.post(f"/api/v2/my-imports/{import_id}/cancel", json={})
    assert response.status_code == 200, response.text
    row = caller.wait(import_id)
    assert row["status"] == "ERROR"
    assert row["errorStatus"].startswith("CANCELLED: ")
    assert row["state"] == "CANCELLED"
    assert caller.flaws() == []
    assert caller.http.post(f"/api/v2/my-imports/{import_id}/cancel", json={}).status_code == 409


def test_burp_requests_and_responses_are_evidence(caller: Rest) -> None:
    request = base64.b64encode(b"GET /a?q=1 HTTP/1.1\r\nHost: web\r\n\r\n").decode()
    response = base64.b64encode(b"HTTP/1.1 200 OK\r\n\r\n\x00\xff<html>").decode()
    data = f"""<?xml version="1.0"?>
<!DOCTYPE issues [<!ELEMENT issues (issue*)>]>
<issues burpVersion="2023.1" exportTime="now"><issue><serialNumber>1</serialNumber><type>2097920</type>
<name>Cross-site scripting</name><host ip="10.1.1.1">https://web.example.com</host><path><![CDATA[/a]]></path>
<location><![CDATA[/a [q parameter]]]></location><severity>High</severity><confidence>Certain</confidence>
<requestresponse><request method="GET" base64="true"><![CDATA[{request}]]></request>
<response base64="true"><![CDATA[{response}]]></response></requestresponse>
</issue></issues>""".encode()
    row = caller.imported(data, source="burp")
    assert row["status"] == "IMPORT COMPLETE", row
    (flaw,) = caller.flaws()
    found = caller.flaw(flaw["data"][0])
    (affected,) = found["affected_assets"].values()
    assert affected["locationUrl"].startswith("https://web.example.com")
    output = caller.get(
        f"/api/v1/client/{caller.client_id}/report/{caller.report_id}/flaw/{found['flaw_id']}/asset/{affected['id']}/scanoutput"
    )
    codes = "".join(each["code"] for each in output)
    assert "GET /a?q=1" in codes
    assert "\x00" not in codes


def test_an_import_by_a_token_works_bare_and_with_bearer(stack: LiveStack) -> None:
    with httpx.Client(base_url=stack.url) as http:
        token = login(http, stack.user, stack.password)
    for header in (token, f"Bearer {token}"):
        caller = rest(stack, authorization=header)
        assert caller.imported(nessus())["status"] == "IMPORT COMPLETE"
        caller.http.close()


@pytest.mark.parametrize("as_text", [True, False], ids=["text", "object"])
def test_tags_may_be_an_object_or_its_json_text_on_the_trigger(caller: Rest, as_text: bool) -> None:
    tags = {"assets": ["Data Center", "PCI-DSS"], "findings": ["Q1"]}
    caller.imported(nessus(hosts=1, plugins=1), tags=json.dumps(tags) if as_text else tags)
    flaw = caller.flaw(caller.flaws()[0]["data"][0])
    assert flaw["tags"] == ["q1"]
    assert next(iter(flaw["affected_assets"].values()))["tags"] == ["data_center", "pci_dss"]


@pytest.mark.parametrize(
    "path", ["/api/v1/client/{c}/report/{r}/import/nessus", "/api/v2/client/{c}/report/{r}/importAsync/nessus"]
)
def test_tags_may_be_a_field_of_a_form(caller: Rest, path: str) -> None:
    answer = caller.http.post(
        path.format(c=caller.client_id, r=caller.report_id),
        files={"file": nessus(hosts=1, plugins=1)},
        data={"tags": json.dumps({"assets": ["DMZ"], "findings": ["Q 1"]})},
    )
    assert answer.status_code == 200, answer.text
    caller.wait(answer.json()["operationId"])
    flaw = caller.flaw(caller.flaws()[0]["data"][0])
    assert flaw["tags"] == ["q_1"]
    assert next(iter(flaw["affected_assets"].values()))["tags"] == ["dmz"]


def test_tags_of_an_asset_import_are_on_every_asset(caller: Rest) -> None:
    hosts = "".join(f'<host><status state="up"/><address addr="192.0.2.{n}" addrtype="ipv4"/></host>' for n in (1, 2))
    answer = caller.http.post(
        f"/api/v2/client/{caller.client_id}/assets/import/nmap-xml",
        files={"file": f'<?xml version="1.0"?><nmaprun scanner="nmap">{hosts}</nmaprun>'.encode()},
        data={"tags": json.dumps({"assets": ["Office LAN"], "findings": ["unused"]})},
    )
    assert answer.status_code == 200, answer.text
    assert caller.wait(answer.json()["operationId"])["status"] == "IMPORT COMPLETE"
    assets = caller.get(f"/api/v1/client/{caller.client_id}/assets")
    assert [asset["tags"] for asset in assets] == [["office_lan"], ["office_lan"]]


def test_tags_stay_when_the_next_import_brings_others_and_go_with_an_undo(caller: Rest) -> None:
    unique = secrets.token_hex(4)
    caller.imported(nessus(hosts=1, plugins=1), tags={"findings": ["first"]})
    second = caller.imported(nessus(hosts=1, plugins=1), tags={"findings": [f"Second {unique}"]})
    flaw_id = caller.flaws()[0]["data"][0]
    assert caller.flaw(flaw_id)["tags"] == ["first", f"second_{unique}"]
    ended(caller, caller.post(f"/api/v2/my-imports/{second['key']}/undo", {})["id"])
    assert caller.flaw(flaw_id)["tags"] == ["first"]
    _, registered = tenant_tags(caller)
    assert "first" in registered.values()
    assert f"second_{unique}" not in registered.values()


def tenant_tags(caller: Rest) -> tuple[int, dict[str, str]]:
    """The caller's tenant, and its tags by id."""
    tenant_id = caller.get("/api/v2/whoami")["tenant_id"]
    return tenant_id, {tag["id"]: tag["name"] for tag in caller.get(f"/api/v1/tenant/{tenant_id}/tag")}
