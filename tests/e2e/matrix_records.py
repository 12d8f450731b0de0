"""Files of records in the matrix: one in the workspace of each tenant, and the requests about it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import grpc
import httpx
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.struct_pb2 import Struct

from hythe.dialects.appfile.v1 import appfile_pb2 as appfile
from hythe.importer.v1 import importer_pb2 as importer
from hythe.importer.v1.importer_pb2_grpc import ImportServiceStub
from hythe.status.v1 import status_pb2 as status
from hythe.status.v1.status_pb2_grpc import StatusServiceStub
from hythe.upload.v1 import upload_pb2 as upload
from hythe.upload.v1.upload_pb2_grpc import UploadServiceStub

if TYPE_CHECKING:
    from tests.e2e.matrix_world import Place

SECONDS = 60
ENTITY_TYPE = "wks_matrix"


def sync_file(mark: str, workspace: str, bucket_id: str) -> bytes:
    rows = (
        f"00|{mark}|cc5|20260102030405|{mark}",
        f"01|{ENTITY_TYPE}|{workspace}|{bucket_id}|cc-matrix|upsert",
        "02|entityId",
        "03|entityId: string|name: string",
        f"10|1|{mark}",
        "99|1",
    )
    return "\n".join(rows).encode()


def add_record_file(channel: grpc.Channel, metadata: Any, mark: str, workspace_id: str) -> str:
    """The id of an uploaded file, which is not imported yet."""
    described = upload.RecordFile(workspace=workspace_id, category=mark, description=mark)
    request = upload.CreateUploadRequest(file_name=f"{mark}.cc5txt", record_file=described)
    made = UploadServiceStub(channel).CreateUpload(request, timeout=SECONDS, metadata=metadata)
    file = made.upload.record_file
    content = sync_file(mark, workspace_id, file.bucket_id)
    httpx.put(made.url, content=content, timeout=SECONDS).raise_for_status()
    return str(file.file_id)


def payload(**members: Any) -> Struct:
    body = Struct()
    body.update(members)
    return body


def records(place: Place) -> HttpBody:
    """A sync file in its JSON form, a new one each time."""
    header = {
        "customer": place.tenant.mark,
        "fileType": "json",
        "metadata": {
            "keys": ["entityId"],
            "entityType": ENTITY_TYPE,
            "workspaceId": place.tenant.workspace_id,
            "dataSource": "cc-matrix",
        },
        "FieldMappings": {"entityId": {"code": "entityId", "name": "id", "type": "string"}},
    }
    data = {"header": header, "data": [{"entityId": secrets.token_hex(8)}], "delete": [], "footer": {"total": 1}}
    return HttpBody(content_type="application/json", data=json.dumps({"ImportData": data}).encode())


def import_file(channel: grpc.Channel, metadata: Any, file_id: str) -> None:
    """Until it has ended."""
    request = importer.StartRecordsImportRequest(file_id=file_id, file_type="cc5")
    made = ImportServiceStub(channel).StartRecordsImport(request, timeout=SECONDS, metadata=metadata)
    watched = status.WatchImportRequest(import_id=getattr(made, "import").import_id)
    *_, last = StatusServiceStub(channel).WatchImport(watched, timeout=SECONDS, metadata=metadata)
    assert getattr(last, "import").state == importer.STATE_SUCCEEDED, last


REQUESTS: Mapping[str, Any] = {
    "AppFileUpload/CreateFilePath": lambda p: appfile.FilePathRequest(
        payload=payload(WorkspaceId=p.tenant.workspace_id, FileName=f"{p.tenant.mark}.cc5txt")
    ),
    "AppFileUpload/ImportData": lambda p: appfile.ImportDataChunk(content=records(p)),
    "AppFileImporter/ImportFile": lambda p: appfile.ImportFileRequest(
        payload=payload(FileId=p.tenant.file_id, FileType="cc5")
    ),
    "AppFileStatus/QueryRecords": lambda _: appfile.QueryRecordsRequest(
        entity_type=ENTITY_TYPE, content=HttpBody(content_type="application/json", data=b"{}")
    ),
}
"""The right request of each RPC that names no file and no workspace outside its body."""

REQUESTS_WITH_IDS: Mapping[str, Any] = {
    "ImportService/StartRecordsImport": lambda p: importer.StartRecordsImportRequest(
        workspace=p.tenant.workspace_id, file_id=p.tenant.file_id, file_type="cc5"
    ),
    "AppFileImporter/UndoFile": lambda p: appfile.FileCommandRequest(
        file_id=p.tenant.imported_file_id, payload=payload(DryRun=True)
    ),
    "AppFileImporter/CancelFile": lambda p: appfile.FileCommandRequest(
        file_id=p.tenant.imported_file_id, payload=payload()
    ),
    "AppFileStatus/GetFile": lambda p: appfile.GetFileRequest(file_id=p.tenant.file_id),
    "StatusService/GetRecordFile": lambda p: status.GetRecordFileRequest(
        workspace=p.tenant.workspace_id, file_id=p.tenant.file_id
    ),
    "StatusService/ListRecords": lambda p: status.ListRecordsRequest(
        workspace=p.tenant.workspace_id, entity_type=ENTITY_TYPE
    ),
}
"""Of the others."""
