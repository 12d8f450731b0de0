"""`hythe admin keys`: API keys of users and service accounts."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.admin.directory import account_id, create_key, every_account, every_key, identity_stub, rotate_key
from cli.admin.messages import moment, print_change, print_list, print_secret, state_of
from cli.context import Cli, Json, cli_of
from hythe.identity.v1 import identity_pb2 as identity

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="API keys of users and service accounts.")

KeyId = Annotated[int, typer.Argument(metavar="ID", help="Id of the key.")]
Grace = Annotated[int, typer.Option(min=0, max=86_400, help="Seconds for which the old secret still works.")]


@app.command("create")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What it is for.")],
    user: Annotated[str, typer.Option(help="Id or e-mail address of the account that it speaks for.")],
    scope: Annotated[list[str] | None, typer.Option(help="Scope of the key; may be repeated.")] = None,
    life_days: Annotated[int, typer.Option(min=0, help="Days until it expires; 0: never.")] = 0,
    _json: Json = False,
) -> None:
    """Make an API key, which is printed once."""
    cli = cli_of(context)
    made = create_key(cli, account_id(cli, user), name=name, scopes=scope, life_days=life_days)
    print_secret(cli.output, made, f"API key {made.api_key.api_key_id} ({name}).", "API key", made.secret)


@app.command("list")
def list_keys(context: typer.Context, _json: Json = False) -> None:
    """List the keys of the tenant, without their secrets."""
    cli = cli_of(context)
    emails = {one.user_id: one.email for one in every_account(cli)}
    found = list(every_key(cli))
    rows = [
        (one.api_key_id, one.name, emails.get(one.user_id, one.user_id), one.prefix, " ".join(one.scopes),
         state_of(one.disabled), moment(one.create_time), moment(one.expire_time) or "never")
        for one in found
    ]  # fmt: skip
    columns = ["ID ", "Name", "Account", "Begins with", "Scopes", "State", "Made", "Expires"]
    print_list(cli.output, "api_keys", found, columns, rows)


@app.command("rotate")
def rotate(context: typer.Context, key_id: KeyId, grace_seconds: Grace = 0, _json: Json = False) -> None:
    """Give a key a new secret, which is printed once."""
    cli = cli_of(context)
    made = rotate_key(cli, key_id, grace_seconds)
    print_secret(cli.output, made, f"API key {key_id} has a new secret.", "API key", made.secret)


@app.command("disable")
def disable(context: typer.Context, key_id: KeyId, _json: Json = False) -> None:
    """Refuse a key. Services may still accept it for a minute."""
    set_disabled(cli_of(context), key_id, disabled=True)


@app.command("enable")
def enable(context: typer.Context, key_id: KeyId, _json: Json = False) -> None:
    """Accept a disabled key again."""
    set_disabled(cli_of(context), key_id, disabled=False)


def set_disabled(cli: Cli, key_id: int, *, disabled: bool) -> None:
    request = identity.SetApiKeyDisabledRequest(api_key_id=key_id, disabled=disabled)
    changed = cli.native.call(identity_stub(cli).SetApiKeyDisabled, request)
    print_change(cli.output, changed, f"API key {key_id} is {state_of(changed.api_key.disabled)}.")
