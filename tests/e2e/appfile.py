"""What a client of the AppFile API does, with a bare HTTP client: ask for a URL, put, import, look, read records."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import httpx

from hythe.identity.v1 import identity_pb2 as identity
from hythe.identity.v1.identity_pb2_grpc import IdentityServiceStub
from tests.stack import LiveStack
from tests.sync_files import sync_file

ENDED = {"Imported", "ImportedWithErrors", "Failed", "Cancelled"}
NOTHING_WRONG = {"ErrorCode": "", "Message": "", "StackTrace": "", "Errors": []}
UNDO_ENDED = {"SUCCEEDED", "FAILED", "CANCELLED"}


@dataclass
class AppFile:
    """A caller with a workspace of its own."""

    http: httpx.Client
    workspace_id: str
    bucket: str

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return self.http.request(method, path, json=body, headers=headers)

    def data(self, method: str, path: str, body: Any = None, **headers: str) -> dict[str, Any]:
        """The `Data` of an answer that must have gone well."""
        answer = self.call(method, path, body, **headers)
        assert answer.status_code == 200, answer.text
        envelope = answer.json()
        assert set(envelope) == {"IsSuccess", "ResponseStatus", "Data"}
        assert envelope["IsSuccess"] is True
        assert envelope["ResponseStatus"] == NOTHING_WRONG
        data: dict[str, Any] = envelope["Data"]
        return data

    def refused(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str]:
        """HTTP status and ErrorCode of an answer that must be an error."""
        answer = self.call(method, path, body, **headers)
        envelope = answer.json()
        assert set(envelope) == {"IsSuccess", "ResponseStatus", "Data"}, answer.text
        assert envelope["IsSuccess"] is False, answer.text
        assert envelope["ResponseStatus"]["StackTrace"] == ""
        assert envelope["ResponseStatus"]["Message"]
        return answer.status_code, envelope["ResponseStatus"]["ErrorCode"]

    def file(self, *rows: str, **changes: Any) -> str:
        """A sync file for this workspace."""
        return sync_file(rows, **{"workspace": self.workspace_id, "bucket": self.bucket, **changes})

    def path(self, **members: Any) -> dict[str, Any]:
        return self.data("POST", "/appfile/file/path", {"FileName": "families.cc5txt", **members})

    def upload(self, content: str | bytes, **members: Any) -> str:
        """The id of the file."""
        slot = self.path(**members)
        answer = httpx.put(slot["Url"], content=content, headers={"Content-Type": "application/octet-stream"})
        assert answer.status_code == 200, answer.text
        return str(slot["FileId"])

    def start(self, file_id: str, **members: Any) -> dict[str, Any]:
        return self.data("POST", "/appfile/file/import", {"FileType": "cc5", "FileId": file_id, **members})

    def status(self, file_id: str) -> dict[str, Any]:
        """The member `File`."""
        found: dict[str, Any] = self.data("GET", f"/appfile/file/{file_id}")["File"]
        return found

    def wait(self, file_id: str, import_id: str = "", seconds: float = 90) -> dict[str, Any]:
        """The file, once its last import (or this one) has ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            file = self.status(file_id)
            if file["Status"] in ENDED and import_id in {"", file["ImportId"]}:
                return file
            time.sleep(0.1)
        raise AssertionError(f"{file_id} has not ended after {seconds} s: {file}")

    def imported(self, content: str | bytes, **members: Any) -> dict[str, Any]:
        """Upload, import, wait."""
        file_id = self.upload(content)
        self.start(file_id, **members)
        return self.wait(file_id)

    def forced(self, file_id: str, **members: Any) -> dict[str, Any]:
        """Once more, though it has been imported: the next import of the same file."""
        before = self.status(file_id)["ImportId"]
        self.start(file_id, Force=True, **members)
        deadline = time.monotonic() + 30
        while self.status(file_id)["ImportId"] == before:
            assert time.monotonic() < deadline, "there is no new import"
            time.sleep(0.05)
        return self.wait(file_id)

    def undone(self, file_id: str, **members: Any) -> dict[str, Any]:
        """The undo of its last import, natively as `my-imports` shows it, once it has ended."""
        undo = self.data("POST", f"/appfile/file/{file_id}/undo", members)["File"]["ImportId"]
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            row: dict[str, Any] = self.http.get(f"/api/v2/my-imports/{undo}").json()
            if row["state"] in UNDO_ENDED:
                assert row["state"] == "SUCCEEDED", row
                return row
            time.sleep(0.1)
        raise AssertionError(f"the undo {undo} has not ended")

    def records(self, entity_type: str = "wks_family", **query: Any) -> dict[str, dict[str, Any]]:
        """By entityId."""
        body = {"Take": 1000, **query}
        answer = self.call("POST", f"/appdata/{entity_type}/query", body)
        assert answer.status_code == 200, answer.text
        return {each["entityId"]: each for each in answer.json()["Data"]}


@contextmanager
def appfile(stack: LiveStack) -> Iterator[AppFile]:
    """In a new workspace, which every request names in its headers."""
    name, bucket = f"ws {secrets.token_hex(6)}", f"bk-{secrets.token_hex(6)}"
    with grpc.insecure_channel(stack.grpc) as channel:
        request = identity.CreateWorkspaceRequest(dialect="appfile", name=name, bucket_id=bucket)
        metadata = (("x-api-key", stack.api_key),)
        made = IdentityServiceStub(channel).CreateWorkspace(request, timeout=30, metadata=metadata).workspace
    headers = {"x-api-key": stack.api_key, "X-Param-Override-WorkspaceId": made.workspace_id}
    with httpx.Client(base_url=stack.url, headers=headers, timeout=60) as http:
        yield AppFile(http, made.workspace_id, bucket)
