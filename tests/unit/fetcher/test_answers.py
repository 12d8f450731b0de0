from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.fetcher.answers import Answer
from services.fetcher.failures import SourceError


def records(text: str, selector: str = "", cursor: str = "", piece: int = 3) -> tuple[list[Any], Any]:
    data = text.encode()
    answer = Answer(selector, cursor)
    found = list(answer.read(data[at : at + piece] for at in range(0, len(data), piece)))
    return json.loads(json.dumps(found, default=float)), answer.cursor


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.lists(st.dictionaries(st.text(max_size=4), VALUES, max_size=4), max_size=5)


@given(RECORDS, st.integers(1, 40))
def test_records_come_out_as_they_went_in_however_the_answer_is_cut(wanted: list[Any], piece: int) -> None:
    document = {"before": [{"data": 1}], "a": {"data": wanted, "next": "n"}, "data": [{"no": 1}]}
    assert records(json.dumps(document), "a.data", "a.next", piece) == (wanted, "n")
    assert records(json.dumps(wanted), piece=piece) == (wanted, None)


@pytest.mark.parametrize(
    ("text", "selector", "expected"),
    [
        ('{"a": 1}', "", [{"a": 1}]),
        ('{"data": {"item": 1}}', "data", [{"item": 1}]),
        ('{"data": null}', "data", []),
        ('{"data": []}', "data", []),
        ('{"x": {"data": [1]}, "data": [{"a": [[1], {"b": []}]}]}', "data", [{"a": [[1], {"b": []}]}]),
    ],
)
def test_a_lone_object_is_one_record_and_null_is_none(text: str, selector: str, expected: list[Any]) -> None:
    assert records(text, selector)[0] == expected


@pytest.mark.parametrize(
    ("text", "selector", "code"),
    [
        ("{}", "data", "RECORDS_NOT_FOUND"),
        ('{"data": 1}', "data", "RECORDS_NOT_FOUND"),
        ('[{"data": [{"a": 1}]}]', "data", "RECORDS_NOT_FOUND"),
        ('{"data": [1]}', "data", "SOURCE_INVALID"),
        ('{"data": [[{"a": 1}]]}', "data", "SOURCE_INVALID"),
        ('{"data": [{"a": 1}', "data", "SOURCE_INVALID"),
        ("", "", "SOURCE_INVALID"),
        ("[NaN]", "", "SOURCE_INVALID"),
        ('[{"a": ' + "[" * 70 + "]" * 70 + "}]", "", "SOURCE_INVALID"),
    ],
)
def test_what_is_no_records_is_refused(text: str, selector: str, code: str) -> None:
    with pytest.raises(SourceError) as failed:
        records(text, selector)
    assert failed.value.code == code
