from __future__ import annotations

import re
import time

import httpx
import pytest

from tests.e2e.rest import Rest
from tests.scans import nessus
from tests.stack import LiveStack


def is_envelope(response: httpx.Response, status: int) -> bool:
    body = response.json()
    return (
        response.status_code == status
        and (body["status"], body["statusCode"]) == ("error", status)
        and bool(body["error"])
        and bool(body["message"])
    )


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "EMPTY_FILE"),
        (b"<nmaprun scanner='nmap'></nmaprun>", "WRONG_FORMAT"),
        (b"hello", "WRONG_FORMAT"),
        (nessus()[:-25], "TRUNCATED"),
        (
            b'<!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;">]><NessusClientData_v2>&b;</NessusClientData_v2>',
            "ENTITY_FORBIDDEN",
        ),
        (
            b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><NessusClientData_v2>&a;</NessusClientData_v2>',
            "ENTITY_FORBIDDEN",
        ),
    ],
    ids=["empty", "other tool", "text", "truncated", "entity bomb", "external entity"],
)
def test_a_bad_file_ends_in_error_with_its_reason_and_imports_nothing(caller: Rest, data: bytes, code: str) -> None:
    row = caller.imported(data)
    assert row["status"] == "ERROR"
    assert row["state"] == "FAILED"
    assert row["errorStatus"].startswith(f"{code}: ")
    assert caller.flaws() == []


def test_a_trigger_before_the_put_is_refused_and_works_after_it(caller: Rest) -> None:
    reserved = caller.reserve()
    early = caller.trigger_response(reserved["key"])
    assert is_envelope(early, 409)
    assert httpx.put(reserved["url"], content=nessus()).status_code == 200
    assert caller.wait(caller.trigger(reserved["key"]))["status"] == "IMPORT COMPLETE"


@pytest.mark.parametrize("key", ["cnowhere/scan.nessus", "../../etc/passwd", "x" * 5000, "é\u0000"])
def test_an_unknown_key_is_not_found(caller: Rest, key: str) -> None:
    assert caller.trigger_response(key).status_code in {400, 404}


def test_an_unknown_source_is_told_the_known_ones(caller: Rest) -> None:
    response = caller.trigger_response(caller.upload(nessus()), source="crystalball")
    assert is_envelope(response, 400)
    for known in ("nessus", "burp", "nmap"):
        assert known in response.json()["message"]


def test_a_tampered_or_unsigned_url_writes_nothing(caller: Rest) -> None:
    reserved = caller.reserve()
    tampered = [
        reserved["url"].replace("scan.nessus", "other.nessus"),
        re.sub(r"X-Amz-Signature=[0-9a-f]{8}", "X-Amz-Signature=00000000", reserved["url"]),
        re.sub(r"X-Amz-Expires=\d+", "X-Amz-Expires=604800", reserved["url"]),
        reserved["url"].split("?")[0],
    ]
    for url in tampered:
        assert httpx.put(url, content=b"evil").status_code in {400, 403}
    assert caller.trigger_response(reserved["key"]).status_code == 409


def test_a_put_url_reads_and_deletes_nothing(caller: Rest) -> None:
    reserved = caller.reserve()
    assert httpx.put(reserved["url"], content=nessus()).status_code == 200
    for method in ("GET", "DELETE"):
        assert httpx.request(method, reserved["url"]).status_code in {400, 403, 404, 405}


def test_a_second_put_after_the_trigger_is_never_imported_as_a_mixture(caller: Rest) -> None:
    reserved = caller.reserve()
    assert httpx.put(reserved["url"], content=nessus(hosts=200, plugins=20)).status_code == 200
    import_id = caller.trigger(reserved["key"])
    assert httpx.put(reserved["url"], content=nessus(hosts=1, plugins=1, first_plugin=1)).status_code == 200
    row = caller.wait(import_id)
    if row["status"] == "ERROR":
        assert row["errorStatus"].startswith("FILE_CHANGED: ")
        assert caller.flaws() == []
    else:
        assert len(caller.flaws()) == 20


def test_the_same_trigger_with_one_idempotency_key_is_one_import(caller: Rest) -> None:
    key = caller.upload(nessus())
    headers = {"Idempotency-Key": f"once-{time.time_ns()}"}
    first = caller.trigger(key, headers=headers)
    assert caller.trigger(key, headers=headers) == first
    other = caller.trigger_response(key, tags='{"assets":["x"],"findings":[]}', headers=headers)
    assert is_envelope(other, 409)


def test_an_import_into_a_client_or_report_that_is_not_there_is_not_found(caller: Rest) -> None:
    key = caller.upload(nessus())
    for client, report in ((999_999_999, caller.report_id), (caller.client_id, 999_999_999)):
        response = caller.http.post(
            f"/api/v2/client/{client}/report/{report}/preuploaded-import/nessus", json={"key": key, "fileName": "f"}
        )
        assert is_envelope(response, 404)


@pytest.mark.parametrize("body", [b"{", b"[1,2", b'"text"', b"[]", b"null", b"\xff\xfe"])
def test_a_body_that_is_no_object_is_a_bad_request(caller: Rest, body: bytes) -> None:
    response = caller.http.post("/api/v2/presigned-url", content=body, headers={"content-type": "application/json"})
    assert is_envelope(response, 400)


def test_a_body_nested_too_deep_is_a_bad_request(caller: Rest) -> None:
    body = b'{"name":' * 200 + b'"x"' + b"}" * 200
    response = caller.http.post("/api/v2/presigned-url", content=body, headers={"content-type": "application/json"})
    assert is_envelope(response, 400)


def test_no_log_line_holds_a_signature_or_the_api_key(stack: LiveStack, caller: Rest) -> None:
    caller.imported(nessus())
    logs = list(stack.state.rglob("*.log"))
    assert logs
    for path in logs:
        text = path.read_text(errors="replace")
        assert "X-Amz-Signature=" not in text, path
        assert stack.api_key not in text, path
