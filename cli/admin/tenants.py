"""`hythe admin tenants`, for operators of the installation."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.admin.directory import PAGE_SIZE, identity_stub
from cli.admin.messages import moment, print_change, print_list, print_secret, state_of
from cli.context import Cli, Json, cli_of
from hythe.identity.v1 import identity_pb2 as identity

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Tenants, for operators of the installation.")

TenantId = Annotated[int, typer.Argument(metavar="ID", help="Id of the tenant.")]


@app.command("create")
def create(
    context: typer.Context,
    name: str,
    admin_email: Annotated[str, typer.Option(help="E-mail address of the first administrator.")],
    _json: Json = False,
) -> None:
    """Make a tenant and its first administrator, whose password is printed once."""
    cli = cli_of(context)
    request = identity.CreateTenantRequest(name=name, admin_email=admin_email)
    made = cli.native.call(identity_stub(cli).CreateTenant, request)
    told = f"Tenant {made.tenant.tenant_id} ({made.tenant.name}) with administrator {made.admin.email}."
    print_secret(cli.output, made, told, "Password", made.admin_password)


@app.command("list")
def list_tenants(context: typer.Context, _json: Json = False) -> None:
    """List all tenants of the installation."""
    cli = cli_of(context)
    request = identity.ListTenantsRequest(page_size=PAGE_SIZE)
    found = list(cli.native.items(identity_stub(cli).ListTenants, request, lambda page: page.tenants))
    rows = [(one.tenant_id, one.name, state_of(one.disabled), moment(one.create_time)) for one in found]
    print_list(cli.output, "tenants", found, ["ID ", "Name", "State", "Made"], rows)


@app.command("disable")
def disable(context: typer.Context, tenant_id: TenantId, _json: Json = False) -> None:
    """Refuse everybody of a tenant. Its data stays."""
    set_disabled(cli_of(context), tenant_id, disabled=True)


@app.command("enable")
def enable(context: typer.Context, tenant_id: TenantId, _json: Json = False) -> None:
    """Accept the accounts of a disabled tenant again."""
    set_disabled(cli_of(context), tenant_id, disabled=False)


def set_disabled(cli: Cli, tenant_id: int, *, disabled: bool) -> None:
    request = identity.SetTenantDisabledRequest(tenant_id=tenant_id, disabled=disabled)
    changed = cli.native.call(identity_stub(cli).SetTenantDisabled, request)
    print_change(cli.output, changed, f"Tenant {tenant_id} is {state_of(changed.tenant.disabled)}.")
