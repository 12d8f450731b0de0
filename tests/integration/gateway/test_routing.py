from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import httpx
import pytest
from google.protobuf.message import Message

from hythe.dialects.plextrac.v2 import plextrac_pb2
from hythe.identity.v1 import identity_pb2, identity_pb2_grpc
from hythe.importer.v1 import import_sources_pb2, import_sources_pb2_grpc, importer_pb2, importer_pb2_grpc
from hythe.status.v1 import status_pb2, status_pb2_grpc
from hythe.upload.v1 import upload_pb2, upload_pb2_grpc
from tests.integration.gateway.running import Gateway, collect
from tests.integration.gateway.twins import Context, answer_with


@pytest.mark.parametrize(
    ("verb", "path", "service", "method"),
    [
        ("POST", "/api/v1/authenticate", "identity", "Authenticate"),
        ("PUT", "/api/v1/token/refresh", "identity", "RefreshToken"),
        ("PUT", "/api/v1/authenticate", "identity", "RefreshToken"),
        ("GET", "/.well-known/jwks.json", "identity", "GetJwks"),
        ("GET", "/api/v2/whoami", "identity", "WhoAmI"),
        ("POST", "/api/v2/presigned-url", "upload", "CreatePresignedUrl"),
        ("POST", "/api/v1/client/1/report/2/import/nessus", "upload", "ImportFile"),
        ("POST", "/api/v2/client/1/report/2/importAsync/nessus", "upload", "ImportFileAsync"),
        ("POST", "/api/v1/client/1/assets/import/nmap", "upload", "ImportAssets"),
        ("POST", "/api/v2/client/1/assets/import/nmap-xml", "upload", "ImportAssets"),
        ("POST", "/api/v2/client/1/report/2/preuploaded-import/burp", "importer", "StartImport"),
        ("POST", "/api/v2/my-imports/some-id/cancel", "importer", "CancelMyImport"),
        ("POST", "/api/v1/client/create", "importer", "CreateClient"),
        ("POST", "/api/v1/client/1/report/create", "importer", "CreateReport"),
        ("GET", "/api/v2/my-imports", "status", "ListMyImports"),
        ("GET", "/api/v2/my-imports/some-id", "status", "GetMyImport"),
        ("GET", "/api/v1/client/list", "status", "ListClientRows"),
        ("GET", "/api/v1/client/1", "status", "GetClient"),
        ("GET", "/api/v1/client/1/reports", "status", "ListReportRows"),
        ("GET", "/api/v1/client/1/report/2/flaws", "status", "ListFlaws"),
        ("GET", "/api/v1/client/1/report/2/flaw/3/asset/4/scanoutput", "status", "ListScanOutput"),
        ("POST", "/api/v2/clients/1/reports/2/findings", "status", "ListFindings"),
        ("POST", "/api/v2/tenant/assets", "status", "ListTenantAssets"),
    ],
)
def test_a_rest_call_reaches_the_service_that_owns_it(
    rest: httpx.Client, gateway: Gateway, verb: str, path: str, service: str, method: str
) -> None:
    answer = rest.request(verb, path)

    assert answer.status_code == 200
    assert (gateway.services.last.served_by, gateway.services.last.method) == (service, method)
    assert gateway.services.last.metadata["x-dialect"] == "plextrac"


def test_path_query_and_body_arrive_as_one_message(rest: httpx.Client, gateway: Gateway) -> None:
    rest.post("/api/v2/client/42/report/7/preuploaded-import/burp", json={"key": "a/b.xml", "useParserActions": False})

    request = gateway.services.last.request
    assert (request.client_id, request.report_id, request.source) == (42, 7, "burp")
    assert dict(request.payload) == {"key": "a/b.xml", "useParserActions": False}

    rest.get("/api/v2/my-imports", params={"limit": "5", "page_token": "x"})

    assert gateway.services.last.request == plextrac_pb2.ListMyImportsRequest(limit=5, page_token="x")


def test_a_query_parameter_that_means_nothing_is_ignored(rest: httpx.Client) -> None:
    assert rest.get("/api/v2/my-imports", params={"sort": "name", "_": "123"}).status_code == 200


@pytest.mark.parametrize("name", ["client_id", "clientId", "client%5Fid", "client_I%64"])
def test_a_query_parameter_never_overrides_the_path(rest: httpx.Client, gateway: Gateway, name: str) -> None:
    answer = rest.get(f"/api/v1/client/5/report/6?{name}=7&report_id=8&source=x")

    assert answer.status_code == 200
    assert gateway.services.last.request == plextrac_pb2.ReportRequest(client_id=5, report_id=6)


def test_a_body_member_never_overrides_the_path(rest: httpx.Client, gateway: Gateway) -> None:
    rest.post("/api/v1/client/5/report/create", json={"client_id": 7, "clientId": 7})

    assert gateway.services.last.request.client_id == 5


@pytest.mark.parametrize("path", ["/api/v2/presigned-url%20", "/api/v2/presigned-url%20?x=1"])
def test_the_trailing_space_of_a_published_collection_is_forgiven(
    rest: httpx.Client, gateway: Gateway, path: str
) -> None:
    assert rest.post(path, json={"name": "a"}).status_code == 200
    assert gateway.services.last.method == "CreatePresignedUrl"


@pytest.mark.parametrize("path", ["/api/v1/", "/api/v1"])
def test_the_greeting_that_scripts_look_for(rest: httpx.Client, path: str) -> None:
    answer = rest.get(path)

    assert (answer.status_code, answer.json()) == (200, {"text": "Authenticate at /authenticate"})
    assert answer.headers["content-type"] == "application/json"


def test_the_openapi_documents_are_listed_and_served(rest: httpx.Client) -> None:
    for path in ("/openapi/", "/openapi"):
        documents = rest.get(path).json()["documents"]
        assert [document["name"] for document in documents] == ["plextrac", "appfile", "assets"]
        for document in documents:
            answer = rest.get(document["url"])
            assert answer.json()["openapi"].startswith("3.1")
            assert answer.headers["content-type"] == "application/json"


def test_healthz_answers_without_a_service(rest: httpx.Client, gateway: Gateway) -> None:
    assert rest.get("/healthz").status_code == 200
    assert gateway.services.calls == []


def test_only_put_and_signed_gets_of_reports_pass_to_the_object_store(rest: httpx.Client, gateway: Gateway) -> None:
    for verb in ("GET", "POST", "DELETE", "HEAD"):
        assert rest.request(verb, "/cloud/uploads/c123/a.xml").status_code == 404
    for path in ("/cloud/other/x", "/cloud/", "/cloud/uploads"):
        assert rest.put(path, content=b"x").status_code == 404
    signed = "?X-Amz-Signature=abc"
    for path in ("c123/a.xml", "reports", "reports/../c123/a.xml", "c123/reports/a.csv"):
        assert rest.get(f"/cloud/uploads/{path}{signed}").status_code == 404
    for verb in ("POST", "DELETE", "HEAD"):
        assert rest.request(verb, f"/cloud/uploads/reports/1/a/errors.csv{signed}").status_code == 404
    for query in ("", "?x-amz-signature=abc", "?X-Amz-Expires=300"):
        assert rest.get(f"/cloud/uploads/reports/1/a/errors.csv{query}").status_code == 404
    assert gateway.objects.puts == []
    assert gateway.objects.gets == []


def test_native_grpc_reaches_every_service(gateway: Gateway) -> None:
    with grpc.insecure_channel(gateway.target) as channel:
        upload_pb2_grpc.UploadServiceStub(channel).CreateUpload(upload_pb2.CreateUploadRequest(), timeout=5)
        importer_pb2_grpc.ImportServiceStub(channel).ListSources(importer_pb2.ListSourcesRequest(), timeout=5)
        import_sources_pb2_grpc.ImportSourceServiceStub(channel).ListImportSources(
            import_sources_pb2.ListImportSourcesRequest(), timeout=5
        )
        status_pb2_grpc.StatusServiceStub(channel).ListImports(status_pb2.ListImportsRequest(), timeout=5)
        identity_pb2_grpc.IdentityServiceStub(channel).WhoAmI(identity_pb2.WhoAmIRequest(), timeout=5)

    assert [(call.served_by, call.method) for call in gateway.services.calls] == [
        ("upload", "CreateUpload"), ("importer", "ListSources"), ("importer", "ListImportSources"),
        ("status", "ListImports"), ("identity", "WhoAmI")
    ]  # fmt: skip
    assert all("x-dialect" not in call.metadata for call in gateway.services.calls)


@pytest.mark.parametrize(
    "method",
    [
        "/hythe.identity.v1.IdentityService/Resolve",
        "/hythe.dialects.plextrac.v2.PlextracStatus/GetClient",
        "/no.Such/Method",
    ],
)
def test_a_method_that_is_not_public_is_unknown_to_native_clients(gateway: Gateway, method: str) -> None:
    with grpc.insecure_channel(gateway.target) as channel, pytest.raises(grpc.RpcError) as refusal:
        channel.unary_unary(method, None, None)(b"", timeout=5, metadata=(("x-dialect", "plextrac"),))

    assert refusal.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert refusal.value.details() == "There is no such method."
    assert gateway.services.calls == []


def test_a_native_stream_is_delivered_message_by_message(gateway: Gateway) -> None:
    messages = [status_pb2.WatchImportResponse() for _ in range(3)]
    go_on = gateway.services.event()

    async def answer(requests: list[Message], context: Context) -> AsyncIterator[Message]:
        yield messages[0]
        await go_on.wait()
        for message in messages[1:]:
            yield message

    gateway.services.answer("WatchImport", answer)
    with grpc.insecure_channel(gateway.target) as channel:
        stream = status_pb2_grpc.StatusServiceStub(channel).WatchImport(status_pb2.WatchImportRequest(), timeout=10)
        received = iter(stream)
        first = next(received)
        gateway.services.set(go_on)
        assert [first, *received] == messages


def test_grpc_web_is_served_on_the_same_port(rest: httpx.Client, gateway: Gateway) -> None:
    reply = status_pb2.ListImportsResponse(next_page_token="next")
    gateway.services.answer("ListImports", answer_with(reply))

    answer = rest.post(
        "/hythe.status.v1.StatusService/ListImports",
        content=b"\0\0\0\0\0",
        headers={"content-type": "application/grpc-web+proto", "x-grpc-web": "1"},
    )

    frames = collect(answer.content)
    assert answer.headers["content-type"].startswith("application/grpc-web")
    assert status_pb2.ListImportsResponse.FromString(frames[0][1]) == reply
    assert (frames[1][0], b"grpc-status:0" in frames[1][1]) == (0x80, True)
