"""The OpenAPI document of one dialect: what its protos declare, and the little that the gateway answers itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.openapi.contract import Contract, ContractError
from gateway.openapi.messages import Schema, message_schema
from gateway.openapi.operations import OPAQUE, operations

REFERENCE = re.compile(r'"#/components/schemas/([A-Za-z]+)"')


@dataclass(frozen=True)
class Dialect:
    name: str
    package: str
    title: str
    description: str
    error: Schema
    """Schema of the body of every error."""
    paths: dict[str, Any]
    """Paths without an RPC, answered by the gateway or the object store."""
    headers: tuple[dict[str, Any], ...] = ()
    """Parameters that every operation has."""
    statuses: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Of RPCs that do not answer success with 200: the statuses, and what each means. What redirects has a Location."""

    @property
    def shapes(self) -> Path:
        """Schemas of the opaque types, below the folder of the protos."""
        return Path(self.package.replace(".", "/")) / "schemas.json"


REFUSALS = {
    "BadRequest": "The request itself is wrong.",
    "Unauthorized": "No credential, or one that is not good.",
    "Forbidden": "The credential does not allow this.",
    "NotFound": "There is no such thing, or it is another tenant's.",
    "Conflict": "It does not fit the state of things.",
    "TooLarge": "More bytes than are allowed.",
    "UnsupportedMediaType": "A media type that the route does not read.",
    "TooManyRequests": "Too many calls for now.",
    "Unavailable": "The service is not available. The same call may work later.",
    "Error": "Any other error.",
}

SECURITY_SCHEMES = {
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "bareToken": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "The token alone, without `Bearer`.",
    },
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
    "userAndApiKey": {"type": "http", "scheme": "basic", "description": "User name and API key."},
}


def document(dialect: Dialect, contract: Contract, shapes: dict[str, Schema]) -> dict[str, Any]:
    """Raises ContractError for a schema or an RPC that is named and not there, and for a schema that nothing names."""
    methods = {method.proto.name for method in contract.methods(dialect.package)}
    if unknown := dialect.statuses.keys() - methods:
        raise ContractError(f"{dialect.package} has no RPC {', '.join(sorted(unknown))}.")
    paths: dict[str, Any] = json.loads(json.dumps(dialect.paths))
    for method in contract.methods(dialect.package):
        for path, verb, operation in operations(contract, method):
            if verb in paths.setdefault(path, {}):
                raise ContractError(f"{verb.upper()} {path} is declared twice.")
            if dialect.headers:
                operation["parameters"] = [*operation.get("parameters", []), *dialect.headers]
            if said := dialect.statuses.get(method.proto.name):
                answers = operation["responses"]
                operation["responses"] = {**successes(said, answers["200"]), **without_success(answers)}
            paths[path][verb] = operation
    schemas = schemas_named_in(paths, dialect, contract, shapes)
    if unused := shapes.keys() - schemas.keys():
        raise ContractError(f"{dialect.shapes} has schemas that nothing names: {', '.join(sorted(unused))}.")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": dialect.title,
            "description": dialect.description,
            "version": dialect.package.rpartition(".")[2],
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{name: []} for name in SECURITY_SCHEMES],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted({**schemas, "Error": dialect.error}.items())),
            "responses": {
                name: {
                    "description": said,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
                }
                for name, said in REFUSALS.items()
            },
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def successes(said: Mapping[str, str], usual: Mapping[str, Any]) -> dict[str, Any]:
    """Responses in the place of the usual one: those of 201 have its body, all others none."""
    location = {"headers": {"Location": {"schema": {"type": "string", "format": "uri"}}}}
    more = {"201": {"content": usual.get("content", {})}, "303": location}
    return {status: {"description": meaning, **more.get(status, {})} for status, meaning in said.items()}


def without_success(responses: Mapping[str, Any]) -> dict[str, Any]:
    return {status: response for status, response in responses.items() if status != "200"}


def schemas_named_in(
    paths: dict[str, Any], dialect: Dialect, contract: Contract, shapes: dict[str, Schema]
) -> dict[str, Schema]:
    """All schemas that the paths refer to, directly or through others. A written one goes before a message's own."""
    answers = {method.proto.output_type.rpartition(".")[2] for method in contract.methods(dialect.package)}
    found: dict[str, Schema] = {}
    wanted = REFERENCE.findall(json.dumps(paths))
    while wanted:
        name = wanted.pop()
        if name in found or name == "Error":
            continue
        full_name = f"{dialect.package}.{name}"
        if name in shapes:
            found[name] = shapes[name]
        elif full_name in contract.messages and full_name not in OPAQUE:
            found[name] = message_schema(contract, full_name, is_answer=name in answers)
        else:
            raise ContractError(f"{dialect.shapes} has no schema {name}, and there is no message of that name.")
        wanted += REFERENCE.findall(json.dumps(found[name]))
    return found
