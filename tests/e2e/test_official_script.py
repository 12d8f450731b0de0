"""The requests of existing PlexTrac scripts, sent as those send them: same order, bodies and headers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.recorder import CheckedClient
from tests.scans import nessus
from tests.stack import LiveStack

BOUNDARY = "9a1c0f6b6ed24d2f8f3d4a7d1c9f1b55"


@pytest.fixture
def http(stack: LiveStack) -> Iterator[httpx.Client]:
    with CheckedClient(base_url=stack.url, timeout=90) as client:
        yield client


@pytest.fixture
def client_id(stack: LiveStack, http: httpx.Client) -> int:
    """A client that somebody made before, by hand."""
    answer = http.post("/api/v1/client/create", json={"name": "Script client"}, headers={"x-api-key": stack.api_key})
    assert answer.json()["status"] == "success"
    number: int = answer.json()["client_id"]
    return number


def file_part(name: str, data: bytes) -> dict[str, Any]:
    """A multipart body as the `requests` library writes it: one part `file` with a file name and no content type."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return {
        "content": head.encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode(),
        "headers": {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
    }


@pytest.mark.parametrize("scheme", ["", "Bearer "])
def test_the_nessus_import_script_works_unchanged(
    stack: LiveStack, http: httpx.Client, client_id: int, scheme: str
) -> None:
    # Every official script looks for this text before it logs in.
    greeting = http.get("/api/v1/")
    assert (greeting.status_code, greeting.json()["text"]) == (200, "Authenticate at /authenticate")

    login = http.post("/api/v1/authenticate", json={"username": stack.user, "password": stack.password})
    assert login.status_code == 200
    assert login.json()["status"] == "success"
    auth = {"Authorization": scheme + login.json()["token"]}

    rows = http.get("/api/v1/client/list", headers=auth)
    assert rows.status_code == 200
    clients = [row["data"] for row in rows.json() if len(row["data"]) == 3]
    assert client_id in [row[0] for row in clients]

    form = {
        "name": "a.nessus",
        "description": "Imported by a script",
        "status": "Open",
        "logistics": "",
        "template": "",
        "start_date": "",
        "end_date": "",
        "fields_template": "",
    }
    created = http.post(f"/api/v1/client/{client_id}/report/create", data=form, headers=auth)
    assert created.status_code == 200
    assert created.json()["message"] == "success"
    report_id = created.json()["report_id"]

    request = file_part("a.nessus", nessus(hosts=2, plugins=5))
    imported = http.post(
        f"/api/v1/client/{client_id}/report/{report_id}/import/nessus",
        content=request["content"],
        headers=auth | request["headers"],
    )
    assert imported.status_code == 200

    flaws = http.get(f"/api/v1/client/{client_id}/report/{report_id}/flaws", headers=auth).json()
    assert {row["data"][0]: row["data"][1] for row in flaws} == {
        90_000: "Informational",
        90_001: "Low",
        90_002: "Medium",
        90_003: "High",
        90_004: "Critical",
    }


def test_a_file_that_is_none_fails_the_old_import_with_a_reason(
    stack: LiveStack, http: httpx.Client, client_id: int
) -> None:
    auth = {"x-api-key": stack.api_key}
    report = http.post(f"/api/v1/client/{client_id}/report/create", json={"name": "Bad file"}, headers=auth).json()
    request = file_part("file", b"this is no scan")
    answer = http.post(
        f"/api/v1/client/{client_id}/report/{report['report_id']}/import/nessus",
        content=request["content"],
        headers=auth | request["headers"],
    )
    assert 400 <= answer.status_code < 500
    body = answer.json()
    assert body["status"] == "error"
    assert body["statusCode"] == answer.status_code
    assert body["message"]


@pytest.mark.parametrize("start", [lambda key: {"key": key, "filename": "b.nessus"}])
def test_a_client_of_the_new_flow_that_uses_the_aliases_finds_its_import(
    stack: LiveStack, http: httpx.Client, client_id: int, start: Callable[[str], dict[str, Any]]
) -> None:
    login = http.post("/api/v1/authenticate", json={"username": stack.user, "password": stack.password}).json()
    auth = {"Authorization": f"Bearer {login['token']}"}
    report = http.post(f"/api/v1/client/{client_id}/report/create", json={"name": "New flow"}, headers=auth).json()
    data = nessus()
    slot = http.post(
        "/api/v2/presigned-url",
        json={"filename": "b.nessus", "contentType": "application/octet-stream", "size": len(data)},
        headers=auth,
    ).json()
    assert slot["url"].startswith(f"{stack.url}/cloud/uploads/{slot['key']}?")
    assert httpx.put(slot["url"], content=data).status_code == 200
    path = f"/api/v2/client/{client_id}/report/{report['report_id']}/preuploaded-import/nessus"
    started = http.post(path, json=start(slot["key"]), headers=auth)
    assert started.status_code == 200
    operation = started.json()["operationId"]

    def row() -> dict[str, Any]:
        rows = http.get("/api/v2/my-imports", headers=auth).json()
        return next(one for one in rows if one.get("importId") == operation and one.get("id") == operation)

    deadline = time.monotonic() + 60
    while row()["status"] not in {"IMPORT COMPLETE", "ERROR"}:
        assert time.monotonic() < deadline, row()
        time.sleep(0.2)
    assert row()["status"] == "IMPORT COMPLETE"
    assert row()["errorStatus"] is None
    assert row()["fileSize"] == str(len(data))
