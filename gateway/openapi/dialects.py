"""The dialects that have a document, and of each what its protos cannot say."""

from __future__ import annotations

from gateway.openapi.document import Dialect

PLEXTRAC = Dialect(
    name="plextrac",
    package="hythe.dialects.plextrac.v2",
    title="Hythe: file import, PlexTrac dialect",
    description=(
        "Upload a scan file and import its findings: POST /api/v2/presigned-url, PUT the file to the URL it answers, "
        "POST preuploaded-import, then GET /api/v2/my-imports until the import is complete."
    ),
    error={
        "type": "object",
        "properties": {
            "status": {"const": "error"},
            "statusCode": {"type": "integer", "minimum": 400, "maximum": 599},
            "error": {"type": "string", "description": "The phrase of the status."},
            "message": {"type": "string", "description": "What happened, for people."},
        },
        "required": ["status", "statusCode", "error", "message"],
        "additionalProperties": False,
    },
    paths={
        "/api/v1/": {
            "get": {
                "operationId": "greet",
                "summary": "Greet",
                "description": "What scripts look for before they log in.",
                "tags": ["Identity"],
                "security": [],
                "responses": {
                    "200": {
                        "description": "Done.",
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "object",
                                    "properties": {"text": {"const": "Authenticate at /authenticate"}},
                                    "required": ["text"],
                                    "additionalProperties": False,
                                }
                            }
                        },
                    }
                },
            }
        },
        "/cloud/uploads/{folder}/{name}": {
            "put": {
                "operationId": "putFile",
                "summary": "Put file",
                "description": (
                    "The file itself, to the URL that createPresignedUrl answered. Its query is the credential. "
                    "Errors are the object store's own, in XML."
                ),
                "tags": ["Upload"],
                "security": [],
                "parameters": [
                    {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                    for name in ("folder", "name")
                ],
                "requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {}}}},
                "responses": {
                    "200": {"description": "Stored.", "headers": {"ETag": {"schema": {"type": "string"}}}},
                    "4XX": {"description": "Refused by the object store.", "content": {"application/xml": {}}},
                },
            }
        },
    },
)

DIALECTS = (PLEXTRAC,)
