"""The Assets API's calls by which people make, change and remove objects."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import msgspec
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct

from dialects.assets.links import Links
from dialects.assets.members import whole_numbers
from dialects.assets.object_bodies import ObjectBody, object_body
from dialects.assets.object_types import Place
from dialects.assets.objects import Shown, attributes_json, object_json
from hythe.dialects.assets.v1 import assets_pb2
from runtime.auth import current_principal
from services.importer.assets.object_edits import EditedObject, ObjectEdits

Context = grpc.aio.ServicerContext[Any, Any]

JSON = "application/json"
CREATED = (("x-http-status", "201"),)
# An object may be larger than a message, and than what the gateway holds of an answer.
PIECE_BYTES = 64 * 1024


class AssetsObjectEdits:
    """Converts, calls, converts back. A part of `AssetsImporter`."""

    def __init__(self, edits: ObjectEdits, links: Links) -> None:
        self._edits = edits
        self._object_links = links

    async def CreateObject(self, request: assets_pb2.WorkspaceBodyRequest, context: Context) -> AsyncIterator[HttpBody]:
        body = body_of(request.payload, is_new=True)
        made = await self._edits.create(current_principal(), request.workspace_id, body)
        await context.send_initial_metadata(CREATED)
        for piece in self._shown(made):
            yield piece

    async def UpdateObject(self, request: assets_pb2.ObjectBodyRequest, context: Context) -> AsyncIterator[HttpBody]:
        body = body_of(request.payload, is_new=False)
        changed = await self._edits.update(current_principal(), request.workspace_id, request.id, body)
        for piece in self._shown(changed):
            yield piece

    async def DeleteObject(self, request: assets_pb2.ObjectBodyRequest, context: Context) -> Struct:
        await self._edits.delete(current_principal(), request.workspace_id, request.id)
        return Struct()

    def _shown(self, edited: EditedObject) -> list[HttpBody]:
        """As the status service shows it."""
        shown = Shown(Place(edited.workspace_id, self._object_links), edited.types, edited.attributes)
        attributes = attributes_json(edited.row, shown, edited.targets, with_definitions=True)
        document = msgspec.json.encode({**object_json(edited.row, shown), "attributes": attributes})
        pieces = [document[at : at + PIECE_BYTES] for at in range(0, len(document), PIECE_BYTES)]
        return [HttpBody(content_type="" if at else JSON, data=piece) for at, piece in enumerate(pieces)]


def body_of(payload: Struct, *, is_new: bool) -> ObjectBody:
    return object_body(whole_numbers(MessageToDict(payload)), is_new=is_new)
