"""The documented errors of the AppFile API: each in the envelope, with its code and status, and the member named."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import psycopg
import pytest

from hythe.identity.v1 import identity_pb2 as identity
from hythe.identity.v1.identity_pb2_grpc import IdentityServiceStub
from hythe.options.v1 import options_pb2
from tests.e2e.appfile import AppFile, appfile
from tests.e2e.recorder import contract
from tests.e2e.test_appfile_published import IMPORT_REQUEST, IMPORT_ROUTES, REPLY, path_request, shape
from tests.stack import LiveStack
from tests.sync_files import family


@pytest.fixture(scope="module")
def caller(stack: LiveStack) -> Iterator[AppFile]:
    with appfile(stack) as made:
        yield made


def refused(answer: httpx.Response) -> tuple[int, str]:
    """HTTP status and ErrorCode of an error in the envelope of the page, without a stack trace."""
    contract("appfile").check(answer)
    envelope = answer.json()
    assert shape({**envelope, "Data": {}}) == shape({**REPLY, "Data": {}})
    status = envelope["ResponseStatus"]
    assert (envelope["IsSuccess"], envelope["Data"], status["StackTrace"]) == (False, None, "")
    assert status["Message"]
    assert all(set(each) == {"ErrorCode", "FieldName", "Message"} for each in status["Errors"])
    return answer.status_code, status["ErrorCode"]


def new_key(stack: LiveStack, role: options_pb2.Role.ValueType) -> str:
    """The key of a new account."""
    with grpc.insecure_channel(stack.grpc) as channel:
        people, metadata = IdentityServiceStub(channel), (("x-api-key", stack.api_key),)
        email = f"robot-{secrets.token_hex(4)}@example.org"
        user = identity.CreateUserRequest(email=email, role=role, service_account=True)
        user_id = people.CreateUser(user, timeout=30, metadata=metadata).user.user_id
        key = identity.CreateApiKeyRequest(user_id=user_id, name="key", life_days=1)
        return str(people.CreateApiKey(key, timeout=30, metadata=metadata).secret)


def expired_key(stack: LiveStack) -> str:
    """Whose day is over."""
    secret = new_key(stack, options_pb2.ROLE_IMPORTER)
    query = """
        UPDATE identity.api_keys SET expires_at = now() - interval '1 second'
        WHERE api_key_id = (SELECT max(api_key_id) FROM identity.api_keys)
    """
    with psycopg.connect(stack.database.superuser_url, autocommit=True) as connection:
        assert connection.execute(query).rowcount == 1
    return secret


def test_a_key_that_is_missing_unknown_or_expired_is_a_401(stack: LiveStack, caller: AppFile) -> None:
    """Which of these is not told."""
    routes = (
        ("POST", "/appfile/file/path"),
        ("POST", "/appfile/file/import"),
        ("POST", "/appdata/import/file/async"),
        ("POST", "/appfile/file/import/data"),
        ("GET", "/appfile/file/c1"),
        ("POST", "/appfile/file/c1/undo"),
        ("POST", "/appfile/file/c1/cancel"),
        ("POST", "/appdata/wks_family/query"),
    )
    for headers in ({}, {"x-api-key": "no-such-key"}, {"x-api-key": expired_key(stack)}):
        with httpx.Client(base_url=stack.url, headers=headers) as client:
            for verb, path in routes:
                body = None if verb == "GET" else path_request(caller)
                assert refused(client.request(verb, path, json=body)) == (401, "ApiKeyInvalid"), (headers, path)


def test_what_a_key_may_not_do_is_a_403(stack: LiveStack, caller: AppFile) -> None:
    headers = {"x-api-key": new_key(stack, options_pb2.ROLE_VIEWER)}
    with httpx.Client(base_url=stack.url, headers=headers) as viewer:
        for path in ("/appfile/file/path", *IMPORT_ROUTES, "/appfile/file/import/data", "/appfile/file/c1/undo"):
            assert refused(viewer.post(path, json=path_request(caller))) == (403, "PermissionDenied"), path
    for name in ("X-Param-Override-WorkspaceId", "X-Param-Override-BucketId"):
        for verb, path in (("POST", "/appfile/file/path"), ("POST", "/appdata/wks_family/query")):
            answer = caller.call(verb, path, {"FileName": "a"}, **{name: "somebody-elses"})
            assert refused(answer) == (403, "PermissionDenied")


def test_files_that_are_not_there_or_of_no_use_are_told_with_their_codes(caller: AppFile) -> None:
    nowhere = {**IMPORT_REQUEST, "FilePath": ""}
    slot = caller.path()
    for route in IMPORT_ROUTES:
        assert refused(caller.call("POST", route, nowhere)) == (404, "FileNotFound")
        body = {**IMPORT_REQUEST, "FileId": slot["FileId"], "FilePath": slot["FilePath"]}
        assert refused(caller.call("POST", route, body)) == (409, "FileNotUploaded")
        assert refused(caller.call("POST", route, {**body, "FileType": "xls"})) == (400, "FileTypeUnsupported")
        answer = caller.call("POST", route, {**IMPORT_REQUEST, "FileId": slot["FileId"]})
        assert refused(answer) == (400, "FilePathMismatch")
    assert refused(caller.call("GET", "/appfile/file/example-file-id")) == (404, "FileNotFound")
    answer = caller.call("POST", "/appfile/file/path", {**path_request(caller), "Size": 2**50})
    assert refused(answer) == (413, "FileTooLarge")
    big = {"ImportData": {"data": [{"a": "x" * (17 << 20)}]}}
    assert refused(caller.call("POST", "/appfile/file/import/data", big)) == (413, "FileTooLarge")


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"FileName": ""}, "FieldRequired"),
        ({"FileName": None}, "FieldRequired"),
        ({"FileName": "x" * 256}, "FieldTooLong"),
        ({"FileName": 7}, "FieldNotText"),
        ({"Tags": "tag1"}, "InvalidTags"),
        ({"Metadata": ["key1"]}, "FieldNotObject"),
        ({"Folder": "f" * 256}, "FieldTooLong"),
    ],
)
def test_a_member_that_cannot_be_taken_is_named_as_it_is_published(
    caller: AppFile, wrong: dict[str, Any], code: str
) -> None:
    answer = caller.call("POST", "/appfile/file/path", {**path_request(caller), **wrong})
    assert refused(answer) == (400, code)
    (error,) = answer.json()["ResponseStatus"]["Errors"]
    assert (error["ErrorCode"], error["FieldName"]) == (code, *wrong)


@pytest.mark.parametrize(
    ("wrong", "code", "field"),
    [
        ({"OnError": "abortAbove"}, "InvalidPolicy", "OnError"),
        ({"OnError": "abortAbove", "MaxErrorPercent": 101}, "InvalidPolicy", "MaxErrorPercent"),
        ({"Sha256": "abc"}, "InvalidSha256", "Sha256"),
        ({"DryRun": "perhaps"}, "InvalidFlag", "DryRun"),
        ({"Description": "d" * 4_001}, "FieldTooLong", "Description"),
        ({"FileId": 7}, "FieldNotText", "FileId"),
    ],
)
def test_an_option_that_cannot_be_taken_is_named_too(
    caller: AppFile, wrong: dict[str, Any], code: str, field: str
) -> None:
    file_id = caller.upload(caller.file(family("option")))
    for route in IMPORT_ROUTES:
        answer = caller.call("POST", route, {"FileType": "cc5", "FileId": file_id, **wrong})
        assert refused(answer) == (400, code)
        assert [each["FieldName"] for each in answer.json()["ResponseStatus"]["Errors"]] == [field]
    assert caller.status(file_id)["Status"] == "Uploaded"


def test_a_store_that_is_away_is_a_503_and_the_same_call_works_later(stack: LiveStack, caller: AppFile) -> None:
    file_id = caller.upload(caller.file(family("store")))
    body = {"FileType": "cc5", "FileId": file_id}
    stack.stop("s3")
    try:
        for answer in (
            caller.call("POST", "/appfile/file/import", body),
            caller.call("GET", f"/appfile/file/{file_id}"),
        ):
            assert refused(answer) == (503, "StorageUnavailable")
    finally:
        stack.start("s3")
    caller.start(file_id)
    assert caller.wait(file_id)["Status"] == "Imported"
