"""PyPI's atlassian-python-api, unchanged but for its host: all its calls about imports, those that read objects."""

from __future__ import annotations

import copy
import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from atlassian.assets import AssetsCloud
from requests import HTTPError

from tests.e2e.assets import Assets, assets, counted
from tests.e2e.assets_documents import HOSTS, SYSTEMS, hosts
from tests.stack import LiveStack

TOMORROW = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


@pytest.fixture
def caller(stack: LiveStack) -> Iterator[Assets]:
    with assets(stack) as made:
        yield made


@pytest.fixture
def client(stack: LiveStack, caller: Assets) -> Any:
    """By user and API token. It finds a workspace by itself; it would talk to api.atlassian.com about it."""
    made: Any = AssetsCloud(url=stack.url, username=stack.user, password=stack.api_key, cloud=True)  # type: ignore[no-untyped-call]
    assert made.api_root.startswith("/jsm/assets/workspace/")
    made.url = stack.url
    made.api_root = f"{caller.root}/"
    return made


def ended(client: Any, source: str, execution: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while (status := client.get_import_execution_status(source, execution))["status"] not in {"DONE", "CANCELLED"}:
        assert time.monotonic() < deadline, status
        time.sleep(0.1)
    found: dict[str, Any] = status
    return found


def test_it_finds_a_workspace_that_answers(stack: LiveStack, client: Any) -> None:
    site: Any = AssetsCloud(url=stack.url, username=stack.user, password=stack.api_key)  # type: ignore[no-untyped-call]
    client.api_root = f"/jsm/assets/workspace/{site._get_assets_workspace_id()}/v1/"
    assert client.list_object_schema()["startAt"] == 0


def test_every_call_about_imports_works(caller: Assets, client: Any) -> None:
    source = caller.source()
    assert client.get_import_source(source)["id"] == source
    assert client.get_import_config_status(source)["status"] == "MISSING_MAPPING"
    assert client.update_import_source_mapping(source, HOSTS) is None
    assert client.get_import_config_status(source)["status"] == "IDLE"
    document = client.get_import_schema_and_mapping(source)
    # A client that changes what it has read takes this member away without looking.
    del document["schema"]["iconSchema"]
    assert client.update_import_source_mapping(source, document, partial=True) is None
    assert client.create_import_token(source)["token"]

    execution = client.create_import_execution(source)["links"]["submitResults"].split("/")[-2]
    told = {"steps": {"total": 1, "current": 1, "description": "sending"}}
    assert not client.update_import_execution_progress(source, execution, told)
    data = {"data": {"systems": SYSTEMS, "hosts": hosts(4)}, "clientGeneratedId": "one", "completed": True}
    assert not client.add_import_execution_data(source, execution, data)
    status = ended(client, source, execution)
    assert counted(status, "Host") == {"objectsCreated": 4}
    assert client.get_import_executions_status(source) == status
    progress = client.get_import_progress(source)
    assert (progress["status"], progress["executionUUID"]) == ("COMPLETED", execution)

    failed = client.create_import_execution(source, {"scheduled": True})["executionId"]
    assert client.add_failed_import_execution_history(source, failed, {"failureReason": "no connection"}) is None
    assert ended(client, source, failed)["importStatus"] == "FAILED"
    cancelled = client.create_import_execution(source)["executionId"]
    assert not client.delete_import_execution(source, cancelled)
    assert ended(client, source, cancelled)["status"] == "CANCELLED"
    started = client.start_import_configuration(source)
    assert (started["category"], started["resourceId"]) == ("imports", source)
    client.delete_import_execution(source, started["executionUUID"])

    assert "schedule" not in client.get_import_schedule(source)["links"]
    body = {"runInterval": "DAILY", "startTime": TOMORROW, "callbackUrl": "https://client.example.com/run"}
    made = client.create_import_schedule(source, body)
    assert client.get_import_schedule_by_id(source, made["id"])["runInterval"] == "DAILY"
    changed = client.update_import_schedule(source, made["id"], {**body, "runInterval": "WEEKLY"})
    assert changed["runFrequency"] == "WEEKLY"
    assert client.get_import_schedule(source)["links"]["schedule"].endswith(made["id"])
    assert not client.delete_import_schedule(source, made["id"])


def test_an_asynchronous_change_of_the_mapping_is_followed(caller: Assets, client: Any) -> None:
    source = caller.source(document=HOSTS)
    change = copy.deepcopy(HOSTS)
    change["schema"]["objectSchema"]["objectTypes"][0]["description"] = "What hosts run"
    progress = client.patch(f"{caller.root}/importsource/{source}/mapping", data=change, params={"async": "true"})
    assert progress["progressStatus"] == "FINISHED"
    answer = caller.call("PATCH", f"/importsource/{source}/mapping?async=true", change)
    resource = answer.headers["location"].split("/")[-1]
    assert client.get_import_mapping_progress(source, resource)["result"] == "OK"


def test_errors_are_told_in_the_words_that_it_looks_for(caller: Assets, client: Any) -> None:
    source = caller.source()
    with pytest.raises(HTTPError) as refused:
        client.create_import_execution(source)
    assert "Unknown error" not in str(refused.value)
    assert "mapping" in str(refused.value)
    with pytest.raises(HTTPError) as missing:
        client.get_import_source("00000000-0000-7000-8000-000000000000")
    assert "Unknown error" not in str(missing.value)


def test_objects_are_read_back(caller: Assets, client: Any) -> None:
    source = caller.source(document=HOSTS)
    caller.push(source, {"systems": SYSTEMS, "hosts": hosts(3)})
    answer = client.aql('objectType = "Host" AND System.Name = "Linux" ORDER BY Name DESC', max_results=2)
    assert [each["label"] for each in answer["values"]] == ["host-3", "host-2"]
    for found in (client.get_aql_objects, client.get_iql_objects):
        assert [each["label"] for each in found('Name = "host-2"')["objectEntries"]] == ["host-2"]
    assert client.get_object_aql_total_count('objectType = "Host"')["totalCount"] == 3
    host = answer["values"][0]
    assert client.get_object(host["id"])["objectKey"] == host["objectKey"]
    attributes = client.get_object_attributes(host["id"])
    by_name = {each["objectTypeAttribute"]["name"]: each["objectAttributeValues"] for each in attributes}
    assert by_name["Cores"][0]["displayValue"] == "3"
    referenced = by_name["System"][0]["referencedObject"]
    assert referenced["label"] == "Linux"
    assert client.get_object_history(host["id"])
    assert client.get_object_reference_info(referenced["id"])[0]["numberOfReferencedObjects"] == 3
    assert caller.schema_key in [each["objectSchemaKey"] for each in client.list_object_schema()["values"]]
    key = f"N{secrets.token_hex(4).upper()}"
    made = client.create_object_schema(key, "made by a client")
    assert (made["objectSchemaKey"], made["name"]) == (key, key)
    assert client.get_object_schema(made["id"])["description"] == "made by a client"
    assert client.get_object_schema(caller.schema_id)["objectSchemaKey"] == caller.schema_key
    types = {each["name"]: each["id"] for each in client.get_object_schema_object_types(caller.schema_id)}
    assert set(types) == {"Host", "System"}
    flat = client.get_object_schema_object_types_flat(caller.schema_id)
    assert {each["id"] for each in flat} == set(types.values())
    assert client.get_object_type(types["Host"])["name"] == "Host"
    names = {each["name"] for each in client.get_object_type_attributes(types["Host"])}
    assert {"Serial", "Name", "Cores", "Bought", "System"} <= names
    assert len(client.get_object_schema_attributes(caller.schema_id)) >= len(names)
    assert client.get_icon_image(types["Host"]).startswith(b"\x89PNG")
