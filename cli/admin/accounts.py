"""`hythe admin users` and `hythe admin service-accounts`: who may do what in the caller's tenant."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from cli.admin.directory import account_id, create_key, every_account, every_key, identity_stub, rotate_key
from cli.admin.keys import Grace
from cli.admin.messages import moment, print_change, print_list, print_secret, role_name, state_of
from cli.context import Cli, Json, cli_of
from cli.errors import CliError, ExitCode
from hythe.identity.v1 import identity_pb2 as identity
from hythe.options.v1 import options_pb2

users = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="People, who log in with a password.")
service_accounts = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Programs, which have API keys and no password."
)

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Id or e-mail address.")]
Clients = Annotated[
    list[int] | None, typer.Option("--client", help="Id of a client it may see; may be repeated. None: all clients.")
]


class RoleName(StrEnum):
    """A later role includes the earlier ones."""

    VIEWER = "viewer"
    IMPORTER = "importer"
    ADMIN = "admin"


def role_of(name: RoleName) -> options_pb2.Role.ValueType:
    return options_pb2.Role.Value(f"ROLE_{name.upper()}")


# --------------------------------------------------------------------------------------------------------------- users


@users.command("create")
def create_user(
    context: typer.Context,
    email: str,
    role: Annotated[RoleName, typer.Option(help="What the user may do.")] = RoleName.VIEWER,
    client: Clients = None,
    _json: Json = False,
) -> None:
    """Make a user, whose password is printed once."""
    cli = cli_of(context)
    request = identity.CreateUserRequest(email=email, role=role_of(role), client_ids=client or [])
    made = cli.native.call(identity_stub(cli).CreateUser, request)
    told = f"User {made.user.user_id} ({made.user.email}), {role_name(made.user.role)}."
    print_secret(cli.output, made, told, "Password", made.password)


@users.command("rotate")
def rotate_password(context: typer.Context, account: Account, _json: Json = False) -> None:
    """Give a user a new password, printed once. Tokens of the old one are refused from now on."""
    cli = cli_of(context)
    request = identity.RotatePasswordRequest(user_id=account_id(cli, account))
    made = cli.native.call(identity_stub(cli).RotatePassword, request)
    print_secret(cli.output, made, f"{account} has a new password.", "Password", made.password)


# ---------------------------------------------------------------------------------------------------- service accounts


@service_accounts.command("create")
def create_service_account(
    context: typer.Context,
    email: Annotated[str, typer.Argument(help="A name in the form of an e-mail address.")],
    role: Annotated[RoleName, typer.Option(help="What the account may do.")] = RoleName.IMPORTER,
    client: Clients = None,
    life_days: Annotated[int, typer.Option(min=0, help="Days until its key expires; 0: never.")] = 0,
    _json: Json = False,
) -> None:
    """Make a service account and its first API key, which is printed once."""
    cli = cli_of(context)
    request = identity.CreateUserRequest(email=email, role=role_of(role), service_account=True, client_ids=client or [])
    made = cli.native.call(identity_stub(cli).CreateUser, request).user
    key = create_key(cli, made.user_id, name=made.email, life_days=life_days)
    told = (
        f"Service account {made.user_id} ({made.email}), {role_name(made.role)}, with API key {key.api_key.api_key_id}."
    )
    print_secret(cli.output, key, told, "API key", key.secret)


@service_accounts.command("rotate")
def rotate_service_account(
    context: typer.Context, account: Account, grace_seconds: Grace = 0, _json: Json = False
) -> None:
    """Give a service account's only active key a new secret, printed once."""
    cli = cli_of(context)
    user_id = account_id(cli, account)
    active = [one for one in every_key(cli) if one.user_id == user_id and not one.disabled]
    if len(active) != 1:
        text = f"{account} has {len(active)} active keys; rotate one of them by `hythe admin keys rotate`."
        raise CliError(text, ExitCode.USAGE)
    made = rotate_key(cli, active[0].api_key_id, grace_seconds)
    print_secret(cli.output, made, f"{account} has a new secret.", "API key", made.secret)


# ---------------------------------------------------------------------------------------------------------------- both


@users.command("list")
def list_users(context: typer.Context, _json: Json = False) -> None:
    """List the people of the tenant."""
    print_accounts(cli_of(context), "users", service=False)


@service_accounts.command("list")
def list_service_accounts(context: typer.Context, _json: Json = False) -> None:
    """List the programs of the tenant."""
    print_accounts(cli_of(context), "service_accounts", service=True)


@users.command("role")
@service_accounts.command("role")
def set_role(
    context: typer.Context,
    account: Account,
    role: Annotated[RoleName, typer.Argument(help="What the account may do from now on.")],
    client: Clients = None,
    _json: Json = False,
) -> None:
    """Change the role and the clients of an account."""
    cli = cli_of(context)
    request = identity.SetUserRoleRequest(user_id=account_id(cli, account), role=role_of(role), client_ids=client or [])
    changed = cli.native.call(identity_stub(cli).SetUserRole, request)
    print_change(cli.output, changed, f"{changed.user.email} is {role_name(changed.user.role)} now.")


@users.command("disable")
@service_accounts.command("disable")
def disable(context: typer.Context, account: Account, _json: Json = False) -> None:
    """Refuse an account and all its tokens and keys."""
    set_disabled(cli_of(context), account, disabled=True)


@users.command("enable")
@service_accounts.command("enable")
def enable(context: typer.Context, account: Account, _json: Json = False) -> None:
    """Accept a disabled account again."""
    set_disabled(cli_of(context), account, disabled=False)


def set_disabled(cli: Cli, account: str, *, disabled: bool) -> None:
    request = identity.SetUserDisabledRequest(user_id=account_id(cli, account), disabled=disabled)
    changed = cli.native.call(identity_stub(cli).SetUserDisabled, request)
    print_change(cli.output, changed, f"{changed.user.email} is {state_of(changed.user.disabled)}.")


def print_accounts(cli: Cli, name: str, *, service: bool) -> None:
    found = [one for one in every_account(cli) if one.service_account == service]
    rows = [
        (one.user_id, one.email, role_name(one.role), ", ".join(map(str, one.client_ids)) or "all",
         state_of(one.disabled), moment(one.create_time))
        for one in found
    ]  # fmt: skip
    print_list(cli.output, name, found, ["ID ", "E-mail", "Role", "Clients", "State", "Made"], rows)
