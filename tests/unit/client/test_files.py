from __future__ import annotations

import os
from pathlib import Path

import grpc
import httpx
import pytest

from hythe_client import HytheError, put_file
from hythe_client import files as files_module

URL = "http://gateway/cloud/uploads/c1/a.nessus?X-Amz-Signature=s"
EXPIRED = (
    "<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Request has expired</Message>"
    "<Resource>/hythe</Resource></Error>"
)


class Storage:
    """Answers PUTs with the given answers in turn, the last one for ever, and keeps what was sent."""

    def __init__(self, *answers: int | Exception, text: str = "") -> None:
        self.answers = list(answers)
        self.text = text
        self.bodies: list[bytes] = []
        self.headers: list[httpx.Headers] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(request.read())
        self.headers.append(request.headers)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer, text=self.text)


def sent_file(tmp_path: Path, data: bytes) -> Path:
    file = tmp_path / "a.nessus"
    file.write_bytes(data)
    return file


def put(storage: Storage, file: Path) -> tuple[int, list[int]]:
    heard: list[int] = []
    size = put_file(
        URL, file, on_sent=heard.append, transport=httpx.MockTransport(storage), pause=lambda _seconds: None
    )
    return size, heard


@pytest.mark.parametrize("size", [0, 1, 4, 9])
def test_all_bytes_arrive_with_their_length_and_no_content_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(files_module, "CHUNK_BYTES", 4)
    storage = Storage(200)
    data = bytes(range(size))
    assert put(storage, sent_file(tmp_path, data)) == (size, [0, *sorted({*range(4, size, 4), size} - {0})])
    assert storage.bodies == [data]
    assert storage.headers[0]["content-length"] == str(size)
    assert "transfer-encoding" not in storage.headers[0]
    assert "content-type" not in storage.headers[0]


@pytest.mark.parametrize("failure", [httpx.ConnectError("refused"), httpx.ReadError(""), 503, 500])
def test_a_broken_upload_starts_over(tmp_path: Path, failure: int | Exception) -> None:
    storage = Storage(failure, 200)
    size, heard = put(storage, sent_file(tmp_path, b"abc"))
    assert size == 3
    assert storage.bodies == [b"abc", b"abc"]
    assert heard == [0, 3, 0, 3]


def test_an_upload_that_stays_broken_ends_after_three_attempts(tmp_path: Path) -> None:
    storage = Storage(httpx.ConnectError("refused"))
    with pytest.raises(HytheError) as caught:
        put(storage, sent_file(tmp_path, b"abc"))
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    assert len(storage.bodies) == 3
    assert "Signature" not in str(caught.value)


def test_a_refusal_is_told_in_the_words_of_the_storage_and_not_repeated(tmp_path: Path) -> None:
    storage = Storage(403, text=EXPIRED)
    with pytest.raises(HytheError, match="Request has expired") as caught:
        put(storage, sent_file(tmp_path, b"abc"))
    assert caught.value.reason == "UPLOAD_FAILED"
    assert caught.value.metadata == {"status": "403", "Code": "AccessDenied", "Message": "Request has expired"}
    assert len(storage.bodies) == 1


def test_a_file_that_shrinks_meanwhile_is_not_sent_as_whole(tmp_path: Path) -> None:
    file = sent_file(tmp_path, b"abcdef")

    def shrink(_sent: int) -> None:
        os.truncate(file, 2)

    with pytest.raises(HytheError, match="shorter"):
        put_file(URL, file, on_sent=shrink, transport=httpx.MockTransport(Storage(200)))


def test_what_grows_meanwhile_is_left_out(tmp_path: Path) -> None:
    file = sent_file(tmp_path, b"abc")
    storage = Storage(200)

    def grow(_sent: int) -> None:
        with file.open("ab") as more:
            more.write(b"x")

    put_file(URL, file, on_sent=grow, transport=httpx.MockTransport(storage))
    assert storage.bodies == [b"abc"]


@pytest.mark.parametrize("name", ["missing", "pipe", "."])
def test_only_regular_files_are_sent(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(HytheError) as caught:
        put(Storage(200), tmp_path / name)
    assert caught.value.reason == "FILE_NOT_READABLE"
