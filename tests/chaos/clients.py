"""A client of the gateway that writes down every call, and does again what any client would do again."""

from __future__ import annotations

import json
import random
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.chaos.checker.history import Call, Job
from tests.chaos.contents import Content
from tests.chaos.recording import Recorder

# What a plain client repeats: nothing came, or the words for "not now".
RETRIED = frozenset({0, 408, 429, 502, 503, 504})
CALL_SECONDS = 15
PAUSE_SECONDS = 0.3
KEPT_CHARACTERS = 4_000


class GaveUp(Exception):
    """The time for a call was over before it had an answer that says something."""


@dataclass
class Caller:
    """An administrator of one tenant. Threads may share it."""

    url: str
    key: str
    tenant: int
    recorder: Recorder
    _http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        headers = {"x-api-key": self.key}
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=CALL_SECONDS, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def call(self, operation: str, method: str, path: str, *, noted: dict[str, Any] | None = None, **more: Any) -> Any:
        """One request. The answer's JSON, or None; `noted` are further members of the record."""
        return self._once(operation, method, path, noted or {}, more)[1]

    def insist(
        self, operation: str, method: str, path: str, *, seconds: float = 90, noted: dict[str, Any] | None = None,
        **more: Any,
    ) -> tuple[int, Any]:  # fmt: skip
        """Until something else than `not now` is answered. Status and JSON."""
        deadline = time.monotonic() + seconds
        while True:
            status, answer = self._once(operation, method, path, noted or {}, more)
            if status not in RETRIED:
                return status, answer
            if time.monotonic() > deadline:
                message = f"{operation}: still {status} after {seconds:.0f} s"
                raise GaveUp(message)
            time.sleep(PAUSE_SECONDS)

    def _once(
        self, operation: str, method: str, path: str, noted: dict[str, Any], more: dict[str, Any]
    ) -> tuple[int, Any]:
        began = time.time()
        try:
            response = self._http.request(method, path, **more)
            status, text = response.status_code, response.text
        except httpx.HTTPError as error:
            status, text = 0, type(error).__name__
        answer = _json(text) if status else None
        told = dict(noted)
        if operation == "trigger" and isinstance(answer, dict) and "operationId" in answer:
            told["import_id"] = str(answer["operationId"])
        if operation == "findings" and isinstance(answer, list):
            told["rows"] = len(answer)
        self.recorder.write(
            Call(operation, self.tenant, began, time.time(), status, body=text[:KEPT_CHARACTERS], **told)
        )
        return status, answer

    def place(self, name: str) -> tuple[int, int]:
        """A new client and a report of it."""
        _, client = self.insist("client", "POST", "/api/v1/client/create", json={"name": name})
        path = f"/api/v1/client/{client['client_id']}/report/create"
        _, report = self.insist("report", "POST", path, json={"name": name})
        return int(client["client_id"]), int(report["report_id"])

    def upload(self, content: Content) -> str:
        """The key of the uploaded bytes. A PUT that failed is done again at a new URL."""
        deadline = time.monotonic() + 120
        body = {"name": f"{content.source}.xml"}
        while True:
            _, reserved = self.insist("presign", "POST", "/api/v2/presigned-url", json=body)
            # The URL is a credential: the record of the PUT does not have it.
            began = time.time()
            try:
                status = httpx.put(reserved["url"], content=content.data, timeout=60, trust_env=False).status_code
            except httpx.HTTPError:
                status = 0
            self.recorder.write(Call("put", self.tenant, began, time.time(), status, body="message"))
            if status == httpx.codes.OK:
                return str(reserved["key"])
            if time.monotonic() > deadline:
                message = f"put: still {status}"
                raise GaveUp(message)
            time.sleep(PAUSE_SECONDS)

    def upload_in_parts(self, content: Content) -> str:
        """As `upload`, by the route of large files, and as often as it takes."""
        body = {"name": f"{content.source}.xml", "size": len(content.data)}
        _, begun = self.insist("begin parts", "POST", "/api/v2/uploads", json=body)
        path = f"/api/v2/uploads/{begun['key']}"
        while missing := self.missing_parts(path):
            for part in missing:
                offset, size = int(part["offset"]), int(part["size"])
                httpx.put(part["url"], content=content.data[offset : offset + size], timeout=60, trust_env=False)
        status, _ = self.insist("complete parts", "POST", f"{path}/complete")
        assert status == httpx.codes.OK, status
        return str(begun["key"])

    def missing_parts(self, path: str) -> list[dict[str, Any]]:
        _, listed = self.insist("list parts", "GET", path)
        return [part for part in listed["parts"] if not part["uploaded"]]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


@dataclass
class Errand:
    """One job as its client does it: upload, trigger with its name as idempotency key, look until it has ended."""

    job: Job
    content: Content
    caller: Caller
    stranger: Caller
    client_id: int
    cancel_after: float | None = None
    """Seconds after the trigger."""
    trigger_options: dict[str, Any] = field(default_factory=dict)
    in_parts: bool = False

    def run(self, is_over: threading.Event, rng: random.Random) -> None:
        upload = self.caller.upload_in_parts if self.in_parts else self.caller.upload
        import_id = self.trigger(upload(self.content))
        if import_id is None:
            return
        noted = {"job": self.job.name, "import_id": import_id}
        cancel_at = time.monotonic() + (self.cancel_after if self.cancel_after is not None else float("inf"))
        while not is_over.is_set():
            if time.monotonic() >= cancel_at:
                self.caller.call("cancel", "POST", f"/api/v2/my-imports/{import_id}/cancel", noted=noted)
                cancel_at = time.monotonic() + 1.0
            detail = self.caller.call("detail", "GET", f"/api/v2/my-imports/{import_id}", noted=noted)
            if rng.random() < 0.5:
                self.look_at_findings(import_id)
            if rng.random() < 0.2:
                path = f"/api/v2/my-imports/{import_id}"
                self.stranger.call("foreign", "GET", path, noted={"import_id": import_id, "foreign": True})
                self.stranger.call("list", "GET", "/api/v2/my-imports")
            if isinstance(detail, dict) and detail.get("endedAt"):
                return
            is_over.wait(rng.uniform(0.2, 0.5))

    def trigger(self, key: str) -> str | None:
        """The import's id; None when it was refused."""
        path = f"/api/v2/client/{self.client_id}/report/{self.job.report_id}/preuploaded-import/{self.content.source}"
        status, answer = self.caller.insist(
            "trigger", "POST", path,
            json={"key": key, "fileName": f"{self.content.source}.xml", **self.trigger_options},
            headers={"idempotency-key": self.job.name}, noted={"job": self.job.name},
        )  # fmt: skip
        return str(answer["operationId"]) if status == httpx.codes.OK else None

    def look_at_findings(self, import_id: str) -> None:
        path = f"/api/v1/client/{self.client_id}/report/{self.job.report_id}/flaws"
        self.caller.call("findings", "GET", path, noted={"job": self.job.name, "import_id": import_id})
