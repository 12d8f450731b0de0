"""Parser actions as PlexTrac's scripts use them: learn from a file, change in bulk, import with them, read back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.recorder import CheckedClient
from tests.e2e.rest import Rest, login
from tests.e2e.test_official_script import file_part
from tests.scans import nessus
from tests.stack import LiveStack


@pytest.fixture
def caller(stack: LiveStack) -> Iterator[Rest]:
    """In a report of its own. The list of actions is the tenant's, so each test takes plugins of its own."""
    with CheckedClient(base_url=stack.url, timeout=90) as http:
        http.headers["authorization"] = login(http, stack.user, stack.password)
        client_id = http.post("/api/v1/client/create", json={"name": "actions"}).json()["client_id"]
        form = {"name": "a report", "status": "Open"}
        report_id = http.post(f"/api/v1/client/{client_id}/report/create", data=form).json()["report_id"]
        yield Rest(http, client_id, report_id)


def tenant_of(http: httpx.Client) -> str:
    return f"/api/v1/tenant/{http.get('/api/v2/whoami').json()['tenant_id']}"


def learned(http: httpx.Client, path: str, data: bytes) -> dict[str, Any]:
    answer = http.post(f"{path}/actions/upload/nessus", **file_part("a.nessus", data))
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def every_action(http: httpx.Client, path: str) -> dict[str, dict[str, Any]]:
    """As the official pager asks for them."""
    found: list[dict[str, Any]] = []
    while True:
        params = {"limit": 1000, "skip": 1000 * (len(found) // 1000)}
        page = http.get(f"{path}/actions/nessus", params=params).json()["actions"]
        found += page["actions"]
        if len(found) >= page["total_items"]:
            return {each["id"]: each for each in found}


def test_what_a_file_has_taught_decides_how_the_next_import_comes_in(caller: Rest) -> None:
    http, data = caller.http, nessus(hosts=2, plugins=4, first_plugin=61_000)
    tenant = tenant_of(http)
    assert "nessus" in [each["id"] for each in http.get(f"{tenant}/actions").json()["parsers"]]

    first = learned(http, tenant, data)
    assert (first["status"], first["learned"], first["findings"]) == ("success", 4, 4)
    again = learned(http, tenant, nessus(hosts=1, plugins=5, first_plugin=61_000))
    assert (again["learned"], again["findings"]) == (1, 5)
    actions = every_action(http, tenant)
    assert {actions[f"6100{number}"]["action"] for number in range(5)} == {"PASS_THROUGH"}
    assert actions["61003"]["original_severity"] == "High"
    # Nothing of it has come into the report.
    assert caller.flaws() == []

    writeup = http.post("/api/v1/template/create", json={"title": "Ours", "severity": "Critical"}).json()["doc_id"]
    none = {"writeupID": "", "writeupLabel": ""}
    updates = [
        {"id": "61000", "action": "IGNORE", **none},
        {"id": "61001", "action": "DEFAULT", "severity": "Critical", **none},
        {"id": "61002", "action": "LINK", "writeupID": str(writeup), "writeupLabel": "Ours"},
    ]
    assert http.put(f"{tenant}/actions/nessus/bulk", json={"actions": updates}).json() == {"status": "success"}

    imported = caller.imported(data, useParserActions=True)
    rows = {row["data"][0]: row["data"][1:3] for row in caller.flaws()}
    assert rows == {
        61_001: ["Critical", "Weakness 61001"],
        61_002: ["Critical", "Ours"],
        61_003: ["High", "Weakness 61003"],
    }
    detail = caller.get(f"/api/v2/my-imports/{imported['key']}")
    assert detail["parserActions"] == {"ignored": 1, "forced": 1, "linked": 1, "learned": 0}
    counters = detail["counters"]
    assert counters["read"] == sum(count for name, count in counters.items() if name != "read")


def test_one_action_is_made_changed_and_read(caller: Rest) -> None:
    http = caller.http
    tenant = tenant_of(http)
    new = {"id": "by-hand", "title": "By hand", "severity": "Low", "description": "d"}
    assert http.post(f"{tenant}/actions/nessus/action", json=new).json() == {"status": "success"}
    assert http.post(f"{tenant}/actions/nessus/action", json=new).status_code == 409
    path = f"{tenant}/actions/nessus/action/by-hand"
    assert http.get(path).json()["action"] == "DEFAULT"
    assert http.put(path, json={"action": "IGNORE"}).json() == {"status": "success"}
    assert [entry["action"] for entry in http.get(path).json()["log_trail"]] == ["IGNORE", "DEFAULT"]
    config = f"{tenant}/integrationconfig/parserConfig"
    assert http.post(config, json={"enabled": True}).json() == {"status": "success", "enabled": True}
    assert http.get(config).json()["enabled"] is True


def test_a_writeup_is_made_changed_listed_and_deleted(caller: Rest) -> None:
    http = caller.http
    members = {"title": "Ours", "severity": "High", "fields": [{"label": "Effort", "value": "low"}]}
    made = http.post("/api/v1/template/create", json=members).json()
    path = f"/api/v1/template/{made['doc_id']}"
    assert http.put(path, json={"description": "<p>x</p>"}).json() == made
    found = http.get(f"/api/v1/template/{made['id']}").json()
    assert (found["title"], found["description"], found["fields"]["effort"]["value"]) == ("Ours", "<p>x</p>", "low")
    assert made["doc_id"] in [each["doc_id"] for each in http.get("/api/v1/template/list").json()]
    assert http.delete(path).json() == made
    assert http.delete(path).status_code == 404
    assert http.get(path).json()["isDeleted"] is True
    assert made["doc_id"] not in [each["doc_id"] for each in http.get("/api/v1/template/list").json()]


def test_a_file_that_teaches_nothing_is_refused_with_the_reason(caller: Rest) -> None:
    http = caller.http
    answer = http.post(f"{tenant_of(http)}/actions/upload/nessus", **file_part("a.nessus", b"no scan"))
    assert answer.status_code == 400
    assert "WRONG_FORMAT" in answer.json()["message"]
