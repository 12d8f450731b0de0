"""Every operation of the published document, called through the gateway and held against it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.e2e.recorder import CheckedClient, contract
from tests.e2e.rest import Rest, login
from tests.scans import nessus
from tests.stack import LiveStack

NMAP = b"""<?xml version="1.0"?><nmaprun scanner="nmap" start="1700000000" version="7.94"><host><status state="up"/>
<address addr="192.0.2.7" addrtype="ipv4"/><ports><port protocol="tcp" portid="22"><state state="open"/>
<service name="ssh"/></port></ports></host></nmaprun>"""
PAGE = {"pagination": {"offset": 0, "limit": 100}}


@pytest.fixture
def caller(stack: LiveStack) -> Any:
    with CheckedClient(base_url=stack.url, timeout=90) as http:
        http.get("/api/v1/")
        http.headers["authorization"] = login(http, stack.user, stack.password)
        client_id = http.post("/api/v1/client/create", json={"name": "contract"}).json()["client_id"]
        form = {"name": "a report", "status": "Open"}
        report_id = http.post(f"/api/v1/client/{client_id}/report/create", data=form).json()["report_id"]
        yield Rest(http, client_id, report_id)


def read_back(caller: Rest) -> None:
    """Every read of an imported report."""
    client, report = f"client/{caller.client_id}", f"report/{caller.report_id}"
    v2 = f"/api/v2/clients/{caller.client_id}"
    for path in ("whoami", "my-imports", "sources"):
        caller.get(f"/api/v2/{path}")
    caller.get(f"/api/v1/tenant/{caller.get('/api/v2/whoami')['tenant_id']}/tag")
    caller.http.post("/api/v2/sources/detect", content=NMAP)
    for path in ("client/list", client, f"{client}/reports", f"{client}/{report}", f"{client}/assets"):
        caller.get(f"/api/v1/{path}")
    caller.get(f"{v2}/reports/{caller.report_id}/assets")
    for path in ("clients", "reports", "tenant/assets"):
        caller.post(f"/api/v2/{path}", PAGE)
    for path in (f"reports/{caller.report_id}/findings", "assets"):
        caller.post(f"{v2}/{path}", PAGE)
    flaw = caller.flaw(caller.flaws()[0]["data"][0])
    asset_id = next(iter(flaw["affected_assets"]))
    caller.get(f"/api/v1/{client}/asset/{asset_id}")
    caller.get(f"/api/v1/{client}/{report}/flaw/{flaw['flaw_id']}/asset/{asset_id}/scanoutput")


def read_rejections(caller: Rest) -> None:
    """What is there of an import with a rejected item, and would be there of an undo."""
    rejected = b'<ReportItem port="0" severity="0" pluginID="none" pluginName="No number"/></ReportHost>'
    imported = caller.imported(nessus(hosts=1, plugins=2).replace(b"</ReportHost>", rejected))
    for part in ("errors", "report", "undo-items"):
        caller.get(f"/api/v2/my-imports/{imported['key']}/{part}")


def test_every_operation_answers_as_the_document_says(caller: Rest) -> None:
    caller.http.put("/api/v1/token/refresh")
    caller.http.put("/api/v1/authenticate")

    started = caller.trigger_response(caller.upload(nessus(hosts=3, plugins=4)), tags=json.dumps({"findings": ["f"]}))
    import_id = started.json()["operationId"]
    assert caller.wait(import_id)["status"] == "IMPORT COMPLETE"
    caller.detail(import_id)
    caller.http.get(f"/api/v2/my-imports/{import_id}/events")
    read_back(caller)
    read_rejections(caller)

    v1, v2 = f"/api/v1/client/{caller.client_id}", f"/api/v2/client/{caller.client_id}"
    for path, data in (
        (f"{v1}/report/{caller.report_id}/import/nessus", nessus(hosts=1, plugins=1)),
        (f"{v2}/report/{caller.report_id}/importAsync/nessus", nessus(hosts=1, plugins=1)),
        (f"{v1}/assets/import/nmap", NMAP),
        (f"{v2}/assets/import/nmap-xml", NMAP),
    ):
        answer = caller.http.post(path, files={"file": data})
        assert answer.status_code == 200, answer.text
        caller.wait(answer.json()["operationId"])

    in_parts(caller)
    cancel(caller)
    commands(caller, import_id)
    parser_actions(caller)
    # Only an import that waits for its next attempt, or has failed for a while, can be retried: test_commands.py.
    expected = contract().operations - {"retryMyImport"}
    assert contract().seen >= expected, expected - contract().seen


def in_parts(caller: Rest) -> None:
    """A file in one part, and another that is given up."""
    for ending in ("complete", ""):
        begun = caller.post("/api/v2/uploads", {"name": "a.nessus", "size": 3, "sha256": "0f" * 32})
        path = f"/api/v2/uploads/{begun['key']}"
        [part] = caller.get(path)["parts"]
        assert httpx.put(part["url"], content=b"abc").status_code == 200
        assert caller.get(path)["parts"][0]["uploaded"] is True
        answer = caller.http.post(f"{path}/{ending}") if ending else caller.http.delete(path)
        assert answer.status_code == 200, answer.text


def parser_actions(caller: Rest) -> None:
    """Actions, the writeup of one of them, and a file to learn from."""
    http = caller.http
    tenant = f"/api/v1/tenant/{caller.get('/api/v2/whoami')['tenant_id']}"
    actions = f"{tenant}/actions/nessus"
    writeup = caller.post("/api/v1/template/create", {"title": "w", "severity": "Low"})["id"]
    new = {"id": "contract", "title": "t", "severity": "Low", "action": "LINK", "writeupID": writeup}
    caller.post(f"{actions}/action", new)
    calls = [
        http.put(f"{actions}/action/contract", json={"severity": "High"}),
        http.put(f"{actions}/bulk", json={"actions": [{"id": "contract", "severity": "Low"}]}),
        http.post(f"{tenant}/actions/upload/nessus", files={"file": nessus(hosts=1, plugins=1)}),
        http.post(f"{tenant}/integrationconfig/parserConfig", json={"enabled": True}),
        http.put(f"/api/v1/template/{writeup}", json={"references": "r"}),
    ]
    paths = (f"{tenant}/actions", actions, f"{actions}/action/contract", f"{tenant}/integrationconfig/parserConfig")
    calls += [http.get(path) for path in (*paths, "/api/v1/template/list", f"/api/v1/template/{writeup}")]
    calls.append(http.delete(f"/api/v1/template/{writeup}"))
    assert [(call.request.url.path, call.text) for call in calls if call.status_code != 200] == []


def commands(caller: Rest, import_id: str) -> None:
    """The others: on an import that has ended, and on one that waits behind others of its tenant."""
    for command in ("rerun", "undo"):
        caller.post(f"/api/v2/my-imports/{import_id}/{command}", {"dryRun": True})
    key = caller.upload(nessus(hosts=400, plugins=40))
    waiting = [caller.trigger(key) for _ in range(8)]
    # A pause that comes too late for one is in time for one behind it.
    paused = [each for each in reversed(waiting) if told(caller, each, "pause")]
    assert paused
    for each in paused:
        told(caller, each, "resume")
    for each in waiting:
        assert caller.wait(each)["status"] == "IMPORT COMPLETE"


def told(caller: Rest, import_id: str, command: str) -> bool:
    answer: httpx.Response = caller.http.post(f"/api/v2/my-imports/{import_id}/{command}")
    assert answer.status_code in {200, 409}, answer.text
    return answer.status_code == 200


def cancel(caller: Rest) -> None:
    """Cancel an import before it has ended: an import of its own for each try, because the worker is quick."""
    for _ in range(20):
        import_id = caller.trigger(caller.upload(nessus(hosts=400, plugins=40)))
        answer: httpx.Response = caller.http.post(f"/api/v2/my-imports/{import_id}/cancel")
        if answer.status_code == 200:
            assert caller.wait(import_id)["status"] == "ERROR"
            return
        assert answer.status_code == 409, answer.text
    pytest.fail("No import lived long enough to be cancelled.")
