from __future__ import annotations

import socket

import grpc
import httpx
import pytest

from hythe.upload.v1 import upload_pb2, upload_pb2_grpc
from tests.integration.gateway.running import Gateway, poll

PORTAL = "http://localhost:3000"
PREFLIGHT = {"origin": PORTAL, "access-control-request-method": "PUT", "access-control-request-headers": "content-type"}
FORGED = {
    "x-dialect": "evil",
    "x-http-status": "200",
    "x-error-body": "{}",
    "x-hythe-tenant": "2",
    "x-jwt-payload": "e30",
    "x-user-id": "1",
    "x-tenant-id": "2",
    "x-forwarded-user": "root",
    "x-forwarded-email": "root@example.com",
    "x-envoy-upstream-rq-timeout-ms": "1",
    "x-envoy-retry-on": "5xx",
    "x-envoy-external-address": "10.0.0.1",
    "x-envoy-original-path": "/evil",
    "x-envoy-original-method": "EVIL",
    "x_dialect": "evil",
    "cookie": "session=1",
}


def test_what_only_the_gateway_may_say_is_taken_off_a_rest_call(rest: httpx.Client, gateway: Gateway) -> None:
    rest.get("/api/v2/my-imports", headers=FORGED)

    metadata = gateway.services.last.metadata
    assert metadata.pop("x-dialect") == "plextrac"
    assert metadata.pop("x-envoy-external-address") == "127.0.0.1"
    assert metadata.pop("x-envoy-original-path") == "/api/v2/my-imports"
    assert metadata.pop("x-envoy-original-method") == "GET"
    assert not FORGED.keys() & metadata.keys()


def test_what_only_the_gateway_may_say_is_taken_off_a_native_call(gateway: Gateway) -> None:
    metadata = tuple(FORGED.items())
    with grpc.insecure_channel(gateway.target) as channel:
        upload_pb2_grpc.UploadServiceStub(channel).CreateUpload(
            upload_pb2.CreateUploadRequest(), timeout=5, metadata=metadata
        )

    seen = gateway.services.last.metadata
    assert seen.pop("x-envoy-external-address") == "127.0.0.1"
    assert not FORGED.keys() & seen.keys()


@pytest.mark.parametrize("credential", ["abc.def.ghi", "Bearer abc.def.ghi", "Basic dTpw"])
def test_a_credential_is_passed_as_it_is(rest: httpx.Client, gateway: Gateway, credential: str) -> None:
    rest.get("/api/v2/my-imports", headers={"authorization": credential, "x-api-key": "hy_1"})

    assert gateway.services.last.metadata["authorization"] == credential
    assert gateway.services.last.metadata["x-api-key"] == "hy_1"


def test_every_call_gets_a_request_id_of_the_gateways_own(rest: httpx.Client, gateway: Gateway) -> None:
    answer = rest.get("/api/v2/my-imports", headers={"x-request-id": "mine"})

    assert gateway.services.last.metadata["x-request-id"] == answer.headers["x-request-id"] != "mine"
    assert rest.get("/nowhere").headers["x-request-id"]


def test_the_trace_and_the_idempotency_key_are_passed(rest: httpx.Client, gateway: Gateway) -> None:
    sent = {
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "a=b",
        "idempotency-key": "key-1",
    }
    rest.post("/api/v2/client/1/report/2/preuploaded-import/burp", json={}, headers=sent)

    assert sent.items() <= gateway.services.last.metadata.items()


def test_the_peer_address_is_the_last_one_of_x_forwarded_for(rest: httpx.Client, gateway: Gateway) -> None:
    rest.get("/api/v2/my-imports", headers={"x-forwarded-for": "1.2.3.4"})

    forged, real = gateway.services.last.metadata["x-forwarded-for"].split(",")
    assert forged == "1.2.3.4"
    assert real != forged


def test_answers_carry_the_headers_that_keep_browsers_careful(rest: httpx.Client) -> None:
    for answer in (rest.get("/api/v2/my-imports"), rest.get("/nowhere"), rest.get("/api/v1/")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert answer.headers["cache-control"] == "no-store"
        assert not [name for name in answer.headers if name.startswith("x-envoy")]


@pytest.mark.parametrize("path", ["/cloud/uploads/c1/a.xml?X-Amz-Signature=abc", "/api/v2/presigned-url"])
def test_a_preflight_is_answered_without_a_credential(rest: httpx.Client, gateway: Gateway, path: str) -> None:
    answer = rest.options(path, headers=PREFLIGHT)

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == PORTAL
    assert "PUT" in answer.headers["access-control-allow-methods"]
    assert {"authorization", "content-type", "idempotency-key"} <= set(
        answer.headers["access-control-allow-headers"].split(",")
    )
    assert gateway.services.calls == []
    assert gateway.objects.puts == []


def test_a_page_may_read_the_answer_and_its_etag_and_its_errors(rest: httpx.Client) -> None:
    for answer in (
        rest.put("/cloud/uploads/c1/a.xml", content=b"x", headers={"origin": PORTAL}),
        rest.get("/nowhere", headers={"origin": PORTAL}),
    ):
        assert answer.headers["access-control-allow-origin"] == PORTAL
        assert "etag" in answer.headers["access-control-expose-headers"].split(",")


def test_a_page_from_elsewhere_is_told_nothing(rest: httpx.Client) -> None:
    for origin in ("https://evil.example", "http://localhost.evil.example", "null"):
        for answer in (
            rest.get("/api/v2/my-imports", headers={"origin": origin}),
            rest.options("/api/v2/presigned-url", headers=PREFLIGHT | {"origin": origin}),
        ):
            assert "access-control-allow-origin" not in answer.headers


def test_the_access_log_has_no_query_and_no_credential(rest: httpx.Client, gateway: Gateway) -> None:
    rest.put(
        "/cloud/uploads/c77/logged.xml?X-Amz-Signature=secret1", content=b"x", headers={"authorization": "secret2"}
    )
    rest.get(
        "/api/v2/my-imports/logged-id?page_token=secret3",
        headers={"authorization": "secret4", "x-api-key": "secret5", "user-agent": 'a "quoted" agent'},
    )
    rest.post(
        "/api/v1/authenticate",
        content=b'{"password":"secret6',
        headers={"content-type": "application/json", "user-agent": "last of three"},
    )
    poll(lambda: "last of three" in gateway.access_log.read_text())

    lines = {line.get("path"): line for line in gateway.access_lines()}
    assert lines["/hythe/uploads/c77/logged.xml"]["status"] == 200
    call = lines["/api/v2/my-imports/logged-id"]
    assert (call["method"], call["user_agent"], call["upstream"]) == ("GET", 'a "quoted" agent', "status")
    assert call["request_id"] == gateway.services.last.metadata["x-request-id"]
    assert "secret" not in gateway.access_log.read_text() + gateway.envoy_log


def test_the_administration_listens_on_loopback_only(gateway: Gateway) -> None:
    own_address = [
        info[4][0]
        for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
        if not str(info[4][0]).startswith("127.")
    ]
    assert httpx.get(f"{gateway.admin_url}/ready").status_code == 200
    for address in own_address:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((str(address), gateway.ports.gateway_admin), timeout=5)


def test_envoy_has_nothing_to_warn_about(gateway: Gateway) -> None:
    """Deprecated settings and errors of the Lua script are written to its log."""
    lines = [line for line in gateway.envoy_log.splitlines() if "body_size_limit_filter" not in line]
    assert [line for line in lines if "[lua]" in line or "[misc]" in line or "[config]" in line] == []
