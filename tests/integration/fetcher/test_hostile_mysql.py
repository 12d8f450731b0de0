"""A server that speaks the protocol of MySQL, and wants what is not its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import certifi
import pytest

from dialects.assets.source_settings import DatabaseSettings, Secrets
from runtime.destinations import Destinations
from services.fetcher import databases
from services.fetcher.failures import SourceError
from services.fetcher.way import Way

PASSWORD = "reader-secret-1"
# Protocol::HandshakeV10 without CLIENT_SSL: version, connection, salt, capabilities, charset, status, more of them.
GREETING = (
    b"\x0a8.0.0\0" + b"\x01\0\0\0" + b"12345678\0" + b"\xff\xf7" + b"\x2d" + b"\x02\0" + b"\x0f\x80" + b"\x15"
    + bytes(10) + b"123456789012\0" + b"mysql_native_password\0"
)  # fmt: skip


def packet(number: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes([number]) + payload


@contextmanager
def asking(plugin: bytes) -> Iterator[tuple[int, bytearray]]:
    """Its port, and all that it is told; it wants the password by this plugin."""
    told = bytearray()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(5)
            connection.sendall(packet(0, GREETING))
            told.extend(connection.recv(4_096))
            connection.sendall(packet(2, b"\xfe" + plugin + b"\0" + b"\x04Password: "))
            while piece := connection.recv(4_096):
                told.extend(piece)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], told
        thread.join()


@pytest.mark.parametrize("plugin", [b"mysql_clear_password", b"dialog"])
def test_without_tls_the_password_is_not_said_in_the_clear(plugin: bytes) -> None:
    with asking(plugin) as (port, told):
        settings = DatabaseSettings(
            dialect="mysql", host="127.0.0.1", port=port, database="d", user="reader", table="t", tls="disable"
        )
        way = Way(Destinations("127.0.0.1"), False, certifi.where(), 5, 5)
        with pytest.raises(SourceError) as failed:
            list(databases.read(settings, Secrets(password=PASSWORD), way))
    assert (failed.value.code, failed.value.is_retryable) == ("AUTHENTICATION_FAILED", False)
    assert b"reader" in told
    assert PASSWORD.encode() not in told
