"""Uploads in parts over any S3 API: begin, send, list, complete, abort, and find those that were never finished.

The SDK has no public calls for these, so each request is signed as a presigned URL and sent here. The payload is then
no part of the signature, which saves a SHA-256 over every byte. All of it blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

import urllib3

from runtime.signing import Signer
from runtime.storage import StorageUnavailable, UploadMissing

SIGNATURE_LIFE = timedelta(minutes=15)
PAGE = 1_000
"""Most parts, or uploads, in one answer of a store."""
COMPLETE_SECONDS = 120
"""A store may copy all parts before it answers."""
CALL_SECONDS = 20
CONNECT_SECONDS = 3
BINARY = "application/octet-stream"
LEAST_ERROR_STATUS = 300


class StoredPart(NamedTuple):
    """A part that has arrived: its size in bytes, and the ETag without quotes."""

    number: int
    size: int
    etag: str
    modified_at: datetime


class UnfinishedUpload(NamedTuple):
    """An upload in parts that was neither completed nor aborted."""

    object_key: str
    upload_id: str
    begun_at: datetime


class PartRequests:
    """The requests on one bucket. They raise UploadMissing for an upload that is over or never was."""

    def __init__(self, signer: Signer, http: urllib3.PoolManager, bucket: str) -> None:
        self._signer = signer
        self._http = http
        self._bucket = bucket

    def begin(self, object_key: str) -> str:
        """The id of a new upload."""
        upload_id = _text(_document(self._request("POST", object_key, {"uploads": ""})), "UploadId")
        if not upload_id:
            raise StorageUnavailable("no upload id")
        return upload_id

    def put(self, object_key: str, upload_id: str, number: int, data: bytes) -> str:
        """The ETag of a part that was sent."""
        query = {"partNumber": str(number), "uploadId": upload_id}
        return self._request("PUT", object_key, query, data).headers["ETag"].strip('"')

    def arrived(self, object_key: str, upload_id: str, first: int, last: int) -> list[StoredPart]:
        """The parts that have arrived, with numbers from `first` to `last`, in their order."""
        found: list[StoredPart] = []
        marker = first - 1
        while marker < last:
            query = {"uploadId": upload_id, "part-number-marker": str(marker), "max-parts": str(PAGE)}
            document = _document(self._request("GET", object_key, query))
            parts = [_part(element) for element in document.iterfind("{*}Part")]
            found += (part for part in parts if marker < part.number <= last)
            if not parts or _text(document, "IsTruncated") != "true":
                break
            marker = parts[-1].number
        return found

    def complete(self, object_key: str, upload_id: str, parts: Sequence[tuple[int, str]]) -> None:
        """Makes one object of the parts: numbers and ETags, in their order."""
        members = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{escape(etag)}&quot;</ETag></Part>"
            for number, etag in parts
        )
        body = f"<CompleteMultipartUpload>{members}</CompleteMultipartUpload>".encode()
        response = self._request("POST", object_key, {"uploadId": upload_id}, body, seconds=COMPLETE_SECONDS)
        # S3 may answer 200 before it knows, and then say in the body that it failed.
        if b"<Error>" in response.data:
            raise _refusal(response)

    def abort(self, object_key: str, upload_id: str) -> None:
        """Removes the parts; none is left to remove where the upload is over."""
        try:
            self._request("DELETE", object_key, {"uploadId": upload_id})
        except UploadMissing:
            return

    def unfinished(self, prefix: str) -> Iterator[list[UnfinishedUpload]]:
        """All unfinished uploads below a prefix, by pages. (A MinIO server tells only those of one exact key.)"""
        markers = {"key-marker": "", "upload-id-marker": ""}
        while True:
            query = {"uploads": "", "prefix": prefix, "max-uploads": str(PAGE), **markers}
            document = _document(self._request("GET", "", query))
            page = [_unfinished(element) for element in document.iterfind("{*}Upload")]
            if page:
                yield page
            if not page or _text(document, "IsTruncated") != "true":
                return
            markers = {"key-marker": page[-1].object_key, "upload-id-marker": page[-1].upload_id}

    def part_url(self, object_key: str, upload_id: str, number: int, size: int, life: timedelta) -> str:
        """A URL at the store itself that takes this part, of exactly this size."""
        query = {"partNumber": str(number), "uploadId": upload_id}
        return self._signer.url("PUT", f"/{self._bucket}/{object_key}", query, life=life, length=size)

    def _request(
        self, method: str, object_key: str, query: dict[str, str], body: bytes = b"", *, seconds: float = CALL_SECONDS
    ) -> urllib3.BaseHTTPResponse:
        """`object_key` empty: of the bucket."""
        path = f"/{self._bucket}/{object_key}" if object_key else f"/{self._bucket}"
        response = self._http.request(
            method,
            self._signer.url(method, path, query, life=SIGNATURE_LIFE),
            body=body,
            headers={"Content-Type": BINARY},
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=seconds),
        )
        if response.status >= LEAST_ERROR_STATUS:
            raise _refusal(response)
        return response


def _refusal(response: urllib3.BaseHTTPResponse) -> Exception:
    try:
        code = _text(_document(response), "Code")
    except StorageUnavailable:
        code = ""
    if code == "NoSuchUpload":
        return UploadMissing(code)
    return StorageUnavailable(code or f"status {response.status}")


def _document(response: urllib3.BaseHTTPResponse) -> ET.Element:
    try:
        return ET.fromstring(response.data)  # noqa: S314 - the store is ours, and its answers are small
    except ET.ParseError as error:
        raise StorageUnavailable("no XML") from error


def _text(element: ET.Element, name: str) -> str:
    """The text of a member; with or without a namespace, as the stores like it."""
    return element.findtext(f"{{*}}{name}") or ""


def _part(element: ET.Element) -> StoredPart:
    return StoredPart(
        number=int(_text(element, "PartNumber")),
        size=int(_text(element, "Size")),
        etag=_text(element, "ETag").strip('"'),
        modified_at=_time(_text(element, "LastModified")),
    )


def _unfinished(element: ET.Element) -> UnfinishedUpload:
    return UnfinishedUpload(
        object_key=_text(element, "Key"),
        upload_id=_text(element, "UploadId"),
        begun_at=_time(_text(element, "Initiated")),
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
