"""The native UploadService."""

from __future__ import annotations

from typing import Any

import grpc

from hythe.upload.v1 import upload_pb2
from hythe.upload.v1.upload_pb2_grpc import UploadServiceServicer
from runtime.auth import current_principal
from services.upload.messages import description_of, part_message, upload_message
from services.upload.part_uploads import PartUploads
from services.upload.record_files import RecordFiles, Workspaces
from services.upload.uploads import Uploads

Context = grpc.aio.ServicerContext[Any, Any]


class UploadService(UploadServiceServicer):
    """Converts, calls, converts back."""

    def __init__(
        self, uploads: Uploads, part_uploads: PartUploads, record_files: RecordFiles, workspaces: Workspaces
    ) -> None:
        self._uploads = uploads
        self._part_uploads = part_uploads
        self._record_files = record_files
        self._workspaces = workspaces

    async def CreateUpload(
        self, request: upload_pb2.CreateUploadRequest, context: Context
    ) -> upload_pb2.CreateUploadResponse:
        if request.HasField("record_file"):
            return await self._create_record_file(request)
        upload, url = await self._uploads.create(
            current_principal(), request.file_name, request.size_bytes, request.sha256
        )
        return upload_pb2.CreateUploadResponse(upload=upload_message(upload), url=url)

    async def _create_record_file(self, request: upload_pb2.CreateUploadRequest) -> upload_pb2.CreateUploadResponse:
        principal, said = current_principal(), request.record_file
        workspace = await self._workspaces.find(principal, said.workspace, said.bucket_id)
        slot = await self._record_files.create(
            principal, workspace, request.file_name, description_of(said), request.size_bytes, request.sha256
        )
        return upload_pb2.CreateUploadResponse(upload=upload_message(slot.upload, slot.file), url=slot.url)

    async def CreateMultipartUpload(
        self, request: upload_pb2.CreateMultipartUploadRequest, context: Context
    ) -> upload_pb2.CreateMultipartUploadResponse:
        upload = await self._part_uploads.create(
            current_principal(), request.file_name, request.size_bytes, request.sha256, request.part_size_bytes
        )
        return upload_pb2.CreateMultipartUploadResponse(upload=upload_message(upload))

    async def ListParts(self, request: upload_pb2.ListPartsRequest, context: Context) -> upload_pb2.ListPartsResponse:
        parts, following = await self._part_uploads.parts(
            current_principal(), request.key, request.first_part, request.page_size
        )
        return upload_pb2.ListPartsResponse(parts=map(part_message, parts), next_part=following)

    async def CompleteMultipartUpload(
        self, request: upload_pb2.CompleteMultipartUploadRequest, context: Context
    ) -> upload_pb2.CompleteMultipartUploadResponse:
        upload = await self._part_uploads.complete(current_principal(), request.key)
        return upload_pb2.CompleteMultipartUploadResponse(upload=upload_message(upload))

    async def AbortMultipartUpload(
        self, request: upload_pb2.AbortMultipartUploadRequest, context: Context
    ) -> upload_pb2.AbortMultipartUploadResponse:
        await self._part_uploads.abort(current_principal(), request.key)
        return upload_pb2.AbortMultipartUploadResponse()

    async def GetUpload(self, request: upload_pb2.GetUploadRequest, context: Context) -> upload_pb2.GetUploadResponse:
        upload = await self._uploads.get(current_principal(), request.key)
        return upload_pb2.GetUploadResponse(upload=upload_message(upload))
