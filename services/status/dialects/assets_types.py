"""The Assets API's calls that read object schemas, object types and attributes, and the JSON Schemas of mappings."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeVar

import grpc
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.struct_pb2 import Struct

from dialects.assets.execution_status import page_json
from dialects.assets.links import Links
from dialects.assets.mapping_schemas import VERSIONS, mapping_schema
from dialects.assets.object_types import Place, attribute_json, icon_json, object_schema_json, object_type_json
from dialects.assets.pictures import PNG, blank_icon
from hythe.dialects.assets.v1 import assets_pb2
from runtime.auth import current_principal
from runtime.errors import NotFound
from services.status.asset_places import window
from services.status.dialects.answers import JSON, stream_json, struct
from services.status.json_stream import encode, write_array
from services.status.model import Row
from services.status.object_types import ObjectTypes, in_tree
from services.status.store.type_catalog import TypeCatalog

Context = grpc.aio.ServicerContext[Any, Any]
T = TypeVar("T")
# As many are made into JSON at once.
BATCH = 50


class AssetsTypes:
    """Converts, calls, converts back. A part of `AssetsStatus`."""

    def __init__(self, types: ObjectTypes, links: Links) -> None:
        self._types = types
        self._type_links = links

    async def ListObjectSchemas(self, request: assets_pb2.ObjectSchemasRequest, context: Context) -> Struct:
        start, size = window(request.start_at, request.max_results)
        with_counts = not request.HasField("include_counts") or request.include_counts
        total, found = await self._types.list_schemas(
            current_principal(), request.workspace_id, query=request.query, offset=start, limit=size,
            with_counts=with_counts,
        )  # fmt: skip
        page = page_json([self._schema(each) for each in found], total, start, size)
        return struct(page, limited_by="maxResults")

    async def GetObjectSchema(self, request: assets_pb2.ObjectSchemaRequest, context: Context) -> Struct:
        return struct(self._schema(await self._types.get_schema(current_principal(), request.workspace_id, request.id)))

    async def ListObjectTypes(
        self, request: assets_pb2.ObjectTypesRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        async for body in self._listed_types(request, in_tree):
            yield body

    async def ListObjectTypesFlat(
        self, request: assets_pb2.ObjectTypesRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        async for body in self._listed_types(request, list):
            yield body

    async def ListSchemaAttributes(
        self, request: assets_pb2.ObjectSchemaRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        catalog = await self._types.list_schema_attributes(current_principal(), request.workspace_id, request.id)
        async for body in self._listed_attributes(catalog):
            yield body

    async def GetObjectType(self, request: assets_pb2.ObjectTypeRequest, context: Context) -> Struct:
        type_, count = await self._types.get_type(current_principal(), request.workspace_id, request.id)
        return struct(object_type_json(type_, self._place(type_), count))

    async def ListObjectTypeAttributes(
        self, request: assets_pb2.ObjectTypeRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        _, catalog = await self._types.list_type_attributes(current_principal(), request.workspace_id, request.id)
        async for body in self._listed_attributes(catalog):
            yield body

    async def GetIcon(self, request: assets_pb2.IconRequest, context: Context) -> Struct:
        type_, _ = await self._types.get_icon(current_principal(), request.workspace_id, request.id)
        return struct(icon_json(type_, self._place(type_)))

    async def GetIconImage(self, request: assets_pb2.IconRequest, context: Context) -> HttpBody:
        _, image = await self._types.get_icon(current_principal(), request.workspace_id, request.id)
        return HttpBody(content_type=PNG, data=image or blank_icon())

    async def GetMappingSchema(self, request: assets_pb2.MappingSchemaRequest, context: Context) -> HttpBody:
        version = next((each for each in VERSIONS if each == request.version), None)
        if version is None:
            raise NotFound("MAPPING_SCHEMA_NOT_FOUND", f"The versions are {' and '.join(VERSIONS)}.")
        return HttpBody(content_type=JSON, data=encode(mapping_schema(version, self._type_links.public_url)))

    async def _listed_types(
        self, request: assets_pb2.ObjectTypesRequest, ordered: Callable[[Sequence[Row]], list[Row]]
    ) -> AsyncIterator[HttpBody]:
        with_counts = not request.HasField("include_object_counts") or request.include_object_counts
        types, counts = await self._types.list_types(
            current_principal(), request.workspace_id, request.id, with_counts=with_counts
        )
        wanted = [each for each in ordered(types) if _is_wanted(each, request)]

        def shape(type_: Row) -> dict[str, Any]:
            return object_type_json(type_, self._place(type_), counts.get(type_["object_type_id"], 0))

        async for body in stream_json(write_array(batches(wanted), shape)):
            yield body

    async def _listed_attributes(self, catalog: TypeCatalog) -> AsyncIterator[HttpBody]:
        types: Mapping[int, Row] = catalog.types

        def shape(attribute: Row) -> dict[str, Any]:
            return attribute_json(attribute, types, self._place(types[attribute["object_type_id"]]))

        attributes = [each for group in catalog.attributes.values() for each in group]
        async for body in stream_json(write_array(batches(attributes), shape)):
            yield body

    def _schema(self, schema: Row) -> dict[str, Any]:
        return object_schema_json(schema, self._place(schema))

    def _place(self, row: Row) -> Place:
        return Place(row["workspace_id"], self._type_links)


async def batches(items: Sequence[T]) -> AsyncGenerator[Sequence[T], None]:
    """A list as `write_array` takes it."""
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


def _is_wanted(type_: Row, request: assets_pb2.ObjectTypesRequest) -> bool:
    if request.exclude_abstract and type_["is_abstract"]:
        return False
    name: str = type_["name"]
    return request.query.casefold() in name.casefold()
