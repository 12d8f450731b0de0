"""A stand-in for the object store that keeps what reached it; it checks no signature."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from deploy.local.ports import LOOPBACK

STORED = b"record_number,position\r\n" * 100
REFUSAL = b'<?xml version="1.0"?><Error><Code>SignatureDoesNotMatch</Code></Error>'


@dataclass(frozen=True)
class Put:
    target: str
    """Path and query as sent."""
    headers: dict[str, str]
    body: bytes


class ObjectServer:
    def __init__(self, port: int) -> None:
        self.port = port
        self.puts: list[Put] = []
        self.gets: list[Put] = []
        self.refuses = False

    def start(self) -> None:
        self.server = ThreadingHTTPServer((LOOPBACK, self.port), handler_of(self))
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, name="objects", daemon=True)
        self.thread.start()

    def reset(self) -> None:
        self.puts.clear()
        self.gets.clear()
        self.refuses = False

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def handler_of(objects: ObjectServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            body = b"" if objects.refuses else self.rfile.read(int(self.headers.get("content-length", "0")))
            objects.puts.append(Put(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            answer = REFUSAL if objects.refuses else b""
            self.send_response(403 if objects.refuses else 200)
            self.send_header("content-length", str(len(answer)))
            self.send_header("content-type", "application/xml")
            self.send_header("etag", '"abc"')
            if objects.refuses:
                self.send_header("connection", "close")
                self.close_connection = True
            self.end_headers()
            self.wfile.write(answer)

        def do_GET(self) -> None:
            objects.gets.append(Put(self.path, {name.lower(): value for name, value in self.headers.items()}, b""))
            self.send_response(200)
            self.send_header("content-length", str(len(STORED)))
            self.send_header("content-type", "text/csv; charset=utf-8")
            self.send_header("content-disposition", 'attachment; filename="errors.csv"')
            self.end_headers()
            self.wfile.write(STORED)

        def handle_expect_100(self) -> bool:
            return True if objects.refuses else super().handle_expect_100()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            return

    return Handler
