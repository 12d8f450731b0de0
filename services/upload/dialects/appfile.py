"""The AppFile API's routes that bring a file: the signed URL, and records that come with the request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct

from dialects.appfile.bodies import CC5, Batch, PathBody, batch_body, path_body
from dialects.appfile.choices import Choices
from dialects.appfile.envelope import reply
from dialects.appfile.files import ShownFile, file_data
from dialects.appfile.headers import idempotency_key
from dialects.appfile.workspaces import chosen
from hythe.dialects.appfile.v1 import appfile_pb2
from hythe.dialects.appfile.v1.appfile_pb2_grpc import AppFileUploadServicer
from runtime.auth import current_principal
from services.upload.batches import Batches, BatchOptions, read_whole
from services.upload.model import Description, RecordFile
from services.upload.record_files import RecordFiles, Workspaces

Context = grpc.aio.ServicerContext[Any, Any]

BATCH_NAME = "batch"
LONGEST_STEM = 100


class AppFileUpload(AppFileUploadServicer):
    """Converts, calls, converts back."""

    def __init__(self, files: RecordFiles, batches: Batches, workspaces: Workspaces) -> None:
        self._files = files
        self._batches = batches
        self._workspaces = workspaces

    async def CreateFilePath(self, request: appfile_pb2.FilePathRequest, context: Context) -> Struct:
        principal, body = current_principal(), path_body(MessageToDict(request.payload))
        workspace = await chosen(
            self._workspaces.find, principal, context.invocation_metadata(), body.workspace, body.bucket_id
        )
        slot = await self._files.create(
            principal, workspace, body.file_name, description(body), body.size_bytes, body.sha256
        )
        return answer(slot.file, slot.url)

    async def ImportData(
        self, request_iterator: AsyncIterable[appfile_pb2.ImportDataChunk], context: Context
    ) -> Struct:
        principal = current_principal()
        content = await read_whole(contents(request_iterator))
        batch = await asyncio.to_thread(batch_body, content)
        workspace = await chosen(
            self._workspaces.find, principal, context.invocation_metadata(), batch.workspace, batch.bucket_id
        )
        file = await self._batches.start(
            principal,
            workspace,
            batch_name(batch),
            batch_description(batch),
            content,
            file_type=CC5,
            options=batch_options(batch.choices),
            request_id=idempotency_key(context.invocation_metadata()),
        )
        return answer(file)


async def contents(chunks: AsyncIterable[appfile_pb2.ImportDataChunk]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield chunk.content.data


def answer(file: RecordFile, url: str = "") -> Struct:
    return ParseDict(reply(file_data(shown(file), file.description.action_id, url)), Struct())


def shown(file: RecordFile) -> ShownFile:
    said = file.description
    return ShownFile(
        key=file.key,
        file_name=file.file_name,
        workspace_id=str(file.workspace_id),
        bucket_id=file.bucket_id,
        entity_type=said.entity_type,
        folder=said.folder,
        category=said.category,
        tags=said.tags,
        metadata=said.metadata,
    )


def description(body: PathBody) -> Description:
    return Description(
        action_id=body.action_id,
        entity_type=body.entity_type,
        folder=body.folder,
        category=body.category,
        tags=body.tags,
        metadata=body.metadata,
        description=body.description,
    )


def batch_description(batch: Batch) -> Description:
    return Description(action_id=batch.action_id, entity_type=batch.entity_type, description=batch.description)


def batch_name(batch: Batch) -> str:
    """After the reference, which may be any text: the name is for people, and the whole reference is in the file."""
    stem = batch.reference_id.replace("\0", "").strip()[:LONGEST_STEM].strip()
    return f"{stem or BATCH_NAME}.json"


def batch_options(said: Choices) -> BatchOptions:
    """With the importer's defaults where nothing is said."""
    return BatchOptions(
        dry_run=bool(said.dry_run),
        force=bool(said.force),
        on_error=said.on_error or "continue",
        max_errors=said.max_errors,
        max_error_percent=said.max_error_percent,
        expected_records=said.expected_records,
        sha256=said.sha256,
        keeps_empty=bool(said.keeps_empty),
        requires_footer=said.requires_footer is not False,
    )
