from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

import httpx
import pytest

from tests.e2e.recorder import CheckedClient
from tests.stack import LiveStack

JSON = {"content-type": "application/json"}


@pytest.fixture
def rest(stack: LiveStack) -> Iterator[httpx.Client]:
    with CheckedClient(base_url=stack.url, timeout=30, headers={"x-api-key": stack.api_key}) as client:
        yield client


def assert_envelope(answer: httpx.Response, status: int, in_message: str = "") -> None:
    body = answer.json()
    assert (answer.status_code, body["status"], body["statusCode"]) == (status, "error", status)
    assert body["error"] in {HTTPStatus(status).phrase, "Payload Too Large"}
    assert in_message in body["message"]


@pytest.mark.parametrize("verb_path", ["GET /api/v2/my-imports", "GET /api/v1/client/1/report/1/flaws",
                                       "POST /api/v2/presigned-url", "POST /api/v1/client/create",
                                       "POST /api/v2/my-imports/x/cancel"])  # fmt: skip
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer no.good.token"}, {"authorization": "nonsense"}])
def test_without_a_good_credential_every_service_answers_401(
    stack: LiveStack, verb_path: str, headers: dict[str, str]
) -> None:
    with CheckedClient(base_url=stack.url, headers=headers) as nobody:
        assert_envelope(nobody.request(*verb_path.split()), 401)


def test_headers_of_an_identity_prove_nothing(stack: LiveStack) -> None:
    forged = {"x-tenant-id": "1", "x-user-id": "1", "x-hythe-tenant": "1", "x-jwt-payload": "e30"}
    with CheckedClient(base_url=stack.url, headers=forged) as nobody:
        assert_envelope(nobody.get("/api/v2/my-imports"), 401)


@pytest.mark.parametrize("verb_path", ["GET /", "GET /api/v9/x", "DELETE /api/v2/my-imports", "GET /cloud/uploads/a/b"])
def test_what_is_not_there_is_404(rest: httpx.Client, verb_path: str) -> None:
    assert_envelope(rest.request(*verb_path.split()), 404)


def test_an_unknown_id_is_404_in_the_words_of_the_service(rest: httpx.Client) -> None:
    assert_envelope(rest.get("/api/v1/client/2147483647"), 404, "2147483647")


def test_a_body_that_is_no_json_is_400(rest: httpx.Client) -> None:
    assert_envelope(rest.post("/api/v2/presigned-url", content=b"{", headers=JSON), 400, "not JSON")


def test_a_request_that_lacks_something_is_400_in_the_words_of_the_service(rest: httpx.Client) -> None:
    assert_envelope(rest.post("/api/v2/presigned-url", json={}), 400, "name")


def test_a_json_body_above_the_limit_is_413(rest: httpx.Client) -> None:
    assert_envelope(rest.post("/api/v2/presigned-url", content=b" " * (1 << 20 | 1), headers=JSON), 413)


def test_another_media_type_is_415(rest: httpx.Client) -> None:
    assert_envelope(rest.post("/api/v2/presigned-url", content=b"<a/>", headers={"content-type": "text/xml"}), 415)


def test_a_service_that_is_down_is_503_and_back_again(rest: httpx.Client, stack: LiveStack) -> None:
    stack.stop("status")
    try:
        assert_envelope(rest.get("/api/v2/my-imports"), 503, "not available")
        assert rest.post("/api/v2/presigned-url", json={"name": "a.xml"}).status_code == 200
    finally:
        stack.start("status")
    assert rest.get("/api/v2/my-imports").status_code == 200
