"""A TCP proxy that cuts or stalls connections after so many bytes from the server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

BLOCK = 65_536


class FlakyProxy:
    """`limits` are bytes for each connection in turn, None for all; connections beyond the list are not hurt."""

    def __init__(self, upstream: str, limits: Sequence[int | None], *, stalls: bool = False) -> None:
        host, _, port = upstream.rpartition(":")
        self._upstream = (host, int(port))
        self._limits = limits
        self._stalls = stalls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = [self._listener]
        self.connections = 0
        self.endpoint = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for one in self._sockets:
            close(one)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            limit = self._limits[self.connections] if self.connections < len(self._limits) else None
            self.connections += 1
            server = socket.create_connection(self._upstream)
            self._sockets += [client, server]
            threading.Thread(target=self._copy, args=(client, server, None), daemon=True).start()
            threading.Thread(target=self._copy, args=(server, client, limit), daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket, limit: int | None) -> None:
        passed = 0
        try:
            while data := source.recv(BLOCK):
                kept = data if limit is None else data[: limit - passed]
                target.sendall(kept)
                passed += len(kept)
                if limit is not None and passed >= limit:
                    break
        except OSError:
            return
        if limit is not None and self._stalls:
            return
        close(source)
        close(target)


def close(one: socket.socket) -> None:
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
    finally:
        one.close()
