"""Accounts for tests, with what does not matter filled in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from runtime.auth import Role
from services.identity.model import Account

BORN = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def account(**values: Any) -> Account:
    return Account(
        **{
            "user_id": 1000,
            "tenant_id": 7,
            "email": "ada@example.com",
            "role": Role.ADMIN,
            "operator": False,
            "service_account": False,
            "client_ids": None,
            "disabled": False,
            "tokens_valid_after": BORN,
            "created_at": BORN,
            **values,
        }
    )
