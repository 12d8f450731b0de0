"""The AppFile API's routes that read: what has become of a file, and the records of a workspace."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any
from uuid import UUID

import grpc
import msgspec
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct

from dialects.appfile.envelope import reply, response_status
from dialects.appfile.file_status import status_members
from dialects.appfile.files import ShownFile, file_data
from dialects.appfile.headers import BUCKET, WORKSPACE, Metadata, header
from dialects.appfile.members import Members
from dialects.appfile.workspaces import chosen
from hythe.dialects.appfile.v1 import appfile_pb2
from hythe.dialects.appfile.v1.appfile_pb2_grpc import AppFileStatusServicer
from runtime.auth import Principal, current_principal
from runtime.errors import InvalidArgument
from services.status import messages
from services.status.dialects.answers import stream_json
from services.status.dialects.record_queries import record_query
from services.status.import_reports import ImportReports, ReportKind
from services.status.imports import Imports
from services.status.json_stream import encode
from services.status.model import Import
from services.status.record_files import RecordFile, RecordFiles
from services.status.records import OpenRecords, Records, Workspaces

Context = grpc.aio.ServicerContext[Any, Any]
# As many as a person reads; the file behind ErrorsUrl has them all.
SHOWN_ERRORS = 50


class AppFileStatus(AppFileStatusServicer):
    """As services.status.service, with shapes from dialects.appfile."""

    def __init__(
        self, files: RecordFiles, imports: Imports, reports: ImportReports, records: Records, workspaces: Workspaces
    ) -> None:
        self._files = files
        self._imports = imports
        self._reports = reports
        self._records = records
        self._workspaces = workspaces

    async def GetFile(self, request: appfile_pb2.GetFileRequest, context: Context) -> Struct:
        principal = current_principal()
        workspace_id = await self._named_workspace(principal, context.invocation_metadata())
        found = await self._files.get(principal, request.file_id, workspace_id)
        errors = [] if found.imported is None else await self._imports.first_row_errors(found.imported, SHOWN_ERRORS)
        shown = shown_file(found)
        members = status_members(
            messages.record_file_message(found),
            shown.path,
            [messages.row_error_message(error) for error in errors],
            await self._errors_url(found.imported),
        )
        action_id = found.imported.action_id if found.imported is not None else None
        return ParseDict(reply(file_data(shown, action_id or found.action_id, **members)), Struct())

    async def QueryRecords(self, request: appfile_pb2.QueryRecordsRequest, context: Context) -> AsyncIterator[HttpBody]:
        principal, members = current_principal(), Members(read_body(request.content.data))
        workspace = await chosen(
            self._workspaces.find,
            principal,
            context.invocation_metadata(),
            members.text("WorkspaceId"),
            members.text("BucketId"),
        )
        query = record_query(workspace.workspace_id, request.entity_type, members)
        async with self._records.queried(principal, query) as opened:
            async for body in stream_json(write_reply(opened)):
                yield body

    async def _named_workspace(self, principal: Principal, metadata: Metadata) -> UUID | None:
        """The one that the headers name; None: they name none, and a file is known by its id alone."""
        if not header(metadata, WORKSPACE) and not header(metadata, BUCKET):
            return None
        return (await chosen(self._workspaces.find, principal, metadata)).workspace_id

    async def _errors_url(self, imported: Import | None) -> str:
        if imported is None or not imported.counters.rejected:
            return ""
        signed = await self._reports.find(imported, ReportKind.FILE)
        return "" if signed is None else signed.url


def shown_file(found: RecordFile) -> ShownFile:
    """Once the file's header was read, the entity type is what it says."""
    read_type = None if found.imported is None else found.imported.entity_type
    return ShownFile(
        key=found.key,
        file_name=found.file_name,
        workspace_id=str(found.workspace_id),
        bucket_id=found.bucket_id,
        entity_type=read_type or found.entity_type,
        folder=found.folder,
        category=found.category,
        tags=found.tags,
        metadata=found.metadata,
    )


def read_body(data: bytes) -> dict[str, Any]:
    """Raises InvalidArgument for anything but an object. No body at all asks for the first page."""
    try:
        return msgspec.json.decode(data or b"{}", type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise InvalidArgument("INVALID_JSON", f"The body must be a JSON object: {error}.") from None
    except RecursionError:
        raise InvalidArgument("INVALID_JSON", "The body is nested too deep.") from None


async def write_reply(opened: OpenRecords) -> AsyncGenerator[bytes, None]:
    """The envelope, with documents as the database writes them. Where `Total` stands is published nowhere."""
    head: dict[str, Any] = {"IsSuccess": True, "ResponseStatus": response_status()}
    if opened.total is not None:
        head["Total"] = opened.total
    yield encode(head)[:-1] + b',"Data":['
    separator = ""
    async for rows in opened.documents:
        if rows:
            yield (separator + ",".join([row["document"] for row in rows])).encode()
            separator = ","
    yield b"]}"
