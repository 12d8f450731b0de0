"""PlexTrac's upload routes: the presigned URL, and the older ones that take the file itself as multipart."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import grpc
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct

from dialects.plextrac.bodies import idempotency_key, import_options, upload_body
from dialects.plextrac.imports import ERROR, STATUS, error_status, import_started_json
from dialects.plextrac.uploads import multipart_body, parts_json, upload_json
from hythe.dialects.plextrac.v2 import plextrac_pb2
from hythe.dialects.plextrac.v2.plextrac_pb2_grpc import PlextracUploadServicer
from hythe.importer.v1 import importer_pb2
from runtime.auth import current_principal
from runtime.errors import InvalidArgument, NotFound
from services.upload.file_imports import FileImports, Options, Target
from services.upload.model import File
from services.upload.part_uploads import PartUploads
from services.upload.uploads import Uploads

Context = grpc.aio.ServicerContext[Any, Any]

# RFC 9745 and RFC 8594, with the dates that were published: deprecated 2025-06-23, removal announced for 2025-10-08.
DEPRECATION = "@1750636800"
SUNSET = "Wed, 08 Oct 2025 00:00:00 GMT"

M = TypeVar("M", plextrac_pb2.FileChunk, plextrac_pb2.AssetFileChunk, plextrac_pb2.ParserActionsChunk)


class PlextracUpload(PlextracUploadServicer):
    """Converts, calls, converts back."""

    def __init__(self, uploads: Uploads, part_uploads: PartUploads, imports: FileImports[importer_pb2.Import]) -> None:
        self._uploads = uploads
        self._part_uploads = part_uploads
        self._imports = imports

    async def CreatePresignedUrl(
        self, request: plextrac_pb2.CreatePresignedUrlRequest, context: Context
    ) -> plextrac_pb2.PresignedUrl:
        body = upload_body(MessageToDict(request.payload))
        upload, url = await self._uploads.create(current_principal(), body.name, body.size_bytes)
        return plextrac_pb2.PresignedUrl(status="success", key=upload.file.key, url=url)

    async def CreateMultipart(self, request: plextrac_pb2.MultipartUploadRequest, context: Context) -> Struct:
        body = multipart_body(MessageToDict(request.payload))
        upload = await self._part_uploads.create(
            current_principal(), body.name, body.size_bytes, body.sha256, body.part_size_bytes
        )
        return multipart_struct(upload.file, is_uploaded=False)

    async def ListMultipartParts(self, request: plextrac_pb2.MultipartParts, context: Context) -> Struct:
        parts, following = await self._part_uploads.parts(
            current_principal(), request.key, request.first, request.limit
        )
        return struct(parts_json(request.key, parts, following))

    async def CompleteMultipart(self, request: plextrac_pb2.MultipartUploadKey, context: Context) -> Struct:
        upload = await self._part_uploads.complete(current_principal(), request.key)
        return multipart_struct(upload.file, is_uploaded=upload.size_bytes is not None)

    async def AbortMultipart(self, request: plextrac_pb2.MultipartUploadKey, context: Context) -> Struct:
        file = await self._part_uploads.abort(current_principal(), request.key)
        return multipart_struct(file, is_uploaded=False)

    async def ImportFile(self, request_iterator: AsyncIterable[plextrac_pb2.FileChunk], context: Context) -> HttpBody:
        first, chunks = await open_stream(request_iterator)
        imported = await self._start(report_of(first), first.content, chunks, context)
        return finished(await self._imports.wait(imported))

    async def ImportFileAsync(
        self, request_iterator: AsyncIterable[plextrac_pb2.FileChunk], context: Context
    ) -> HttpBody:
        first, chunks = await open_stream(request_iterator)
        target = report_of(first)
        imported = await self._start(target, first.content, chunks, context)
        await context.send_initial_metadata(deprecation_headers(target))
        return json_body(import_started_json(imported))

    async def LearnParserActions(
        self, request_iterator: AsyncIterable[plextrac_pb2.ParserActionsChunk], context: Context
    ) -> HttpBody:
        first, chunks = await open_stream(request_iterator)
        principal = current_principal()
        if first.tenant_id != principal.tenant_id:
            raise NotFound("TENANT_NOT_FOUND", f"There is no tenant {first.tenant_id}.", tenant_id=str(first.tenant_id))
        queued = await self._imports.learn(
            principal,
            first.source,
            first.content.content_type,
            chunks,
            request_id=idempotency_key(context.invocation_metadata()),
        )
        return learned(await self._imports.wait(queued))

    async def ImportAssets(
        self, request_iterator: AsyncIterable[plextrac_pb2.AssetFileChunk], context: Context
    ) -> HttpBody:
        first, chunks = await open_stream(request_iterator)
        imported = await self._start(Target(first.client_id, None, first.source), first.content, chunks, context)
        return json_body(import_started_json(imported))

    async def _start(
        self, target: Target, head: HttpBody, chunks: AsyncIterator[bytes], context: Context
    ) -> importer_pb2.Import:
        return await self._imports.start(
            current_principal(),
            target,
            head.content_type,
            chunks,
            read_options=form_options,
            request_id=idempotency_key(context.invocation_metadata()),
        )


async def open_stream(messages: AsyncIterable[M]) -> tuple[M, AsyncIterator[bytes]]:
    """The first message, and the bytes of the body from its beginning."""
    stream = aiter(messages)
    first = await anext(stream, None)
    if first is None:
        raise InvalidArgument("FILE_MISSING", "The request has no body.")
    return first, _contents(first, stream)


async def _contents(first: M, rest: AsyncIterator[M]) -> AsyncIterator[bytes]:
    yield first.content.data
    async for message in rest:
        yield message.content.data


def report_of(first: plextrac_pb2.FileChunk) -> Target:
    return Target(first.client_id, first.report_id, first.source)


def form_options(fields: Mapping[str, str]) -> Options:
    options = import_options(fields)
    return Options(options.tags.assets, options.tags.findings, options.use_parser_actions)


def finished(imported: importer_pb2.Import) -> HttpBody:
    """The oldest route tells by its status whether the import went well. One that still runs has been accepted."""
    refuse_failed(imported)
    return json_body({"message": "success", **import_started_json(imported)})


def learned(imported: importer_pb2.Import) -> HttpBody:
    """As `finished`, with what there is to tell of parser actions."""
    refuse_failed(imported)
    counters = imported.counters
    counts = {"learned": counters.learned, "findings": counters.processed_findings}
    return json_body({"message": "success", **import_started_json(imported), **counts})


def refuse_failed(imported: importer_pb2.Import) -> None:
    if STATUS[imported.state] == ERROR:
        raise InvalidArgument("IMPORT_FAILED", error_status(imported) or "", import_id=imported.import_id)


def multipart_struct(file: File, *, is_uploaded: bool) -> Struct:
    plan = file.plan
    return struct(
        upload_json(
            file.key,
            size_bytes=file.declared_size,
            part_size=plan.part_size if plan else 0,
            part_count=plan.count if plan else 0,
            is_uploaded=is_uploaded,
        )
    )


def struct(members: dict[str, Any]) -> Struct:
    return ParseDict(members, Struct())


def deprecation_headers(target: Target) -> tuple[tuple[str, str], ...]:
    successor = f"/api/v2/client/{target.client_id}/report/{target.report_id}/preuploaded-import/{quote(target.source)}"
    return (
        ("deprecation", DEPRECATION),
        ("sunset", SUNSET),
        ("link", f'<{successor}>; rel="successor-version"'),
    )


def json_body(members: dict[str, Any]) -> HttpBody:
    return HttpBody(content_type="application/json", data=json.dumps(members).encode())
