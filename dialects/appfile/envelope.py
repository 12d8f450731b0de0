"""The envelope of the AppFile API, in which every answer stands: of success, and of every error of whichever service.

Which codes there are is said in docs/appfile.md.
"""

from __future__ import annotations

from typing import Any

from runtime.errors import PermissionDenied, ResourceExhausted, ServiceError, Unauthenticated

# Kinds of errors that the API has one word for.
BY_KIND: tuple[tuple[type[ServiceError], str], ...] = (
    (Unauthenticated, "ApiKeyInvalid"),
    (PermissionDenied, "PermissionDenied"),
    (ResourceExhausted, "QuotaExceeded"),
)
# All others are told by their reason in PascalCase, FILE_NOT_UPLOADED is FileNotUploaded; but for these.
BY_REASON = {"UNKNOWN_KEY": "FileNotFound", "INTERNAL": "InternalError"}


def reply(data: dict[str, Any]) -> dict[str, Any]:
    """What went well."""
    return {"IsSuccess": True, "ResponseStatus": response_status(), "Data": data}


def error_envelope(error: ServiceError, _http_status: int) -> dict[str, Any]:
    """`Errors` names the member that is wrong, where it is one. `Data` is there and empty, for clients that look."""
    code, message = error_code(error), error.message
    said = error.metadata.get("field", "")
    field = member_name(said)
    if message.startswith(f"{said} "):
        message = field + message.removeprefix(said)
    errors = [{"ErrorCode": code, "FieldName": field, "Message": message}] if field else []
    return {"IsSuccess": False, "ResponseStatus": response_status(code, message, errors), "Data": None}


def member_name(field: str) -> str:
    """A field of the native API as this one calls it: `max_errors` is MaxErrors."""
    return "".join(word[:1].upper() + word[1:] for word in field.split("_"))


def error_code(error: ServiceError) -> str:
    """What a client switches on."""
    return next((code for kind, code in BY_KIND if isinstance(error, kind)), "") or coded(error.reason)


def coded(reason: str) -> str:
    """A reason of ours, or the code of a failed import or of a rejected row, in this API's words."""
    return BY_REASON.get(reason) or pascal_case(reason)


def pascal_case(reason: str) -> str:
    return "".join(word.capitalize() for word in reason.split("_"))


def response_status(
    code: str = "", message: str = "", errors: list[dict[str, str]] | None = None
) -> dict[str, str | list[dict[str, str]]]:
    """Without a code it says that all went well. There is never a stack trace: it would tell of the inside."""
    return {"ErrorCode": code, "Message": message, "StackTrace": "", "Errors": errors or []}
