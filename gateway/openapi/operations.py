"""OpenAPI operations of the HTTP routes that the protos declare."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from gateway.openapi.contract import Contract, ContractError, Method
from gateway.openapi.messages import WELL_KNOWN, Schema, described, field_schema, reference
from hythe.options.v1.options_pb2 import Role

# `{name}`, or `{name=*/*}` for one that takes several segments of the path.
PATH_VARIABLE = re.compile(r"\{([a-z_]+)(?:=([*/]+))?\}")
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

# Named by json_shape where nothing is read of a body, or nothing answered.
EMPTY = "Empty"

# Bodies whose JSON is the service's own affair: their shape is named by the option json_shape.
OPAQUE = {*WELL_KNOWN, "google.api.HttpBody"}


def operations(contract: Contract, method: Method) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(path, verb, operation) of each route of a method."""
    for number, rule in enumerate(method.rules, start=1):
        verb = rule.WhichOneof("pattern")
        if verb is None or verb == "custom":
            raise ContractError(f"{method.proto.name} has a route without a verb.")
        suffix = "" if number == 1 else str(number)
        path = PATH_VARIABLE.sub(
            lambda found: "/".join(f"{{{name}}}" for name in segments(*found.groups(""))), rule_path(rule)
        )
        yield path, verb, operation(contract, method, rule, suffix)


def rule_path(rule: HttpRule) -> str:
    path: str = getattr(rule, rule.WhichOneof("pattern") or "")
    return path


def segments(name: str, template: str) -> list[str]:
    """OpenAPI has variables of one segment only: `{key=*/*}` is `{key1}/{key2}` there."""
    count = template.count("*")
    return [f"{name}{number}" for number in range(1, count + 1)] if count > 1 else [name]


def operation(contract: Contract, method: Method, rule: HttpRule, suffix: str) -> dict[str, Any]:
    name = method.proto.name
    described_as = " ".join(filter(None, (method.comment, least_role(method))))
    found: dict[str, Any] = {
        "operationId": name[0].lower() + name[1:] + suffix,
        "summary": re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).capitalize(),
        "description": described_as,
        "tags": [tag_of(method)],
        "parameters": parameters(contract, method, rule),
        "responses": {"200": answer(method), **refusals(method, has_body=bool(rule.body))},
    }
    if rule.body:
        found["requestBody"] = request_body(contract, method, rule)
    if method.proto.options.deprecated:
        found["deprecated"] = True
    if method.authorization.anonymous:
        found["security"] = []
    return {key: value for key, value in found.items() if value not in ("", []) or key == "security"}


def tag_of(method: Method) -> str:
    """`Upload` of PlextracUpload: the last word of the service."""
    words: list[str] = re.findall(r"[A-Z][a-z]+", method.service)
    return words[-1]


def least_role(method: Method) -> str:
    if method.authorization.anonymous:
        return "Needs no credential."
    role = Role.Name(method.authorization.role).removeprefix("ROLE_").lower()
    scopes = ", ".join(f"`{scope}`" for scope in method.authorization.scopes)
    of_scopes = f" A credential with scopes needs one of: {scopes}." if scopes else ""
    return f"Needs the role {role} or a higher one.{of_scopes}"


def parameters(contract: Contract, method: Method, rule: HttpRule) -> list[dict[str, Any]]:
    """Path variables, and as query parameters all fields that are neither in the path nor the body."""
    templates = dict(PATH_VARIABLE.findall(rule_path(rule)))
    names = list(templates)
    request = method.proto.input_type.removeprefix(".")
    fields = {member.name: member for member in contract.messages[request].field}
    if unknown := set(names) - fields.keys():
        raise ContractError(f"{method.proto.name} has path variables without a field: {', '.join(sorted(unknown))}.")
    in_path = [
        {"name": segment, "in": "path", "required": True, "schema": field_schema(contract, fields[name])}
        for name in names
        for segment in segments(name, templates[name])
    ]
    in_query = [
        described(
            {"name": member.json_name, "in": "query", "schema": field_schema(contract, member)},
            contract.comments[f"{request}.{member.name}"],
        )
        for member in fields.values()
        if member.name not in {*names, rule.body} and rule.body != "*"
    ]
    return in_path + in_query


def request_body(contract: Contract, method: Method, rule: HttpRule) -> dict[str, Any]:
    request = contract.messages[method.proto.input_type.removeprefix(".")]
    member = next((one for one in request.field if one.name == rule.body), None)
    if member is None:
        raise ContractError(f"{method.proto.name} binds the body to {rule.body}, which is no field of its request.")
    if method.shape.request == EMPTY:
        return {"required": False, "content": {JSON: {"schema": {"type": "object"}}}}
    schema = shape(method, member.type_name, method.shape.request, "request")
    return {"required": True, "content": {media_type: {"schema": schema} for media_type in media_types(method, member)}}


def media_types(method: Method, body: FieldDescriptorProto) -> list[str]:
    """What the route reads. A body taken as bytes, in one piece and without more said, is JSON or a form."""
    if method.shape.request_media_type:
        return [one.strip() for one in method.shape.request_media_type.split(",")]
    return [JSON, FORM] if body.type_name == ".google.api.HttpBody" else [JSON]


def answer(method: Method) -> dict[str, Any]:
    if method.shape.response == EMPTY:
        return {"description": "Done."}
    schema = shape(method, method.proto.output_type, method.shape.response, "response")
    return {"description": "Done.", "content": {method.shape.response_media_type or JSON: {"schema": schema}}}


def shape(method: Method, type_name: str, named: str, which: str) -> Schema:
    """A reference to the schema of a body: the one named by json_shape, or the message's own."""
    if named:
        return reference(named)
    if type_name.removeprefix(".") in OPAQUE:
        raise ContractError(f"{method.proto.name} needs a json_shape with a {which}: its type says nothing.")
    return reference(type_name.rpartition(".")[2])


def refusals(method: Method, *, has_body: bool) -> dict[str, Any]:
    names = {"400": "BadRequest", "404": "NotFound", "429": "TooManyRequests", "503": "Unavailable", "default": "Error"}
    # A login is refused as well, and so is an import that does not fit the state of things.
    names["401"] = "Unauthorized"
    if not method.authorization.anonymous:
        names["403"] = "Forbidden"
    if has_body:
        names |= {"409": "Conflict", "413": "TooLarge", "415": "UnsupportedMediaType"}
    return {status: {"$ref": f"#/components/responses/{name}"} for status, name in sorted(names.items())}
