"""New tenants for a run, each with an administrator and an API key of theirs."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import grpc

from hythe.identity.v1 import identity_pb2 as identity
from hythe.identity.v1.identity_pb2_grpc import IdentityServiceStub
from tests.stack import LiveStack

SECONDS = 30


@dataclass(frozen=True)
class Tenant:
    tenant_id: int
    key: str
    """The administrator's."""


def found_tenants(stack: LiveStack, count: int) -> Sequence[Tenant]:
    """Past the gateway: there the caller's word about its address counts, by which logins are limited."""
    with grpc.insecure_channel(stack.address("identity")) as channel:
        service = IdentityServiceStub(channel)
        return [found(service, stack.api_key) for _ in range(count)]


def found(service: IdentityServiceStub, operator_key: str) -> Tenant:
    name = f"chaos{secrets.token_hex(4)}"
    made = service.CreateTenant(
        identity.CreateTenantRequest(name=name, admin_email=f"admin@{name}.example"),
        timeout=SECONDS,
        metadata=(("x-api-key", operator_key),),
    )
    login = service.Authenticate(
        identity.AuthenticateRequest(username=made.admin.email, password=made.admin_password),
        timeout=SECONDS,
        # 198.51.100.0/24 is for examples.
        metadata=(("x-forwarded-for", f"198.51.100.{secrets.randbelow(255)}"),),
    )
    key = service.CreateApiKey(
        identity.CreateApiKeyRequest(user_id=made.admin.user_id, name="chaos"),
        timeout=SECONDS,
        metadata=(("authorization", f"Bearer {login.token.token}"),),
    )
    return Tenant(made.tenant.tenant_id, key.secret)
