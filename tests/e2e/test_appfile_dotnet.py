"""The published page as .NET clients speak it, byte for byte on the wire: `HttpClient` of the framework and of today.

The framework asks `Expect: 100-continue` before each body, and sends it after a second whatever it hears. Today's sends
JSON in chunks without a length, in camelCase and with nulls (`PostAsJsonAsync`). The page's own upload is
`PutAsync(url, new StreamContent(file))`: a length where the stream has one, chunks otherwise, and no content type.
"""

from __future__ import annotations

import http.client
import json
import select
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.appfile import ENDED, NOTHING_WRONG, AppFile, appfile
from tests.stack import LiveStack
from tests.sync_files import family

# HttpClientHandler.Expect100ContinueTimeout.
EXPECT_SECONDS = 1.0
PIECE = 4096
CONTINUE = b"HTTP/1.1 100 "


@dataclass(frozen=True)
class DotNet:
    """A way of sending."""

    expects: bool = False
    chunks_json: bool = False
    chunks_files: bool = False
    is_camel: bool = False

    def post(self, url: str, body: dict[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
        if self.is_camel:
            body = {name[0].lower() + name[1:]: value for name, value in body.items()}
        typed = {**headers, "Content-Type": "application/json; charset=utf-8"}
        status, answer = self.send("POST", url, json.dumps(body).encode(), typed, in_chunks=self.chunks_json)
        assert status == 200, answer
        return data(answer)

    def put(self, url: str, content: bytes) -> None:
        status, answer = self.send("PUT", url, content, {}, in_chunks=self.chunks_files)
        assert status == 200, answer

    def get(self, url: str, headers: Mapping[str, str]) -> dict[str, Any]:
        status, answer = self.send("GET", url, b"", headers)
        assert status == 200, answer
        return data(answer)

    def send(
        self, verb: str, url: str, content: bytes, headers: Mapping[str, str], *, in_chunks: bool = False
    ) -> tuple[int, bytes]:
        target = urlsplit(url)
        connection = http.client.HTTPConnection(target.netloc, timeout=30)
        try:
            path = f"{target.path}?{target.query}" if target.query else target.path
            connection.putrequest(verb, path, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            if content:
                connection.putheader(*(("Transfer-Encoding", "chunked") if in_chunks else length(content)))
            if content and self.expects:
                connection.putheader("Expect", "100-continue")
            connection.endheaders()
            if content and self.expects and is_refused(connection.sock):
                content = b""
            for at in range(0, len(content), PIECE):
                piece = content[at : at + PIECE]
                connection.send(b"%x\r\n%s\r\n" % (len(piece), piece) if in_chunks else piece)
            if content and in_chunks:
                connection.send(b"0\r\n\r\n")
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def length(content: bytes) -> tuple[str, str]:
    return "Content-Length", str(len(content))


def is_refused(wire: socket.socket) -> bool:
    """Waits as long as the client does; another answer than the interim one comes instead of the body."""
    readable, _, _ = select.select([wire], [], [], EXPECT_SECONDS)
    return bool(readable) and wire.recv(len(CONTINUE), socket.MSG_PEEK) != CONTINUE


def data(answer: bytes) -> dict[str, Any]:
    envelope = json.loads(answer)
    assert (envelope["IsSuccess"], envelope["ResponseStatus"]) == (True, NOTHING_WRONG)
    found: dict[str, Any] = envelope["Data"]
    return found


@pytest.fixture(scope="module")
def caller(stack: LiveStack) -> Iterator[AppFile]:
    with appfile(stack) as made:
        yield made


@pytest.mark.parametrize(
    "client",
    [
        pytest.param(DotNet(expects=True), id="framework"),
        pytest.param(DotNet(expects=True, chunks_files=True), id="framework-unmeasured"),
        pytest.param(DotNet(chunks_json=True, is_camel=True), id="json-content"),
        pytest.param(DotNet(chunks_json=True, chunks_files=True, is_camel=True), id="json-content-unmeasured"),
    ],
)
@pytest.mark.parametrize("end", ["", "/"])
def test_the_page_works_word_for_word(
    request: pytest.FixtureRequest, stack: LiveStack, caller: AppFile, client: DotNet, end: str
) -> None:
    """`end`: some base addresses make paths that end with a slash."""
    headers = {"x-api-key": stack.api_key, "Accept": "application/json"}
    slot = client.post(
        f"{stack.url}/appfile/file/path{end}",
        {
            "WorkspaceId": caller.workspace_id,
            "BucketId": caller.bucket,
            "EntityType": "wks_family",
            "FileName": "example-file-name.txt",
            "Folder": None,
            "Category": None,
            "Tags": None,
            "Metadata": None,
            "ActionId": "Track Id",
            "Description": None,
        },
        headers,
    )
    assert slot["ActionId"] == "Track Id"
    count, name = 300, request.node.callspec.id
    client.put(slot["Url"], caller.file(*(family(f"{name}-{number}") for number in range(count))).encode())
    body = {"ActionId": slot["ActionId"], "Description": None, "FileType": "cc5"}
    started = client.post(
        f"{stack.url}/appfile/file/import{end}",
        {**body, "FileId": slot["FileId"], "FilePath": slot["FilePath"]},
        headers,
    )
    assert (started["ActionId"], started["FileId"], started["Url"]) == ("Track Id", slot["FileId"], "")
    deadline = time.monotonic() + 60
    while (file := client.get(f"{stack.url}/appfile/file/{slot['FileId']}{end}", headers)["File"])[
        "Status"
    ] not in ENDED:
        assert time.monotonic() < deadline, file
        time.sleep(0.1)
    assert (file["Status"], file["Progress"]["RowsInserted"]) == ("Imported", count)


def test_a_client_that_asks_first_is_told_of_a_refusal_in_the_envelope(stack: LiveStack) -> None:
    status, answer = DotNet(expects=True).send(
        "POST", f"{stack.url}/appfile/file/path", b'{"FileName": "a"}', {"Content-Type": "application/json"}
    )
    assert (status, json.loads(answer)["ResponseStatus"]["ErrorCode"]) == (401, "ApiKeyInvalid")
