from __future__ import annotations

from typing import Any

import pytest

from runtime.auth import Role
from services.identity.model import covers_clients
from tests.unit.identity.accounts import BORN, account


@pytest.mark.parametrize(
    ("ours", "theirs", "covers"),
    [
        ({}, {}, True),
        ({}, {"role": Role.VIEWER, "client_ids": frozenset({1})}, True),
        ({}, {"tenant_id": 8}, False),
        ({}, {"operator": True}, False),
        ({"operator": True}, {"operator": True}, True),
        ({"role": Role.IMPORTER}, {"role": Role.ADMIN}, False),
        ({"client_ids": frozenset({1})}, {}, False),
        ({"client_ids": frozenset({1})}, {"client_ids": frozenset({1, 2})}, False),
        ({"client_ids": frozenset({1, 2})}, {"client_ids": frozenset({1})}, True),
    ],
)
def test_an_account_covers_another_that_can_do_nothing_more(
    ours: dict[str, Any], theirs: dict[str, Any], covers: bool
) -> None:
    assert account(**ours).covers(account(**theirs)) is covers


def test_every_client_is_more_than_any_set_of_clients() -> None:
    assert covers_clients(None, frozenset({1}))
    assert not covers_clients(frozenset({1}), None)


def test_the_generation_keeps_the_microseconds() -> None:
    assert account().generation == int(BORN.timestamp()) * 1_000_000 + 678_901


def test_a_principal_has_what_the_account_may_do() -> None:
    principal = account(client_ids=frozenset({3}), operator=True).principal(frozenset({"read"}))
    assert (principal.tenant_id, principal.user_id, principal.email) == (7, 1000, "ada@example.com")
    assert (principal.role, principal.operator) == (Role.ADMIN, True)
    assert (principal.scopes, principal.client_ids) == (frozenset({"read"}), frozenset({3}))
