from __future__ import annotations

from uuid import UUID

import pytest

from dialects.assets.workspaces import workspaces_page
from runtime.errors import InvalidArgument

IDS = [UUID(int=number) for number in range(1, 6)]
ORIGIN = "https://hythe.example.com"
LIST = f"{ORIGIN}/rest/servicedeskapi/assets/workspace"


def test_a_page_is_what_clients_look_for_a_workspace_in() -> None:
    assert workspaces_page(IDS[:1], 0, 0, ORIGIN) == {
        "size": 1,
        "start": 0,
        "limit": 50,
        "isLastPage": True,
        "_links": {"base": ORIGIN, "context": "", "self": f"{LIST}?start=0&limit=50"},
        "values": [{"workspaceId": "00000000-0000-0000-0000-000000000001"}],
    }


@pytest.mark.parametrize(
    ("start", "count", "is_last", "has_links"),
    [(0, 2, False, {"next"}), (2, 2, False, {"next", "prev"}), (4, 1, True, {"prev"}), (9, 0, True, {"prev"})],
)
def test_pages_lead_to_each_other(start: int, count: int, is_last: bool, has_links: set[str]) -> None:
    page = workspaces_page(IDS, start, 2, ORIGIN)
    assert (page["size"], page["isLastPage"]) == (count, is_last)
    assert page["_links"].keys() & {"next", "prev"} == has_links


def test_no_workspace_is_an_empty_page() -> None:
    page = workspaces_page([], 0, 0, ORIGIN)
    assert (page["values"], page["isLastPage"]) == ([], True)


@pytest.mark.parametrize(("start", "limit"), [(-1, 0), (0, -1)])
def test_a_negative_place_is_refused(start: int, limit: int) -> None:
    with pytest.raises(InvalidArgument):
        workspaces_page(IDS, start, limit, ORIGIN)
