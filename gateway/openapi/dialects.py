"""The dialects that have a document, and of each what its protos cannot say."""

from __future__ import annotations

from gateway.openapi.document import Dialect

PUT_FILE = {
    "put": {
        "operationId": "putFile",
        "summary": "Put file",
        "description": (
            "The file itself, to the URL that was answered. Its query is the credential. "
            "Errors are the object store's own, in XML."
        ),
        "tags": ["Upload"],
        "security": [],
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in ("folder", "name")
        ],
        "requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {}}}},
        "responses": {
            "200": {"description": "Stored.", "headers": {"ETag": {"schema": {"type": "string"}}}},
            "4XX": {"description": "Refused by the object store.", "content": {"application/xml": {}}},
        },
    }
}

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
        "/cloud/uploads/{folder}/{name}": PUT_FILE,
    },
)

APPFILE = Dialect(
    name="appfile",
    package="hythe.dialects.appfile.v1",
    title="Hythe: file import, AppFile dialect",
    description=(
        "Upload a sync file and import its records: POST /appfile/file/path, PUT the file to the URL it answers, "
        "POST /appfile/file/import, then GET /appfile/file/{FileId} until it is imported. Members of requests may be "
        "in PascalCase or camelCase."
    ),
    error={
        "type": "object",
        "properties": {
            "IsSuccess": {"const": False},
            "ResponseStatus": {
                "type": "object",
                "properties": {
                    "ErrorCode": {"type": "string", "minLength": 1, "description": "A name to switch on."},
                    "Message": {"type": "string", "description": "What happened, for people."},
                    "StackTrace": {"const": ""},
                    "Errors": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {
                                "ErrorCode": {"type": "string"},
                                "FieldName": {"type": "string"},
                                "Message": {"type": "string"},
                            },
                            "required": ["ErrorCode", "FieldName", "Message"],
                            "additionalProperties": False,
                        },
                    },
                },
                "required": ["ErrorCode", "Message", "StackTrace", "Errors"],
                "additionalProperties": False,
            },
            "Data": {"type": "null"},
        },
        "required": ["IsSuccess", "ResponseStatus", "Data"],
        "additionalProperties": False,
    },
    paths={"/cloud/uploads/{folder}/{name}": PUT_FILE},
    headers=tuple(
        {"name": name, "in": "header", "description": meaning, "schema": {"type": "string"}}
        for name, meaning in (
            ("X-Param-Override-WorkspaceId", "Id or name of the workspace that the request is for."),
            ("X-Param-Override-BucketId", "Its bucket."),
        )
    ),
)

ASSETS = Dialect(
    name="assets",
    package="hythe.dialects.assets.v1",
    title="Hythe: object import, Assets dialect",
    description=(
        "Import objects from a source: GET /jsm/assets/v1/imports/info with the source's container token answers "
        "links; PUT the mapping, POST an execution, POST data to it until the last piece says `completed`, then GET "
        "its status. All paths are served below /jsm/insight, /ex/jira/{cloudId} and /gateway/api as well."
    ),
    error={
        "type": "object",
        "properties": {
            "errorMessages": {"type": "array", "items": {"type": "string"}, "minItems": 1},
            "errors": {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "description": "What is wrong with which member.",
            },
            "result": {"const": "error"},
            "errorCode": {"type": "string", "minLength": 1, "description": "A name to switch on."},
            "code": {"type": "integer", "minimum": 400, "maximum": 599},
            "message": {"type": "string", "description": "What happened, for people."},
            "dataValidationErrors": {
                "type": "array",
                "description": "What is wrong with a schema and mapping.",
                "items": {
                    "type": "object",
                    "properties": {
                        "code": {"type": "string"},
                        "path": {"type": "string", "description": "Where in the document."},
                        "message": {"type": "string"},
                    },
                    "required": ["code", "path", "message"],
                    "additionalProperties": False,
                },
            },
        },
        "required": ["errorMessages", "errors", "result", "errorCode", "code", "message"],
        "additionalProperties": False,
    },
    paths={},
    statuses={
        "DeleteImportSource": {"204": "Done."},
        "PutMapping": {"204": "Done.", "303": "With `async`: GET the location to see how it ended."},
        "PatchMapping": {"204": "Done.", "303": "With `async`: GET the location to see how it ended."},
        "FailExecution": {"204": "Done."},
        "CreateObject": {"201": "Done."},
    },
)

DIALECTS = (PLEXTRAC, APPFILE, ASSETS)
