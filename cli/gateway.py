"""The REST client: the requests of the public API that the command makes, each as one typed method.

Everything that can go wrong is a CliError with the server's own words. Requests that may be repeated are, while the
gateway is away, for as long as the caller has patience.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import quote

import httpx
import msgspec
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from cli.errors import CliError, ExitCode, Unreachable
from cli.shapes import (
    ClientCreated,
    Detection,
    Failure,
    ImportDetail,
    ImportRow,
    MultipartUpload,
    Presigned,
    ReportCreated,
    Row,
    Started,
    Token,
    UploadParts,
    WhoAmI,
)

TIMEOUT = httpx.Timeout(30, connect=10)
# How long a request that may be repeated is, while the gateway is away.
PATIENCE_SECONDS = 20.0
LARGEST_PAGE = 1_000

Shape = TypeVar("Shape")

WRONG_REQUEST = frozenset({400, 404, 415, 422})
NOT_NOW = frozenset({429, 502, 503, 504})
NOT_ALLOWED = frozenset({401, 403})


class Request(NamedTuple):
    """What is sent: a JSON body, or bytes as they are."""

    method: str
    path: str
    body: dict[str, Any] | None
    content: bytes | None
    headers: dict[str, str]


class Credential(Protocol):
    def headers(self) -> dict[str, str]: ...

    def renew(self) -> bool:
        """After a 401: whether there is now another one to try."""


class Anonymous:
    def headers(self) -> dict[str, str]:
        return {}

    def renew(self) -> bool:
        return False


class Gateway:
    """`http` carries the base URL; whoever made it closes it."""

    def __init__(self, http: httpx.Client, credential: Credential) -> None:
        self.http = http
        self.credential = credential

    # --------------------------------------------------------------------------------------------------- identity

    def authenticate(self, user: str, password: str) -> Token:
        body = {"username": user, "password": password}
        return self.call("POST", "/api/v1/authenticate", Token, body=body)

    def refresh(self) -> Token:
        return self.call("PUT", "/api/v1/token/refresh", Token)

    # ---------------------------------------------------------------------------------------------------- landing

    def presign(self, name: str, size: int) -> Presigned:
        """A file that is too large is refused here, before it is sent."""
        body = {"name": name, "size": size}
        return self.call("POST", "/api/v2/presigned-url", Presigned, body=body, patience=PATIENCE_SECONDS)

    def who_am_i(self) -> WhoAmI:
        return self.call("GET", "/api/v2/whoami", WhoAmI, patience=PATIENCE_SECONDS)

    def begin_upload(self, name: str, size: int, part_size: int) -> MultipartUpload:
        """An upload in parts of so many bytes; 0: as the server thinks best."""
        body = {"name": name, "size": size, **({"partSize": part_size} if part_size else {})}
        return self.call("POST", "/api/v2/uploads", MultipartUpload, body=body, patience=PATIENCE_SECONDS)

    def upload_parts(self, key: str, first: int, limit: int) -> UploadParts:
        path = f"/api/v2/uploads/{quote(key)}?first={first}&limit={limit}"
        return self.call("GET", path, UploadParts, patience=PATIENCE_SECONDS)

    def complete_upload(self, key: str) -> MultipartUpload:
        path = f"/api/v2/uploads/{quote(key)}/complete"
        return self.call("POST", path, MultipartUpload, patience=PATIENCE_SECONDS)

    def abort_upload(self, key: str) -> None:
        self.call("DELETE", f"/api/v2/uploads/{quote(key)}", MultipartUpload)

    def start_import(
        self,
        client_id: int,
        report_id: int,
        source: str,
        *,
        key: str,
        file_name: str,
        asset_tags: list[str],
        finding_tags: list[str],
        request_id: str,
        choices: Mapping[str, Any] | None = None,
    ) -> str:
        """The id of the queued import. `request_id` makes the repetition safe; `choices` are members of the body."""
        path = f"/api/v2/client/{client_id}/report/{report_id}/preuploaded-import/{quote(source, safe='')}"
        body = {
            "key": key,
            "fileName": file_name,
            "tags": msgspec.json.encode({"assets": asset_tags, "findings": finding_tags}).decode(),
            "useParserActions": False,
            **(choices or {}),
        }
        headers = {"Idempotency-Key": request_id}
        return self.call("POST", path, Started, body=body, headers=headers, patience=PATIENCE_SECONDS).operation_id

    def detect_source(self, head: bytes) -> Detection:
        """By the beginning of a file."""
        return self.call("POST", "/api/v2/sources/detect", Detection, content=head, patience=PATIENCE_SECONDS)

    def create_client(self, name: str) -> int:
        return self.call("POST", "/api/v1/client/create", ClientCreated, body={"name": name}).client_id

    def create_report(self, client_id: int, name: str) -> int:
        path = f"/api/v1/client/{client_id}/report/create"
        return self.call("POST", path, ReportCreated, body={"name": name}).report_id

    # -------------------------------------------------------------------------------------------------- following

    def my_imports(self, limit: int) -> list[ImportRow]:
        """The newest `limit` imports of the caller."""
        rows: list[ImportRow] = []
        while len(rows) < limit:
            asked = min(limit - len(rows), LARGEST_PAGE)
            query = f"limit={asked}" + (f"&page_token={rows[-1].key}" if rows else "")
            page = self.call("GET", f"/api/v2/my-imports?{query}", list[ImportRow])
            rows += page
            if len(page) < asked:
                break
        return rows

    def my_import(self, import_id: str, *, patience: float = 0) -> ImportDetail:
        return self.call("GET", f"/api/v2/my-imports/{quote(import_id, safe='')}", ImportDetail, patience=patience)

    def cancel(self, import_id: str) -> ImportRow:
        return self.command(import_id, "cancel")

    def command(
        self, import_id: str, verb: str, body: dict[str, Any] | None = None, *, request_id: str = ""
    ) -> ImportRow:
        """The import, or the one that was made of it. With a `request_id` the call is repeatable, and repeated."""
        path = f"/api/v2/my-imports/{quote(import_id, safe='')}/{verb}"
        headers = {"Idempotency-Key": request_id} if request_id else {}
        patience = PATIENCE_SECONDS if request_id else 0
        return self.call("POST", path, ImportRow, body=body, headers=headers, patience=patience)

    # ---------------------------------------------------------------------------------------------------- reading

    def client_rows(self) -> list[Row]:
        """`data` is [id, name, null]."""
        return self.call("GET", "/api/v1/client/list", list[Row])

    def report_rows(self, client_id: int) -> list[Row]:
        """`data` begins with [id, name, null, status, number of findings]; item 7 is the creation in ms."""
        return self.call("GET", f"/api/v1/client/{client_id}/reports", list[Row])

    def finding_rows(self, client_id: int, report_id: int) -> list[Row]:
        """`data` begins with [flaw id, severity, title, status]."""
        return self.call("GET", f"/api/v1/client/{client_id}/report/{report_id}/flaws", list[Row])

    def report_assets(self, client_id: int, report_id: int) -> list[dict[str, Any]]:
        return self.call("GET", f"/api/v2/clients/{client_id}/reports/{report_id}/assets", list[dict[str, Any]])

    # --------------------------------------------------------------------------------------------------- one call

    def call(
        self,
        method: str,
        path: str,
        shape: type[Shape],
        *,
        body: dict[str, Any] | None = None,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
        patience: float = 0,
    ) -> Shape:
        """One request, with a JSON body or bytes as they are, and its answer in this shape."""
        request = Request(method, path, body, content, headers or {})
        retrying = Retrying(
            retry=retry_if_exception_type(Unreachable),
            stop=stop_after_delay(patience),
            wait=wait_exponential(0.2, max=3),
            reraise=True,
        )
        answer = retrying(self.ask, request)
        try:
            return msgspec.json.decode(answer.content, type=shape)
        except msgspec.DecodeError as error:
            raise Unreachable(f"{self.http.base_url} answers, but not as Hythe does: {error}.") from error

    def ask(self, request: Request) -> httpx.Response:
        """One request, made again with a renewed credential when the first is not accepted."""
        answer = self.send(request)
        if answer.status_code == httpx.codes.UNAUTHORIZED and self.credential.renew():
            answer = self.send(request)
        if not answer.is_success:
            raise refusal(answer)
        return answer

    def send(self, request: Request) -> httpx.Response:
        headers = {**self.credential.headers(), **request.headers}
        if request.content is not None:
            headers["Content-Type"] = "application/octet-stream"
        try:
            return self.http.request(
                request.method, request.path, json=request.body, content=request.content, headers=headers
            )
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise Unreachable(f"{self.http.base_url} does not answer: {reason}.") from error


def refusal(answer: httpx.Response) -> CliError:
    """The error envelope as an error of ours."""
    try:
        message = msgspec.json.decode(answer.content, type=Failure).message
    except msgspec.DecodeError:
        message = ""
    status = answer.status_code
    text = message or f"The gateway answers with status {status} ({answer.reason_phrase})."
    if status in NOT_NOW:
        return Unreachable(text, status=status)
    if status in NOT_ALLOWED or answer.is_server_error:
        return CliError(text, ExitCode.UNREACHABLE, status=status)
    return CliError(text, ExitCode.USAGE if status in WRONG_REQUEST else ExitCode.FAILED, status=status)
