from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runtime.auth import Role
from runtime.errors import InvalidArgument
from services.identity.checks import (
    checked_clients,
    checked_name,
    checked_role,
    checked_scopes,
    checked_user_name,
)


def test_a_user_name_is_kept_in_lower_case() -> None:
    assert checked_user_name("  Ada@Example.COM ") == "ada@example.com"
    assert checked_user_name("Nightly-Scan", service_account=True) == "nightly-scan"


@pytest.mark.parametrize(
    "name",
    ["", " ", "ada", "a b@example.com", "a:b@example.com", "a@b@c", "a\n@example.com", "a\0@b.c", "a" * 251 + "@b.c"],
)
def test_what_is_no_user_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument):
        checked_user_name(name)


@pytest.mark.parametrize("name", ["", "two words", "a:b", "bell\x07"])
def test_what_is_no_name_of_a_service_account_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument):
        checked_user_name(name, service_account=True)


def test_roles_are_known_by_their_number() -> None:
    assert checked_role(2) is Role.IMPORTER
    for number in (0, 4, -1):
        with pytest.raises(InvalidArgument):
            checked_role(number)


def test_no_client_is_every_client() -> None:
    assert checked_clients([]) is None
    assert checked_clients([5, 5, 6]) == frozenset({5, 6})


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (checked_clients, [0]),
        (checked_clients, [-1]),
        (checked_clients, range(1, 1_002)),
        (checked_scopes, ["two words"]),
        (checked_scopes, [""]),
        (checked_scopes, ["x" * 129]),
        (checked_scopes, [str(number) for number in range(65)]),
        (checked_name, ""),
        (checked_name, "x" * 256),
        (checked_name, "line\nbreak"),
    ],
)
def test_what_cannot_be_is_refused(check: Callable[[Any], object], value: object) -> None:
    with pytest.raises(InvalidArgument):
        check(value)


def test_scopes_and_names_are_kept_as_they_are() -> None:
    assert checked_scopes(["read:cmdb-object:jira", "x", "x"]) == {"read:cmdb-object:jira", "x"}
    assert checked_name(" Große Kunden ") == "Große Kunden"
