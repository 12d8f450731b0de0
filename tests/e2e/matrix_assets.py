"""Import sources and objects in the matrix: those of each tenant's workspace, and the requests about them."""

from __future__ import annotations

import copy
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from hythe.dialects.assets.v1 import assets_pb2 as assets
from hythe.importer.v1 import import_sources_pb2 as native
from tests.e2e.assets_documents import HOSTS, Document, host

if TYPE_CHECKING:
    from tests.e2e.matrix_world import Place

SECONDS = 60


@dataclass
class Depot:
    """What a tenant has in its workspace of the Assets API. Everything has the tenant's mark in its name."""

    http: httpx.Client
    mark: str
    workspace_id: str
    schema_id: str = ""
    source_id: str = ""
    """Of an external source with a schedule, a token, and an execution that has ended."""
    execution_id: str = ""
    resource_id: str = ""
    """Of a change of its mapping."""
    schedule_id: str = ""
    busy_source_id: str = ""
    """Of another one, which takes data, and goes on doing so."""
    open_execution_id: str = ""
    type_id: str = ""
    name_id: str = ""
    """Of the attribute that objects of the type are called by."""
    object_id: str = ""

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        answer = self.http.request(method, f"/jsm/assets/workspace/{self.workspace_id}/v1{path}", json=body)
        assert answer.status_code in {200, 201, 204, 303}, answer.text
        return answer

    def new_source(self) -> str:
        body = {"name": self.mark, "type": "external", "objectSchemaId": self.schema_id}
        source = str(self.ask("POST", "/importsource", body).json()["id"])
        self.ask("PUT", f"/importsource/{source}/mapping", document(self.mark))
        return source

    def new_schedule(self) -> tuple[str, str]:
        """Ids of another source and its schedule, which may be deleted."""
        source = self.new_source()
        return source, str(self.ask("POST", f"/importsource/{source}/importschedule", schedule()).json()["id"])


def document(mark: str) -> Document:
    """The mapping of hosts, whose object type bears the mark."""
    changed = copy.deepcopy(HOSTS)
    named = changed["schema"]["objectSchema"]["objectTypes"][1]
    named["name"] = changed["mapping"]["objectTypeMappings"][1]["objectTypeName"] = mark
    for attribute in named["attributes"]:
        attribute["description"] = mark
    return changed


def schedule() -> Document:
    start = datetime.now(UTC) + timedelta(days=30)
    return {"runFrequency": "DAILY", "startTime": start.isoformat(), "callbackUrl": "https://client.example.com/run"}


def add_depot(http: httpx.Client, mark: str, workspace_id: str, schema_id: int) -> Depot:
    """By an administrator of the tenant, whose credential `http` has."""
    depot = Depot(http, mark, workspace_id, str(schema_id))
    depot.source_id, depot.busy_source_id = depot.new_source(), depot.new_source()
    change = depot.ask("PATCH", f"/importsource/{depot.source_id}/mapping?async=true", document(mark))
    depot.resource_id = change.headers["location"].rsplit("/", 1)[1]
    depot.ask("POST", f"/importsource/{depot.source_id}/token")
    made = depot.ask("POST", f"/importsource/{depot.source_id}/importschedule", schedule()).json()
    depot.schedule_id = str(made["id"])
    executions = f"/importsource/{depot.source_id}/executions"
    depot.execution_id = str(depot.ask("POST", executions).json()["executionId"])
    records = [host(1, name=mark), host(2, cores=mark)]
    data = {"data": {"hosts": records}, "clientGeneratedId": mark, "completed": True}
    depot.ask("POST", f"{executions}/{depot.execution_id}/data", data)
    deadline = time.monotonic() + SECONDS
    while (status := depot.ask("GET", f"{executions}/{depot.execution_id}/status").json())["status"] != "DONE":
        assert time.monotonic() < deadline, status
        time.sleep(0.1)
    (found,) = depot.ask("POST", "/object/aql", {"qlQuery": f'Name = "{mark}"'}).json()["values"]
    depot.object_id, depot.type_id = found["id"], found["objectType"]["id"]
    attributes = depot.ask("GET", f"/objecttype/{depot.type_id}/attributes").json()
    depot.name_id = next(each["id"] for each in attributes if each["label"])
    started = depot.ask("POST", f"/importsource/{depot.busy_source_id}/executions")
    depot.open_execution_id = str(started.json()["executionId"])
    return depot


def struct(**members: Any) -> Struct:
    made: Struct = ParseDict(members, Struct())
    return made


def body(**members: Any) -> HttpBody:
    return HttpBody(content_type="application/json", data=json.dumps(members).encode())


def of_workspace(kind: type[Message], **more: Callable[[Depot], Any]) -> Callable[[Place], Message]:
    """A request with these members beside the workspace's id."""

    def build(place: Place) -> Message:
        depot = place.tenant.depot
        return kind(workspace_id=depot.workspace_id, **{name: value(depot) for name, value in more.items()})

    return build


def of_source(kind: type[Message], **more: Callable[[Depot], Any]) -> Callable[[Place], Message]:
    return of_workspace(kind, **{"import_source_id": lambda depot: depot.source_id, **more})


def of_execution(kind: type[Message], **more: Callable[[Depot], Any]) -> Callable[[Place], Message]:
    return of_source(kind, **{"execution_id": lambda depot: depot.execution_id, **more})


def of_open_execution(kind: type[Message], **more: Callable[[Depot], Any]) -> Callable[[Place], Message]:
    ids = {
        "import_source_id": lambda depot: depot.busy_source_id,
        "execution_id": lambda depot: depot.open_execution_id,
    }
    return of_workspace(kind, **ids, **more)


def deletable_schedule(place: Place) -> Message:
    depot = place.tenant.depot
    source, schedule_id = depot.new_schedule()
    return assets.ScheduleRequest(workspace_id=depot.workspace_id, import_source_id=source, schedule_id=schedule_id)


def natively(kind: type[Message], **more: Callable[[Depot], Any]) -> Callable[[Place], Message]:
    def build(place: Place) -> Message:
        depot = place.tenant.depot
        return kind(workspace=depot.workspace_id, **{name: value(depot) for name, value in more.items()})

    return build


def new_source(depot: Depot) -> Struct:
    return struct(name=depot.mark, type="external", objectSchemaId=depot.schema_id)


def query(depot: Depot) -> Struct:
    return struct(qlQuery=f'Name = "{depot.mark}"')


def values(depot: Depot, name: str) -> Struct:
    """Of an object: its name alone."""
    attribute = {"objectTypeAttributeId": depot.name_id, "objectAttributeValues": [{"value": name}]}
    return struct(attributes=[attribute])


def new_object(depot: Depot) -> Struct:
    made = values(depot, f"{depot.mark} {secrets.token_hex(4)}")
    made["objectTypeId"] = depot.type_id
    return made


def deletable_object(place: Place) -> Message:
    depot = place.tenant.depot
    body = MessageToDict(new_object(depot))
    made = depot.ask("POST", "/object/create", body).json()
    return assets.ObjectBodyRequest(workspace_id=depot.workspace_id, id=made["id"])


def new_key(_: Depot) -> str:
    return f"M{secrets.token_hex(4).upper()}"


def busy(depot: Depot) -> str:
    return depot.busy_source_id


def source(depot: Depot) -> str:
    return depot.source_id


QUEUED: Mapping[str, Callable[[Depot], Any]] = {"import_source_id": busy, "payload": lambda _: struct(queue=True)}
SAMPLE: Callable[[Depot], Any] = lambda depot: body(data={"hosts": [host(1, name=depot.mark)]})  # noqa: E731

SHOWN: Mapping[str, Callable[[Place], Message]] = {
    "AssetsImporter/CreateObjectSchema": of_workspace(
        assets.WorkspaceBodyRequest, payload=lambda depot: struct(objectSchemaKey=new_key(depot), name=depot.mark)
    ),
    "AssetsImporter/ListImportSources": of_workspace(assets.WorkspaceRequest),
    "AssetsImporter/ListImportSourcesOfSchema": of_workspace(
        assets.SchemaSourcesRequest, object_schema_id=lambda depot: depot.schema_id
    ),
    "AssetsImporter/CreateImportSource": of_workspace(assets.WorkspaceBodyRequest, payload=new_source),
    "AssetsImporter/GetImportSource": of_source(assets.SourceRequest),
    "AssetsImporter/UpdateImportSource": of_source(
        assets.SourceRequest, payload=lambda depot: struct(description=depot.mark)
    ),
    "AssetsImporter/GetMapping": of_source(assets.SourceRequest),
    "AssetsImporter/GetSchemaAndMapping": of_source(assets.SourceRequest),
    "AssetsImporter/PreviewMapping": of_source(assets.PreviewChunk, content=SAMPLE),
    "AssetsStatus/ListExecutions": of_source(assets.ExecutionsRequest),
    "AssetsStatus/GetLatestExecutionStatus": of_source(assets.SourceReadRequest),
    "AssetsStatus/GetExecution": of_execution(assets.ExecutionReadRequest),
    "AssetsStatus/GetExecutionData": of_execution(assets.ExecutionDataRequest),
    "AssetsStatus/GetExecutionProgress": of_execution(assets.ExecutionReadRequest),
    "AssetsImporter/CreateObject": of_workspace(assets.WorkspaceBodyRequest, payload=new_object),
    "AssetsImporter/UpdateObject": of_workspace(
        assets.ObjectBodyRequest,
        id=lambda depot: depot.object_id,
        payload=lambda depot: values(depot, depot.mark),
    ),
    "AssetsStatus/GetExecutionStatus": of_execution(assets.ExecutionReadRequest),
    "AssetsStatus/ListExecutionErrors": of_execution(assets.ExecutionErrorsRequest),
    "AssetsStatus/GetImportProgress": of_workspace(assets.ProgressRequest, id=source),
    "AssetsStatus/ListObjectSchemas": of_workspace(assets.ObjectSchemasRequest),
    "AssetsStatus/GetObjectSchema": of_workspace(assets.ObjectSchemaRequest, id=lambda depot: depot.schema_id),
    "AssetsStatus/ListObjectTypes": of_workspace(assets.ObjectTypesRequest, id=lambda depot: depot.schema_id),
    "AssetsStatus/ListObjectTypesFlat": of_workspace(assets.ObjectTypesRequest, id=lambda depot: depot.schema_id),
    "AssetsStatus/ListSchemaAttributes": of_workspace(assets.ObjectSchemaRequest, id=lambda depot: depot.schema_id),
    "AssetsStatus/GetObjectType": of_workspace(assets.ObjectTypeRequest, id=lambda depot: depot.type_id),
    "AssetsStatus/ListObjectTypeAttributes": of_workspace(assets.ObjectTypeRequest, id=lambda depot: depot.type_id),
    "AssetsStatus/GetObject": of_workspace(assets.ObjectRequest, id=lambda depot: depot.object_id),
    "AssetsStatus/ListObjectAttributes": of_workspace(assets.ObjectRequest, id=lambda depot: depot.object_id),
    "AssetsStatus/ListObjectHistory": of_workspace(assets.ObjectHistoryRequest, id=lambda depot: depot.object_id),
    "AssetsStatus/QueryObjects": of_workspace(assets.QueryRequest, payload=query),
    "AssetsStatus/NavigateObjects": of_workspace(
        assets.NavigationRequest, ql_query=lambda depot: f'Name = "{depot.mark}"'
    ),
    "ImportSourceService/ListObjectSchemas": natively(native.ListObjectSchemasRequest),
    "ImportSourceService/CreateObjectSchema": natively(
        native.CreateObjectSchemaRequest,
        name=lambda depot: depot.mark,
        key=new_key,
    ),
    "ImportSourceService/ListImportSources": natively(
        native.ListImportSourcesRequest, object_schema_id=lambda depot: int(depot.schema_id)
    ),
    "ImportSourceService/GetImportSource": natively(native.GetImportSourceRequest, import_source_id=source),
    "ImportSourceService/CreateImportSource": natively(
        native.CreateImportSourceRequest,
        import_source=lambda depot: native.ImportSource(
            name=depot.mark, type="external", object_schema_id=int(depot.schema_id)
        ),
    ),
    "ImportSourceService/UpdateImportSource": natively(
        native.UpdateImportSourceRequest, import_source_id=source, description=lambda depot: depot.mark
    ),
    "ImportSourceService/GetMapping": natively(native.GetMappingRequest, import_source_id=source),
    "ImportSourceService/PreviewMapping": natively(
        native.PreviewMappingRequest, import_source_id=source, sample=lambda depot: SAMPLE(depot).data
    ),
}
"""Requests whose answer bears the mark."""

FILTERS: Mapping[str, frozenset[str]] = {
    "AssetsImporter/ListImportSourcesOfSchema": frozenset({"object_schema_id"}),
    "ImportSourceService/ListImportSources": frozenset({"object_schema_id"}),
}
"""Members that only select: with those of another there is nothing."""

DONE: Mapping[str, Callable[[Place], Message]] = {
    "AssetsImporter/StartImport": of_source(assets.SourceRequest, **QUEUED),
    "AssetsImporter/StartExecution": of_source(assets.SourceRequest, **QUEUED),
    "AssetsImporter/PatchMapping": of_source(
        assets.MappingRequest, payload=lambda depot: ParseDict(document(depot.mark), Struct())
    ),
    "AssetsImporter/GetMappingProgress": of_source(
        assets.MappingProgressRequest, resource_id=lambda depot: depot.resource_id
    ),
    "AssetsImporter/GetConfigStatus": of_source(assets.SourceRequest),
    "AssetsImporter/GetToken": of_source(assets.SourceRequest),
    "AssetsImporter/CreateToken": of_source(assets.SourceRequest, import_source_id=busy),
    "AssetsImporter/CancelExecution": of_execution(assets.ExecutionRequest),
    "AssetsImporter/SubmitData": of_open_execution(
        assets.DataChunk, content=lambda depot: body(data={}, clientGeneratedId=depot.mark)
    ),
    "AssetsImporter/PutProgress": of_open_execution(assets.ExecutionRequest),
    "AssetsImporter/GetSchedules": of_source(assets.SourceRequest),
    "AssetsImporter/GetSchedule": of_source(assets.ScheduleRequest, schedule_id=lambda depot: depot.schedule_id),
    "AssetsImporter/UpdateSchedule": of_source(
        assets.ScheduleRequest, schedule_id=lambda depot: depot.schedule_id, payload=lambda _: struct(**schedule())
    ),
    "AssetsImporter/DeleteSchedule": deletable_schedule,
    "AssetsImporter/DeleteObject": deletable_object,
    "AssetsStatus/ListObjectReferences": of_workspace(assets.ObjectRequest, id=lambda depot: depot.object_id),
    "AssetsStatus/CountObjects": of_workspace(assets.QueryRequest, payload=query),
    "AssetsStatus/GetIcon": of_workspace(assets.IconRequest, id=lambda depot: depot.type_id),
    "AssetsStatus/GetIconImage": of_workspace(assets.IconRequest, id=lambda depot: depot.type_id),
    "ImportSourceService/PutMapping": natively(
        native.PutMappingRequest,
        import_source_id=source,
        merge=lambda _: True,
        document=lambda depot: ParseDict(document(depot.mark), Struct()),
    ),
}
"""Others that are simply done."""

REFUSED: Mapping[str, tuple[str, Callable[[Place], Message]]] = {
    "AssetsImporter/DeleteImportSource": (
        "FAILED_PRECONDITION", of_source(assets.SourceRequest, import_source_id=busy),
    ),
    "ImportSourceService/DeleteImportSource": (
        "FAILED_PRECONDITION", natively(native.DeleteImportSourceRequest, import_source_id=busy),
    ),
    "AssetsImporter/PutMapping": (
        "ALREADY_EXISTS",
        of_source(assets.MappingRequest, payload=lambda depot: ParseDict(document(depot.mark), Struct())),
    ),
    "AssetsImporter/CreateSchedule": (
        "ALREADY_EXISTS", of_source(assets.SourceRequest, payload=lambda _: struct(**schedule())),
    ),
    "AssetsImporter/FailExecution": (
        "INVALID_ARGUMENT", of_execution(assets.ExecutionRequest, payload=lambda _: struct(failureReason="none")),
    ),
    "AssetsImporter/PauseExecution": ("FAILED_PRECONDITION", of_execution(assets.ExecutionRequest)),
    "AssetsImporter/ResumeExecution": ("FAILED_PRECONDITION", of_execution(assets.ExecutionRequest)),
}  # fmt: skip
"""Others that are refused for what the state of things is, and what is said then."""
