"""The Assets API's calls about import sources: their configuration, mapping and container token."""

from __future__ import annotations

from collections.abc import AsyncIterable
from dataclasses import dataclass
from typing import Any

import grpc
import msgspec
from google.protobuf.struct_pb2 import ListValue, Struct, Value

from dialects.assets.import_sources import (
    SourceBody,
    change_json,
    config_status_json,
    source_body,
    source_json,
    token_json,
)
from dialects.assets.links import Links
from dialects.assets.mapping_documents import schema_and_mapping
from dialects.assets.members import number_of, whole_numbers
from dialects.assets.object_schemas import new_schema_json, schema_body
from dialects.assets.previews import preview_json
from hythe.dialects.assets.v1 import assets_pb2
from runtime.auth import current_principal
from services.importer.assets.import_sources import ImportSources, SourceValues, Wanted
from services.importer.assets.mappings import MOST_SAMPLE_BYTES, Changed, Mappings, sample_too_large
from services.importer.assets.object_schemas import ObjectSchemas
from services.importer.assets.places import Place
from services.importer.assets.sources import ImportSource
from services.importer.assets.tokens import Tokens
from services.importer.dialects.answers import NO_CONTENT, struct
from services.importer.dialects.assets_requests import payload_of, place_of

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class SourceUseCases:
    """What the calls are answered by."""

    schemas: ObjectSchemas
    sources: ImportSources
    mappings: Mappings
    tokens: Tokens


class AssetsSources:
    """Converts, calls, converts back. A part of `AssetsImporter`."""

    def __init__(self, do: SourceUseCases, links: Links) -> None:
        self._do = do
        self._source_links = links

    async def CreateObjectSchema(self, request: assets_pb2.WorkspaceBodyRequest, context: Context) -> Struct:
        body = schema_body(payload_of(request))
        made = await self._do.schemas.create(
            current_principal(), request.workspace_id, body.name, body.key, body.description
        )
        return struct(new_schema_json(made))

    async def ListImportSources(self, request: assets_pb2.WorkspaceRequest, context: Context) -> ListValue:
        return listed(await self._do.sources.list(current_principal(), request.workspace_id))

    async def ListImportSourcesOfSchema(self, request: assets_pb2.SchemaSourcesRequest, context: Context) -> ListValue:
        schema = number_of("objectSchemaId", request.object_schema_id)
        return listed(await self._do.sources.list(current_principal(), request.workspace_id, schema))

    async def CreateImportSource(self, request: assets_pb2.WorkspaceBodyRequest, context: Context) -> Struct:
        body = source_body(payload_of(request))
        wanted = Wanted(body.type, body.object_schema_id, values_of(body))
        return shown(await self._do.sources.create(current_principal(), request.workspace_id, wanted))

    async def GetImportSource(self, request: assets_pb2.SourceRequest, context: Context) -> Struct:
        return shown(await self._do.sources.get(current_principal(), place_of(request)))

    async def UpdateImportSource(self, request: assets_pb2.SourceRequest, context: Context) -> Struct:
        body = source_body(payload_of(request))
        fixed = body.type, body.object_schema_id
        return shown(await self._do.sources.update(current_principal(), place_of(request), values_of(body), fixed))

    async def DeleteImportSource(self, request: assets_pb2.SourceRequest, context: Context) -> Struct:
        await self._do.tokens.delete_source(current_principal(), place_of(request))
        await context.send_initial_metadata(NO_CONTENT)
        return Struct()

    async def PutMapping(self, request: assets_pb2.MappingRequest, context: Context) -> Struct:
        payload = whole_numbers(payload_of(request))
        changed = await self._do.mappings.put(
            current_principal(), place_of(request), payload, is_noted=getattr(request, "async")
        )
        await context.send_initial_metadata(self._answer_to(changed))
        return Struct()

    async def PatchMapping(self, request: assets_pb2.MappingRequest, context: Context) -> Struct:
        payload = whole_numbers(payload_of(request))
        changed = await self._do.mappings.patch(
            current_principal(), place_of(request), payload, is_noted=getattr(request, "async")
        )
        await context.send_initial_metadata(self._answer_to(changed))
        return Struct()

    async def GetMapping(self, request: assets_pb2.SourceRequest, context: Context) -> Struct:
        document = await self._do.mappings.document(current_principal(), place_of(request))
        return struct(document["mapping"])

    async def GetSchemaAndMapping(self, request: assets_pb2.SourceRequest, context: Context) -> Struct:
        document = await self._do.mappings.document(current_principal(), place_of(request))
        return struct(schema_and_mapping(document))

    async def GetMappingProgress(self, request: assets_pb2.MappingProgressRequest, context: Context) -> Struct:
        found = await self._do.mappings.change(current_principal(), place_of(request), request.resource_id)
        return struct(change_json(found.result, found.message))

    async def PreviewMapping(
        self, request_iterator: AsyncIterable[assets_pb2.PreviewChunk], context: Context
    ) -> Struct:
        place, limit, sample = Place("", ""), 0, bytearray()
        async for chunk in request_iterator:
            if not sample and not place.import_source_id:
                place, limit = Place(chunk.workspace_id, chunk.import_source_id), chunk.limit
            sample += chunk.content.data
            if len(sample) > MOST_SAMPLE_BYTES:
                raise sample_too_large()
        plan, preview = await self._do.mappings.preview(current_principal(), place, bytes(sample), limit)
        return struct(preview_json(msgspec.to_builtins(plan), preview))

    async def GetConfigStatus(self, request: assets_pb2.SourceRequest, context: Context) -> Struct:
        found = await self._do.sources.get(current_principal(), place_of(request))
        return struct(config_status_json(found, self._source_links))

    async def GetToken(self, request: assets_pb2.SourceRequest, context: Context) -> Struct:
        found = await self._do.tokens.get(current_principal(), place_of(request))
        return struct(token_json(found.text, found.created_at, found.used_at))

    async def CreateToken(self, request: assets_pb2.SourceRequest, context: Context) -> Struct:
        made = await self._do.tokens.create(current_principal(), place_of(request))
        return struct(token_json(made.text, made.created_at, made.used_at))

    def _answer_to(self, changed: Changed) -> tuple[tuple[str, str], ...]:
        """Of whoever does not want to wait: where they can ask how it ended. It has ended; that is how they ask."""
        if changed.resource_id is None:
            return NO_CONTENT
        source = changed.source
        progress = self._source_links.mapping_progress(
            source.workspace_id, source.import_source_id, changed.resource_id
        )
        return (("x-http-status", "303"), ("location", progress))


def values_of(body: SourceBody) -> SourceValues:
    return SourceValues(
        name=body.name,
        description=body.description,
        is_enabled=body.is_enabled,
        settings=body.settings,
        file_key=body.file_key,
        concatenator=body.concatenator,
        empty_values=body.empty_values,
        unknown_values=body.unknown_values,
        date_format=body.date_format,
        date_time_format=body.date_time_format,
    )


def listed(sources: list[ImportSource]) -> ListValue:
    return ListValue(values=[Value(struct_value=shown(each)) for each in sources])


def shown(source: ImportSource) -> Struct:
    return struct(source_json(source))
