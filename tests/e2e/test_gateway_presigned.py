from __future__ import annotations

import secrets
import subprocess
from urllib.parse import quote

import httpx
import pytest

from tests.e2e.rest import Rest
from tests.stack import LiveStack

PORTAL = {"origin": "http://localhost:3000"}


@pytest.mark.parametrize(
    "name",
    [
        "scan.nessus",
        "a b+c&d=e.xml",
        "r\u00e9sum\u00e9 \u65e5\u672c.xml",
        "50%.xml",
        "semi;colon,comma.xml",
        "a'b(c)!*~.xml",
    ],
)
def test_a_file_of_any_name_goes_up(caller: Rest, name: str) -> None:
    data = secrets.token_bytes(3000)
    answer = httpx.put(caller.reserve(name)["url"], content=data)

    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"]


def test_the_url_is_the_public_one(caller: Rest, stack: LiveStack) -> None:
    reserved = caller.reserve("scan.nessus")

    assert reserved["url"].startswith(f"{stack.url}/cloud/uploads/{quote(reserved['key'])}?")


def test_a_url_is_good_for_nothing_but_this_put(caller: Rest) -> None:
    url = caller.reserve("scan.nessus")["url"]
    other = caller.reserve("other.nessus")["key"]
    path, query = url.split("?")

    assert httpx.put(path, content=b"x").status_code == 403
    assert httpx.put(f"{path}x?{query}", content=b"x").status_code == 403
    assert httpx.put(f"{path[: path.index('/cloud/')]}/cloud/uploads/{other}?{query}", content=b"x").status_code == 403
    assert httpx.get(url).status_code == 404
    assert httpx.put(url, content=b"x").status_code == 200


@pytest.mark.parametrize("name", ["scan.nessus", "a b+c&d=e\u00e9.xml"])
def test_a_body_without_a_length_goes_up(caller: Rest, name: str) -> None:
    """S3 refuses one, and so the gateway sends it another way."""
    reserved = caller.reserve(name)
    answer = httpx.put(reserved["url"], content=iter([b"<NessusClientData_v2>", b"</NessusClientData_v2>"]))

    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"]
    assert caller.wait(caller.trigger(reserved["key"]))["fileSize"] == "43"


def test_a_large_body_without_a_length_goes_up_in_parts(caller: Rest) -> None:
    reserved = caller.reserve("scan.nessus")
    answer = httpx.put(reserved["url"], content=(b"x" * (1 << 20) for _ in range(20)), timeout=60)

    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"].endswith('-3"')


def test_a_body_without_a_length_needs_the_same_signature(caller: Rest) -> None:
    url = caller.reserve("scan.nessus")["url"]
    other = caller.reserve("other.nessus")["key"]
    path, query = url.split("?")

    def status(target: str, **headers: str) -> int:
        return httpx.put(target, content=iter([b"x"]), headers=headers).status_code

    assert status(path) == 403
    assert status(f"{path}x?{query}") == 403
    assert status(f"{path[: path.index('/cloud/')]}/cloud/uploads/{other}?{query}") == 403
    assert status(url.replace("X-Amz-Expires=900", "X-Amz-Expires=90000")) == 403
    assert status(f"{url}&uploadId=1") == 403
    # What the caller says of the path that it has asked for counts for nothing.
    original = url[url.index("/cloud/") :]
    assert status(path, **{"x-envoy-original-path": original}) == 403
    assert status(url) == 200


def test_curl_with_expect_uploads_a_large_file(caller: Rest, tmp_path: object) -> None:
    url = caller.reserve("scan.nessus")["url"]
    done = subprocess.run(
        ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Expect: 100-continue", "-T", "-", url],  # noqa: S607
        input=b"x" * (3 << 20),
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"200"


def test_a_page_in_a_browser_may_upload(caller: Rest) -> None:
    url = caller.reserve("scan.nessus")["url"]
    preflight = httpx.options(url, headers=PORTAL | {"access-control-request-method": "PUT"})
    answer = httpx.put(url, content=b"x", headers=PORTAL)

    assert (preflight.status_code, answer.status_code) == (200, 200)
    for each in (preflight, answer):
        assert each.headers.get_list("access-control-allow-origin") == [PORTAL["origin"]]
    assert "etag" in answer.headers["access-control-expose-headers"]
