"""Every endpoint of the published page of the Assets import API, answered as the page says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.assets import Assets, assets
from tests.e2e.assets_documents import HOSTS, SYSTEMS, Document, hosts
from tests.stack import LiveStack

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
STATUSES = {"PENDING", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELLED", "PAUSED"}
STEPS = ("Validation", "Connection", "Schema Discovery", "Mapping", "Processing", "Completion")
# Members of the page's example answers, and what they are. `endDate` is a null while it runs.
PROGRESS: dict[str, Any] = {
    "progressInPercent": int,
    "resourceId": str,
    "category": "imports",
    "status": STATUSES,
    "stepDescription": str,
    "currentStep": int,
    "numberOfSteps": 6,
    "currentWorkUnits": int,
    "currentWorkDescription": str,
    "currentStepTotalWorkUnits": int,
    "totalWorkUnits": int,
    "actor": str,
    "startDate": TIME,
    "executionUUID": str,
}


@pytest.fixture(scope="module")
def caller(stack: LiveStack) -> Iterator[Assets]:
    with assets(stack) as made:
        yield made


@pytest.fixture(scope="module")
def source(caller: Assets) -> str:
    """With one execution that has ended."""
    made = caller.source(document=HOSTS)
    caller.data("POST", f"/importsource/{made}/token")
    caller.push(made, {"systems": SYSTEMS, "hosts": hosts(3)})
    return made


@pytest.fixture(scope="module")
def execution(caller: Assets, source: str) -> str:
    return str(caller.data("GET", f"/importsource/{source}/executions")[0]["executionId"])


def is_as_said(value: Any, said: Any) -> bool:
    if isinstance(said, type):
        return isinstance(value, said)
    if isinstance(said, re.Pattern):
        return said.fullmatch(value) is not None
    return value in said if isinstance(said, set) else bool(value == said)


def assert_progress(found: Document) -> None:
    wrong = {name: found.get(name) for name, said in PROGRESS.items() if not is_as_said(found.get(name), said)}
    assert wrong == {}
    assert 0 <= found["progressInPercent"] <= 100


def test_start_import_answers_its_progress(caller: Assets) -> None:
    source = caller.source(document=HOSTS)
    found = caller.data("POST", f"/import/start/{source}")
    assert_progress(found)
    assert (found["resourceId"], found["progressInPercent"], found["currentStep"]) == (source, 0, 1)
    # The page's own example has no name of a step here.
    assert found["stepDescription"] == "Starting External import..."
    caller.data("DELETE", f"/importsource/{source}/executions/{found['executionUUID']}")


def test_progress_by_category(caller: Assets, source: str, execution: str) -> None:
    found = caller.data("GET", f"/progress/category/imports/{source}")
    assert_progress(found)
    assert is_as_said(found["endDate"], TIME)
    assert (found["resourceId"], found["executionUUID"], found["status"]) == (source, execution, "COMPLETED")
    assert found["stepDescription"] == STEPS[found["currentStep"] - 1]
    assert caller.data("GET", f"/progress/category/imports/{execution}") == found


def test_the_configuration_of_a_source(caller: Assets, source: str) -> None:
    assert caller.data("GET", f"/importsource/{source}/configstatus")["status"] == "IDLE"
    assert caller.data("GET", f"/importsource/{source}/token")["token"]
    both = caller.data("GET", f"/importsource/{source}/schema-and-mapping")
    assert {"schema", "mapping"} <= set(both)
    assert (
        caller.data("GET", f"/importsource/{source}/mapping")["objectTypeMappings"]
        == (both["mapping"]["objectTypeMappings"])
    )
    change = caller.call("PATCH", f"/importsource/{source}/mapping?async=true", both)
    resource = change.headers["location"].rsplit("/", 1)[1]
    progress = caller.data("GET", f"/importsource/{source}/mapping/progress/{resource}")
    assert (progress["progressStatus"], progress["result"]) == ("FINISHED", "OK")


def test_the_executions_of_a_source(caller: Assets, source: str, execution: str) -> None:
    path = f"/importsource/{source}/executions"
    assert [each["executionId"] for each in caller.data("GET", path)] == [execution]
    latest = caller.data("GET", f"{path}/status")
    assert (latest["executionId"], latest["status"], latest["importStatus"]) == (execution, "DONE", "COMPLETED")
    assert caller.data("GET", f"{path}/{execution}/status") == latest
    assert caller.data("GET", f"{path}/{execution}")["executionId"] == execution
    assert [each["clientGeneratedId"] for each in caller.data("GET", f"{path}/{execution}/data")["values"]] == [
        "piece-0"
    ]
    progress = caller.data("GET", f"{path}/{execution}/progress")
    assert_progress(progress)
    assert progress["executionUUID"] == execution


PATHS = (
    "configstatus",
    "token",
    "schema-and-mapping",
    "mapping",
    "executions",
    "executions/status",
    "executions/{execution}",
    "executions/{execution}/data",
    "executions/{execution}/progress",
    "executions/{execution}/status",
)
NOBODY = "00000000-0000-7000-8000-000000000000"


@pytest.mark.parametrize("path", PATHS)
def test_what_is_not_there_is_404_and_without_a_credential_401(
    stack: LiveStack, caller: Assets, source: str, execution: str, path: str
) -> None:
    named = path.format(execution=execution)
    assert caller.refused("GET", f"/importsource/{NOBODY}/{named}")[0] == 404
    if "{" in path:
        assert caller.refused("GET", f"/importsource/{source}/{path.format(execution=NOBODY)}")[0] == 404
    answer = caller.call("GET", f"/importsource/{source}/{named}", headers={"x-api-key": ""})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/json;charset=UTF-8"
    assert (answer.json()["code"], answer.json()["message"]) == (401, "Unauthorized")


@pytest.mark.parametrize(
    "base", ["/jsm/assets", "/ex/jira/cloud/jsm/assets", "/jsm/insight", "/gateway/api/jsm/assets"]
)
def test_all_bases_lead_to_the_same(stack: LiveStack, caller: Assets, source: str, base: str) -> None:
    url = f"{stack.url}{base}/workspace/{caller.workspace_id}/v1/importsource/{source}/configstatus"
    assert caller.data("GET", url)["status"] == "IDLE"


def test_workspaces_and_schemas_are_found(stack: LiveStack, caller: Assets) -> None:
    for site in ("", "/ex/jira/cloud"):
        found = caller.data("GET", f"{stack.url}{site}/rest/servicedeskapi/assets/workspace?limit=1000")
        assert caller.workspace_id in [each["workspaceId"] for each in found["values"]]
    assert caller.data("GET", f"{stack.url}/_edge/tenant_info")["cloudId"]
    for version in ("2021_09_15", "2023_10_19"):
        for name in ("assets", "insight"):
            schema = caller.data("GET", f"{stack.url}/jsm/{name}/imports/external/schema/versions/{version}")
            assert schema["$schema"].startswith("https://json-schema.org/")
