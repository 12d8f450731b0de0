from __future__ import annotations

import pytest

from dialects.appfile.envelope import error_envelope, reply
from runtime.errors import (
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    ResourceExhausted,
    ServiceError,
    Unauthenticated,
    Unavailable,
)


def test_success_has_the_published_members_and_nothing_in_its_status() -> None:
    assert reply({"FileId": "c1"}) == {
        "IsSuccess": True,
        "ResponseStatus": {"ErrorCode": "", "Message": "", "StackTrace": "", "Errors": []},
        "Data": {"FileId": "c1"},
    }


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Unauthenticated("NO_CREDENTIAL", "No."), "ApiKeyInvalid"),
        (Unauthenticated("INVALID_CREDENTIAL", "No."), "ApiKeyInvalid"),
        (PermissionDenied("ROLE_REQUIRED", "No."), "PermissionDenied"),
        (PermissionDenied("WORKSPACE_DENIED", "No."), "PermissionDenied"),
        (NotFound("FILE_NOT_FOUND", "No."), "FileNotFound"),
        (NotFound("UNKNOWN_KEY", "No."), "FileNotFound"),
        (FailedPrecondition("FILE_NOT_UPLOADED", "No."), "FileNotUploaded"),
        (FailedPrecondition("IMPORT_ALREADY_RUNNING", "No."), "ImportAlreadyRunning"),
        (InvalidArgument("FILE_TYPE_UNSUPPORTED", "No."), "FileTypeUnsupported"),
        (PayloadTooLarge("FILE_TOO_LARGE", "No."), "FileTooLarge"),
        (ResourceExhausted("TOO_BUSY", "No."), "QuotaExceeded"),
        (Unavailable("STORAGE_UNAVAILABLE", "No."), "StorageUnavailable"),
        (Internal("INTERNAL", "No."), "InternalError"),
    ],
)
def test_an_error_has_the_word_of_this_api(error: ServiceError, code: str) -> None:
    assert error_envelope(error, error.http_status) == {
        "IsSuccess": False,
        "ResponseStatus": {"ErrorCode": code, "Message": "No.", "StackTrace": "", "Errors": []},
        "Data": None,
    }


def test_a_wrong_member_is_named() -> None:
    body = error_envelope(InvalidArgument("FIELD_NOT_TEXT", "FileName must be a text.", field="FileName"), 400)
    assert body["ResponseStatus"]["Errors"] == [
        {"ErrorCode": "FieldNotText", "FieldName": "FileName", "Message": "FileName must be a text."}
    ]


@pytest.mark.parametrize(
    ("field", "message", "name", "told"),
    [
        ("max_error_percent", "max_error_percent must be from 0 to 100.", "MaxErrorPercent",
         "MaxErrorPercent must be from 0 to 100."),
        ("on_error", "To abort above a number of errors, give it.", "OnError", None),
        ("FileName", "FileName is required.", "FileName", None),
        ("sha256", "A SHA-256 has 64 hexadecimal digits.", "Sha256", None),
        ("", "No.", "", None),
    ],
)  # fmt: skip
def test_a_field_has_the_name_of_its_member(field: str, message: str, name: str, told: str | None) -> None:
    error = InvalidArgument("INVALID_OPTION", message, field=field)
    status = error_envelope(error, 400)["ResponseStatus"]
    assert status["Message"] == (told or message)
    expected = {"ErrorCode": "InvalidOption", "FieldName": name, "Message": told or message}
    assert status["Errors"] == ([expected] if name else [])
