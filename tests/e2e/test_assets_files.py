"""Import sources of uploaded files, CSV and JSON; previews; schedules that run them."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.assets import Assets, assets, counted
from tests.e2e.assets_documents import HOSTS, SYSTEMS, host, hosts, hosts_only, table
from tests.stack import LiveStack

HOST_ONE = {"Serial": ["S1"], "Name": ["host-1"], "Cores": ["1"], "Bought": ["2026-01-02"]}


@pytest.fixture
def caller(stack: LiveStack) -> Iterator[Assets]:
    with assets(stack) as made:
        yield made


def soon(seconds: float = 2) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def test_a_table_is_imported_from_its_uploaded_file(caller: Assets) -> None:
    source = caller.source("csv", hosts_only(), fileKey=caller.upload(table(hosts(30))))
    progress = caller.data("POST", f"/import/start/{source}")
    assert progress["resourceId"] == source
    assert progress["category"] == "imports"
    status = caller.wait(source, progress["executionUUID"])
    assert (status["importStatus"], counted(status, "Host")) == ("COMPLETED", {"objectsCreated": 30})
    assert caller.objects('Name = "host-1"') == {"host-1": HOST_ONE}


def test_a_table_of_another_make_is_read_by_its_settings(caller: Assets) -> None:
    settings = {"delimiter": ";", "encoding": "Windows-1252"}
    key = caller.upload(table([host(1, name="Büro", bought="02.01.2026")], ";").encode("cp1252"))
    source = caller.source("csv", hosts_only(), fileKey=key, settings=settings, dateFormat="dd.MM.yyyy")
    assert caller.run(source)["importStatus"] == "COMPLETED"
    assert caller.objects()["Büro"]["Bought"] == ["2026-01-02"]


def test_a_json_file_is_imported_by_its_selectors(caller: Assets) -> None:
    content = json.dumps({"export": {"systems": SYSTEMS, "hosts": hosts(3)}})
    source = caller.source("json", HOSTS, fileKey=caller.upload(content, "hosts.json"), settings={"selector": "export"})
    status = caller.run(source)
    assert (counted(status, "Host"), counted(status, "System")) == ({"objectsCreated": 3}, {"objectsCreated": 2})
    assert caller.objects()["host-1"] == {**HOST_ONE, "System": ["Linux"]}


def test_the_next_file_of_a_source_changes_what_differs(caller: Assets) -> None:
    source = caller.source("csv", hosts_only(), fileKey=caller.upload(table(hosts(10))))
    caller.run(source)
    assert counted(caller.run(source), "Host") == {"objectsIdentical": 10}
    caller.data("PUT", f"/importsource/{source}", {"fileKey": caller.upload(table([host(1, cores=99), *hosts(10, 2)]))})
    assert counted(caller.run(source), "Host") == {"objectsUpdated": 1, "objectsIdentical": 9, "objectsCreated": 1}


def test_a_source_without_a_file_or_with_a_broken_one_fails_with_a_reason(caller: Assets) -> None:
    source = caller.source("csv", hosts_only())
    status, code = caller.refused("POST", f"/importsource/{source}/executions")
    assert (status, bool(code)) == (400, True) or status in {404, 409}
    caller.data("PUT", f"/importsource/{source}", {"fileKey": caller.upload(b"\x00\x01\x02 no table")})
    ended = caller.run(source)
    assert (ended["status"], ended["importStatus"]) == ("DONE", "FAILED")
    assert ended["progressResult"]["errorMessages"]
    again = caller.source("json", HOSTS, name="broken", fileKey=caller.upload('{"hosts": [{"serial": "S1"', "a.json"))
    assert caller.run(again)["importStatus"] == "FAILED"
    assert caller.objects() == {}


def test_a_preview_shows_what_becomes_of_a_sample_and_keeps_nothing(caller: Assets) -> None:
    source = caller.source("csv", hosts_only(), fileKey=caller.upload(table(hosts(3))))
    path = f"/importsource/{source}/mapping/preview"
    own = caller.data("POST", path)
    text = json.dumps(own)
    assert "host-1" in text
    assert "host-3" in text
    sample = table([host(7), host(8, cores="many")])
    shown = json.dumps(caller.data("POST", path, content=sample, headers={"Content-Type": "text/csv"}))
    assert "host-7" in shown
    assert "TYPE_MISMATCH" in shown
    one = json.dumps(caller.data("POST", f"{path}?limit=1"))
    assert "host-1" in one
    assert "host-2" not in one
    assert caller.objects() == {}
    assert caller.data("GET", f"/importsource/{source}/executions") == []


def test_all_kinds_of_mapping_make_values(caller: Assets) -> None:
    document = hosts_only()
    attributes = document["schema"]["objectSchema"]["objectTypes"][0]["attributes"]
    attributes += [{"name": name, "description": "", "type": "text"} for name in ("Tier", "Title", "Owner", "Short")]
    document["mapping"]["objectTypeMappings"][0]["attributesMapping"] += [
        {
            "attributeName": "Tier",
            "attributeLocators": ["cores"],
            "conditions": [{"when": {"locator": "cores", "operator": "greaterThan", "value": "8"}, "value": "Gold"}],
            "valueMap": {"1": "Bronze"},
        },
        {"attributeName": "Title", "attributeLocators": ["name"], "template": "${name} (${serial})"},
        {"attributeName": "Owner", "attributeLocators": ["owner"], "default": "nobody"},
        {
            "attributeName": "Short",
            "attributeLocators": ["name"],
            "transformations": [{"type": "regex", "pattern": "host-([0-9]+)"}, {"type": "case", "to": "upper"}],
        },
    ]
    content = table([host(1), host(64)]).replace("bought\n", "bought,owner\n", 1).replace("-02\n", "-02,\n")
    source = caller.source("csv", document, fileKey=caller.upload(content))
    status = caller.run(source)
    assert status["importStatus"] == "COMPLETED", status
    own = {"Title": ["host-1 (S1)"], "Owner": ["nobody"], "Short": ["1"]}
    assert caller.objects()["host-1"] == {**HOST_ONE, **own, "Tier": ["Bronze"]}
    assert caller.objects()["host-64"]["Tier"] == ["Gold"]


def test_mappings_grow_and_the_next_run_fills_what_is_new(caller: Assets) -> None:
    source = caller.source(document=HOSTS)
    caller.push(source, {"hosts": hosts(1)})
    change = copy.deepcopy(HOSTS)
    added = {"name": "Room", "description": "", "type": "text"}
    change["schema"]["objectSchema"]["objectTypes"][1]["attributes"].append(added)
    change["mapping"]["objectTypeMappings"][1]["attributesMapping"].append(
        {"attributeName": "Room", "attributeLocators": ["room"]}
    )
    assert caller.refused("PUT", f"/importsource/{source}/mapping", change)[0] == 409
    moved = caller.call("PATCH", f"/importsource/{source}/mapping?async=true", change)
    assert moved.status_code == 303
    progress = caller.data("GET", moved.headers["location"])
    assert (progress["progressStatus"], progress["result"]) == ("FINISHED", "OK")
    assert counted(caller.push(source, {"hosts": [host(1, room="12")]}), "Host") == {"objectsUpdated": 1}
    assert caller.objects()["host-1"]["Room"] == ["12"]


def schedule_of(caller: Assets, source: str, **members: Any) -> dict[str, Any]:
    made: dict[str, Any] = caller.data("POST", f"/importsource/{source}/importschedule", members)
    return made


def test_a_schedule_runs_its_source_once(caller: Assets) -> None:
    source = caller.source("csv", hosts_only(), fileKey=caller.upload(table(hosts(2))))
    made = schedule_of(caller, source, runFrequency="ONCE", startTime=soon(), timezone="Europe/Paris")
    assert made["runInterval"] == made["runFrequency"] == "ONCE"
    links = caller.data("GET", f"/importsource/{source}/schedule")["links"]
    assert caller.data("GET", links["schedule"])["id"] == made["id"]
    deadline = time.monotonic() + 30
    while not (history := caller.data("GET", f"/importsource/{source}/executions")):
        assert time.monotonic() < deadline, "the schedule has not fired"
        time.sleep(0.1)
    status = caller.wait(source, history[0]["executionId"])
    assert (history[0]["isScheduled"], counted(status, "Host")) == (True, {"objectsCreated": 2})
    # It fires once.
    time.sleep(2)
    assert len(caller.data("GET", f"/importsource/{source}/executions")) == 1


def test_schedules_are_changed_and_taken_away(caller: Assets) -> None:
    source = caller.source("csv", hosts_only(), fileKey=caller.upload(table(hosts(2))))
    made = schedule_of(caller, source, runInterval="WEEKLY", startTime=soon(86_400))
    path = f"/importsource/{source}/importschedule/{made['id']}"
    changed = caller.data("PUT", path, {"runFrequency": "CRON", "cron": "0 6 * * MON-FRI", "timezone": "Asia/Tokyo"})
    assert (changed["cron"], changed["timezone"]) == ("0 6 * * MON-FRI", "Asia/Tokyo")
    found = caller.data("GET", f"/importsource/{source}")
    assert found["isImportSourceSchedulingEnabled"] is True
    assert found["scheduledImportDetails"]["importScheduleId"] == made["id"]
    assert caller.refused("POST", f"/importsource/{source}/importschedule", {"runInterval": "DAILY"})[0] in {400, 409}
    caller.data("DELETE", path)
    assert caller.refused("GET", path)[0] == 404
    past = {"runInterval": "DAILY", "startTime": "2020-01-01T00:00:00Z"}
    assert caller.refused("POST", f"/importsource/{source}/importschedule", past)[0] == 400
