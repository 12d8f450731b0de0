from __future__ import annotations

import json
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialects.assets import data_body
from dialects.assets.data_body import DataBody, Said
from runtime.errors import InvalidArgument

TEXTS = st.text(alphabet=st.sampled_from('ab"\\{}[],: \né\u2028\U0001f600'), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=4)


def read(body: bytes, size: int = 1 << 20) -> Said:
    reading = DataBody()
    for start in range(0, len(body), size):
        reading.add(body[start : start + size])
    return reading.finish()


def refused(body: bytes, size: int = 1 << 20) -> str:
    with pytest.raises(InvalidArgument) as raised:
        read(body, size)
    return raised.value.reason


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, Said]:
    """A body whose members are in any order, and what it says."""
    members: dict[str, Any] = draw(st.dictionaries(TEXTS.filter(lambda name: name != "data"), VALUES, max_size=3))
    if draw(st.booleans()):
        members["data"] = draw(OBJECTS)
    if draw(st.booleans()):
        members["clientGeneratedId"] = draw(st.text(min_size=1, max_size=20).filter(lambda text: "\0" not in text))
    if draw(st.booleans()):
        members["completed"] = draw(st.booleans())
    order = draw(st.permutations(list(members)))
    body = json.dumps(
        {name: members[name] for name in order},
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 1])),
    )
    said = Said(members.get("clientGeneratedId", ""), members.get("completed", False), "data" in members)
    return body.encode(errors="surrogatepass"), said


@given(bodies(), st.integers(1, 40))
def test_it_finds_what_a_body_says_however_that_comes(made: tuple[bytes, Said], size: int) -> None:
    body, said = made
    assert read(body, size) == read(body) == said


@given(bodies(), st.integers(1, 40), st.integers(1, 7))
@settings(max_examples=200)
def test_slices_of_any_size_find_the_same_end(made: tuple[bytes, Said], size: int, slice_bytes: int) -> None:
    body, said = made
    before = data_body.SLICE
    data_body.SLICE = slice_bytes
    try:
        assert read(body, size) == said
    finally:
        data_body.SLICE = before


@given(bodies(), st.data())
def test_a_body_that_is_cut_short_is_refused(made: tuple[bytes, Said], data: st.DataObject) -> None:
    body, _ = made
    end = data.draw(st.integers(0, len(body) - 1))
    assert refused(body[:end]) == "INVALID_JSON"


@given(st.binary(max_size=60), st.integers(1, 5))
def test_it_takes_no_outer_object_that_json_does_not(body: bytes, size: int) -> None:
    try:
        read(body, size)
    except InvalidArgument:
        return
    # What is nested is not judged here, so of that only the brackets are known to be closed.
    assert body.strip(b" \t\r\n").startswith(b"{")
    assert body.strip(b" \t\r\n").endswith(b"}")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b'"a"',
        b"\xef\xbb\xbf{}",
        b"{",
        b"{,}",
        b'{"a"}',
        b'{"a":}',
        b'{"a":1,}',
        b'{"a":01}',
        b'{"a":tru}',
        b'{"a":nan}',
        b'{"a":1 2}',
        b"{a:1}",
        b"{'a':1}",
        b'{"a":1}}',
        b'{"a":1}{"a":1}',
        b'{"a":"\n"}',
        b'{"a":"\\x"}',
        b'{"\xff":1}',
        b'{"data":{"a":1}',
        b'{"data":{}\\}',
        b'{"data" {}}',
    ],
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    assert refused(body) == refused(body, 1) == "INVALID_JSON"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"completed": "true"}, "completed"),
        ({"completed": 1}, "completed"),
        ({"completed": {}}, "completed"),
        ({"clientGeneratedId": 5}, "clientGeneratedId"),
        ({"clientGeneratedId": ""}, "clientGeneratedId"),
        ({"clientGeneratedId": "x" * 256}, "clientGeneratedId"),
        ({"clientGeneratedId": "a\0b"}, "clientGeneratedId"),
        ({"clientGeneratedId": []}, "clientGeneratedId"),
        ({"data": []}, "data"),
        ({"data": "rows"}, "data"),
        ({"data": 1}, "data"),
    ],
)
def test_members_have_their_types(body: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        read(json.dumps(body).encode())
    assert (raised.value.reason, raised.value.metadata["field"]) == ("INVALID_DATA", field)


def test_null_is_as_if_it_were_not_there() -> None:
    assert read(b'{"data": null, "clientGeneratedId": null, "completed": null}') == Said("", False, has_data=False)


@pytest.mark.parametrize("name", ["data", "clientGeneratedId", "completed"])
def test_a_member_that_comes_twice_is_refused(name: str) -> None:
    assert refused(f'{{"{name}": null, "{name}": null}}'.encode()) == "INVALID_DATA"


def test_what_stands_in_the_data_says_nothing() -> None:
    body = {"data": {"completed": True, "clientGeneratedId": "x", "rows": ['"completed": true']}}
    assert read(json.dumps(body).encode()) == Said("", False, has_data=True)


@pytest.mark.parametrize("beginning", [b'{"', b'{"a": "', b'{"a": 1'])
def test_a_name_or_value_that_is_too_long_is_refused_before_it_ends(beginning: bytes) -> None:
    assert refused(beginning + b"1" * (data_body.LONGEST_TOKEN + 1), 20_000) == "INVALID_JSON"
    reading = DataBody()
    reading.add(beginning + b"1" * (data_body.LONGEST_TOKEN - 20))


@pytest.mark.parametrize("text", [b"a" * 60_000, b'\\"' * 30_000])
def test_a_text_that_comes_byte_by_byte_takes_no_more_time_than_it_is_long(text: bytes) -> None:
    body, began = DataBody(), time.process_time()
    for code in b'{"note":"' + text + b'","completed":true}':
        body.add(bytes((code,)))
    assert body.finish() == Said("", is_completed=True, has_data=False)
    # Looked at anew with each byte, it takes a hundred seconds.
    assert time.process_time() - began < 5


def test_memory_does_not_grow_with_the_body() -> None:
    rows = json.dumps([{"name": 'a "b" \\', "n": number} for number in range(500)]).encode()
    reading = DataBody()
    reading.add(b'{"data": {"rows": [')
    tracemalloc.start()
    try:
        for _ in range(400):
            reading.add(rows + b",")
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    reading.add(b'0]}, "completed": true}')
    assert reading.finish() == Said("", is_completed=True, has_data=True)
