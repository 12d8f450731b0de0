from __future__ import annotations

from uuid import UUID

import pytest

from runtime.errors import InvalidArgument
from services.identity.paging import after_number, after_uuid, checked_size, page_of


@pytest.mark.parametrize(("asked", "given"), [(0, 100), (1, 1), (1_000, 1_000), (5_000, 1_000)])
def test_a_page_has_a_size_that_is_asked_for_within_bounds(asked: int, given: int) -> None:
    assert checked_size(asked) == given


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(InvalidArgument) as refusal:
        checked_size(-1)
    assert refusal.value.reason == "INVALID_PAGE_SIZE"


def test_a_page_that_is_not_the_last_names_its_last_item() -> None:
    page = page_of([1, 2, 3], 2, lambda item: item)
    assert (page.items, page.next_token) == ([1, 2], "2")
    assert after_number(page.next_token) == 2


def test_the_last_page_has_no_token() -> None:
    for items in ([], [1], [1, 2]):
        page = page_of(items, 2, lambda item: item)
        assert (page.items, page.next_token) == (items, "")


def test_the_first_page_starts_before_everything() -> None:
    assert after_number("") == 0
    assert after_uuid("") == UUID(int=0)


@pytest.mark.parametrize("token", ["x", "-1", "1.5", "²", "2147483648", "1 OR 1=1", " 1"])
def test_a_token_that_no_page_gave_is_refused(token: str) -> None:
    with pytest.raises(InvalidArgument):
        after_number(token)
    with pytest.raises(InvalidArgument):
        after_uuid(token)
