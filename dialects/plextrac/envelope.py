"""The error body of the PlexTrac API: every error, from whichever service, reads the same."""

from __future__ import annotations

from http import HTTPStatus

from runtime.errors import ServiceError


def error_envelope(error: ServiceError, http_status: int) -> dict[str, str | int]:
    """`error` is the standard phrase of the status, `message` the sentence for people.

    Client libraries read `message` first, then `error`; login helpers also read `status` and `statusCode`.
    """
    try:
        phrase = HTTPStatus(http_status).phrase
    except ValueError:  # A status outside the registry still needs its body.
        phrase = "Error"
    return {"status": "error", "statusCode": http_status, "error": phrase, "message": error.message}
