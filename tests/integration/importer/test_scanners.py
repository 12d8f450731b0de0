"""Scanners by ICAP and by HTTP, over real sockets: the verdict where there is one, and an error for everything else."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator

import pytest

from runtime.storage import StorageUnavailable
from services.importer.scan.scanners import scanner_at
from services.importer.scan.verdict import ScannerUnavailable, Subject, Verdict
from tests import scanners
from tests.integration.importer.office import answered, eventually
from tests.scanners import INFECTED_HEADER, MARK, THREAT, Mood, Scanner

MEBIBYTE = 1024 * 1024
BIG = 20
"""Blocks of a mebibyte: more than the buffers of both ends hold."""
ICAP_PAGE = b"HTTP/1.1 200 OK\r\n\r\n"
BOTH = pytest.mark.parametrize("protocol", ["icap", "http"])


async def blocks(*data: bytes) -> AsyncIterator[bytes]:
    for each in data:
        yield each


async def ask(scanner: Scanner, *data: bytes, seconds: float = 5.0) -> Verdict:
    async with asyncio.timeout(30):
        client = scanner_at(scanner.url, timeout_seconds=seconds)
        return await client.scan(Subject("an-import/0", sum(map(len, data))), blocks(*data))


@BOTH
@pytest.mark.parametrize("data", [(), (b"a",), (b"harmless",) * 3, (b"x" * MEBIBYTE,) * BIG])
async def test_harmless_bytes_are_clean_and_all_of_them_are_sent(protocol: str, data: tuple[bytes, ...]) -> None:
    async with scanners.scanning(protocol) as scanner:
        assert await ask(scanner, *data) == Verdict(is_clean=True)
        assert scanner.sizes == [sum(map(len, data))]
        assert "an-import/0" in scanner.heads[0] or protocol == "icap"
        await scanner.settled()


@BOTH
async def test_what_the_scanner_finds_has_its_name_wherever_it_is(protocol: str) -> None:
    async with scanners.scanning(protocol) as scanner:
        whole = b"a" * MEBIBYTE
        for data in ((MARK,), (whole, whole + MARK), (b"a" + MARK[:9], MARK[9:])):
            assert await ask(scanner, *data) == Verdict(is_clean=False, threat=THREAT)


@BOTH
@pytest.mark.parametrize("mood", [Mood.SAYS_INFECTED_EARLY_AND_CLOSES, Mood.SAYS_INFECTED_EARLY_AND_GOES_ON_READING])
async def test_a_verdict_before_the_end_of_the_body_counts(protocol: str, mood: Mood) -> None:
    async with scanners.scanning(protocol) as scanner:
        scanner.mood = mood
        assert await ask(scanner, *[b"x" * MEBIBYTE] * BIG) == Verdict(is_clean=False, threat=THREAT)
        await scanner.settled()


@BOTH
async def test_a_verdict_does_not_wait_until_all_is_sent(protocol: str) -> None:
    async with scanners.scanning(protocol) as scanner:
        scanner.mood = Mood.SAYS_INFECTED_EARLY_AND_GOES_ON_READING
        client = scanner_at(scanner.url, timeout_seconds=5)
        given = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal given
            while True:
                given += 1
                yield b"x" * MEBIBYTE
                await asyncio.sleep(0)

        async with asyncio.timeout(20):
            assert not (await client.scan(Subject("a/0", BIG * MEBIBYTE), endless())).is_clean
        assert given < 100 * BIG
        await scanner.settled()


@BOTH
@pytest.mark.parametrize(
    "mood",
    [
        Mood.SAYS_CLEAN_EARLY_AND_CLOSES,
        Mood.DROPS_EARLY,
        Mood.CLOSES_WITHOUT_ANSWER,
        Mood.ANSWERS_HALF,
        Mood.ANSWERS_GARBAGE,
        Mood.ANSWERS_ENDLESS_HEADERS,
    ],
)
async def test_what_is_no_verdict_is_never_a_clean_file(protocol: str, mood: Mood) -> None:
    async with scanners.scanning(protocol) as scanner:
        scanner.mood = mood
        with pytest.raises(ScannerUnavailable):
            await ask(scanner, *[b"x" * MEBIBYTE] * BIG)
        await scanner.settled()


@BOTH
@pytest.mark.parametrize("mood", [Mood.NEVER_ANSWERS, Mood.STOPS_READING_EARLY])
async def test_a_silent_scanner_is_given_up(protocol: str, mood: Mood) -> None:
    async with scanners.scanning(protocol) as scanner:
        scanner.mood = mood
        with pytest.raises(ScannerUnavailable, match="silent"):
            await ask(scanner, *[b"x" * MEBIBYTE] * BIG, seconds=0.3)


@BOTH
async def test_a_slow_answer_is_an_answer(protocol: str) -> None:
    async with scanners.scanning(protocol) as scanner:
        scanner.mood = Mood.ANSWERS_SLOWLY
        assert (await ask(scanner, b"harmless")).is_clean


@BOTH
async def test_a_store_that_is_slower_than_the_scanner_may_be_is_waited_for(protocol: str) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"harm"
        # Longer than the scanner itself may be silent, and than the look that is taken at it.
        await asyncio.sleep(1.3)
        yield b"less"

    async with scanners.scanning(protocol) as scanner:
        client = scanner_at(scanner.url, timeout_seconds=0.2)
        assert (await client.scan(Subject("a/0", 8), slow())).is_clean


@BOTH
@pytest.mark.parametrize("status", [100, 206, 301, 400, 401, 403, 404, 405, 408, 413, 418, 429, 500, 503, 505])
async def test_other_statuses_are_no_verdict(protocol: str, status: int) -> None:
    async with scanners.scanning(protocol) as scanner:
        scanner.status = status
        with pytest.raises(ScannerUnavailable):
            await ask(scanner, b"harmless")


@BOTH
async def test_nobody_at_the_port_is_no_verdict(protocol: str) -> None:
    async with scanners.scanning(protocol) as scanner:
        pass
    with pytest.raises(ScannerUnavailable):
        await ask(scanner, b"harmless")


@BOTH
async def test_what_the_store_raises_passes_through(protocol: str) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"harm"
        raise StorageUnavailable("gone")

    async with scanners.scanning(protocol) as scanner:
        client = scanner_at(scanner.url, timeout_seconds=5)
        with pytest.raises(StorageUnavailable):
            await client.scan(Subject("a/0", 8), broken())
        await scanner.settled()
        assert scanner.sizes == []


@BOTH
async def test_a_scan_that_is_cancelled_leaves_no_connection(protocol: str) -> None:
    async with scanners.scanning(protocol) as scanner:
        scanner.mood = Mood.ANSWERS_WHEN_LEFT
        task = asyncio.create_task(ask(scanner, b"harmless", seconds=30))
        await eventually(lambda: answered(bool(scanner.sizes)))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await scanner.settled()


@BOTH
async def test_fifty_megabytes_take_no_memory(protocol: str) -> None:
    block = b"x" * MEBIBYTE
    async with scanners.scanning(protocol) as scanner:
        tracemalloc.start()
        try:
            assert (await ask(scanner, *[block] * 50, seconds=60)).is_clean
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert scanner.sizes == [50 * MEBIBYTE]
    assert peak < 6 * MEBIBYTE


async def test_an_icap_server_that_sends_back_what_it_was_sent_has_called_it_clean() -> None:
    async with scanners.scanning("icap") as scanner:
        scanner.echoes = True
        assert (await ask(scanner, *[b"y" * MEBIBYTE] * BIG)).is_clean
        assert (await ask(scanner, b"")).is_clean


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"ICAP/1.0 204 No Content\r\nX-Virus-ID: Odd.Thing\r\n\r\n", "Odd.Thing"),
        (
            b"ICAP/1.0 204 No Content\r\nX-Violations-Found: 1\r\n\ta.xml\r\n\tTrojan.X\r\n\t1\r\n\t2\r\n\r\n",
            "Trojan.X",
        ),
        (b"ICAP/1.0 200 OK\r\nx-infection-found: Type=0; Threat= A b ;\r\n\r\n", "A b"),
        (b"ICAP/1.0 200 OK\r\nX-Infection-Found: yes\r\n\r\n", ""),
        (b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=26\r\n\r\nHTTP/1.1 403 Forbidden\r\n\r\n0\r\n\r\n", ""),
        (b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, null-body=19\r\n\r\n" + ICAP_PAGE, ""),
        (b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=19\r\n\r\n" + ICAP_PAGE + b"3\r\nabc\r\n0\r\n\r\n", ""),
        (b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=19\r\n\r\n" + ICAP_PAGE + b"ffffffff\r\nabc", ""),
    ],
)
async def test_icap_answers_that_refuse_a_file(reply: bytes, expected: str) -> None:
    async with scanners.scanning("icap") as scanner:
        scanner.reply = reply
        assert await ask(scanner, b"harmless") == Verdict(is_clean=False, threat=expected)


@pytest.mark.parametrize(
    "reply",
    [
        b"ICAP/1.0 200 OK\r\n\r\n",
        b"ICAP/1.0 200 OK\r\nEncapsulated: opt-body=0\r\n\r\n",
        b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=999999\r\n\r\n",
        b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=19\r\n\r\n" + ICAP_PAGE + b"8\r\nharmless\r\n",
        b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=19\r\n\r\n" + ICAP_PAGE + b"8\r\nharmlessxx0\r\n\r\n",
        b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=19\r\n\r\n" + ICAP_PAGE + b"-8\r\nharmless\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"ICAP/1.0 2040 No Content\r\n\r\n",
        f"ICAP/1.0 500 Odd\r\n{INFECTED_HEADER}\r\n".encode(),
    ],
)
async def test_icap_answers_that_say_nothing(reply: bytes) -> None:
    async with scanners.scanning("icap") as scanner:
        scanner.reply = reply
        with pytest.raises(ScannerUnavailable):
            await ask(scanner, b"harmless")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"name": "A"}', "A"),
        (b"", ""),
        (b"[]", ""),
        (b'{"name": 7}', ""),
        (b"{", ""),
        (b"\xff", ""),
        (b"[" * 5_000, ""),
        (b'{"name": "' + b"n" * 100_000 + b'"}', ""),
    ],
)
@pytest.mark.parametrize("status", [406, 422])
async def test_http_names_what_it_found_or_does_not(status: int, body: bytes, expected: str) -> None:
    async with scanners.scanning("http") as scanner:
        scanner.reply = b"HTTP/1.1 %d No\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)
        assert await ask(scanner, b"harmless") == Verdict(is_clean=False, threat=expected)


async def test_http_takes_200_for_clean_too() -> None:
    async with scanners.scanning("http") as scanner:
        scanner.status = 200
        assert (await ask(scanner, b"harmless")).is_clean
