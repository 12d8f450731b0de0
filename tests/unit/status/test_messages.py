"""Pages of messages, and the schemas of what has no message."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pool
from jsonschema import Draft202012Validator

from hythe.dialects.plextrac.v2 import parser_actions_pb2, plextrac_pb2
from hythe.importer.v1 import importer_pb2
from hythe.options.v1 import options_pb2
from hythe.status.v1 import status_pb2
from runtime.errors import InvalidArgument
from services.status.messages import PAGE_BYTES, fit, state_names
from services.status.paging import after_import, after_number, page_size

SCHEMAS = Path(__file__).parents[3] / "protos/hythe/dialects/plextrac/v2/schemas.json"


def client(size: int) -> status_pb2.Client:
    return status_pb2.Client(description="x" * size)


@pytest.mark.parametrize(
    ("sizes", "has_more", "expected", "token"),
    [
        ([], False, 0, ""),
        ([10, 10], False, 2, ""),
        ([10, 10], True, 2, "10"),
        ([PAGE_BYTES + 1], False, 1, ""),
        ([1, PAGE_BYTES, 2], False, 1, "1"),
        ([2, 1, PAGE_BYTES], True, 2, "1"),
    ],
)
def test_a_page_ends_before_it_is_too_long_and_says_where(
    sizes: list[int], has_more: bool, expected: int, token: str
) -> None:
    page, found = fit(sizes, has_more, client, str)
    assert (len(page), found) == (expected, token)


def test_states_are_known_by_our_words() -> None:
    assert state_names([importer_pb2.STATE_OPEN, importer_pb2.STATE_FAILED]) == ["OPEN", "FAILED"]


@pytest.mark.parametrize("state", [0, 99])
def test_a_state_that_is_none_is_refused(state: int) -> None:
    with pytest.raises(InvalidArgument, match="known are OPEN, QUEUED"):
        state_names([state])


@pytest.mark.parametrize(("asked", "size"), [(0, 100), (1, 1), (1000, 1000)])
def test_page_sizes(asked: int, size: int) -> None:
    assert page_size(asked) == size


@pytest.mark.parametrize("token", ["-1", "x", "2147483648", "9" * 5000, " 1", "\u0661"])
def test_a_page_token_that_was_never_given_is_refused(token: str) -> None:
    with pytest.raises(InvalidArgument):
        after_number(token)
    with pytest.raises(InvalidArgument):
        after_import(token)


def schemas() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(SCHEMAS.read_text())
    return found


def named_shapes() -> set[str]:
    """Every name in a json_shape option of the dialect."""
    files = [
        descriptor_pool.Default().FindFileByName(module.DESCRIPTOR.name)
        for module in (plextrac_pb2, parser_actions_pb2)
    ]
    shapes = [
        method.GetOptions().Extensions[options_pb2.json_shape]
        for file in files
        for service in file.services_by_name.values()
        for method in service.methods
    ]
    return {name for shape in shapes for name in (shape.request, shape.response) if name}


def test_every_shape_that_a_route_names_has_a_schema() -> None:
    assert named_shapes() <= schemas().keys()


def test_every_schema_is_one_and_refers_to_schemas_that_are_there() -> None:
    for schema in schemas().values():
        Draft202012Validator.check_schema(schema)
    referred = set(re.findall(r'"#/components/schemas/(\w+)"', SCHEMAS.read_text()))
    assert referred <= schemas().keys()
    assert schemas().keys() - named_shapes() <= referred
