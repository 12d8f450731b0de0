"""Principals for tests, and the call that they make."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from runtime.auth import Principal, RequestInfo, Role
from runtime.context import principal_variable, request_variable

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

IMPORTER = Principal(tenant_id=1, user_id=7, email="importer@example.com", role=Role.IMPORTER)
COLLEAGUE = Principal(tenant_id=1, user_id=8, email="colleague@example.com", role=Role.IMPORTER)
ADMIN = Principal(tenant_id=1, user_id=9, email="admin@example.com", role=Role.ADMIN)
STRANGER = Principal(tenant_id=2, user_id=10, email="stranger@example.com", role=Role.ADMIN)
LIMITED = Principal(
    tenant_id=1, user_id=11, email="limited@example.com", role=Role.IMPORTER, client_ids=frozenset({1001})
)


@contextmanager
def calling(principal: Principal) -> Iterator[None]:
    """As inside a call of this principal."""
    request = RequestInfo("request-1", TRACE, "method", "plextrac", "127.0.0.1")
    tokens = principal_variable.set(principal), request_variable.set(request)
    try:
        yield
    finally:
        principal_variable.reset(tokens[0])
        request_variable.reset(tokens[1])
