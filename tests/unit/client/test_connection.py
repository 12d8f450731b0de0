from __future__ import annotations

import json

from hythe.identity.v1 import identity_pb2
from hythe.importer.v1 import importer_pb2
from hythe.status.v1 import status_pb2
from hythe.upload.v1 import upload_pb2
from hythe_client.connection import OPTIONS, SERVICE_CONFIG

METHODS = {
    (service.full_name, method.name)
    for module in (identity_pb2, importer_pb2, status_pb2, upload_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


def repeated() -> set[tuple[str, str]]:
    """The methods that the service config has repeated."""
    names = SERVICE_CONFIG["methodConfig"][0]["name"]
    return {
        (service, method)
        for service, method in METHODS
        if {"service": service} in names or {"service": service, "method": method} in names
    }


def test_the_retry_policy_names_only_methods_that_exist() -> None:
    for name in SERVICE_CONFIG["methodConfig"][0]["name"]:
        assert any(
            service == name["service"] and name.get("method", method) == method for service, method in METHODS
        ), name


def test_what_changes_something_for_good_is_not_repeated() -> None:
    changing = {
        (service, method)
        for service, method in METHODS
        if method.startswith(
            (
                "Create",
                "Set",
                "Rotate",
                "Cancel",
                "Requeue",
                "Authenticate",
                "Pause",
                "Resume",
                "Retry",
                "Rerun",
                "Undo",
            )
        )
    }
    # CreateImport and RerunImport carry a request id, a second pause or retry gets what the first has made, and an
    # unused upload slot goes by itself.
    assert repeated() & changing == {
        ("hythe.importer.v1.ImportService", "CreateImport"),
        ("hythe.importer.v1.ImportService", "PauseImport"),
        ("hythe.importer.v1.ImportService", "RerunImport"),
        ("hythe.importer.v1.ImportService", "RetryImport"),
        ("hythe.upload.v1.UploadService", "CreateMultipartUpload"),
        ("hythe.upload.v1.UploadService", "CreateUpload"),
    }


def test_the_policy_is_the_documented_one() -> None:
    policy = SERVICE_CONFIG["methodConfig"][0]["retryPolicy"]
    assert policy["maxAttempts"] == 3
    assert policy["retryableStatusCodes"] == ["UNAVAILABLE"]
    assert json.loads(dict(OPTIONS)["grpc.service_config"]) == SERVICE_CONFIG
