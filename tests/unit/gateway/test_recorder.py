from __future__ import annotations

import httpx
import pytest

from tests.e2e.recorder import CheckedClient, contract

ENVELOPE = {"status": "error", "statusCode": 404, "error": "Not Found", "message": "There is no client 5."}
GREETING = {"text": "Authenticate at /authenticate"}


def ask(path: str, status: int, body: object, verb: str = "GET", **headers: str) -> httpx.Response:
    answer = httpx.Response(status, json=body, headers=headers)
    with CheckedClient(transport=httpx.MockTransport(lambda _: answer), base_url="http://hythe") as client:
        return client.request(verb, path)


def test_an_answer_that_fits_passes() -> None:
    assert ask("/api/v1/", 200, GREETING).json() == GREETING
    assert ask("/api/v2/my-imports", 200, []).json() == []
    assert ask("/api/v1/client/5", 404, ENVELOPE).json() == ENVELOPE
    assert "greet" in contract().seen


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/api/v1/", 200, {"text": "Hello"}),
        ("/api/v2/my-imports", 200, {}),
        ("/api/v2/my-imports", 200, [{"key": 5}]),
        ("/api/v1/client/5", 404, {"message": "There is no client 5."}),
        ("/api/v1/client/5", 404, {**ENVELOPE, "trace": "inside"}),
        ("/api/v1/client/5", 200, ENVELOPE),
        ("/nowhere", 404, {"detail": "Not Found"}),
        ("/nowhere", 200, ENVELOPE),
        ("/api/v1/", 503, GREETING),
    ],
)
def test_an_answer_that_does_not_fit_is_an_error(path: str, status: int, body: object) -> None:
    with pytest.raises(AssertionError):
        ask(path, status, body)


def test_an_answer_that_is_no_json_is_an_error() -> None:
    with pytest.raises(AssertionError, match="text/html"):
        ask("/api/v2/my-imports", 200, [], **{"content-type": "text/html"})


def test_what_is_not_the_api_is_not_looked_at() -> None:
    for path in ("/cloud/uploads/c1/a", "/healthz", "/openapi/", "/openapi/plextrac.json", "/.well-known/jwks.json"):
        assert ask(path, 200, {"anything": True}).is_success


def test_a_fixed_path_goes_before_a_variable_one() -> None:
    for path, operation_id in (("/api/v1/client/list", "listClientRows"), ("/api/v1/client/7", "getClient")):
        operation = contract().operation("GET", path)
        assert operation is not None
        assert operation["operationId"] == operation_id
