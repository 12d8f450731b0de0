"""JSON Schemas of proto messages, as the gateway's transcoder reads and writes them."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from gateway.openapi.contract import Contract, ContractError

Schema = dict[str, Any]

SCALARS: dict[int, Schema] = {
    FieldDescriptorProto.TYPE_STRING: {"type": "string"},
    FieldDescriptorProto.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptorProto.TYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptorProto.TYPE_UINT32: {"type": "integer", "minimum": 0},
    FieldDescriptorProto.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptorProto.TYPE_FLOAT: {"type": "number", "format": "float"},
    # 64-bit integers are text, because JavaScript would round them.
    FieldDescriptorProto.TYPE_INT64: {"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"},
    FieldDescriptorProto.TYPE_UINT64: {"type": "string", "format": "uint64", "pattern": "^[0-9]+$"},
    FieldDescriptorProto.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
}

WELL_KNOWN: dict[str, Schema] = {
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.ListValue": {"type": "array"},
    "google.protobuf.Value": {},
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": "^-?[0-9.]+s$"},
}


def message_schema(contract: Contract, full_name: str, *, is_answer: bool) -> Schema:
    """The schema of a message. In an answer the gateway prints every scalar and every list, whatever its value."""
    message = contract.messages[full_name]
    properties = {
        member.json_name: described(field_schema(contract, member), contract.comments[f"{full_name}.{member.name}"])
        for member in message.field
    }
    schema: Schema = {"type": "object", "properties": properties}
    required = [member.json_name for member in message.field if is_answer and is_always_printed(member)]
    if required:
        schema["required"] = required
    return described(schema, contract.comments[full_name])


def field_schema(contract: Contract, member: FieldDescriptorProto) -> Schema:
    schema = item_schema(contract, member)
    if member.label == FieldDescriptorProto.LABEL_REPEATED:
        return {"type": "array", "items": schema}
    return schema


def item_schema(contract: Contract, member: FieldDescriptorProto) -> Schema:
    """The schema of one value of the field. A message is referred to by its short name."""
    if member.type in SCALARS:
        return dict(SCALARS[member.type])
    name = member.type_name.removeprefix(".")
    if name in WELL_KNOWN:
        return dict(WELL_KNOWN[name])
    if name in contract.enums:
        return {"type": "string", "enum": [value.name for value in contract.enums[name].value]}
    if name in contract.messages and not contract.messages[name].options.map_entry:
        return reference(name.rpartition(".")[2])
    raise ContractError(f"No JSON Schema for the type of {member.name} ({name or member.type}).")


def is_always_printed(member: FieldDescriptorProto) -> bool:
    is_message = member.type == FieldDescriptorProto.TYPE_MESSAGE
    return member.label == FieldDescriptorProto.LABEL_REPEATED or not (is_message or member.proto3_optional)


def reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def described(schema: Schema, comment: str) -> Schema:
    return {**schema, "description": comment} if comment else schema
