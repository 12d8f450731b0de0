"""Objects made, changed and removed by people, by PyPI's atlassian-python-api as it is, and on every base."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from atlassian.assets import AssetsCloud
from requests import HTTPError

from tests.e2e.assets import Assets, assets
from tests.e2e.assets_documents import HOSTS, SYSTEMS, hosts
from tests.stack import LiveStack


@pytest.fixture
def caller(stack: LiveStack) -> Iterator[Assets]:
    with assets(stack) as made:
        yield made


@pytest.fixture
def client(stack: LiveStack, caller: Assets) -> Any:
    made: Any = AssetsCloud(url=stack.url, username=stack.user, password=stack.api_key, cloud=True)  # type: ignore[no-untyped-call]
    made.url = stack.url
    made.api_root = f"{caller.root}/"
    return made


def said(numbers: dict[str, str], **values: Any) -> list[dict[str, Any]]:
    """Attributes as a client sends them, by their names."""
    return [
        {
            "objectTypeAttributeId": numbers[name],
            "objectAttributeValues": [{"value": each} for each in (value if isinstance(value, list) else [value])],
        }
        for name, value in values.items()
    ]


def test_a_client_makes_changes_and_removes_objects(caller: Assets, client: Any) -> None:
    source = caller.source(document=HOSTS)
    execution = caller.push(source, {"systems": SYSTEMS, "hosts": hosts(3)})["executionId"]
    linux = caller.found("Name = Linux")["values"][0]["objectKey"]
    host = caller.found('Name = "host-1"')["values"][0]
    kind = host["objectType"]["id"]
    numbers = {each["name"]: each["id"] for each in client.get_object_type_attributes(kind)}

    made = client.create_object(kind, said(numbers, Serial="S9", Name="mine", Cores="16", System=linux))
    assert (made["label"], made["objectType"]["name"]) == ("mine", "Host")
    assert client.get_object(made["id"]) == made
    changed = client.update_object(host["id"], kind, said(numbers, Name="renamed", Cores="64", Bought=[]))
    assert client.get_object(host["id"]) == changed
    gone = caller.found('Name = "host-2"')["values"][0]["objectKey"]
    assert not client.delete_object(gone)
    with pytest.raises(HTTPError, match="There is no such object"):
        client.get_object(gone)
    newest, *older = client.get_object_history(host["id"])
    assert {newest["historyType"], newest["affectedAttribute"]} <= {"CHANGED", "Name", "Cores", "Bought"}
    assert (older[-1]["historyType"], "executionId" in newest, "executionId" in older[-1]) == ("CREATED", False, True)

    answer = caller.call("POST", "/object/create", {"objectTypeId": kind, "attributes": said(numbers, Cores="many")})
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "INVALID_OBJECT")
    assert set(answer.json()["errors"]) == {f"rlabs-insight-attribute-{numbers[name]}" for name in ("Name", "Cores")}
    with pytest.raises(HTTPError, match='has the same "Serial"'):
        client.update_object(host["id"], kind, said(numbers, Serial="S9"))

    # A rollback takes back what nobody has touched; what came with it and is referred to by hand stays.
    undo = caller.data("POST", f"/importsource/{source}/executions/{execution}/rollback")["executionId"]
    caller.wait(source, undo)
    assert sorted(caller.objects()) == ["Linux", "mine", "renamed"]
    assert caller.objects('Name = "mine"')["mine"]["System"] == ["Linux"]


def test_objects_are_edited_on_every_base(caller: Assets) -> None:
    caller.push(caller.source(document=HOSTS), {"systems": SYSTEMS, "hosts": []})
    kind = caller.found("Name = Linux")["values"][0]["objectType"]["id"]
    (name,) = [each["id"] for each in caller.data("GET", f"/objecttype/{kind}/attributes") if each["label"]]
    for base in ("/jsm/assets", "/jsm/insight", "/ex/jira/a-cloud/jsm/assets", "/gateway/api/jsm/assets"):
        root = f"{base}/workspace/{caller.workspace_id}/v1/object"
        body = {"objectTypeId": kind, "attributes": said({"Name": name}, Name=base)}
        made = caller.http.post(f"{root}/create", json=body)
        assert (made.status_code, made.json()["label"]) == (201, base), made.text
        number = made.json()["id"]
        again = caller.http.put(f"{root}/{number}", json={"attributes": said({"Name": name}, Name=f"{base} again")})
        assert (again.status_code, again.json()["label"]) == (200, f"{base} again")
        gone = caller.http.delete(f"{root}/{number}")
        assert (gone.status_code, caller.http.get(f"{root}/{number}").status_code) == (200, 404), gone.text
