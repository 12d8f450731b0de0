"""What a REST script does, in one object: log in, make a place to import into, upload, trigger, wait, read back."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any

import httpx

from tests.e2e.recorder import CheckedClient
from tests.stack import LiveStack

ENDED = ("IMPORT COMPLETE", "ERROR")


@dataclass
class Rest:
    """A logged-in caller with a client and a report of its own."""

    http: httpx.Client
    client_id: int
    report_id: int

    def get(self, path: str, **more: Any) -> Any:
        return self._json(self.http.get(path, **more))

    def post(self, path: str, body: Any, **more: Any) -> Any:
        return self._json(self.http.post(path, json=body, **more))

    def _json(self, response: httpx.Response) -> Any:
        assert response.status_code == 200, response.text
        return response.json()

    def reserve(self, name: str = "scan.nessus") -> dict[str, Any]:
        """Key and URL for one upload."""
        reserved: dict[str, Any] = self.post("/api/v2/presigned-url", {"name": name})
        return reserved

    def upload(self, data: Any, name: str = "scan.nessus", **headers: str) -> str:
        """The key of the uploaded bytes."""
        reserved = self.reserve(name)
        response = httpx.put(reserved["url"], content=data, timeout=300, headers=headers)
        assert response.status_code == 200, response.text
        return str(reserved["key"])

    def trigger_response(self, key: str, source: str = "nessus", **more: Any) -> httpx.Response:
        path = f"/api/v2/client/{self.client_id}/report/{self.report_id}/preuploaded-import/{source}"
        headers = more.pop("headers", {})
        return self.http.post(path, json={"key": key, "fileName": "scan.nessus", **more}, headers=headers)

    def trigger(self, key: str, source: str = "nessus", **more: Any) -> str:
        """The import's id."""
        return str(self._json(self.trigger_response(key, source, **more))["operationId"])

    def row(self, import_id: str) -> dict[str, Any]:
        return next(row for row in self.get("/api/v2/my-imports") if row["key"] == import_id)

    def wait(self, import_id: str, seconds: float = 90) -> dict[str, Any]:
        """The row of my-imports once the import has ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                row = self.row(import_id)
            except (httpx.HTTPError, AssertionError):
                # A service that is being killed answers nothing, or 503; the import goes on.
                row = {"status": "unknown"}
            if row["status"] in ENDED:
                return row
            time.sleep(0.1)
        raise AssertionError(f"import {import_id} has not ended after {seconds} s: {row}")

    def imported(self, data: Any, source: str = "nessus", **more: Any) -> dict[str, Any]:
        """Upload, trigger, wait."""
        return self.wait(self.trigger(self.upload(data), source, **more))

    def detail(self, import_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/api/v2/my-imports/{import_id}")
        return found

    def flaws(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.get(f"/api/v1/client/{self.client_id}/report/{self.report_id}/flaws")
        return rows

    def flaw(self, flaw_id: int) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/api/v1/client/{self.client_id}/report/{self.report_id}/flaw/{flaw_id}")
        return found


def login(http: httpx.Client, user: str, password: str) -> str:
    """A token, as scripts get it.

    The tests share one user, who may log in ten times a minute; a refusal is waited out.
    """
    deadline = time.monotonic() + 70
    while True:
        response = http.post("/api/v1/authenticate", json={"username": user, "password": password})
        if response.status_code != 429 or time.monotonic() > deadline:
            break
        time.sleep(1)
    assert response.status_code == 200, response.text
    return str(response.json()["token"])


def rest(stack: LiveStack, **headers: str) -> Rest:
    """A caller with the stack's API key (no login is used up), and a new client and report."""
    http = CheckedClient(base_url=stack.url, headers=headers or {"x-api-key": stack.api_key}, timeout=90)
    name = f"client {secrets.token_hex(4)}"
    client = http.post("/api/v1/client/create", json={"name": name})
    assert client.status_code == 200, client.text
    client_id = client.json()["client_id"]
    report = http.post(f"/api/v1/client/{client_id}/report/create", json={"name": "report"})
    assert report.status_code == 200, report.text
    return Rest(http, client_id, report.json()["report_id"])
