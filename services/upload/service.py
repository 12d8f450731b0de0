"""The native UploadService."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from hythe.upload.v1 import upload_pb2
from hythe.upload.v1.upload_pb2_grpc import UploadServiceServicer
from runtime.auth import current_principal
from services.upload.model import Upload
from services.upload.uploads import Uploads

Context = grpc.aio.ServicerContext[Any, Any]


class UploadService(UploadServiceServicer):
    """Converts, calls, converts back."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    async def CreateUpload(
        self, request: upload_pb2.CreateUploadRequest, context: Context
    ) -> upload_pb2.CreateUploadResponse:
        upload, url = await self._uploads.create(current_principal(), request.file_name, request.size_bytes)
        return upload_pb2.CreateUploadResponse(upload=upload_message(upload), url=url)

    async def GetUpload(self, request: upload_pb2.GetUploadRequest, context: Context) -> upload_pb2.GetUploadResponse:
        upload = await self._uploads.get(current_principal(), request.key)
        return upload_pb2.GetUploadResponse(upload=upload_message(upload))


def upload_message(upload: Upload) -> upload_pb2.Upload:
    file = upload.file
    create_time, expire_time = Timestamp(), Timestamp()
    create_time.FromDatetime(file.created_at)
    expire_time.FromDatetime(file.expires_at)
    return upload_pb2.Upload(
        key=file.key,
        file_name=file.file_name,
        create_time=create_time,
        expire_time=expire_time,
        uploaded=upload.size_bytes is not None,
        size_bytes=upload.size_bytes or 0,
    )
