"""What is kept of an upload in parts until its file is imported, so that the same command goes on after a break.

One small file for each file, server and tenant. It says which upload is going on, not how far it is: the server knows
that. Another process that sends the same file meanwhile gets no such memory, and sends it for itself.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from cli.errors import CliError, ExitCode

if sys.platform != "win32":
    import fcntl


class KeptUpload(msgspec.Struct, frozen=True):
    """An upload that was begun. Size and time of the file tell whether it is still the same."""

    key: str
    size: int
    mtime_ns: int
    part_size: int
    part_count: int
    request_seed: str

    def is_of(self, found: os.stat_result) -> bool:
        return (self.size, self.mtime_ns) == (found.st_size, found.st_mtime_ns)


def new_seed() -> str:
    return uuid.uuid4().hex


class Memory:
    """The file that remembers; `path` None: there is none, and nothing is remembered."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def read(self) -> KeptUpload | None:
        """None also for what cannot be read: then the upload begins anew."""
        if self._path is None:
            return None
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=KeptUpload)
        except (OSError, msgspec.DecodeError):
            return None

    def write(self, upload: KeptUpload) -> None:
        if self._path is None:
            return
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_bytes(msgspec.json.encode(upload))
            fresh.replace(self._path)
        except OSError as error:
            raise CliError(f"{self._path} cannot be written: {error.strerror}.", ExitCode.UNREACHABLE) from error

    def remove(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)


@contextmanager
def memory_of(folder: Path, path: Path, url: str, tenant: str) -> Iterator[Memory]:
    """The memory of this file at this server, nobody else's until the end of the block."""
    name = hashlib.sha256("\n".join((url, tenant, str(path.resolve()))).encode()).hexdigest()[:32]
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, stat.S_IRUSR | stat.S_IWUSR)
    except OSError:
        # A home that cannot be written to is no reason not to send a file.
        yield Memory(None)
        return
    try:
        yield Memory(folder / f"{name}.json" if is_locked(descriptor) else None)
    finally:
        os.close(descriptor)


def is_locked(descriptor: int) -> bool:
    """Whether the lock is ours now; it ends with the process, however that ends."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
