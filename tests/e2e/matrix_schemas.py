"""Record schemas of a tenant's workspace, and the right requests about them."""

from __future__ import annotations

import secrets
from typing import Any

import grpc

from hythe.importer.v1 import schemas_pb2 as schemas
from hythe.importer.v1.schemas_pb2_grpc import SchemaServiceStub

SECONDS = 60
DATA_SOURCE = "matrix"


def new_schema(mark: str, entity_type: str = "") -> schemas.RecordSchema:
    """Of a kind that nothing else is of. An error repeats its name, so that does not bear the mark."""
    columns = [schemas.RecordColumn(code="id"), schemas.RecordColumn(code="kind", values=[mark])]
    return schemas.RecordSchema(
        entity_type=entity_type or secrets.token_hex(8), data_source=DATA_SOURCE, columns=columns
    )


def add_schema(channel: grpc.Channel, metadata: Any, workspace_id: str, mark: str) -> str:
    """The entity type."""
    request = schemas.PutRecordSchemaRequest(workspace=workspace_id, schema=new_schema(mark))
    made = SchemaServiceStub(channel).PutRecordSchema(request, timeout=SECONDS, metadata=metadata)
    return str(made.schema.entity_type)
