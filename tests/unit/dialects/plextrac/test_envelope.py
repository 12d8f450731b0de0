from __future__ import annotations

import pytest

from dialects.plextrac.envelope import error_envelope
from runtime.errors import NotFound, ServiceError, Unauthenticated


@pytest.mark.parametrize(
    ("error", "status", "phrase"),
    [
        (Unauthenticated("LOGIN_FAILED", "No."), 401, "Unauthorized"),
        (NotFound("REPORT_NOT_FOUND", "No."), 404, "Not Found"),
        (ServiceError("INTERNAL", "No."), 500, "Internal Server Error"),
        (ServiceError("INTERNAL", "No."), 599, "Error"),
    ],
)
def test_an_error_names_its_status_and_keeps_its_sentence(error: ServiceError, status: int, phrase: str) -> None:
    assert error_envelope(error, status) == {
        "status": "error",
        "statusCode": status,
        "error": phrase,
        "message": "No.",
    }
