"""Finds out who calls, and whether the option of the method in its proto lets them; one without it is closed to all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Protocol

from google.protobuf import descriptor_pool

from hythe.options.v1 import options_pb2
from runtime.auth import Authenticated
from runtime.context import Principal, Role, credential_variable, principal_variable
from runtime.errors import PermissionDenied
from runtime.interceptors.chain import Call


class Authenticates(Protocol):
    """An Authenticator, or what a test puts in its place."""

    async def authenticate(self, metadata: dict[str, str]) -> Authenticated: ...


class Authorization:
    """Sets what `current_principal` and `current_credential` give."""

    def __init__(self, authenticator: Authenticates) -> None:
        self._authenticator = authenticator

    @asynccontextmanager
    async def __call__(self, call: Call) -> AsyncIterator[None]:
        rule = rule_of(call.method)
        if rule is None:
            raise PermissionDenied("METHOD_CLOSED", "This method is not open to anybody.")
        if rule.anonymous:
            yield
            return
        found = await self._authenticator.authenticate(dict(call.metadata))
        call.principal = found.principal
        check(found.principal, rule)
        tokens = principal_variable.set(found.principal), credential_variable.set(found.credential)
        try:
            yield
        finally:
            principal_variable.reset(tokens[0])
            credential_variable.reset(tokens[1])


@cache
def rule_of(method: str) -> options_pb2.Authorization | None:
    """The option of `package.Service/Method`; None when there is no such method, or no option, or an empty one."""
    try:
        descriptor = descriptor_pool.Default().FindMethodByName(method.replace("/", "."))
    except KeyError:
        return None
    options = descriptor.GetOptions()
    if not options.HasExtension(options_pb2.authorization):
        return None
    rule = options.Extensions[options_pb2.authorization]
    return rule if rule.anonymous or rule.role != options_pb2.ROLE_UNSPECIFIED else None


def check(principal: Principal, rule: options_pb2.Authorization) -> None:
    if principal.role < rule.role:
        needed = Role(rule.role).name.lower()
        raise PermissionDenied("ROLE_REQUIRED", f"This needs the role {needed}.", role=needed)
    if rule.operator and not principal.operator:
        raise PermissionDenied("OPERATOR_REQUIRED", "This is for operators of the installation.")
    if is_limited(principal) and principal.scopes.isdisjoint(rule.scopes):
        needed = " or ".join(rule.scopes) or "none: it is for credentials without scopes"
        raise PermissionDenied(
            "SCOPE_REQUIRED", f"The scope that this needs is {needed}.", scopes=" ".join(rule.scopes)
        )


def is_limited(principal: Principal) -> bool:
    """Whether the credential was made for some methods only. What names no scope is then closed to it."""
    return bool(principal.scopes) or principal.import_source_id is not None
