"""The parser child: bytes in, typed records out.

It has no credentials, no network and no business with anything else.
"""

from __future__ import annotations

import gc
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from services.importer.engine.archives.meter import ArchiveLimits
from services.importer.engine.archives.opening import gunzipped, is_gzip, is_zip, members
from services.importer.engine.frames import (
    LENGTH,
    BatchWriter,
    Finished,
    Opened,
    Order,
    Refused,
    Rejected,
    StagedItem,
)
from services.importer.engine.lookahead import Lookahead
from services.importer.engine.sandbox import allow_for, limit_resources
from services.importer.engine.selection import Selection
from services.importer.formats import registry
from services.importer.formats.kit.format import (
    ByteStream,
    DamagedFile,
    Format,
    Items,
    Position,
    RecordError,
    Run,
    WrongFormat,
)
from services.importer.formats.kit.redaction import redacted, shown_value

HEAD_BYTES = 4096
BATCH_BYTES = 256 * 1024
BATCH_SECONDS = 0.4
SENT_DEFINITIONS = 2048

# Set by the fork server's preload module.
IS_NETWORK_DROPPED = False


class Pipe:
    """The two ends of the child's world."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd

    def receive(self, size: int) -> bytes:
        """At most `size` bytes; the worker going away ends the child."""
        data = os.read(self._read_fd, size)
        if not data:
            raise SystemExit(0)
        return data

    def receive_exactly(self, size: int) -> bytes:
        """All of `size` bytes."""
        parts = []
        while size:
            part = self.receive(size)
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def send(self, payload: bytes) -> None:
        """One frame."""
        view = memoryview(LENGTH.pack(len(payload)) + payload)
        while view:
            view = view[os.write(self._write_fd, view) :]


class InputStream:
    """The bytes of one input after the other, unwrapped from data frames. Reading also tells the worker of progress.

    `count` is that of all inputs.
    """

    def __init__(self, pipe: Pipe, on_read: Callable[[], None]) -> None:
        self._pipe = pipe
        self._on_read = on_read
        self._left = 0
        self._is_over = False
        self.count = 0

    def go_on(self) -> None:
        """To the next input, behind the end of this one."""
        self._is_over = False

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, none at the end."""
        self._on_read()
        if not self._left and not self._is_over:
            (self._left,) = LENGTH.unpack(self._pipe.receive_exactly(LENGTH.size))
            self._is_over = not self._left
        if self._is_over:
            return b""
        data = self._pipe.receive(min(size, self._left))
        self._left -= len(data)
        self.count += len(data)
        return data


class Definitions:
    """Drops a definition that was sent just before: formats return the same object for it, so identity is enough.

    Bounded; a definition that was forgotten is sent again, which the merge does not mind.
    """

    def __init__(self, limit: int = SENT_DEFINITIONS) -> None:
        self._sent: OrderedDict[int, Any] = OrderedDict()
        self._limit = limit

    def new_ones(self, records: Iterable[Any]) -> list[Any]:
        """The records that were not sent yet."""
        fresh = []
        for record in records:
            if not record.IS_DEFINITION:
                fresh.append(record)
                continue
            identity = id(record)
            if identity in self._sent:
                self._sent.move_to_end(identity)
                continue
            # The reference is kept, so that no other object can get this id.
            self._sent[identity] = record
            if len(self._sent) > self._limit:
                self._sent.popitem(last=False)
            fresh.append(record)
        return fresh


class Parser:
    """Walks the inputs and sends what it finds. `on_unpacked` is told how many bytes have come out of an archive."""

    def __init__(self, pipe: Pipe, order: Order, on_unpacked: Callable[[int], None]) -> None:
        self._pipe = pipe
        self._order = order
        self._on_unpacked = on_unpacked
        self._limits = ArchiveLimits(order.unpacked_bytes)
        self._batch = BatchWriter()
        self._input = InputStream(pipe, self._flush_when_due)
        self._stream = Lookahead(self._input)
        self._definitions = Definitions()
        self._is_opened = False
        self._number = 0
        self._member = ""
        self._read = 0
        self._sent_at = time.monotonic()

    def run(self) -> None:
        """Sends `Opened`, batches, and how it ended."""
        try:
            cautions = self._read_inputs()
        except WrongFormat as error:
            self._send(Refused("WRONG_FORMAT", str(error), self._place(Position())))
        except DamagedFile as error:
            # What was rejected up to there is reported.
            if not self._batch.is_empty:
                self._flush()
            self._send(Refused(error.code, error.message, self._place(error.position)))
        except MemoryError:
            self._batch = BatchWriter()
            self._send(Refused("PARSER_OUT_OF_MEMORY", "Reading the file took more memory than is allowed.", ""))
        else:
            self._flush()
            self._send(Finished(read=self._read, bytes=self._input.count, cautions=cautions))

    def _read_inputs(self) -> list[tuple[str, str, int]]:
        """Reads each as a file of its own; items are counted through. Answers the cautions of all."""
        cautions = []
        for number in range(1, self._order.inputs + 1):
            self._number = number
            if number > 1:
                self._input.go_on()
                self._stream = Lookahead(self._input)
            cautions += self._read_input()
            # The worker's checksum is of the whole input, also of what a format had no use for.
            self._stream.drain()
        return cautions

    def _place(self, position: Position) -> str:
        """Where that is, for people; behind the number of the input where there are several."""
        place = describe(position, self._member)
        if self._order.inputs == 1:
            return place
        return f"input {self._number}, {place}" if place else f"input {self._number}"

    def _read_input(self) -> list[tuple[str, str, int]]:
        """Reads the file, or what is in it when it is an archive. Answers code, message and count of cautions."""
        head = self._stream.peek(HEAD_BYTES)
        if is_zip(head):
            return self._read_members()
        if is_gzip(head):
            self._read_file(Lookahead(gunzipped(self._stream, self._limits, self._on_unpacked)))
        else:
            self._read_file(self._stream)
        return []

    def _read_file(self, stream: Lookahead) -> None:
        head = stream.peek(HEAD_BYTES)
        if not head:
            raise DamagedFile("EMPTY_FILE", "The file is empty.")
        self._walk(registry.resolve(self._order.source, head, assets=self._order.assets_only), stream)
        # To its end, where an archive has its checksum.
        stream.drain()

    def _read_members(self) -> list[tuple[str, str, int]]:
        selection = Selection(self._order.source, assets=self._order.assets_only)
        for member in members(self._stream, self._limits, self._on_unpacked):
            self._member = member.name
            format_ = selection.format_of(member, member.peek(HEAD_BYTES))
            if format_ is not None:
                self._walk(format_, member)
            member.drain()
            self._member = ""
        selection.check()
        return selection.cautions

    def _walk(self, format_: Format, stream: ByteStream) -> None:
        self._tell_opened(format_)
        if format_.adapt is not None and self._order.demands is not None:
            format_ = format_.adapt(self._order.demands)
        resume_after = self._order.resume_after
        read = format_.read
        for item in format_.walk(stream):
            if isinstance(item, Items):
                self._add_run(item.raw)
                continue
            raw, position = item
            ordinal = self._read + 1
            try:
                records = self._definitions.new_ones(read(raw))
            except RecordError as error:
                self._read = ordinal
                if ordinal > resume_after:
                    self._batch.reject(_rejected(ordinal, self._place(position), error))
                continue
            if records and records[0].IS_ABOUT_FILE:
                self._batch.add(StagedItem(0, records))
                continue
            self._read = ordinal
            if ordinal <= resume_after:
                continue
            if records:
                self._batch.add(StagedItem(ordinal, records))
            if len(self._batch) >= BATCH_BYTES:
                self._flush()

    def _tell_opened(self, format_: Format) -> None:
        if not self._is_opened:
            self._is_opened = True
            self._send(Opened(format=format_.name, family=format_.family, is_network_dropped=IS_NETWORK_DROPPED))

    def _add_run(self, run: Run) -> None:
        known = max(0, self._order.resume_after - self._read)
        if known < len(run):
            self._batch.add(StagedItem(self._read + known + 1, [run.behind(known) if known else run]))
        self._read += len(run)
        if len(self._batch) >= BATCH_BYTES:
            self._flush()

    def _flush_when_due(self) -> None:
        if time.monotonic() - self._sent_at >= BATCH_SECONDS:
            self._flush()

    def _flush(self) -> None:
        # Sent even when empty: it tells the worker how many bytes are read, and that the child is alive.
        self._pipe.send(self._batch.take(self._read, self._input.count))
        self._sent_at = time.monotonic()

    def _send(self, message: msgspec.Struct) -> None:
        self._pipe.send(msgspec.msgpack.encode(message))


def describe(position: Position, member: str = "") -> str:
    """A position in words, for people: `line 12, byte 345, /a/b`; behind the name of the archive's member it is in."""
    parts = []
    if position.line:
        parts.append(f"line {position.line}")
    if position.offset:
        parts.append(f"byte {position.offset}")
    if position.path:
        parts.append(position.path)
    return ": ".join(part for part in (member, ", ".join(parts)) if part)


def _rejected(ordinal: int, place: str, error: RecordError) -> Rejected:
    message, value = redacted(error.message), shown_value(error.value, error.field)
    return Rejected(ordinal, place, error.field, error.code, message, value, error.raw, error.types)


def main(reader: Connection, writer: Connection) -> None:
    """Serves one import: its order comes first, then its bytes."""
    # What is loaded stays; a parser makes few reference cycles, so look for them rarely.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    pipe = Pipe(reader.fileno(), writer.fileno())
    (size,) = LENGTH.unpack(pipe.receive_exactly(LENGTH.size))
    order = msgspec.msgpack.decode(pipe.receive_exactly(size), type=Order)
    limit_resources(order.memory_bytes, order.cpu_seconds, order.unpacked_bytes)
    Parser(pipe, order, partial(allow_for, order.cpu_seconds)).run()
