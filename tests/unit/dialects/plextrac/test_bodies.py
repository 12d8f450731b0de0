from __future__ import annotations

from typing import Any

import pytest

from dialects.plextrac.bodies import (
    Tags,
    client_body,
    flag,
    idempotency_key,
    import_body,
    report_body,
    tags,
    upload_body,
)
from runtime.errors import InvalidArgument, UnsupportedMediaType

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("member", ["name", "filename", "fileName"])
def test_the_name_of_an_upload_has_three_names(member: str) -> None:
    assert upload_body({member: "a.nessus"}).name == "a.nessus"


@pytest.mark.parametrize(("size", "expected"), [(12, 12), ("12", 12), (None, 0), ("many", 0), (-1, 0), ([], 0)])
def test_a_size_that_says_nothing_is_no_error(size: Any, expected: int) -> None:
    assert upload_body({"name": "a", "size": size}).size_bytes == expected


@pytest.mark.parametrize("value", [5, True, ["a"], {"a": 1}])
def test_a_name_that_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        upload_body({"name": value})
    assert refusal.value.reason == "FIELD_NOT_TEXT"


def test_a_trigger_as_published() -> None:
    body = import_body(
        {"tags": '{"assets":["a"],"findings":["f"]}', "useParserActions": False, "key": "c/k", "fileName": "n"}
    )
    assert (body.key, body.file_name) == ("c/k", "n")
    assert body.options.tags == Tags(assets=("a",), findings=("f",))
    assert body.options.use_parser_actions is False


def test_a_trigger_of_a_client_that_sends_key_and_filename_only() -> None:
    body = import_body({"key": "c/k", "filename": "n"})
    assert (body.file_name, body.options.tags, body.options.use_parser_actions) == ("n", Tags(), False)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, Tags()),
        ("", Tags()),
        ("null", Tags()),
        ({}, Tags()),
        ({"assets": []}, Tags()),
        ({"assets": ["a", "b"], "findings": None}, Tags(assets=("a", "b"))),
        ('{"findings": ["f"]}', Tags(findings=("f",))),
        ({"assets": "a,b"}, Tags(assets=("a", "b"))),
        ({"assets": '["a"]'}, Tags(assets=("a",))),
        ("[1]", None),
        ("{", None),
        (5, None),
        ({"assets": [1]}, None),
        ({"assets": {"a": 1}}, None),
        ("[" * 100_000, None),
    ],
)
def test_tags_are_text_or_object(value: Any, expected: Tags | None) -> None:
    if expected is not None:
        assert tags(value) == expected
        return
    with pytest.raises(InvalidArgument) as refusal:
        tags(value)
    assert refusal.value.reason == "INVALID_TAGS"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, False),
        (True, True),
        (False, False),
        ("true", True),
        ("FALSE", False),
        ("", False),
        (1, True),
        ("on", True),
    ],
)
def test_a_flag_is_a_boolean_or_its_text(value: Any, expected: bool) -> None:
    assert flag("useParserActions", value) is expected


def test_another_flag_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        flag("useParserActions", "maybe")


def test_a_report_comes_as_json_or_as_a_form() -> None:
    from_json = report_body(f"{JSON}; charset=utf-8", b'{"name":"a b","status":"Open","template":"t","logistics":""}')
    from_form = report_body(FORM, b"name=a+b&description=&status=Open&logistics=&template=t&start_date=")
    assert from_json == from_form
    assert (from_form.name, from_form.status, from_form.details) == ("a b", "Open", {"template": "t"})


@pytest.mark.parametrize("content_type", ["", JSON, "Application/JSON;charset=utf-8"])
def test_a_body_without_a_type_is_taken_for_json(content_type: str) -> None:
    assert report_body(content_type, b'{"name":"r","tags":["a"]}').tags == ("a",)


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff"])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        report_body(JSON, body)
    assert refusal.value.reason == "INVALID_JSON"


@pytest.mark.parametrize("body", [b"a=\xff", b"&".join(b"a=1" for _ in range(300))])
def test_a_body_that_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        report_body(FORM, body)
    assert refusal.value.reason == "INVALID_FORM"


def test_another_media_type_is_refused() -> None:
    with pytest.raises(UnsupportedMediaType):
        report_body("text/xml", b"<a/>")


def test_a_client_has_its_optional_members() -> None:
    body = client_body({"name": "n", "description": "d", "poc": "p", "poc_email": "e", "tags": ["t"]})
    assert (body.name, body.description, body.poc, body.poc_email, body.tags) == ("n", "d", "p", "e", ("t",))


def test_the_idempotency_key_is_found_among_the_metadata() -> None:
    assert idempotency_key((("x-dialect", "plextrac"), ("idempotency-key", "k"))) == "k"
    assert idempotency_key(()) == ""
    assert idempotency_key(None) == ""
