"""The native SchemaService."""

from __future__ import annotations

from typing import Any

import grpc

from hythe.importer.v1 import schemas_pb2 as pb
from hythe.importer.v1.schemas_pb2_grpc import SchemaServiceServicer
from runtime.auth import current_principal
from runtime.errors import InvalidArgument
from runtime.timestamps import timestamp
from services.importer.record_schemas import RecordSchemas, StoredSchema
from services.importer.targets.records.schemas import Presence, RecordSchema, SchemaColumn

Context = grpc.aio.ServicerContext[Any, Any]

PRESENCES = {
    pb.COLUMN_PRESENCE_UNSPECIFIED: Presence.OPTIONAL,
    pb.COLUMN_PRESENCE_OPTIONAL: Presence.OPTIONAL,
    pb.COLUMN_PRESENCE_COLUMN: Presence.COLUMN,
    pb.COLUMN_PRESENCE_VALUE: Presence.VALUE,
}


class SchemaService(SchemaServiceServicer):
    """Converts, calls, converts back."""

    def __init__(self, schemas: RecordSchemas) -> None:
        self._schemas = schemas

    async def ListRecordSchemas(
        self, request: pb.ListRecordSchemasRequest, context: Context
    ) -> pb.ListRecordSchemasResponse:
        page, token = await self._schemas.page(
            current_principal(), request.workspace, page_size=request.page_size, page_token=request.page_token
        )
        return pb.ListRecordSchemasResponse(schemas=map(schema_message, page), next_page_token=token)

    async def GetRecordSchema(self, request: pb.GetRecordSchemaRequest, context: Context) -> pb.GetRecordSchemaResponse:
        found = await self._schemas.get(
            current_principal(), request.workspace, request.entity_type, request.data_source
        )
        return pb.GetRecordSchemaResponse(schema=schema_message(found))

    async def PutRecordSchema(self, request: pb.PutRecordSchemaRequest, context: Context) -> pb.PutRecordSchemaResponse:
        stored = await self._schemas.put(current_principal(), request.workspace, schema_of(request.schema))
        return pb.PutRecordSchemaResponse(schema=schema_message(stored))

    async def DeleteRecordSchema(
        self, request: pb.DeleteRecordSchemaRequest, context: Context
    ) -> pb.DeleteRecordSchemaResponse:
        await self._schemas.delete(current_principal(), request.workspace, request.entity_type, request.data_source)
        return pb.DeleteRecordSchemaResponse()


def schema_of(message: pb.RecordSchema) -> RecordSchema:
    return RecordSchema(message.entity_type, message.data_source, tuple(map(column_of, message.columns)))


def column_of(message: pb.RecordColumn) -> SchemaColumn:
    if message.presence not in PRESENCES:
        raise InvalidArgument("INVALID_SCHEMA", "There is no such presence of a column.", field="presence")
    return SchemaColumn(message.code, message.type, PRESENCES[message.presence], tuple(message.values))


def schema_message(stored: StoredSchema) -> pb.RecordSchema:
    schema = stored.schema
    return pb.RecordSchema(
        entity_type=schema.entity_type,
        data_source=schema.data_source,
        columns=map(column_message, schema.columns),
        published=stored.is_published,
        create_time=timestamp(stored.created_at),
        update_time=timestamp(stored.updated_at),
    )


def column_message(column: SchemaColumn) -> pb.RecordColumn:
    presence = pb.ColumnPresence.Value(f"COLUMN_PRESENCE_{column.presence.upper()}")
    return pb.RecordColumn(code=column.code, type=column.type, presence=presence, values=column.values)
