"""An HTTP API on this machine that gives records in pages, as it is told: well, badly, late, or without end."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

HANG_SECONDS = 60


@dataclass(frozen=True)
class Asked:
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class Api:
    """`pages` are documents by path; `records` are given in pages by whatever paging a path is called after.

    `refusals` are statuses that are answered first, with `refusal_headers`. Where there are `tokens`, a request without
    one of them in its header Authorization is 401.
    """

    port: int
    pages: dict[str, Any] = field(default_factory=dict)
    records: list[Any] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)
    refusal_headers: dict[str, str] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    raw: dict[str, bytes] = field(default_factory=dict)
    hangs_after: bytes = b""
    requests: list[Asked] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def document(self, asked: Asked) -> tuple[Any, dict[str, str]]:
        """By the name of the path: page, offset, cursor, link."""
        query, size = asked.query, 3
        match asked.path:
            case "/page":
                start = (int(query["page"]) - 1) * size
                return {"data": {"items": self.records[start : start + size]}}, {}
            case "/offset":
                start, size = int(query["offset"]), int(query["limit"])
                return self.records[start : start + size], {}
            case "/cursor":
                start = int(query.get("cursor", "0"))
                following = start + size if start + size < len(self.records) else None
                return {"items": self.records[start : start + size], "meta": {"next": following}}, {}
            case "/link":
                start = int(query.get("from", "0"))
                more = start + size < len(self.records)
                headers = {"link": f'</link?from={start + size}>; rel="next"'} if more else {}
                return self.records[start : start + size], headers
            case path:
                return self.pages[path], {}


@contextmanager
def serving() -> Iterator[Api]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    api = server.api = Api(server.server_address[1])  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield api
    finally:
        api.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        api: Api = self.server.api  # type: ignore[attr-defined]
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(parts.path, dict(parse_qsl(parts.query)), headers, body)
        api.requests.append(asked)
        if api.refusals:
            self._answer(api.refusals.pop(0), b"{}", api.refusal_headers)
        elif api.tokens and headers.get("authorization") not in api.tokens:
            self._answer(401, b"{}", {})
        elif api.hangs_after:
            self.send_response(200)
            self.send_header("content-length", "100000")
            self.end_headers()
            self.wfile.write(api.hangs_after)
            api.closing.wait(HANG_SECONDS)
        elif asked.path in api.raw:
            self._answer(200, api.raw[asked.path], {})
        else:
            document, more = api.document(asked)
            self._answer(200, gzip.compress(json.dumps(document).encode()), {"content-encoding": "gzip", **more})

    do_POST = do_GET  # noqa: N815 - the name of the base class

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Nowhere."""
