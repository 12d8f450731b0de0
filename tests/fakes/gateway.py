"""The gateway's REST side as far as the command uses it, in memory: an httpx transport handler."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import httpx

USER = "user@example.org"
PASSWORD = "right"
API_KEY = "hy_key"

Handler = Callable[..., "httpx.Response | dict[str, Any] | list[Any]"]


def jwt(number: int, life_seconds: int = 900) -> str:
    """A token with a number in it and the given life."""
    now = int(time.time())
    claims = base64.urlsafe_b64encode(json.dumps({"iat": now, "exp": now + life_seconds, "n": number}).encode())
    return f"e30.{claims.decode().rstrip('=')}.sig"


def refused(status: int, message: str) -> httpx.Response:
    names = {400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 409: "Conflict", 503: "Service Unavailable"}
    envelope = {"status": "error", "statusCode": status, "error": names[status], "message": message}
    return httpx.Response(status, json=envelope)


def detail(state: str, progress: int = 0, **members: Any) -> dict[str, Any]:
    """One import as `GET /api/v2/my-imports/{id}` shows it."""
    status = {"SUCCEEDED": "IMPORT COMPLETE", "FAILED": "ERROR", "CANCELLED": "ERROR", "RUNNING": "PROCESSING"}
    row = {
        "key": "import-1",
        "name": "a.nessus",
        "reportName": "Q1",
        "clientName": "Acme",
        "fileSize": "3",
        "status": status.get(state, "IN QUEUE"),
        "progress": progress,
        "errorStatus": None,
        "source": "nessus",
        "id": "import-1",
        "importId": "import-1",
        "state": state,
    }
    return {**row, **members}


def detected(source: str, imports: str = "findings") -> dict[str, Any]:
    """One of the sources that take a file."""
    format_ = {"name": source, "title": "a file", "syntax": "xml", "extensions": [], "imports": imports}
    return {"source": source, "name": source.title(), "imports": imports, "format": format_, "member": None}


@dataclass
class FakeUpload:
    """An upload in parts, and how often each part was sent."""

    name: str
    size: int
    part_size: int
    parts: dict[int, bytes] = field(default_factory=dict)
    sent: Counter[int] = field(default_factory=Counter)
    urls: int = 0
    is_completed: bool = False

    @property
    def count(self) -> int:
        return -(-self.size // self.part_size)

    def size_of(self, number: int) -> int:
        return min(self.part_size, self.size - (number - 1) * self.part_size)


class FakeGateway:
    """`life` is the imports' way through their states: what one poll after the other sees."""

    def __init__(self) -> None:
        self.url = "http://gateway.test"
        self._lock = threading.Lock()
        self.requests: list[httpx.Request] = []
        self.bodies: list[Any] = []
        self.clients: dict[int, str] = {1: "Acme"}
        self.reports: dict[int, tuple[int, str]] = {5: (1, "Q1")}
        self.stored: dict[str, bytes] = {}
        self.uploads: dict[str, FakeUpload] = {}
        self.begun = 0
        self.tenant = "ctenant"
        self.part_answers: Callable[[FakeUpload, int], httpx.Response | Exception | None] = lambda _, _number: None
        """What a part that is sent gets instead of being stored; None: it is stored."""
        self.life = [detail("QUEUED"), detail("RUNNING", 50), detail("SUCCEEDED", 100)]
        self.commanded: dict[str, Any] = {}
        """What commands on imports answer, where not the import itself."""
        self.detection: dict[str, Any] = {"look": "a Nessus report", "sources": [detected("nessus")]}
        """Which sources take a file that is asked about."""
        self.report: bytes | None = b"record_number,position\r\n"
        self.tokens: set[str] = set()
        self.logins = 0
        self.failures: Iterator[httpx.Response | Exception | None] = iter(())
        """What the next requests get instead of their answer; None: their answer."""

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self)

    def asked(self, method: str, pattern: str) -> list[Any]:
        """The bodies of all requests of this method whose path matches."""
        return [
            body
            for request, body in zip(self.requests, self.bodies, strict=True)
            if request.method == method and re.fullmatch(pattern, request.url.path)
        ]

    def new_token(self, life_seconds: int = 900) -> str:
        self.logins += 1
        token = jwt(self.logins, life_seconds)
        self.tokens.add(token)
        return token

    def __call__(self, request: httpx.Request) -> httpx.Response:
        raw = request.read()
        with self._lock:
            return self._answered(request, raw)

    def _answered(self, request: httpx.Request, raw: bytes) -> httpx.Response:
        self.requests.append(request)
        is_json = request.headers.get("content-type", "").startswith("application/json")
        self.bodies.append(json.loads(raw) if is_json else raw)
        failure = next(self.failures, None)
        if isinstance(failure, Exception):
            raise failure
        if failure is not None:
            return failure
        return self.answer(request)

    def answer(self, request: httpx.Request) -> httpx.Response:
        for method, pattern, handler, is_open in self.routes():
            match = re.fullmatch(pattern, request.url.path)
            if match and request.method == method:
                if not is_open and not self.may(request):
                    return refused(401, "The token is not good.")
                found = handler(request, *match.groups())
                return found if isinstance(found, httpx.Response) else httpx.Response(200, json=found)
        return refused(404, "There is no such route.")

    def may(self, request: httpx.Request) -> bool:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        return request.headers.get("x-api-key") == API_KEY or bearer in self.tokens

    def routes(self) -> list[tuple[str, str, Handler, bool]]:
        return [
            ("POST", "/api/v1/authenticate", self.authenticate, True),
            ("PUT", "/api/v1/token/refresh", lambda _: {"token": self.new_token()}, False),
            ("POST", "/api/v2/presigned-url", self.presign, False),
            ("GET", "/api/v2/whoami", lambda _: {"tenant_cuid": self.tenant}, False),
            ("POST", "/api/v2/uploads", self.begin_upload, False),
            ("GET", "/api/v2/uploads/([^/]+/[^/]+)", self.list_parts, False),
            ("POST", "/api/v2/uploads/([^/]+/[^/]+)/complete", self.complete_upload, False),
            ("DELETE", "/api/v2/uploads/([^/]+/[^/]+)", self.abort_upload, False),
            ("PUT", "/cloud/uploads/(.+)", self.store, True),
            ("POST", r"/api/v2/client/(\d+)/report/(\d+)/preuploaded-import/(\w+)", self.start, False),
            ("POST", "/api/v2/sources/detect", lambda _: self.detection, False),
            ("GET", "/api/v2/my-imports", self.list_imports, False),
            ("GET", "/api/v2/my-imports/([^/]+)/errors", self.list_errors, False),
            ("GET", "/api/v2/my-imports/([^/]+)/report", self.sign_report, False),
            ("GET", "/cloud/uploads/reports/(.+)", self.send_report, True),
            ("GET", "/api/v2/my-imports/(.+)", self.show, False),
            ("POST", "/api/v2/my-imports/(.+)/cancel", lambda _, _id: detail("CANCELLED"), False),
            ("POST", "/api/v2/my-imports/(.+)/(pause|resume|retry|rerun|undo)", self.control, False),
            ("GET", "/api/v1/client/list", self.list_clients, False),
            ("POST", "/api/v1/client/create", self.create_client, False),
            ("GET", r"/api/v1/client/(\d+)/reports", self.list_reports, False),
            ("POST", r"/api/v1/client/(\d+)/report/create", self.create_report, False),
            ("GET", r"/api/v1/client/(\d+)/report/(\d+)/flaws", self.list_flaws, False),
            ("GET", r"/api/v2/clients/(\d+)/reports/(\d+)/assets", self.list_assets, False),
        ]

    def authenticate(self, _request: httpx.Request) -> Any:
        if self.bodies[-1] != {"username": USER, "password": PASSWORD}:
            return refused(401, "User name or password is wrong.")
        return {"status": "success", "tenant_id": 0, "cookie": "c", "token": self.new_token()}

    def presign(self, _request: httpx.Request) -> Any:
        key = f"c1/{self.bodies[-1]['name']}"
        return {"status": "success", "key": key, "url": f"{self.url}/cloud/uploads/{key}?X-Amz-Signature=s"}

    def begin_upload(self, _request: httpx.Request) -> Any:
        body = self.bodies[-1]
        self.begun += 1
        key = f"p{self.begun}/{body['name']}"
        self.uploads[key] = FakeUpload(body["name"], body["size"], body.get("partSize", 16))
        return self.shown(key)

    def list_parts(self, request: httpx.Request, key: str) -> Any:
        upload = self.uploads.get(key)
        if upload is None:
            return refused(409, "The parts of this upload have been removed. Begin a new one.")
        query = parse_qs(request.url.query.decode())
        first, last = int(query["first"][0]), min(int(query["first"][0]) + int(query["limit"][0]) - 1, upload.count)
        parts = []
        for number in range(first, last + 1):
            is_there = number in upload.parts
            upload.urls += 1
            url = f"{self.url}/cloud/uploads/{key}?partNumber={number}&serial={upload.urls}&X-Amz-Signature=s"
            parts.append(
                {
                    "number": number,
                    "offset": str((number - 1) * upload.part_size),
                    "size": str(upload.size_of(number)),
                    "uploaded": is_there,
                    "url": None if is_there else url,
                    "expiresAt": None,
                }
            )
        return {"status": "success", "key": key, "parts": parts, "next": last + 1 if last < upload.count else None}

    def complete_upload(self, _request: httpx.Request, key: str) -> Any:
        upload = self.uploads[key]
        if not upload.is_completed:
            if len(upload.parts) < upload.count:
                return refused(409, "Parts are missing.")
            self.stored[key] = b"".join(upload.parts[number] for number in sorted(upload.parts))
            upload.is_completed = True
        return self.shown(key)

    def abort_upload(self, _request: httpx.Request, key: str) -> Any:
        answer = self.shown(key)
        del self.uploads[key]
        return answer

    def shown(self, key: str) -> dict[str, Any]:
        upload = self.uploads[key]
        return {
            "status": "success",
            "key": key,
            "size": str(upload.size),
            "partSize": str(upload.part_size),
            "partCount": upload.count,
            "uploaded": key in self.stored,
        }

    def store(self, request: httpx.Request, key: str) -> Any:
        if key in self.uploads:
            return self.store_part(request, self.uploads[key])
        self.stored[key] = self.bodies[-1]
        return httpx.Response(200)

    def store_part(self, request: httpx.Request, upload: FakeUpload) -> httpx.Response:
        number = int(request.url.params["partNumber"])
        upload.sent[number] += 1
        answer = self.part_answers(upload, number)
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            assert int(request.headers["content-length"]) == upload.size_of(number)
            upload.parts[number] = self.bodies[-1]
        return answer or httpx.Response(200, headers={"ETag": f'"{number}"'})

    def start(self, _request: httpx.Request, _client: str, _report: str, source: str) -> Any:
        if source != "nessus":
            return refused(400, f"There is no source {source}. Known: nessus.")
        return {"status": "success", "operationId": "import-1", "importJob": {"id": "import-1"}}

    def list_imports(self, request: httpx.Request) -> Any:
        """250 imports, newest first, by limit and page_token."""
        query = parse_qs(request.url.query.decode())
        after = int(query["page_token"][0].removeprefix("import-")) if "page_token" in query else 251
        numbers = range(after - 1, 0, -1)[: int(query["limit"][0])]
        return [detail("SUCCEEDED", 100, id=f"import-{number}", key=f"import-{number}") for number in numbers]

    def show(self, _request: httpx.Request, import_id: str) -> Any:
        if import_id != "import-1":
            return refused(404, "There is no such import.")
        return self.life.pop(0) if len(self.life) > 1 else self.life[0]

    def list_errors(self, request: httpx.Request, import_id: str) -> Any:
        """Of 5,000 rejected items the first 1,000; a page token is the number of the page's first."""
        if import_id != "import-1":
            return refused(404, "There is no such import.")
        first, limit = int(request.url.params.get("page_token", "1")), int(request.url.params["limit"])
        numbers = range(first, min(first + limit, 1_001))
        names = {"position": "line 1", "field": "port", "code": "INVALID_PORT", "message": "x\x1by", "value": "v"}
        return {
            "status": "success",
            "totalRejected": 5_000,
            "errors": [{"recordNumber": number, **names} for number in numbers],
            "nextPageToken": str(numbers.stop) if numbers.stop <= 1_000 else None,
        }

    def sign_report(self, _request: httpx.Request, import_id: str) -> Any:
        if self.report is None:
            return refused(404, f"Import {import_id} has no report.")
        url = f"{self.url}/cloud/uploads/reports/0/{import_id}/errors.csv?X-Amz-Signature=s"
        return {"status": "success", "url": url, "expiresAt": "2026-01-01T00:00:00.000Z"}

    def send_report(self, request: httpx.Request, _key: str) -> Any:
        if {"authorization", "x-api-key"} & set(request.headers) or "X-Amz-Signature" not in request.url.params:
            return httpx.Response(403, content=b"<Error><Code>AccessDenied</Code></Error>")
        return httpx.Response(200, content=self.report)

    def control(self, _request: httpx.Request, import_id: str, verb: str) -> Any:
        """The import in the state that the command leaves a queued one in."""
        if import_id != "import-1":
            return refused(404, "There is no such import.")
        return self.commanded or detail("PAUSED" if verb == "pause" else "QUEUED")

    def list_clients(self, _request: httpx.Request) -> Any:
        return [
            {"id": f"client_{id_}", "doc_id": [id_], "data": [id_, name, None]} for id_, name in self.clients.items()
        ]

    def create_client(self, _request: httpx.Request) -> Any:
        number = max(self.clients, default=0) + 1
        self.clients[number] = self.bodies[-1]["name"]
        return {"status": "success", "client_id": number, "cuid": "c"}

    def list_reports(self, _request: httpx.Request, client: str) -> Any:
        return [
            {"id": id_, "doc_id": [owner], "data": [id_, name, None, "Draft", 3, [], [], 0, None, None, [], None, None]}
            for id_, (owner, name) in self.reports.items()
            if owner == int(client)
        ]

    def create_report(self, _request: httpx.Request, client: str) -> Any:
        number = max(self.reports, default=0) + 1
        self.reports[number] = (int(client), self.bodies[-1]["name"])
        return {"message": "success", "status": "success", "report_id": number, "cuid": "c"}

    def list_flaws(self, _request: httpx.Request, client: str, report: str) -> Any:
        rows = [(11, "Low", "Old cipher"), (12, "Critical", "Remote code"), (13, "Low", "Another")]
        return [{"id": f"flaw_{client}-{report}-{row[0]}", "doc_id": [], "data": [*row, "Open"]} for row in rows]

    def list_assets(self, _request: httpx.Request, _client: str, _report: str) -> Any:
        return [{"id": "1", "asset": "web\x1b[31m.example.org"}, {"id": "2", "asset": "db.example.org"}]
