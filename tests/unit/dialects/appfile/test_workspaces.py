from __future__ import annotations

import pytest

from dialects.appfile.workspaces import chosen
from runtime.context import Principal
from runtime.errors import NotFound, PermissionDenied
from tests.fakes.people import IMPORTER

HEADERS = (("x-param-override-workspaceid", " w1 "), ("x-param-override-bucketid", "b1"))


async def find(principal: Principal, workspace: str, bucket_id: str) -> tuple[Principal, str, str]:
    if workspace == "unknown":
        raise NotFound("WORKSPACE_NOT_FOUND", "No.")
    return principal, workspace, bucket_id


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        (HEADERS, ("w2", "b2"), ("w1", "b1")),
        ((), ("w2", "b2"), ("w2", "b2")),
        (HEADERS[:1], ("w2", "b2"), ("w1", "b2")),
        (None, ("", ""), ("", "")),
    ],
)
async def test_headers_go_before_the_body(
    headers: tuple[tuple[str, str], ...] | None, body: tuple[str, str], expected: tuple[str, str]
) -> None:
    assert await chosen(find, IMPORTER, headers, *body) == (IMPORTER, *expected)


async def test_a_workspace_that_is_not_the_callers_is_a_missing_permission() -> None:
    with pytest.raises(PermissionDenied) as refusal:
        await chosen(find, IMPORTER, (), "unknown")
    assert refusal.value.reason == "WORKSPACE_DENIED"
