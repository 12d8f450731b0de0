"""Bringing a file to the server: by one PUT when it is small, else in parts, so that a break costs a part only."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import httpx

from cli.context import Cli
from cli.errors import CliError, ExitCode, Unreachable
from cli.gateway import LARGEST_PAGE
from cli.kept_uploads import KeptUpload, Memory, memory_of, new_seed
from cli.output import size as size_text
from cli.progress import upload_bar
from cli.sending import AT_ONCE, Gauge, PartSender, missing_numbers
from cli.shapes import UploadPart, UploadParts
from hythe_client import HytheError, put_file
from hythe_client.files import TIMEOUT, regular_size

MIB = 1024 * 1024
THRESHOLD = 64 * MIB
"""Larger files are sent in parts."""
ROUNDS = 3
GOES_ON = "The same command again goes on where it stopped."


class Sent:
    """A file that is at the server, under this key."""

    def __init__(self, key: str, seed: str) -> None:
        self.key = key
        self._seed = seed

    def request_id(self, *words: object) -> str:
        """The same for the same order on the same upload, also by another process: then it is one import."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, "\n".join((self._seed, self.key, *map(str, words)))))


@contextmanager
def sent(cli: Cli, path: Path, part_size: int = 0) -> Iterator[Sent]:
    """The file at the server. When the block ends well, or the server wants the file no more, it is forgotten here.

    `part_size` in bytes, 0: as the server thinks best.
    """
    size = regular_size(path)
    if size <= min(THRESHOLD, part_size or THRESHOLD):
        yield send_whole(cli, path, size)
        return
    with memory_of(cli.home / "uploads", path, cli.url, cli.gateway.who_am_i().tenant_cuid) as memory:
        kept = send_in_parts(cli, path, part_size, memory)
        try:
            yield Sent(kept.key, kept.request_seed)
        except (CliError, HytheError) as error:
            if is_conflict(error):
                memory.remove()
            raise
        memory.remove()


def send_whole(cli: Cli, path: Path, size: int) -> Sent:
    slot = cli.gateway.presign(path.name, size)
    try:
        with upload_bar(cli.output.bars, size, quiet=cli.output.json_mode) as on_sent:
            put_file(slot.url, path, on_sent=on_sent, verify=cli.trust, transport=cli.transport)
    except KeyboardInterrupt as interrupt:
        raise CliError("Interrupted while the file was sent; nothing is imported.", ExitCode.INTERRUPTED) from interrupt
    return Sent(slot.key, new_seed())


def send_in_parts(cli: Cli, path: Path, part_size: int, memory: Memory) -> KeptUpload:
    """The upload of this file, complete: the one that was begun before, or a new one."""
    before = path.stat()
    kept = going_on(cli, memory, before)
    upload = kept or begun(cli, path, part_size, memory, before)
    try:
        is_there = deliver(cli, path, upload, is_new=kept is None)
        if not is_there:
            # It was complete, and the server has removed the file since.
            upload = begun(cli, path, part_size, memory, before)
            deliver(cli, path, upload, is_new=True)
    except KeyboardInterrupt as interrupt:
        text = f"Interrupted while the file was sent; nothing is imported. {GOES_ON}"
        raise CliError(text, ExitCode.INTERRUPTED) from interrupt
    except HytheError as error:
        raise CliError(f"{error.message} {GOES_ON}", ExitCode.UNREACHABLE, reason=error.reason) from error
    except Unreachable as error:
        raise Unreachable(f"{error.message} {GOES_ON}", **error.details) from error
    except FileChanged:
        with suppress(CliError):
            cli.gateway.abort_upload(upload.key)
        memory.remove()
        raise CliError(f"{path} changed while it was sent; nothing is imported.", ExitCode.FAILED) from None
    return upload


class FileChanged(Exception):
    """The file is not the one any more that the upload was begun for."""


def going_on(cli: Cli, memory: Memory, found: os.stat_result) -> KeptUpload | None:
    """The upload that was begun for this very file, if the server still knows it."""
    kept = memory.read()
    if kept is None:
        return None
    if not kept.is_of(found):
        with suppress(CliError):
            cli.gateway.abort_upload(kept.key)
        memory.remove()
        return None
    try:
        cli.gateway.upload_parts(kept.key, 1, 1)
    except CliError as error:
        if error.details.get("status") not in {httpx.codes.NOT_FOUND, httpx.codes.CONFLICT}:
            raise
        memory.remove()
        return None
    return kept


def begun(cli: Cli, path: Path, part_size: int, memory: Memory, found: os.stat_result) -> KeptUpload:
    new = cli.gateway.begin_upload(path.name, found.st_size, part_size)
    kept = KeptUpload(new.key, found.st_size, found.st_mtime_ns, int(new.part_size), new.part_count, new_seed())
    memory.write(kept)
    return kept


def deliver(cli: Cli, path: Path, upload: KeptUpload, *, is_new: bool) -> bool:
    """Sends what is missing and completes the upload; False when the server does not have the file any more."""
    missing = list(range(1, upload.part_count + 1)) if is_new else still_missing(cli, upload)
    arrived = upload.size - sum(size_of(upload, number) for number in missing)
    if not is_new:
        there = upload.part_count - len(missing)
        cli.output.hint(
            f"Going on with an upload that was begun before: {there} of {upload.part_count} parts "
            f"({size_text(arrived)}) are there."
        )
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    with (
        upload_bar(cli.output.bars, upload.size, quiet=cli.output.json_mode) as on_sent,
        httpx.Client(verify=cli.trust, transport=cli.transport, timeout=TIMEOUT, limits=limits) as http,
    ):
        on_sent(arrived)
        gauge = Gauge(arrived, on_sent)

        def list_parts(first: int, limit: int) -> UploadParts:
            return cli.gateway.upload_parts(upload.key, first, limit)

        sender = PartSender(http, path, list_parts, gauge)
        for round_number in range(1, ROUNDS + 1):
            sender.send(missing)
            if not upload.is_of(path.stat()):
                raise FileChanged
            try:
                return cli.gateway.complete_upload(upload.key).uploaded
            except CliError as error:
                if not is_conflict(error) or round_number == ROUNDS:
                    raise
            # The store has lost a part since.
            missing = still_missing(cli, upload)
    return False


def still_missing(cli: Cli, upload: KeptUpload) -> list[int]:
    return missing_numbers(pages(cli, upload))


def pages(cli: Cli, upload: KeptUpload) -> Iterator[list[UploadPart]]:
    first: int | None = 1
    while first:
        page = cli.gateway.upload_parts(upload.key, first, LARGEST_PAGE)
        yield page.parts
        first = page.next


def size_of(upload: KeptUpload, number: int) -> int:
    return min(upload.part_size, upload.size - (number - 1) * upload.part_size)


def is_conflict(error: CliError | HytheError) -> bool:
    """Whether the server says that this upload will not do."""
    if isinstance(error, HytheError):
        return error.code is grpc.StatusCode.FAILED_PRECONDITION
    return error.details.get("status") == httpx.codes.CONFLICT
