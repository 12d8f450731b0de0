"""The AppFile API's import of an uploaded file."""

from __future__ import annotations

from typing import Any

import grpc
import msgspec
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct

from dialects.appfile.bodies import CC5, ImportBody, import_body
from dialects.appfile.choices import Choices
from dialects.appfile.envelope import reply
from dialects.appfile.files import ShownFile, file_data
from dialects.appfile.headers import idempotency_key
from dialects.appfile.members import Members
from dialects.appfile.workspaces import chosen
from hythe.dialects.appfile.v1 import appfile_pb2
from hythe.dialects.appfile.v1.appfile_pb2_grpc import AppFileImporterServicer
from runtime.auth import current_principal
from services.importer.options import Changes, sha256_of
from services.importer.policy import EmptyValues, OnError, Options
from services.importer.record_commands import RecordCommands
from services.importer.record_imports import RecordFile, RecordImports, RecordTrigger, Workspaces, file_not_found
from services.importer.snapshot import Snapshot

Context = grpc.aio.ServicerContext[Any, Any]


class AppFileImporter(AppFileImporterServicer):
    """Converts, calls, converts back."""

    def __init__(self, imports: RecordImports, commands: RecordCommands, workspaces: Workspaces) -> None:
        self._imports = imports
        self._commands = commands
        self._workspaces = workspaces

    async def ImportFile(self, request: appfile_pb2.ImportFileRequest, context: Context) -> Struct:
        principal, body = current_principal(), import_body(MessageToDict(request.payload))
        file = await self._imports.file(principal, body.file_id)
        metadata = context.invocation_metadata()
        workspace = await chosen(self._workspaces.find, principal, metadata, str(file.workspace_id), file.bucket_id)
        trigger = record_trigger(body, str(workspace.workspace_id), idempotency_key(metadata))
        imported = await self._imports.start(principal, trigger)
        return ParseDict(reply(file_data(shown(file), imported.action_id or file.action_id)), Struct())

    async def UndoFile(self, request: appfile_pb2.FileCommandRequest, context: Context) -> Struct:
        principal, members = current_principal(), Members(MessageToDict(request.payload))
        file = await self._reached(request.file_id, context)
        undo = await self._commands.undo(principal, file, dry_run=bool(members.flag("DryRun")))
        return commanded(file, undo)

    async def CancelFile(self, request: appfile_pb2.FileCommandRequest, context: Context) -> Struct:
        file = await self._reached(request.file_id, context)
        return commanded(file, await self._commands.cancel(current_principal(), file))

    async def _reached(self, file_id: str, context: Context) -> RecordFile:
        """The file, where it is in the workspace that the headers name; they may name none."""
        principal = current_principal()
        file = await self._imports.file(principal, file_id)
        wanted = str(file.workspace_id), file.bucket_id
        found = await chosen(self._workspaces.find, principal, context.invocation_metadata(), *wanted)
        if found.workspace_id != file.workspace_id:
            raise file_not_found()
        return file


def commanded(file: RecordFile, imported: Snapshot) -> Struct:
    """What is done to a file, by the import that does it or that it is done to."""
    data = file_data(
        shown(file),
        imported.action_id or file.action_id,
        ImportId=str(imported.import_id),
        DryRun=imported.options.dry_run,
    )
    return ParseDict(reply(data), Struct())


def record_trigger(body: ImportBody, workspace: str, request_id: str) -> RecordTrigger:
    return RecordTrigger(
        file_id=body.file_id,
        file_type=CC5,
        workspace=workspace,
        request_id=request_id,
        action_id=body.action_id,
        description=body.description,
        options=options(body.choices),
    )


def options(said: Choices) -> Options:
    """With the importer's defaults where nothing is said."""
    found = Changes(
        dry_run=said.dry_run,
        force=said.force,
        on_error=OnError(said.on_error) if said.on_error else None,
        max_errors=said.max_errors,
        max_error_percent=said.max_error_percent,
        expected_records=said.expected_records,
        expected_sha256=sha256_of(said.sha256),
    ).over(Options())
    policy = msgspec.structs.replace(
        found.policy,
        empty=EmptyValues.KEEP if said.keeps_empty else EmptyValues.CLEAR,
        require_footer=said.requires_footer is not False,
    )
    return msgspec.structs.replace(found, policy=policy)


def shown(file: RecordFile) -> ShownFile:
    return ShownFile(
        key=file.key,
        file_name=file.file_name,
        workspace_id=str(file.workspace_id),
        bucket_id=file.bucket_id,
        entity_type=file.entity_type,
        folder=file.folder,
        category=file.category,
        tags=file.tags,
        metadata=file.metadata,
    )
