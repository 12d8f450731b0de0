"""The accounts and keys of the caller's tenant, as IdentityService keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cli.context import Cli
from cli.errors import CliError, ExitCode
from hythe.identity.v1 import identity_pb2 as identity
from hythe.identity.v1.identity_pb2_grpc import IdentityServiceStub

if TYPE_CHECKING:
    from hythe.identity.v1.identity_pb2_grpc import IdentityServiceAsyncStub

PAGE_SIZE = 1_000


def identity_stub(cli: Cli) -> IdentityServiceAsyncStub:
    return IdentityServiceStub(cli.native.channel)


def every_account(cli: Cli) -> Iterator[identity.User]:
    request = identity.ListUsersRequest(page_size=PAGE_SIZE)
    return cli.native.items(identity_stub(cli).ListUsers, request, lambda page: page.users)


def every_key(cli: Cli) -> Iterator[identity.ApiKey]:
    request = identity.ListApiKeysRequest(page_size=PAGE_SIZE)
    return cli.native.items(identity_stub(cli).ListApiKeys, request, lambda page: page.api_keys)


def account_id(cli: Cli, wanted: str) -> int:
    """The id of an account that a person names by its id or its e-mail address."""
    if wanted.isdecimal():
        return int(wanted)
    for one in every_account(cli):
        if one.email.casefold() == wanted.casefold():
            return one.user_id
    raise CliError(f"There is no account {wanted!r} in this tenant.", ExitCode.USAGE)


def create_key(
    cli: Cli, user_id: int, *, name: str, scopes: list[str] | None = None, life_days: int = 0
) -> identity.CreateApiKeyResponse:
    request = identity.CreateApiKeyRequest(user_id=user_id, name=name, scopes=scopes or [], life_days=life_days)
    return cli.native.call(identity_stub(cli).CreateApiKey, request)


def rotate_key(cli: Cli, key_id: int, grace_seconds: int) -> identity.RotateApiKeyResponse:
    request = identity.RotateApiKeyRequest(api_key_id=key_id, grace_seconds=grace_seconds)
    return cli.native.call(identity_stub(cli).RotateApiKey, request)
