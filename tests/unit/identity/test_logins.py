from __future__ import annotations

import pytest

from services.identity.logins import address_subject, user_subject


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("", "192.0.2.1", False),
    ],
)
def test_addresses_that_one_customer_has_count_as_one(one: str, other: str, is_same: bool) -> None:
    assert (address_subject(one) == address_subject(other)) is is_same


def test_an_address_that_is_none_cannot_grow() -> None:
    assert len(address_subject("x" * 10_000)) < 100


def test_what_was_typed_as_a_user_name_is_not_kept() -> None:
    assert "hunter2" not in user_subject("hunter2")
    assert user_subject("a") != user_subject("b")
