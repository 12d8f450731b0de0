"""A receiver of webhooks on this machine that answers as it is told: well, badly, late, or not at all."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

RESET, HANG, GARBAGE = "reset", "hang", "garbage"
Reply = int | str
"""An HTTP status, or one of the words above."""


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> Any:
        return json.loads(self.body)

    @property
    def delivery_id(self) -> str:
        return self.headers["hythe-delivery"]

    def is_signed_by(self, secret: str) -> bool:
        """As docs/events.md tells receivers to check it, but for the age."""
        parts = dict(part.split("=", 1) for part in self.headers["hythe-signature"].split(","))
        expected = hmac.new(secret.encode(), parts["t"].encode() + b"." + self.body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected, parts["v1"])


@dataclass
class Receiver:
    """`answer` is asked for every request, in a thread of its own; `reply_headers` go with each answer."""

    port: int
    answer: Callable[[Received], Reply] = lambda _: 200
    reply_headers: dict[str, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    server_names: list[str | None] = field(default_factory=list)
    """What TLS clients asked for by SNI."""
    closing: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str = "/hook", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def replies(self, replies: Iterator[Reply]) -> None:
        """These from now on, one for each request."""
        lock = threading.Lock()

        def following(_: Received) -> Reply:
            with lock:
                return next(replies)

        self.answer = following


class Server(ThreadingHTTPServer):
    daemon_threads = True
    receiver: Receiver

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone away is part of the game."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        receiver = self.server.receiver
        body = self.rfile.read(int(self.headers["content-length"]))
        request = Received(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        receiver.received.append(request)
        reply = receiver.answer(request)
        if reply == HANG:
            receiver.closing.wait()
        elif reply == RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif reply == GARBAGE:
            self.wfile.write(b"no HTTP at all\r\n\r\n")
        else:
            self.send_response(int(reply))
            for name, value in receiver.reply_headers.items():
                self.send_header(name, value)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

    def do_GET(self) -> None:
        """Nobody should come here: redirects are not followed."""
        self.server.receiver.received.append(Received(self.path, {}, b""))
        self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Quiet."""


@contextmanager
def receiving(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver at work, on a free port of this machine."""
    server = Server(("127.0.0.1", 0), Handler)
    receiver = server.receiver = Receiver(server.server_port)
    if tls is not None:
        tls.sni_callback = lambda _socket, name, _context: receiver.server_names.append(name)
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
