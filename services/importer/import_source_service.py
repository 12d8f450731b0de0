"""The native ImportSourceService."""

from __future__ import annotations

from typing import Any

import grpc
import msgspec
from google.protobuf.json_format import MessageToDict

from dialects.assets.import_sources import status_of
from dialects.assets.members import whole_numbers
from dialects.assets.previews import preview_json
from hythe.importer.v1 import import_sources_pb2 as pb
from hythe.importer.v1.import_sources_pb2_grpc import ImportSourceServiceServicer
from runtime.auth import current_principal
from runtime.errors import InvalidArgument
from runtime.timestamps import timestamp
from services.importer.assets.import_sources import ImportSources, SourceValues, Wanted
from services.importer.assets.mappings import Mappings
from services.importer.assets.object_schemas import ObjectSchemas
from services.importer.assets.object_types import ObjectSchema
from services.importer.assets.places import Place
from services.importer.assets.sources import ImportSource
from services.importer.assets.tokens import Tokens
from services.importer.dialects.answers import struct

Context = grpc.aio.ServicerContext[Any, Any]
Request = (
    pb.GetImportSourceRequest
    | pb.UpdateImportSourceRequest
    | pb.DeleteImportSourceRequest
    | pb.GetMappingRequest
    | pb.PutMappingRequest
    | pb.PreviewMappingRequest
)

EMPTY_PREFIX, UNKNOWN_PREFIX = "EMPTY_HANDLING_", "UNKNOWN_HANDLING_"


class ImportSourceService(ImportSourceServiceServicer):
    """Converts, calls, converts back."""

    def __init__(self, schemas: ObjectSchemas, sources: ImportSources, mappings: Mappings, tokens: Tokens) -> None:
        self._schemas = schemas
        self._sources = sources
        self._mappings = mappings
        self._tokens = tokens

    async def ListObjectSchemas(
        self, request: pb.ListObjectSchemasRequest, context: Context
    ) -> pb.ListObjectSchemasResponse:
        found = await self._schemas.list(current_principal(), request.workspace)
        return pb.ListObjectSchemasResponse(object_schemas=map(schema_message, found))

    async def CreateObjectSchema(
        self, request: pb.CreateObjectSchemaRequest, context: Context
    ) -> pb.CreateObjectSchemaResponse:
        made = await self._schemas.create(
            current_principal(), request.workspace, request.name, request.key, request.description
        )
        return pb.CreateObjectSchemaResponse(object_schema=schema_message(made))

    async def ListImportSources(
        self, request: pb.ListImportSourcesRequest, context: Context
    ) -> pb.ListImportSourcesResponse:
        schema = request.object_schema_id or None
        found = await self._sources.list(current_principal(), request.workspace, schema)
        return pb.ListImportSourcesResponse(import_sources=map(source_message, found))

    async def GetImportSource(self, request: pb.GetImportSourceRequest, context: Context) -> pb.GetImportSourceResponse:
        found = await self._sources.get(current_principal(), place_of(request))
        return pb.GetImportSourceResponse(import_source=source_message(found))

    async def CreateImportSource(
        self, request: pb.CreateImportSourceRequest, context: Context
    ) -> pb.CreateImportSourceResponse:
        said = request.import_source
        wanted = Wanted(said.type, said.object_schema_id, new_values(said))
        made = await self._sources.create(current_principal(), request.workspace, wanted)
        return pb.CreateImportSourceResponse(import_source=source_message(made))

    async def UpdateImportSource(
        self, request: pb.UpdateImportSourceRequest, context: Context
    ) -> pb.UpdateImportSourceResponse:
        changed = await self._sources.update(current_principal(), place_of(request), changed_values(request))
        return pb.UpdateImportSourceResponse(import_source=source_message(changed))

    async def DeleteImportSource(
        self, request: pb.DeleteImportSourceRequest, context: Context
    ) -> pb.DeleteImportSourceResponse:
        await self._tokens.delete_source(current_principal(), place_of(request))
        return pb.DeleteImportSourceResponse()

    async def GetMapping(self, request: pb.GetMappingRequest, context: Context) -> pb.GetMappingResponse:
        document = await self._mappings.document(current_principal(), place_of(request))
        return pb.GetMappingResponse(document=struct(document))

    async def PutMapping(self, request: pb.PutMappingRequest, context: Context) -> pb.PutMappingResponse:
        document = whole_numbers(MessageToDict(request.document))
        change = self._mappings.patch if request.merge else self._mappings.put
        await change(current_principal(), place_of(request), document)
        return pb.PutMappingResponse()

    async def PreviewMapping(self, request: pb.PreviewMappingRequest, context: Context) -> pb.PreviewMappingResponse:
        plan, preview = await self._mappings.preview(
            current_principal(), place_of(request), request.sample, request.limit
        )
        return pb.PreviewMappingResponse(preview=struct(preview_json(msgspec.to_builtins(plan), preview)))


def place_of(request: Request) -> Place:
    return Place(request.workspace, request.import_source_id)


def new_values(said: pb.ImportSource) -> SourceValues:
    """Of a source that is made. What is empty is as usual."""
    return SourceValues(
        name=said.name,
        description=said.description,
        is_enabled=not said.disabled,
        settings=whole_numbers(MessageToDict(said.settings)),
        file_key=said.file_key or None,
        concatenator=said.concatenator or None,
        empty_values=empty_word(said.empty_values),
        unknown_values=unknown_word(said.unknown_values),
        date_format=said.date_format or None,
        date_time_format=said.date_time_format or None,
    )


def changed_values(request: pb.UpdateImportSourceRequest) -> SourceValues:
    """Only what is set."""
    texts = {
        name: getattr(request, name)
        for name in ("name", "description", "file_key", "concatenator", "date_format", "date_time_format")
        if request.HasField(name)
    }
    return SourceValues(
        is_enabled=not request.disabled if request.HasField("disabled") else None,
        settings=whole_numbers(MessageToDict(request.settings)) if request.HasField("settings") else None,
        empty_values=empty_word(request.empty_values),
        unknown_values=unknown_word(request.unknown_values),
        **texts,
    )


def empty_word(value: pb.EmptyHandling.ValueType) -> str | None:
    """None: it is not said."""
    if value not in pb.EmptyHandling.values():
        raise InvalidArgument("INVALID_VALUE", "There is no such handling of empty values.", field="empty_values")
    return None if value == 0 else pb.EmptyHandling.Name(value).removeprefix(EMPTY_PREFIX)


def unknown_word(value: pb.UnknownHandling.ValueType) -> str | None:
    """None: it is not said."""
    if value not in pb.UnknownHandling.values():
        raise InvalidArgument("INVALID_VALUE", "There is no such handling of unknown values.", field="unknown_values")
    return None if value == 0 else pb.UnknownHandling.Name(value).removeprefix(UNKNOWN_PREFIX)


def schema_message(schema: ObjectSchema) -> pb.ObjectSchema:
    return pb.ObjectSchema(
        object_schema_id=schema.object_schema_id,
        workspace_id=str(schema.workspace_id),
        name=schema.name,
        key=schema.key,
        description=schema.description,
    )


def source_message(source: ImportSource) -> pb.ImportSource:
    return pb.ImportSource(
        import_source_id=str(source.import_source_id),
        workspace_id=str(source.workspace_id),
        object_schema_id=source.object_schema_id,
        name=source.name,
        description=source.description,
        type=source.type,
        disabled=not source.is_enabled,
        settings=struct(source.settings),
        has_secret=source.has_secret,
        file_key=source.file_key or "",
        concatenator=source.concatenator,
        empty_values=pb.EmptyHandling.Value(f"{EMPTY_PREFIX}{source.empty_values}"),
        unknown_values=pb.UnknownHandling.Value(f"{UNKNOWN_PREFIX}{source.unknown_values}"),
        date_format=source.date_format,
        date_time_format=source.date_time_format,
        has_mapping=source.has_mapping,
        status=status_of(source),
        running_import_id=str(source.running.import_id) if source.running else "",
        create_time=timestamp(source.created_at),
        update_time=timestamp(source.updated_at),
    )
