from __future__ import annotations

import base64
import json

import httpx

from tests.e2e.rest import Rest, login, rest
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
