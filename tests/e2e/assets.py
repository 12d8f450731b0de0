"""What a client of the Assets API does: make a source, map, start, send, look, read objects."""

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
from hythe.importer.v1 import import_sources_pb2 as sources
from hythe.importer.v1.import_sources_pb2_grpc import ImportSourceServiceStub
from tests.e2e.recorder import CheckedClient
from tests.stack import LiveStack

ENDED = {"DONE", "CANCELLED"}
OUTCOMES = {"COMPLETED", "FAILED", "CANCELLED"}
Document = dict[str, Any]


@dataclass
class Assets:
    """A caller with a workspace and an object schema of its own."""

    http: httpx.Client
    workspace_id: str
    schema_id: str
    schema_key: str

    @property
    def root(self) -> str:
        return f"/jsm/assets/workspace/{self.workspace_id}/v1"

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        """A path that begins with `/` is below the workspace's root; anything else is a URL."""
        url = f"{self.root}{path}" if path.startswith("/") else path
        return self.http.request(method, url, json=body, **more)

    def data(self, method: str, path: str, body: Any = None, status: int = 200, **more: Any) -> Any:
        """The answer, which must have gone well."""
        answer = self.call(method, path, body, **more)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def refused(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, str]:
        """HTTP status and errorCode of an answer that must be an error."""
        answer = self.call(method, path, body, **more)
        assert answer.headers["content-type"].startswith("application/json"), answer.text
        said = answer.json()
        assert said["result"] == "error", said
        assert said["errorMessages"] == [said["message"]], said
        assert isinstance(said["errors"], dict)
        assert said["code"] == answer.status_code
        return answer.status_code, said["errorCode"]

    def source(self, kind: str = "external", document: Document | None = None, **members: Any) -> str:
        """The id of a new import source, with a mapping where one is given."""
        body = {"name": f"{kind} source", "type": kind, "objectSchemaId": self.schema_id, **members}
        source_id = str(self.data("POST", "/importsource", body)["id"])
        if document is not None:
            self.data("PUT", f"/importsource/{source_id}/mapping", document, status=204)
        return source_id

    def upload(self, content: str | bytes, name: str = "hosts.csv") -> str:
        """The key of the uploaded bytes."""
        reserved = self.http.post("/api/v2/presigned-url", json={"name": name})
        assert reserved.status_code == 200, reserved.text
        answer = httpx.put(reserved.json()["url"], content=content, timeout=60)
        assert answer.status_code == 200, answer.text
        return str(reserved.json()["key"])

    def start(self, source_id: str, **members: Any) -> str:
        """The id of the new execution."""
        return str(self.data("POST", f"/importsource/{source_id}/executions", members)["executionId"])

    def send(self, source_id: str, execution_id: str, data: Any = None, **members: Any) -> None:
        body = members if data is None else {"data": data, **members}
        self.data("POST", f"/importsource/{source_id}/executions/{execution_id}/data", body)

    def status(self, source_id: str, execution_id: str) -> Document:
        found: Document = self.data("GET", f"/importsource/{source_id}/executions/{execution_id}/status")
        return found

    def wait(self, source_id: str, execution_id: str, seconds: float = 60) -> Document:
        """The execution status, once the execution has ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status = self.status(source_id, execution_id)
            if status["status"] in ENDED:
                return status
            time.sleep(0.1)
        raise AssertionError(f"{execution_id} has not ended after {seconds} s: {status}")

    def wait_until(self, source_id: str, execution_id: str, wanted: str, seconds: float = 30) -> Document:
        """The execution status, once its importStatus is the one wanted."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status = self.status(source_id, execution_id)
            if status["importStatus"] == wanted:
                return status
            assert status["importStatus"] not in OUTCOMES, status
            time.sleep(0.05)
        raise AssertionError(f"{execution_id} is not {wanted} after {seconds} s: {status}")

    def push(self, source_id: str, *pieces: Any, **members: Any) -> Document:
        """One execution of an external source from its start to its end."""
        execution_id = self.start(source_id, **members)
        for number, piece in enumerate(pieces):
            self.send(source_id, execution_id, piece, clientGeneratedId=f"piece-{number}")
        self.send(source_id, execution_id, completed=True)
        return self.wait(source_id, execution_id)

    def run(self, source_id: str, **members: Any) -> Document:
        """One execution of a source that has its file, from its start to its end."""
        return self.wait(source_id, self.start(source_id, **members))

    def details(self, source_id: str, execution_id: str) -> Document:
        found: Document = self.data("GET", f"/importsource/{source_id}/executions/{execution_id}")
        return found

    def found(self, query: str = "", **members: Any) -> Document:
        """The answer to a query in AQL; without one, to that for all objects of the schema."""
        body = {"qlQuery": query or f"objectSchemaId = {self.schema_id}", "maxResults": 1000, **members}
        answer: Document = self.data("POST", "/object/aql", body)
        return answer

    def objects(self, query: str = "", **members: Any) -> dict[str, Document]:
        """Objects by their labels: of each attribute that has something, by its name, what is shown."""
        answer = self.found(query, **members)
        names = {each["id"]: each["name"] for each in answer["objectTypeAttributes"]}
        return {
            each["label"]: {
                names[attribute["objectTypeAttributeId"]]: [
                    value["displayValue"] for value in attribute["objectAttributeValues"]
                ]
                for attribute in each["attributes"]
            }
            for each in answer["values"]
        }


def counters(status: Document, object_type: str) -> Document:
    """Of one object type in an execution status."""
    results: dict[str, Document] = status["progressResult"]["objectTypeResultMap"]
    return next(each for each in results.values() if each["objectTypeName"] == object_type)


def counted(status: Document, object_type: str) -> dict[str, int]:
    """What has become of the objects of one type, zeros left out."""
    names = ("objectsCreated", "objectsUpdated", "objectsIdentical", "objectsMissingUpdated", "objectsMissingDeleted")
    found = counters(status, object_type)
    return {name: found[name] for name in names if found[name]}


@contextmanager
def assets(stack: LiveStack, **headers: str) -> Iterator[Assets]:
    """In a new workspace, by the stack's API key or by these headers, which must be an administrator's."""
    name = f"assets {secrets.token_hex(6)}"
    key = "K" + secrets.token_hex(3).upper()
    credential = headers or {"x-api-key": stack.api_key}
    metadata = tuple((name.lower(), value) for name, value in credential.items())
    with grpc.insecure_channel(stack.grpc) as channel:
        workspace = identity.CreateWorkspaceRequest(dialect="assets", name=name)
        made = IdentityServiceStub(channel).CreateWorkspace(workspace, timeout=30, metadata=metadata).workspace
        schema = sources.CreateObjectSchemaRequest(workspace=made.workspace_id, name="Hardware", key=key)
        stub = ImportSourceServiceStub(channel)
        schema_id = stub.CreateObjectSchema(schema, timeout=30, metadata=metadata).object_schema.object_schema_id
    with CheckedClient(base_url=stack.url, headers=credential, timeout=60) as http:
        yield Assets(http, made.workspace_id, str(schema_id), key)
