"""What the requests of the Assets API have in common."""

from __future__ import annotations

from typing import Any, Protocol

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct

from services.importer.assets.places import Place


class OfSource(Protocol):
    """A request below the path of an import source."""

    workspace_id: str
    import_source_id: str


class WithBody(Protocol):
    """A request with a JSON object as its body."""

    @property
    def payload(self) -> Struct: ...


def place_of(request: OfSource) -> Place:
    return Place(request.workspace_id, request.import_source_id)


def payload_of(request: WithBody) -> dict[str, Any]:
    """The body. All numbers in it are floating."""
    payload: dict[str, Any] = MessageToDict(request.payload)
    return payload
