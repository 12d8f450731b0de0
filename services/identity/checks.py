"""Checks of what an administrator writes: names, user names, roles, scopes, clients."""

from __future__ import annotations

import re
from collections.abc import Iterable

from runtime.auth import Role
from runtime.errors import InvalidArgument
from runtime.texts import checked_text

LONGEST_NAME = 255
LONGEST_USER_NAME = 254
MOST_CLIENTS = 1_000
MOST_SCOPES = 64
# A colon would end the name in a Basic credential.
PERSON = re.compile(r"[^\s:@\x00-\x1f\x7f]+@[^\s:@\x00-\x1f\x7f]+")
SERVICE_ACCOUNT = re.compile(r"[^\s:\x00-\x1f\x7f]+")
SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}")  # scope-token of RFC 6749


def checked_name(name: str, field: str = "name") -> str:
    stripped = checked_text(field, name, max_length=LONGEST_NAME, required=True)
    if not stripped.isprintable():
        raise InvalidArgument("BAD_NAME", f"{field} must not contain control characters.", field=field)
    return stripped


def normal_user_name(name: str) -> str:
    """As it is stored and looked up."""
    return name.strip().lower()


def checked_user_name(name: str, *, service_account: bool = False, field: str = "email") -> str:
    normal = checked_text(field, normal_user_name(name), max_length=LONGEST_USER_NAME, required=True)
    if not (SERVICE_ACCOUNT if service_account else PERSON).fullmatch(normal):
        wanted = "a name without spaces and colons" if service_account else "an e-mail address"
        raise InvalidArgument("BAD_USER_NAME", f"{field} must be {wanted}.", field=field)
    return normal


def checked_role(number: int) -> Role:
    try:
        return Role(number)
    except ValueError:
        raise InvalidArgument("BAD_ROLE", "role must be viewer, importer or admin.", field="role") from None


def checked_clients(client_ids: Iterable[int]) -> frozenset[int] | None:
    """None, which is every client, when there is none."""
    clients = frozenset(client_ids)
    if len(clients) > MOST_CLIENTS or any(client_id <= 0 for client_id in clients):
        message = f"client_ids may have {MOST_CLIENTS} positive numbers at most."
        raise InvalidArgument("BAD_CLIENTS", message, field="client_ids")
    return clients or None


def checked_scopes(scopes: Iterable[str]) -> frozenset[str]:
    checked = frozenset(scopes)
    if len(checked) > MOST_SCOPES or not all(SCOPE.fullmatch(scope) for scope in checked):
        message = f"scopes may have {MOST_SCOPES} words at most, of visible ASCII characters."
        raise InvalidArgument("BAD_SCOPES", message, field="scopes")
    return checked
