"""The envelope of errors of the Assets API: all that its clients look for, whichever of its shapes they know.

Atlassian's own services answer `{errorMessages, errors}`, `{result, errorCode}` or `{code, message}`, by the place that
an error comes from; a change of a mapping that cannot be made lists `dataValidationErrors`. Here all have all of it.
"""

from __future__ import annotations

import json
from typing import Any

from dialects.assets.problems import ATTRIBUTE, PROBLEMS
from runtime.errors import ServiceError

CONTENT_TYPE = "application/json;charset=UTF-8"
"""What clients compare the type of an answer of 401 with, letter by letter."""
UNAUTHORIZED = 401


def error_envelope(error: ServiceError, http_status: int) -> dict[str, Any]:
    """`errors` has the member that is wrong, where it is one, or all attributes of an object that are.

    Clients switch on `errorCode`.
    """
    field = error.metadata.get("field", "")
    body: dict[str, Any] = {
        "errorMessages": [error.message],
        "errors": {field: error.message} if field else {},
        "result": "error",
        "errorCode": error.reason,
        "code": http_status,
        "message": "Unauthorized" if http_status == UNAUTHORIZED else error.message,
    }
    problems = error.metadata.get(PROBLEMS, "")
    if not problems:
        return body
    found = json.loads(problems)
    body["errors"] |= {each["path"]: each["message"] for each in found if each["path"].startswith(ATTRIBUTE)}
    return {**body, "dataValidationErrors": found}
