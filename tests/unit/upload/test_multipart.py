from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidArgument, PayloadTooLarge, UnsupportedMediaType
from services.upload.multipart import MAX_FIELD_BYTES, MAX_OTHER_BYTES, FormReader
from tests.unit.upload.forms import BOUNDARY, CONTENT_TYPE, field_part, file_part, form, pieces, stream


async def read(chunks: AsyncIterator[bytes], content_type: str = CONTENT_TYPE) -> tuple[str, bytes, dict[str, str]]:
    reader = FormReader(content_type, chunks)
    name = await reader.find_file()
    data = b"".join([piece async for piece in reader.file_chunks()])
    await reader.read_rest()
    return name, data, reader.fields


async def test_a_body_reads_the_same_however_it_is_cut() -> None:
    data = b"<a>\r\n--" + BOUNDARY.encode()[:-1] + b"\r\n-\r-\n</a>\r\n"
    body = form(field_part("useParserActions", "true"), file_part(data), field_part("tags", '{"assets":["ä"]}'))
    expected = ("a.nessus", data, {"useParserActions": "true", "tags": '{"assets":["ä"]}'})
    for size in (*range(1, 80), len(body)):
        assert await read(pieces(body, size)) == expected


@given(data=st.binary(max_size=2_000), size=st.integers(1, 500), newlines=st.booleans())
async def test_any_bytes_come_through_unchanged(data: bytes, size: int, newlines: bool) -> None:
    data = data.replace(b"\0", b"\r\n--") if newlines else data
    _, read_data, _ = await read(pieces(form(file_part(data)), size))
    assert read_data == data


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('name="file"; filename="file"', "file"),
        ('name="file"', ""),
        ('name="file"; filename="報告 1.xml"', "報告 1.xml"),
        ('filename="b.xml"; name=file', "b.xml"),
    ],
)
async def test_only_the_name_of_the_part_says_that_it_is_the_file(disposition: str, name: str) -> None:
    body = form(file_part(b"x", disposition, "Content-Type: text/whatever\r\n"))
    assert await read(pieces(body, 7)) == (name, b"x", {})


async def test_an_empty_file_is_a_file() -> None:
    assert await read(pieces(form(file_part(b"")), 11)) == ("a.nessus", b"", {})


async def test_a_second_file_is_passed_over() -> None:
    body = form(file_part(b"first"), file_part(b"second"), field_part("tags", "{}"))
    assert await read(pieces(body, 9)) == ("a.nessus", b"first", {"tags": "{}"})


@pytest.mark.parametrize("body", [form(field_part("tags", "{}")), f"--{BOUNDARY}--\r\n".encode()])
async def test_a_form_without_the_file_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        await read(pieces(body, 10))
    assert refusal.value.reason == "FILE_MISSING"


async def test_a_file_in_a_part_of_another_name_is_refused_before_it_is_read() -> None:
    head = file_part(b"x" * 100, 'name="upload"; filename="a.nessus"')[:90]
    with pytest.raises(InvalidArgument) as refusal:
        await FormReader(CONTENT_TYPE, stream([head, b"x" * MAX_OTHER_BYTES * 2])).find_file()
    assert refusal.value.reason == "FILE_MISSING"


async def test_another_file_after_the_first_is_passed_over() -> None:
    body = form(file_part(b"x"), file_part(b"y", 'name="logo"; filename="logo.png"'))
    assert (await read(pieces(body, 20)))[1] == b"x"


async def test_a_body_cut_off_anywhere_is_refused() -> None:
    body = form(field_part("tags", "{}"), file_part(b"data"))
    for length in range(len(body) - len("--\r\n")):
        with pytest.raises(InvalidArgument) as refusal:
            await read(pieces(body[:length], 16))
        assert refusal.value.reason == "MALFORMED_FORM"


@pytest.mark.parametrize("body", [b"{}", b"--other\r\n\r\n", f"--{BOUNDARY}\r\nno colon\r\n\r\nx".encode()])
async def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        await read(stream([body]))
    assert refusal.value.reason == "MALFORMED_FORM"


@pytest.mark.parametrize(
    "content_type", ["", "application/json", "application/octet-stream", "multipart/mixed; boundary=a"]
)
async def test_another_content_type_is_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        FormReader(content_type, stream([]))


@pytest.mark.parametrize("content_type", ["multipart/form-data", f"multipart/form-data; boundary={'b' * 300}"])
async def test_a_content_type_without_a_usable_boundary_is_refused(content_type: str) -> None:
    with pytest.raises(InvalidArgument):
        FormReader(content_type, stream([]))


@pytest.mark.parametrize(
    "part",
    [
        field_part("tags", "x" * (MAX_FIELD_BYTES + 1)),
        b"".join(field_part("tags", "x" * 1_000) for _ in range(70)),
        file_part(b"") + file_part(b"x" * (MAX_OTHER_BYTES + 1)),
    ],
)
async def test_what_stands_beside_the_file_is_bounded(part: bytes) -> None:
    with pytest.raises(PayloadTooLarge):
        await read(pieces(form(part, file_part(b"x")), 4_096))


async def test_what_follows_the_last_delimiter_is_bounded() -> None:
    assert await read(stream([form(file_part(b"x")), b"\r\nepilogue"])) == ("a.nessus", b"x", {})
    with pytest.raises(PayloadTooLarge):
        await read(stream([form(file_part(b"x")), *[b"x" * 65_536] * 17]))


async def test_a_large_file_is_never_held() -> None:
    block = bytes(range(256)) * 4_096

    async def body() -> AsyncIterator[bytes]:
        head, tail = form(file_part(b"|")).split(b"|")
        yield head
        for _ in range(100):
            yield block
        yield tail

    reader = FormReader(CONTENT_TYPE, body())
    await reader.find_file()
    tracemalloc.start()
    try:
        size = sum([len(piece) async for piece in reader.file_chunks()])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size == 100 * len(block)
    assert peak < 8 * len(block)
