from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from services.importer.engine import parser_process
from services.importer.engine.failures import ImportFailure
from services.importer.engine.frames import Batch, Finished, Opened, Order, reply_decoder
from services.importer.engine.parser_process import ParserProcess, start_fork_server
from services.importer.targets.findings.records import FindingsRecord
from tests.integration.importer.office import answered, eventually
from tests.integration.importer.workbench import parser_children
from tests.scans import nessus


@pytest.fixture(autouse=True)
def fork_server() -> None:
    start_fork_server()


def parser_of(*files: bytes) -> ParserProcess:
    readers: list[Callable[[], Any]] = [lambda each=each: BytesIO(each) for each in files]  # type: ignore[misc]
    return ParserProcess(Order(source="nessus", inputs=len(files)), readers, reply_decoder(FindingsRecord))


async def test_the_digest_is_that_of_every_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser_process, "READ_BYTES", 1_000)
    data = nessus(hosts=20) + b" " * 100_000
    async with parser_of(data) as parser:
        async for _ in parser.replies():
            pass
        assert await parser.fed_digest() == hashlib.sha256(data).digest()


async def test_inputs_are_files_of_their_own_and_counted_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser_process, "READ_BYTES", 1_000)
    scan = nessus(hosts=2, plugins=3)
    files = scan, gzip.compress(scan), scan.replace(b'pluginID="90001"', b'pluginID="x"') + b" " * 10_000
    async with parser_of(*files) as parser:
        replies = [reply async for reply in parser.replies()]
        assert await parser.fed_digest() == hashlib.sha256(b"".join(files)).digest()
    assert replies[-1] == Finished(18, sum(map(len, files)))
    assert sum(isinstance(reply, Opened) for reply in replies) == 1
    batches = [reply for reply in replies if isinstance(reply, Batch)]
    assert [item.ordinal for batch in batches for item in batch.items] == [*range(1, 14), 15, 16, 18]
    rejected = [each for batch in batches for each in batch.rejected]
    assert [each.ordinal for each in rejected] == [14, 17]
    assert all(each.position.startswith("input 3, line ") for each in rejected)


async def test_an_input_that_is_none_of_the_source_is_named() -> None:
    async with parser_of(nessus(hosts=1), b"no scan", nessus(hosts=1)) as parser:
        refused = [reply async for reply in parser.replies()][-1]
    assert (refused.code, refused.position) == ("WRONG_FORMAT", "input 2")


async def test_there_is_no_digest_of_a_file_that_was_refused() -> None:
    async with parser_of(b"no scan" * 1_000_000) as parser:
        async for _ in parser.replies():
            pass
        assert await parser.fed_digest() is None


async def test_what_comes_out_of_an_archive_has_the_time_of_a_file_of_that_size() -> None:
    scan = nessus(hosts=6_000, plugins=40)

    async def end_of(data: bytes) -> Any:
        order = Order(source="nessus", cpu_seconds=1)
        async with ParserProcess(order, [lambda: BytesIO(data)], reply_decoder(FindingsRecord)) as parser:
            return [reply async for reply in parser.replies()][-1]

    with pytest.raises(ImportFailure, match="more than 1 s of CPU time"):
        await end_of(scan)
    assert await end_of(gzip.compress(scan)) == Finished(240_000, len(gzip.compress(scan)))


@pytest.mark.parametrize("point", ["before", "after"])
async def test_a_run_that_is_stopped_while_its_child_starts_leaves_neither_child_nor_pipe(
    monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    is_starting, may_go_on, has_started = threading.Event(), threading.Event(), threading.Event()
    original = parser_process._start_in_turn

    def slow_start(process: Any) -> None:
        if point == "after":
            original(process)
        is_starting.set()
        may_go_on.wait(20)
        if point == "before":
            original(process)
        has_started.set()

    async def run() -> None:
        async with parser_of(nessus()):
            pytest.fail("it was stopped before")

    # What the first child costs once, such as the pipe to the resource tracker, is paid here.
    async with parser_of(nessus()):
        pass
    await eventually(lambda: answered(parser_children() == []))
    pipes = open_pipes()

    monkeypatch.setattr(parser_process, "_start_in_turn", slow_start)
    running = asyncio.create_task(run())
    await eventually(lambda: answered(is_starting.is_set()))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    may_go_on.set()
    await eventually(lambda: answered(has_started.is_set()))
    await eventually(lambda: answered(parser_children() == []))
    del running
    await eventually(lambda: answered(open_pipes() <= pipes))


async def test_a_run_that_is_stopped_as_soon_as_its_child_has_started_leaves_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def never(_: object) -> Any:
        await asyncio.Event().wait()

    reached = asyncio.Event()

    async def noted(pipe: object) -> Any:
        reached.set()
        await never(pipe)

    async def run() -> None:
        async with parser_of(nessus()):
            pytest.fail("it was stopped before")

    monkeypatch.setattr(parser_process, "_open_stream", noted)
    running = asyncio.create_task(run())
    await reached.wait()
    assert len(parser_children()) == 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await eventually(lambda: answered(parser_children() == []))


def open_pipes() -> int:
    """Of this process; those of finished children are let go of when the next one starts."""
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            count += str(descriptor.readlink()).startswith("pipe:")
    return count
