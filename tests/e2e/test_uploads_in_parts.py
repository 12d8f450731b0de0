"""Files in parts through the gateway: a line breaks, URLs end, the command is killed; and a token ends on the way."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
import psycopg
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from deploy.local.instance import ROOT
from deploy.local.secrets import jwt_key_file
from tests.e2e.rest import Rest, login
from tests.e2e.test_cli import Shell
from tests.scans import nessus
from tests.stack import LiveStack

MIB = 1024 * 1024
LEAST = 5 * MIB
HOSTS, PLUGINS = 4, 25
PAD = b"<!-- " + b"x" * 1_000 + b" -->\n"
PORTAL = {"origin": "http://localhost:3000"}


def padded_scan(size: int) -> bytes:
    """A scan of at least this size whose findings are few."""
    head, mark, tail = nessus(HOSTS, PLUGINS).partition(b"</Report>\n")
    return head + PAD * -(-(size - len(head)) // len(PAD)) + mark + tail


def eventually(find: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < deadline, "it has not come"
        time.sleep(0.01)
    return found


def begun(caller: Rest, data: bytes) -> str:
    return str(caller.post("/api/v2/uploads", {"name": "large.nessus", "size": len(data), "partSize": LEAST})["key"])


def parts_of(caller: Rest, key: str) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    first: int | None = 1
    while first:
        page = caller.get(f"/api/v2/uploads/{key}", params={"first": first, "limit": 1_000})
        parts += page["parts"]
        first = page["next"]
    return parts


def piece(data: bytes, part: dict[str, Any]) -> bytes:
    return data[int(part["offset"]) :][: int(part["size"])]


def send_missing(caller: Rest, key: str, data: bytes) -> list[int]:
    missing = [part for part in parts_of(caller, key) if not part["uploaded"]]
    for part in missing:
        answer = httpx.put(part["url"], content=piece(data, part), timeout=60)
        assert answer.status_code == 200, answer.text
        assert answer.headers["etag"]
    return [part["number"] for part in missing]


def check_findings(caller: Rest) -> None:
    flaws = caller.flaws()
    assert {row["data"][0] for row in flaws} == set(range(90_000, 90_000 + PLUGINS))
    assets = caller.get(f"/api/v2/clients/{caller.client_id}/reports/{caller.report_id}/assets")
    assert len(assets) == HOSTS


def put_half(url: str, data: bytes) -> None:
    """Announces the whole part, sends half of it, and drops the line."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as line:
        head = f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {len(data)}\r\n\r\n"
        line.sendall(head.encode() + data[: len(data) // 2])


def test_a_line_that_breaks_in_the_middle_of_a_part_costs_this_part(caller: Rest, stack: LiveStack) -> None:
    data = padded_scan(12 * MIB)
    key = begun(caller, data)
    first, second, _ = parts_of(caller, key)
    assert httpx.put(first["url"], content=piece(data, first), timeout=60).status_code == 200
    put_half(second["url"], piece(data, second))
    assert caller.trigger_response(key).status_code == 409, "there is no file yet"
    early = caller.http.post(f"/api/v2/uploads/{key}/complete")
    assert early.status_code == 409
    assert "the first is part 2" in early.json()["message"]

    assert send_missing(caller, key, data) == [2, 3]
    assert caller.post(f"/api/v2/uploads/{key}/complete", None)["uploaded"] is True
    # Both may be said again, and the way back is closed.
    assert caller.post(f"/api/v2/uploads/{key}/complete", None)["size"] == str(len(data))
    assert caller.http.delete(f"/api/v2/uploads/{key}").status_code == 409
    assert caller.wait(caller.trigger(key))["status"] == "IMPORT COMPLETE"
    check_findings(caller)
    assert "X-Amz-Signature" not in "".join(stack.log(process) for process in ("gateway", "upload", "importer"))


def test_a_part_may_have_no_other_size_and_no_other_number(caller: Rest) -> None:
    data = padded_scan(6 * MIB)
    key = begun(caller, data)
    *_, last = parts_of(caller, key)
    body = piece(data, last)
    assert httpx.put(last["url"].replace("partNumber=2", "partNumber=1"), content=body).status_code == 403
    assert httpx.put(last["url"], content=body[:-1]).status_code == 403
    assert httpx.put(last["url"], content=body + b"x").status_code == 403
    assert httpx.get(last["url"]).status_code == 404
    assert not any(part["uploaded"] for part in parts_of(caller, key))
    caller.http.delete(f"/api/v2/uploads/{key}")
    assert httpx.put(last["url"], content=body).status_code == 404
    assert caller.http.get(f"/api/v2/uploads/{key}").status_code == 409


def test_a_page_in_a_browser_may_send_parts_and_abort(caller: Rest) -> None:
    data = padded_scan(6 * MIB)
    key = begun(caller, data)
    *_, last = parts_of(caller, key)
    answer = httpx.put(last["url"], content=piece(data, last), headers=PORTAL)
    assert answer.status_code == 200
    assert "etag" in answer.headers["access-control-expose-headers"]
    wanted = PORTAL | {"access-control-request-method": "DELETE"}
    preflight = caller.http.options(f"/api/v2/uploads/{key}", headers=wanted)
    assert "DELETE" in preflight.headers["access-control-allow-methods"]


def test_the_largest_page_of_parts_fits_whatever_the_name(caller: Rest) -> None:
    body = {"name": "x" * 255, "size": 1_500 * LEAST, "partSize": LEAST}
    key = caller.post("/api/v2/uploads", body)["key"]
    page = caller.get(f"/api/v2/uploads/{key}", params={"limit": 1_000})
    assert ([part["number"] for part in page["parts"]], page["next"]) == (list(range(1, 1_001)), 1_001)
    assert caller.http.get(f"/api/v2/uploads/{key}", params={"limit": 1_001}).status_code == 400


def test_a_file_above_five_gibibytes_is_sent_to_the_other_route_before_it_is_sent(caller: Rest) -> None:
    large = 5 * 1024 * MIB + 1
    refused = caller.http.post("/api/v2/presigned-url", json={"name": "a", "size": large})
    assert refused.status_code == 400
    assert "in parts" in refused.json()["message"]
    assert caller.post("/api/v2/uploads", {"name": "a", "size": large})["partCount"] == 321
    too_large = {"name": "a", "size": 50 * 1024 * MIB + 1}
    assert caller.http.post("/api/v2/uploads", json=too_large).status_code == 413
    assert caller.http.post("/api/v2/presigned-url", json=too_large).status_code == 413


def test_a_file_of_another_size_than_announced_is_not_imported(caller: Rest) -> None:
    slot = caller.post("/api/v2/presigned-url", {"name": "a.nessus", "size": 10})
    assert httpx.put(slot["url"], content=nessus()).status_code == 200
    refused = caller.trigger_response(slot["key"])
    assert refused.status_code == 409
    assert "instead of 10" in refused.json()["message"]


@contextmanager
def upload_service_with(stack: LiveStack, **settings: str) -> Iterator[None]:
    """The upload service with other settings, until the end of the block."""
    stack.stop("upload")
    command = [sys.executable, "-m", "services.upload.main"]
    other = subprocess.Popen(command, env={**stack.env("upload"), **settings}, stdout=subprocess.DEVNULL, cwd=ROOT)
    try:
        eventually(stack.program("upload").is_ready)
        yield
    finally:
        other.terminate()
        other.wait(timeout=40)
        stack.start("upload")


def test_urls_that_have_ended_are_replaced_and_the_upload_goes_on(caller: Rest, stack: LiveStack) -> None:
    data = padded_scan(6 * MIB)
    with upload_service_with(stack, HYTHE_UPLOAD_URL_SECONDS="1"):
        key = begun(caller, data)
        parts = parts_of(caller, key)
        ends = max(datetime.fromisoformat(part["expiresAt"]) for part in parts)
        eventually(lambda: datetime.now(UTC) > ends)
        last = parts[-1]
        assert httpx.put(last["url"], content=piece(data, last)).status_code == 403
    # By the service as it is set up again: one second is not enough on a busy machine.
    assert send_missing(caller, key, data) == [1, 2]
    assert caller.post(f"/api/v2/uploads/{key}/complete", None)["uploaded"] is True
    assert caller.wait(caller.trigger(key))["status"] == "IMPORT COMPLETE"
    check_findings(caller)


def test_a_command_that_was_killed_goes_on_with_the_parts_that_are_missing(
    caller: Rest, stack: LiveStack, tmp_path: Path
) -> None:
    file = tmp_path / "large.nessus"
    file.write_bytes(padded_scan(200 * MIB))
    shell = Shell({"HYTHE_URL": stack.url, "HYTHE_API_KEY": stack.api_key}, tmp_path / "home")
    order = ["import", file, "--source", "nessus", "--client", caller.client_id, "--report", caller.report_id]
    order += ["--part-size", "5"]
    memory = tmp_path / "home" / "hythe" / "uploads"
    command = shell.start(*order)
    [kept] = eventually(lambda: list(memory.glob("*.json")))
    key = json.loads(kept.read_text())["key"]
    eventually(lambda: any(part["uploaded"] for part in caller.get(f"/api/v2/uploads/{key}?limit=1000")["parts"]))
    command.kill()
    command.communicate(timeout=30)
    before = {part["number"] for part in parts_of(caller, key) if part["uploaded"]}
    parts = len(parts_of(caller, key))
    assert 0 < len(before) < parts

    again = shell.run(*order)
    assert again.returncode == 0, again.stderr
    assert "Going on with an upload that was begun before" in again.stderr
    assert "IMPORT COMPLETE" in again.stdout
    check_findings(caller)
    with psycopg.connect(stack.database.superuser_url) as connection:
        query = "SELECT count(*), min(key), max(key) FROM imports WHERE client_id = %s"
        assert connection.execute(query, (caller.client_id,)).fetchone() == (1, key, key)
    assert list(memory.glob("*.json")) == []


def test_the_command_holds_no_more_of_the_file_than_it_sends(stack: LiveStack, tmp_path: Path) -> None:
    file = tmp_path / "large.bin"
    with file.open("wb") as sparse:
        sparse.truncate(300 * MIB)
    shell = Shell({"HYTHE_URL": stack.url, "HYTHE_API_KEY": stack.api_key}, tmp_path / "home")
    measured = (
        "import resource, subprocess, sys; subprocess.call(sys.argv[1:]); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", measured, sys.executable, "-m", "cli.main", "upload", str(file), "--json"],
        env=shell.variables(), capture_output=True, text=True, check=True, timeout=100,
    )  # fmt: skip
    assert json.loads(done.stdout)["key"]
    assert int(done.stderr) < 200_000, "KiB"


def test_a_file_that_arrives_longer_than_a_token_lives_is_imported_all_the_same(caller: Rest, stack: LiveStack) -> None:
    with httpx.Client(base_url=stack.url) as http:
        good = login(http, stack.user, stack.password)
    token = ending_soon(stack, good)
    headers = {"authorization": f"Bearer {token}"}
    data = nessus(HOSTS, PLUGINS)
    boundary = secrets.token_hex(8)
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.nessus"\r\n\r\n'.encode()

    def body() -> Iterator[bytes]:
        yield head + data[:-1]
        with httpx.Client(base_url=stack.url, headers=headers) as own:
            eventually(lambda: own.get("/api/v2/whoami").status_code == 401)
        yield data[-1:] + f"\r\n--{boundary}--\r\n".encode()

    path = f"/api/v2/client/{caller.client_id}/report/{caller.report_id}/importAsync/nessus"
    content_type = {"content-type": f"multipart/form-data; boundary={boundary}"}
    answer = httpx.post(stack.url + path, content=body(), headers={**headers, **content_type}, timeout=90)
    assert answer.status_code == 200, answer.text
    assert caller.wait(answer.json()["operationId"])["status"] == "IMPORT COMPLETE"
    check_findings(caller)
    audited = "SELECT object ->> 'key', object ->> 'import_id' FROM audit_log WHERE method = 'ImportFileAsync'"
    with psycopg.connect(stack.database.superuser_url, autocommit=True) as connection:
        wanted = answer.json()["operationId"]
        eventually(lambda: any(each[0] and each[1] == wanted for each in connection.execute(audited)))


def ending_soon(stack: LiveStack, token: str) -> str:
    """The same token, as if it had been made so long ago that services take it for some seconds more only."""
    claims = jwt.decode(token, options={"verify_signature": False})
    key: Any = load_pem_private_key(jwt_key_file(stack.state).read_bytes(), password=None)
    # Their clocks may differ by 30 s from ours, and so long is a token taken after its end.
    end = int(time.time()) - 30 + 6
    headers = {"kid": jwt.get_unverified_header(token)["kid"]}
    return jwt.encode({**claims, "iat": end - 900, "exp": end}, key, algorithm="ES256", headers=headers)
