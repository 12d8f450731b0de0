"""External import sources as their clients use them: token, links, data in pieces, objects; and runs after runs."""

from __future__ import annotations

import copy
import csv
import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.assets import ENDED, Assets, assets, counted, counters
from tests.e2e.assets_documents import HOSTS, SYSTEMS, Document, host, hosts
from tests.stack import LiveStack

ALL_HOSTS = 'objectType = "Host"'


@pytest.fixture
def caller(stack: LiveStack) -> Iterator[Assets]:
    with assets(stack) as made:
        yield made


def mapping_with(**members: Any) -> Document:
    """The mapping of hosts, with members of its object type's mapping."""
    document = copy.deepcopy(HOSTS)
    document["mapping"]["objectTypeMappings"][1].update(members)
    return document


def test_a_client_follows_the_links_from_its_token_to_the_objects(stack: LiveStack, caller: Assets) -> None:
    source = caller.source()
    token = caller.data("POST", f"/importsource/{source}/token")["token"]
    with httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        links = client.get(f"{stack.url}/jsm/assets/v1/imports/info").json()["links"]
        assert all(link.startswith(f"{stack.url}{caller.root}/importsource/{source}/") for link in links.values())
        assert client.get(links["getStatus"]).json()["status"] == "MISSING_MAPPING"
        mapped = client.put(links["mapping"], json=HOSTS)
        assert (mapped.status_code, mapped.content) == (204, b"")
        assert client.get(links["getStatus"]).json()["status"] == "IDLE"
        # Clients name a content type and send nothing.
        started = client.post(links["start"], headers={"Content-Type": "application/json"})
        assert started.status_code == 200, started.text
        assert started.json()["result"] == "success"
        reached = started.json()["links"]
        running = client.get(links["getStatus"]).json()
        assert (running["status"], running["links"]) == ("RUNNING", reached)
        first = {"data": {"systems": SYSTEMS, "hosts": hosts(3)}, "clientGeneratedId": "one"}
        for piece in (first, first, {"data": {"hosts": hosts(2, first=4)}, "clientGeneratedId": "two"}):
            assert client.post(reached["submitResults"], json=piece).status_code == 200
        told = {"steps": {"total": 2, "current": 1, "description": "half"}, "objects": {"total": 5, "processed": 3}}
        assert client.put(reached["submitProgress"], json=told).status_code == 200
        assert client.get(reached["getExecutionStatus"]).json()["status"] == "INGESTING"
        assert client.post(reached["submitResults"], json={"completed": True}).status_code == 200
        status = caller.wait(source, started.json()["executionId"])
        assert client.get(reached["getExecutionStatus"]).json() == status
        assert client.get(links["getStatus"]).json()["status"] == "IDLE"
    assert (status["status"], status["importStatus"], status["progressResult"]["result"]) == ("DONE", "COMPLETED", "OK")
    assert counted(status, "Host") == {"objectsCreated": 5}
    assert counted(status, "System") == {"objectsCreated": 2}
    found = caller.objects(f"{ALL_HOSTS} AND Cores >= 2 AND Cores <= 3 ORDER BY Name")
    assert list(found) == ["host-2", "host-3"]
    assert found["host-2"] == {
        "Serial": ["S2"], "Name": ["host-2"], "Cores": ["2"], "Bought": ["2026-01-02"], "System": ["Linux"],
    }  # fmt: skip


def test_the_last_piece_may_say_itself_that_it_is_the_last(caller: Assets) -> None:
    source = caller.source(document=HOSTS)
    execution = caller.start(source)
    caller.send(source, execution, {"hosts": hosts(1)}, completed=True)
    assert counted(caller.wait(source, execution), "Host") == {"objectsCreated": 1}


def test_an_execution_without_data_is_one_of_nothing(caller: Assets) -> None:
    status = caller.push(caller.source(document=HOSTS))
    assert (status["status"], status["importStatus"]) == ("DONE", "COMPLETED")
    assert status["progressResult"]["infoMessage"] == "No data to import"


def test_a_second_run_of_the_same_data_rewrites_nothing(caller: Assets) -> None:
    source = caller.source(document=HOSTS)
    data = {"systems": SYSTEMS, "hosts": hosts(20)}
    caller.push(source, data)
    before = {each["id"]: each for each in caller.found()["values"]}
    again = caller.push(source, data)
    assert counted(again, "Host") == {"objectsIdentical": 20}
    assert counted(again, "System") == {"objectsIdentical": 2}
    # Times of change and all.
    assert {each["id"]: each for each in caller.found()["values"]} == before


def test_what_has_changed_is_updated_and_what_is_empty_is_kept(caller: Assets) -> None:
    source = caller.source(document=HOSTS)
    caller.push(source, {"systems": SYSTEMS, "hosts": hosts(3)})
    changed = [host(1, name="renamed", os="Plan 9"), host(2, cores=None), host(3)]
    status = caller.push(source, {"hosts": changed})
    assert counted(status, "Host") == {"objectsUpdated": 1, "objectsIdentical": 2}
    found = caller.objects(ALL_HOSTS)
    assert (found["renamed"]["Serial"], found["renamed"]["System"]) == (["S1"], ["Plan 9"])
    assert found["host-2"]["Cores"] == ["2"]


def test_an_empty_value_is_taken_away_where_the_mapping_says_so(caller: Assets) -> None:
    source = caller.source(document=mapping_with(emptyValues="REMOVE"))
    caller.push(source, {"systems": SYSTEMS, "hosts": hosts(1)})
    caller.push(source, {"hosts": [host(1, cores="", os=None)]})
    found = caller.objects(ALL_HOSTS)["host-1"]
    assert "Cores" not in found or found["Cores"] == []
    assert "System" not in found or found["System"] == []


def test_references_are_found_whatever_comes_first(caller: Assets) -> None:
    source = caller.source(document=HOSTS)
    status = caller.push(source, {"hosts": [host(1), host(2, os="Amiga")]}, {"systems": SYSTEMS})
    assert counters(status, "Host")["objectsWithUpdatedReferences"] == 1
    assert counters(status, "Host")["referencesNotFound"] == 1
    found = caller.objects(ALL_HOSTS)
    assert found["host-1"]["System"] == ["Linux"]
    assert "System" not in found["host-2"] or found["host-2"]["System"] == []
    (linux,) = caller.found('objectType = "System" AND Name = "Linux"')["values"]
    referrers = caller.data("GET", f"/object/{linux['id']}/referenceinfo")
    assert [each["numberOfReferencedObjects"] for each in referrers] == [1]


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        ({"action": "IGNORE"}, {"host-1": "1", "host-2": "2", "host-3": "3"}),
        ({"action": "REMOVE", "afterRuns": 1}, {"host-1": "1"}),
        (
            {"action": "UPDATE", "afterRuns": 1, "attributeName": "Cores", "value": "0"},
            {"host-1": "1", "host-2": "0", "host-3": "0"},
        ),
    ],
)
def test_what_a_complete_run_has_not_seen_is_treated_as_its_mapping_says(
    caller: Assets, policy: Document, left: dict[str, str]
) -> None:
    source = caller.source(document=mapping_with(missingObjects=policy))
    caller.push(source, {"hosts": hosts(3)})
    status = caller.push(source, {"hosts": hosts(1)})
    assert {label: found["Cores"][0] for label, found in caller.objects(ALL_HOSTS).items()} == left
    expected = {"IGNORE": {}, "REMOVE": {"objectsMissingDeleted": 2}, "UPDATE": {"objectsMissingUpdated": 2}}
    assert counted(status, "Host") == {"objectsIdentical": 1, **expected[policy["action"]]}


def test_missing_objects_are_removed_after_so_many_runs_and_come_back(caller: Assets) -> None:
    source = caller.source(document=mapping_with(missingObjects={"action": "REMOVE", "afterRuns": 2}))
    caller.push(source, {"hosts": hosts(2)})
    (before,) = caller.found('Name = "host-2"')["values"]
    for left in (2, 1):
        caller.push(source, {"hosts": hosts(1)})
        assert len(caller.objects(ALL_HOSTS)) == left
    assert caller.call("GET", f"/object/{before['id']}").status_code == 404
    caller.push(source, {"hosts": hosts(2)})
    (after,) = caller.found('Name = "host-2"')["values"]
    assert after["objectKey"] == before["objectKey"]


def test_rejected_entries_are_told_one_by_one_and_as_a_file(caller: Assets) -> None:
    source = caller.source(document=HOSTS)
    wrong = [host(1), host(2, cores="many"), host(3, bought="yesterday"), host(4, serial="")]
    status = caller.push(source, {"systems": SYSTEMS, "hosts": wrong})
    assert (status["importStatus"], status["progressResult"]["entriesFailed"]) == ("COMPLETED", 3)
    found = counters(status, "Host")
    assert (found["errorCount"], found["emptyExternalIdEntries"]) == (2, 1)
    errors = caller.data("GET", f"/importsource/{source}/executions/{status['executionId']}/errors")
    told = [(each["field"], each["value"], each["code"]) for each in errors["values"]]
    assert told[:2] == [("Cores", "many", "TYPE_MISMATCH"), ("Bought", "yesterday", "TYPE_MISMATCH")]
    assert told[2][2] == "IDENTIFIER_EMPTY"
    assert all(each["code"] and each["message"] and each["position"] for each in errors["values"])
    report = httpx.get(errors["download"])
    assert report.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(report.content.decode("utf-8-sig"))))
    assert [row["code"] for row in rows] == [each["code"] for each in errors["values"]]
    assert set(caller.objects(ALL_HOSTS)) == {"host-1"}


def test_what_is_no_record_is_an_entry_that_was_rejected(caller: Assets) -> None:
    source = caller.source(document=HOSTS)
    status = caller.push(source, {"hosts": ["none", None, host(1)]})
    assert status["importStatus"] == "COMPLETED"
    assert status["progressResult"]["entriesFailed"] == 2
    assert set(status["progressResult"]["errorMessages"]) == {"NOT_AN_OBJECT"}
    assert set(caller.objects()) == {"host-1"}


@pytest.mark.parametrize("body", ["[]", '{"data": []}', '{"data": {"hosts": [{"serial": "S1"', "", "nothing"])
def test_a_piece_that_is_no_json_object_is_refused_and_changes_nothing(caller: Assets, body: str) -> None:
    source = caller.source(document=HOSTS)
    execution = caller.start(source)
    path = f"/importsource/{source}/executions/{execution}/data"
    status, code = caller.refused("POST", path, content=body, headers={"Content-Type": "application/json"})
    assert (status, bool(code)) == (400, True)
    caller.send(source, execution, {"hosts": hosts(1)}, completed=True)
    assert counted(caller.wait(source, execution), "Host") == {"objectsCreated": 1}


def test_a_dry_run_counts_everything_and_keeps_nothing(caller: Assets) -> None:
    source = caller.source(document=HOSTS)
    status = caller.push(source, {"systems": SYSTEMS, "hosts": hosts(4)}, dryRun=True)
    assert (status["importStatus"], counted(status, "Host")) == ("COMPLETED", {"objectsCreated": 4})
    assert caller.objects() == {}
    assert caller.details(source, status["executionId"])["dryRun"] is True
    assert counted(caller.push(source, {"hosts": hosts(4)}), "Host") == {"objectsCreated": 4}


def test_a_run_is_rolled_back_but_for_what_was_changed_since(caller: Assets) -> None:
    source = caller.source(document=HOSTS)
    caller.push(source, {"systems": SYSTEMS, "hosts": hosts(2)})
    before = caller.objects()
    second = caller.push(source, {"hosts": [host(1, name="renamed", os="Plan 9"), host(3), host(4)]})["executionId"]
    caller.push(source, {"hosts": [host(4, name="changed since")]})
    dry = caller.data("POST", f"/importsource/{source}/executions/{second}/rollback", {"dryRun": True})
    assert caller.wait(source, dry["executionId"])["importStatus"] == "COMPLETED"
    assert set(caller.objects(ALL_HOSTS)) == {"renamed", "host-2", "host-3", "changed since"}
    real = caller.data("POST", f"/importsource/{source}/executions/{second}/rollback")
    undone = caller.wait(source, real["executionId"])
    assert (undone["status"], undone["importStatus"]) == ("DONE", "COMPLETED")
    after = caller.objects()
    assert set(after) - set(before) == {"changed since"}
    assert all(after[label] == found for label, found in before.items())
    assert caller.details(source, second)["rolledBack"] is True
    again = caller.refused("POST", f"/importsource/{source}/executions/{second}/rollback")
    assert again[0] in {400, 409}


def test_progress_goes_through_six_steps_and_ends_complete(caller: Assets) -> None:
    source = caller.source(document=HOSTS)
    execution = caller.start(source)
    seen = [caller.data("GET", f"/importsource/{source}/executions/{execution}/progress")]
    assert seen[0]["status"] == "IN_PROGRESS"
    assert "finishedDate" not in seen[0]
    assert seen[0]["endDate"] is None
    for number in range(4):
        caller.send(source, execution, {"hosts": hosts(5_000, first=number * 5_000)}, completed=number == 3)
    while seen[-1]["status"] not in {"COMPLETED", "FAILED"}:
        seen.append(caller.data("GET", f"/progress/category/imports/{source}"))
    assert {each["numberOfSteps"] for each in seen} == {6}
    steps = [each["currentStep"] for each in seen]
    assert steps == sorted(steps)
    assert set(steps) <= set(range(1, 7))
    percents = [each["progressInPercent"] for each in seen]
    assert percents == sorted(percents)
    last = seen[-1]
    assert (last["status"], last["currentStep"], last["progressInPercent"]) == ("COMPLETED", 6, 100)
    assert last["stepDescription"] == "Completion"
    assert last["executionUUID"] == execution
    assert last["endDate"] == last["finishedDate"]


def test_objects_have_a_history_of_what_runs_have_done(caller: Assets) -> None:
    source = caller.source(document=HOSTS)
    caller.push(source, {"hosts": hosts(1)})
    caller.push(source, {"hosts": [host(1, cores=64)]})
    (found,) = caller.found(ALL_HOSTS)["values"]
    history = caller.data("GET", f"/object/{found['id']}/history")
    assert any("64" in str(each) for each in history), history
    assert caller.data("GET", f"/object/{found['objectKey']}")["id"] == found["id"]


def test_what_stays_open_too_long_or_is_given_up_fails_with_its_reason(caller: Assets) -> None:
    source = caller.source(document=HOSTS)
    execution = caller.start(source)
    path = f"/importsource/{source}/executions/{execution}/history/failed"
    caller.data("POST", path, {"failureReason": "the register is closed"}, status=204)
    status = caller.status(source, execution)
    assert status["status"] in ENDED
    assert status["importStatus"] == "FAILED"
    assert "the register is closed" in str(status["progressResult"]["errorMessages"])
    assert caller.refused("POST", path, {"failureReason": "once more"})[0] == 400
