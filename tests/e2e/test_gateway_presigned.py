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


def test_a_chunked_body_is_answered_by_the_store_itself(caller: Rest) -> None:
    """S3 wants a length; what matters is that its answer comes through and nothing hangs."""
    answer = httpx.put(caller.reserve("scan.nessus")["url"], content=iter([b"a", b"b"]))

    assert answer.status_code in {200, 411}


def test_curl_with_expect_uploads_a_large_file(caller: Rest, tmp_path: object) -> None:
    url = caller.reserve("scan.nessus")["url"]
    done = subprocess.run(
        ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Expect: 100-continue", "-T", "-", url],  # noqa: S607
        input=b"x" * (3 << 20),
        capture_output=True,
        check=True,
    )
    assert done.stdout in {b"200", b"411"}


def test_a_page_in_a_browser_may_upload(caller: Rest) -> None:
    url = caller.reserve("scan.nessus")["url"]
    preflight = httpx.options(url, headers=PORTAL | {"access-control-request-method": "PUT"})
    answer = httpx.put(url, content=b"x", headers=PORTAL)

    assert (preflight.status_code, answer.status_code) == (200, 200)
    for each in (preflight, answer):
        assert each.headers.get_list("access-control-allow-origin") == [PORTAL["origin"]]
    assert "etag" in answer.headers["access-control-expose-headers"]
