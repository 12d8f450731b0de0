"""The Assets API's calls that read objects."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import grpc
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.struct_pb2 import ListValue, Struct

from dialects.assets.links import Links
from dialects.assets.object_history import change_json, creation_json, references_json
from dialects.assets.object_queries import navigation, object_query, query_of
from dialects.assets.object_types import Place
from dialects.assets.objects import Shown, attributes_json, navigation_head, object_json, page_head, targets_in
from hythe.dialects.assets.v1 import assets_pb2
from runtime.auth import current_principal
from services.status.asset_places import window
from services.status.dialects.answers import list_value, payload_of, stream_json, struct
from services.status.json_stream import encode
from services.status.model import Row
from services.status.objects import FoundObject, Objects, OpenHistory, OpenPage
from services.status.store.aql import Page
from services.status.store.type_catalog import TypeCatalog

Context = grpc.aio.ServicerContext[Any, Any]
# Of changes in a history; each may bring two documents.
USUAL_CHANGES, MOST_CHANGES = 50, 100


class AssetsObjects:
    """Converts, calls, converts back. A part of `AssetsStatus`."""

    def __init__(self, objects: Objects, links: Links) -> None:
        self._objects = objects
        self._object_links = links

    async def GetObject(self, request: assets_pb2.ObjectRequest, context: Context) -> AsyncIterator[HttpBody]:
        found = await self._objects.get(current_principal(), request.workspace_id, request.id, targets)
        shown = self._shown(found.workspace_id, found.catalog)
        document = {**object_json(found.row, shown), "attributes": all_attributes(found, shown)}
        async for body in stream_json(whole(document)):
            yield body

    async def ListObjectAttributes(
        self, request: assets_pb2.ObjectRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        found = await self._objects.get(current_principal(), request.workspace_id, request.id, targets)
        shown = self._shown(found.workspace_id, found.catalog)
        async for body in stream_json(whole(all_attributes(found, shown))):
            yield body

    async def ListObjectHistory(
        self, request: assets_pb2.ObjectHistoryRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        start, size = window(request.start_at, request.max_results, USUAL_CHANGES, MOST_CHANGES)
        opening = self._objects.history(
            current_principal(), request.workspace_id, request.id, is_ascending=request.asc, offset=start, limit=size
        )
        async with opening as opened:
            shown = self._shown(opened.workspace_id, opened.catalog)
            async for body in stream_json(write_history(opened, shown)):
                yield body

    async def ListObjectReferences(self, request: assets_pb2.ObjectRequest, context: Context) -> ListValue:
        workspace_id, row, catalog, counts = await self._objects.count_references(
            current_principal(), request.workspace_id, request.id
        )
        return list_value(references_json(counts, row, self._shown(workspace_id, catalog)))

    async def QueryObjects(self, request: assets_pb2.QueryRequest, context: Context) -> AsyncIterator[HttpBody]:
        with_attributes = request.include_attributes if request.HasField("include_attributes") else None
        asked = object_query(
            payload_of(request.payload),
            start=request.start_at,
            size=request.max_results,
            with_attributes=with_attributes,
        )
        page = Page(asked.start, asked.size)
        references = targets if asked.with_attributes else None
        opening = self._objects.queried(
            current_principal(), request.workspace_id, asked.query, page, datetime.now(UTC), references
        )
        async with opening as opened:
            shown = self._shown(opened.workspace_id, opened.catalog)
            async for body in stream_json(write_page(opened, shown, page, with_attributes=asked.with_attributes)):
                yield body

    async def NavigateObjects(self, request: assets_pb2.NavigationRequest, context: Context) -> AsyncIterator[HttpBody]:
        asked = navigation(navigation_members(request))
        page = Page(asked.asked.start, asked.asked.size)
        references = targets if asked.asked.with_attributes else None
        opening = self._objects.queried(
            current_principal(), request.workspace_id, asked.asked.query, page, datetime.now(UTC), references
        )
        async with opening as opened:
            shown = self._shown(opened.workspace_id, opened.catalog)
            type_ids = opened.type_ids if asked.with_definitions else []
            found = page_head(shown, type_ids, page.offset, page.limit, opened.size, opened.total)
            head = navigation_head(found, asked.text, asked.page)
            entries = write_objects(head, "objectEntries", opened, shown, with_attributes=asked.asked.with_attributes)
            async for body in stream_json(entries):
                yield body

    async def CountObjects(self, request: assets_pb2.QueryRequest, context: Context) -> Struct:
        query = query_of(payload_of(request.payload))
        found = await self._objects.count(current_principal(), request.workspace_id, query, datetime.now(UTC))
        return struct({"totalCount": found})

    def _shown(self, workspace_id: UUID, catalog: TypeCatalog) -> Shown:
        return Shown(Place(workspace_id, self._object_links), catalog.types, catalog.attributes)


def targets(rows: Sequence[Row], catalog: TypeCatalog) -> list[int]:
    return targets_in(rows, catalog.attributes)


def all_attributes(found: FoundObject, shown: Shown) -> list[dict[str, Any]]:
    """With the definitions of the attributes."""
    return attributes_json(found.row, shown, found.targets, with_definitions=True)


async def whole(document: Any) -> AsyncGenerator[bytes, None]:
    """A document that is there."""
    yield encode(document)


def navigation_members(request: assets_pb2.NavigationRequest) -> dict[str, Any]:
    """What the body says goes before what stands behind the path."""
    members: dict[str, Any] = {"qlQuery": request.ql_query, "iql": request.iql}
    members |= {"page": request.page, "resultPerPage": request.result_per_page}
    if request.HasField("include_attributes"):
        members["includeAttributes"] = request.include_attributes
    if request.HasField("include_type_attributes"):
        members["includeTypeAttributes"] = request.include_type_attributes
    return members | payload_of(request.payload)


async def write_page(
    opened: OpenPage, shown: Shown, page: Page, *, with_attributes: bool
) -> AsyncGenerator[bytes, None]:
    """What is said of the page, and its objects one after the other."""
    head = page_head(shown, opened.type_ids, page.offset, page.limit, opened.size, opened.total)
    async for chunk in write_objects(head, "values", opened, shown, with_attributes=with_attributes):
        yield chunk


async def write_objects(
    head: Mapping[str, Any], member: str, opened: OpenPage, shown: Shown, *, with_attributes: bool
) -> AsyncGenerator[bytes, None]:
    """`head`, and behind it the objects as one more member."""
    yield encode(head)[:-1] + b"," + encode(member) + b":["
    separator = b""
    async for piece in opened.pieces:
        for row in piece.rows:
            members = object_json(row, shown)
            if with_attributes:
                members["attributes"] = attributes_json(row, shown, piece.targets)
            yield separator + encode(members)
            separator = b","
    yield b"]}"


async def write_history(opened: OpenHistory, shown: Shown) -> AsyncGenerator[bytes, None]:
    """Changes and, where the page comes to the beginning, how the object was made."""
    separator = b"["
    if opened.begins:
        yield separator + encode(creation_json(opened.row, opened.maker))
        separator = b","
    number = 0
    async for changes in opened.changes:
        for change in changes:
            number += 1
            for entry in change_json(change, opened.row, shown):
                yield separator + encode(entry)
                separator = b","
    if opened.ends and number < opened.ends:
        yield separator + encode(creation_json(opened.row, opened.maker))
        separator = b","
    yield b"[]" if separator == b"[" else b"]"
