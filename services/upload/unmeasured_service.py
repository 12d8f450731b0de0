"""The native UnmeasuredUploadService, behind the gateway's route of presigned URLs."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from datetime import UTC, datetime
from typing import Any

import grpc

from hythe.upload.v1 import unmeasured_pb2
from hythe.upload.v1.unmeasured_pb2_grpc import UnmeasuredUploadServiceServicer
from services.upload.unmeasured import UnmeasuredPuts

Context = grpc.aio.ServicerContext[Any, Any]

# The transcoder keeps what the client has asked for here; the gateway takes the header off whoever brings it.
ORIGINAL_PATH = "x-envoy-original-path"


class UnmeasuredUploadService(UnmeasuredUploadServiceServicer):
    """Converts, calls, converts back."""

    def __init__(self, puts: UnmeasuredPuts) -> None:
        self._puts = puts

    async def PutFile(
        self, request_iterator: AsyncIterable[unmeasured_pb2.PutFileRequest], context: Context
    ) -> unmeasured_pb2.PutFileResponse:
        found = await self._puts.receive(original_path(context), contents(request_iterator), datetime.now(UTC))
        await context.send_initial_metadata((("etag", f'"{found.etag}"'),))
        return unmeasured_pb2.PutFileResponse(etag=found.etag)


def original_path(context: Context) -> str:
    pairs = context.invocation_metadata() or ()
    return next((str(value) for key, value in pairs if key == ORIGINAL_PATH), "")


async def contents(chunks: AsyncIterable[unmeasured_pb2.PutFileRequest]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield chunk.content.data
